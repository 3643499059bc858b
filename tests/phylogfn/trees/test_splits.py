"""Supports and lengths of the splits of weighted trees."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.trees.splits import split_incidence, split_supports, tabulate_splits
from phylogfn.trees.tree import Tree, random_topology, splits


def test_supports_are_sums_of_probabilities(make_posterior):
    posterior = make_posterior()
    weights = posterior.topology_probabilities
    supports = split_supports(posterior.topology_parents, weights)
    expected = {}
    for index, weight in enumerate(weights):
        for split in splits(posterior.topology(index)):
            expected[split] = expected.get(split, 0.0) + weight
    assert supports == pytest.approx(expected)
    # Every binary tree of n taxa has n - 3 splits.
    assert sum(supports.values()) == pytest.approx(posterior.n_taxa - 3)


@pytest.mark.parametrize("n", [3, 4, 9, 64, 65, 130])
def test_incidence_is_that_of_each_topology_for_any_numbering_of_nodes(n):
    rng = np.random.default_rng(n)
    rows = []
    for _ in range(12):
        parent = random_topology(n, rng).parent
        number = np.concatenate([np.arange(n), n + rng.permutation(n - 2)])
        row = np.full(2 * n - 2, -1)
        row[number] = np.where(parent >= 0, number[parent], -1)
        rows.append(row)
    found = split_incidence(np.array(rows))
    for i, row in enumerate(rows):
        own = [found.splits[column] for column in found.columns[found.topologies == i]]
        assert len(own) == n - 3 and set(own) == splits(Tree.from_parents(row))


def test_weights_need_not_sum_to_one(make_posterior):
    posterior = make_posterior()
    parents, weights = posterior.topology_parents, posterior.topology_probabilities
    assert split_supports(parents, 7 * weights) == pytest.approx(split_supports(parents, weights))


def test_no_weight_is_an_error(make_posterior):
    with pytest.raises(ValueError, match="no topologies"):
        split_supports(make_posterior().topology_parents, np.zeros(4))


def test_lengths_are_averaged_over_the_trees_that_hold_the_split():
    trees = [(1.0, {0b0110: 0.1, 0b0010: None}), (3.0, {0b0110: 0.3}), (4.0, {0b1100: 9.0})]
    table = tabulate_splits(tuple("abcd"), trees)
    assert table.supports == {0b0110: 0.5, 0b1100: 0.5}
    assert table.mean_lengths[0b0110] == pytest.approx(0.25)
    assert 0b0010 not in table.mean_lengths
