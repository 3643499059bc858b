"""The collapsed reward as the rest of the program calls it."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.likelihood.collapsed import log_n_topologies
from phylogfn.trees.tree import Tree, random_topology, relabel


def test_number_of_topologies(all_topologies):
    for n, expected in ((4, 3), (5, 15), (6, 105), (10, 2_027_025)):
        assert np.exp(log_n_topologies(n)) == pytest.approx(expected)
    assert len(all_topologies(6)) == 105


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_change_numbers(primates, make_reward, all_topologies, threads):
    every = all_topologies(6)
    one, many = make_reward(primates(6)), make_reward(primates(6), threads=threads)
    first, second = one.closed_form(every), many.closed_form(every)
    assert np.array_equal(first.log_evidence, second.log_evidence)
    assert np.array_equal(first.lengths, second.lengths)
    assert one.evaluations == many.evaluations > 105
    draws = [r.draw_lengths(every[:9], first.take(np.arange(9)), 5, 1) for r in (one, many)]
    assert np.array_equal(draws[0].log_weights, draws[1].log_weights)
    assert np.array_equal(draws[0].lengths, draws[1].lengths)
    other = one.draw_lengths(every[:9], first.take(np.arange(9)), 5, 2)
    assert not np.array_equal(draws[0].lengths, other.lengths)


def test_a_tree_in_a_batch_is_the_tree_alone(primates, make_reward, all_topologies):
    reward, every = make_reward(primates(6)), all_topologies(6)
    batch = reward.closed_form(every)
    for row in (0, 17, 104):
        alone = reward.closed_form(every[row : row + 1])
        assert alone.log_evidence[0] == batch.log_evidence[row]
        assert np.array_equal(batch.take(np.array([row])).shapes, alone.shapes)


def test_the_order_of_the_taxa_does_not_matter(primates, make_reward):
    rng = np.random.default_rng(1)
    taxa = rng.permutation(8)
    tree = random_topology(8, rng)
    plain = make_reward(primates(8)).closed_form(tree.parent[None])
    # sequence j of the second alignment is sequence taxa[j] of the first
    new_index = np.argsort(taxa)
    other = relabel(Tree.from_parents(tree.parent), new_index.tolist())
    moved = make_reward(primates(taxa)).closed_form(other.parent[None])
    assert moved.log_evidence[0] == pytest.approx(plain.log_evidence[0], abs=5e-3)


def test_identical_sequences_and_missing_data(primates, make_reward, all_topologies):
    alignment = primates([0, 1, 1, 2, 3])
    alignment.masks[3, :] = 15  # nothing is known of one
    fit = make_reward(alignment).closed_form(all_topologies(5))
    assert np.isfinite(fit.log_evidence).all()
    assert (fit.lengths[:, 1:] > 0.0).all()
    # the taxon without data may be anywhere, and it then adds nothing to choose by
    values = np.sort(fit.log_evidence)
    assert len(np.unique(values.round(1))) <= 10
