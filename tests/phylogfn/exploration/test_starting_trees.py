"""Starting trees: distances, neighbour joining, parsimony, and a set of unlike ones."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.alignments.patterns import SitePatterns, compress
from phylogfn.exploration.starting_trees import (
    neighbour_joining,
    overdispersed_starts,
    parsimony_tree,
    pattern_distances,
)
from phylogfn.trees.tree import Tree, random_topology, robinson_foulds, topology_key


def path_lengths(tree, lengths):
    """Distances between the leaves (n, n)."""
    n = tree.n_taxa

    def up(v):
        way = {}
        total = 0.0
        while v >= 0:
            way[v] = total
            total += lengths[v]
            v = tree.parent[v]
        return way

    ways = [up(v) for v in range(n)]
    return np.array([[min(a[v] + b[v] for v in a if v in b) for b in ways] for a in ways])


@pytest.mark.parametrize("n_taxa", [4, 5, 12, 40])
def test_neighbour_joining_recovers_an_additive_tree(n_taxa):
    rng = np.random.default_rng(n_taxa)
    for _ in range(5):
        tree = random_topology(n_taxa, rng)
        lengths = rng.exponential(0.1, 2 * n_taxa - 2) + 0.01
        found = neighbour_joining(path_lengths(tree, lengths))
        assert found.dtype == np.int16 and found[0] == -1
        assert robinson_foulds(Tree.from_parents(found), tree) == 0


def test_distances_are_those_of_jukes_and_cantor():
    masks = np.full((3, 8), 1, np.uint32)
    masks[1, :2] = 2  # a quarter of the sites differ
    masks[2, :] = 15  # no information
    masks[0, 7] = 5  # A or G: meets A
    patterns = SitePatterns(masks, np.full(8, 2.0), np.arange(8, dtype=np.int32), 4)
    found = pattern_distances(patterns)
    assert found[0, 1] == pytest.approx(-0.75 * np.log(1 - 4 * 0.25 / 3))
    assert found[0, 2] == found[1, 2] == found[0, 1]  # the largest of the others
    assert (np.diag(found) == 0.0).all() and np.array_equal(found, found.T)


def test_distances_stay_finite():
    masks = np.array([[1, 1, 1], [2, 4, 8], [15, 15, 15]], np.uint32)
    patterns = SitePatterns(masks, np.ones(3), np.arange(3, dtype=np.int32), 4)
    assert np.isfinite(pattern_distances(patterns)).all()
    empty = SitePatterns(masks[[2, 2, 2, 2]], np.ones(3), np.arange(3, dtype=np.int32), 4)
    assert np.isfinite(pattern_distances(empty)).all()
    Tree.from_parents(neighbour_joining(pattern_distances(empty)))


def test_starts_are_trees_and_unlike(primates):
    patterns = compress(primates(12))
    starts = overdispersed_starts(patterns, 8, np.random.default_rng(1))
    assert starts.shape == (8, 22) and starts.dtype == np.int16
    keys = {topology_key(Tree.from_parents(start)) for start in starts}
    assert len(keys) >= 4
    again = overdispersed_starts(patterns, 8, np.random.default_rng(1))
    assert np.array_equal(starts, again)


def test_good_starts_beat_random_ones(primates, make_reward):
    alignment = primates(12)
    reward, rng = make_reward(alignment), np.random.default_rng(2)
    patterns = reward.likelihood.patterns
    good = np.stack([neighbour_joining(pattern_distances(patterns)), parsimony_tree(patterns, rng)])
    blind = np.stack([random_topology(12, rng).parent for _ in range(5)]).astype(np.int16)
    assert (
        reward.closed_form(good).log_evidence.min()
        > reward.closed_form(blind).log_evidence.max() + 100
    )


def test_where_there_is_no_time_starts_are_repeated(primates):
    patterns = compress(primates(12))
    asked = []

    def until():
        asked.append(True)
        return len(asked) > 1

    starts = overdispersed_starts(patterns, 8, np.random.default_rng(1), until)
    whole = overdispersed_starts(patterns, 8, np.random.default_rng(1))
    assert np.array_equal(starts[:2], whole[:2]) and len(starts) == 8
    assert all(np.array_equal(starts[i], starts[i % 2]) for i in range(8))
