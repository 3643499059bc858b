"""Starting trees: distances, neighbour joining, parsimony, and a set of unlike ones."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.alignments.patterns import SitePatterns, compress
from phylogfn.exploration.starting_trees import (
    StartingTrees,
    neighbour_joining,
    overdispersed_starts,
    parsimony_tree,
    pattern_distances,
)
from phylogfn.trees.constraints.splits import Constraints
from phylogfn.trees.tree import Tree, random_topology, robinson_foulds, splits, topology_key


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


@pytest.mark.parametrize(("kept", "taxa"), [(1, None), (3, None), (9, None), (2, 0b110110111110)])
def test_starts_under_constraints(primates, kept, taxa):
    patterns = compress(primates(12, 400))
    rng = np.random.default_rng(kept)
    full = (1 << 12) - 1
    taxa = full if taxa is None else taxa
    chosen = []
    for split in sorted(splits(random_topology(12, rng))):
        side = split & taxa
        if 2 <= side.bit_count() <= taxa.bit_count() - 2 and len(chosen) < kept:
            chosen.append(side)
    constraints = Constraints.from_splits(12, chosen, taxa)
    starts = overdispersed_starts(patterns, 12, np.random.default_rng(1), None, constraints)
    assert starts.dtype == np.int16 and constraints.hold(starts).all()
    n_different = len({topology_key(Tree.from_parents(start)) for start in starts})
    assert n_different == 1 if kept == 9 else n_different >= 4  # nine splits are all of a tree
    source = StartingTrees(patterns, constraints)
    assert constraints.hold([source.draw(rng) for _ in range(10)]).all()


def test_constraints_that_the_data_support_do_not_change_neighbour_joining():
    rng = np.random.default_rng(3)
    tree = random_topology(15, rng)
    distances = path_lengths(tree, rng.exponential(0.1, 28) + 0.01)
    constraints = Constraints.from_splits(15, sorted(splits(tree))[::3])
    found = neighbour_joining(distances, constraints)
    assert np.array_equal(found, neighbour_joining(distances))


def test_parsimony_starts_under_a_true_constraint_are_short(primates):
    """Trees constrained to splits of a short tree are about as short, by the same addition."""
    from phylogfn.alignments.characters import parsimony_characters
    from phylogfn.parsimony.scores import ParsimonyScorer

    alignment = primates(12)
    patterns, rng = compress(alignment), np.random.default_rng(4)
    scorer = ParsimonyScorer(parsimony_characters(alignment), 1)
    free = np.stack([parsimony_tree(patterns, rng) for _ in range(20)])
    best = free[np.argmin(scorer.scores(free))]
    own = Constraints.from_splits(12, sorted(splits(Tree.from_parents(best))))
    constrained = StartingTrees(patterns, own).parsimony_tree(rng)
    assert scorer.scores(constrained[None])[0] == scorer.scores(best[None])[0]
    some = Constraints.from_splits(12, sorted(splits(Tree.from_parents(best)))[:4])
    source = StartingTrees(patterns, some)
    found = scorer.scores(np.stack([source.parsimony_tree(rng) for _ in range(20)]))
    assert np.median(found) == scorer.scores(best[None])[0]
    scorer.pool.shutdown()
