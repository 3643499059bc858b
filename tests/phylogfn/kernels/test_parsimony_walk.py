"""Neighbours of trees under parsimony: what moves make, and what they are said to cost."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from phylogfn.kernels.parsimony_walk_numba import climb, move_keys, moved_trees, near_moves, ratchet
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.parsimony.scores import ParsimonyScorer
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, children_from_parents, random_topology

_file = importlib.util.spec_from_file_location(
    "plain_parsimony", Path(__file__).parents[1] / "plain_parsimony.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)

ALL_PAIRS = 10**9


def neighbours(scorer, parent, allowed=np.inf, most_pairs=ALL_PAIRS):
    """Parents, changes of the score and keys of the trees that moves make."""
    space = scorer.workspace()
    tree = parent.astype(np.int32), children_from_parents(parent)
    before = [part.copy() for part in tree]
    moves, changes = np.empty((100_000, 3), np.int16), np.empty(100_000)
    found, n_costs = near_moves(
        *tree,
        allowed,
        most_pairs,
        space.down,
        space.up,
        space.edge,
        scorer.packed.tiles,
        moves,
        changes,
    )
    assert found <= n_costs
    # children may stand in another order, the tree is the same
    assert np.array_equal(tree[0], before[0])
    assert np.array_equal(np.sort(tree[1], axis=1), np.sort(before[1], axis=1))
    keys = np.empty((found, 2), np.uint64)
    move_keys(*tree, moves[:found], taxon_codes(scorer.n_taxa), keys)
    parents = np.empty((found, parent.size), np.int16)
    moved_trees(*tree, moves[:found], parents)
    return parents, changes[:found], keys


@pytest.mark.parametrize("n_taxa", [4, 5, 6, 8, 13])
@pytest.mark.parametrize("most_pairs", [0, ALL_PAIRS])
def test_changes_are_differences_of_scores(n_taxa, most_pairs):
    rng = np.random.default_rng(n_taxa)
    data = plain.random_characters(rng, n_taxa, 40, 4, 0.2, rng.integers(1, 4, 40))
    scorer = ParsimonyScorer(data, 1)
    for _ in range(3):
        parent = random_topology(n_taxa, rng).parent
        own = plain.plain_score(parent, data.masks, data.weights, 4) + 3.0
        assert scorer.scores(parent[None])[0] == own
        parents, changes, keys = neighbours(scorer, parent, most_pairs=most_pairs)
        assert np.array_equal(scorer.scores(parents), own + changes)
        assert np.array_equal(keys, topology_keys(parents, taxon_codes(n_taxa)))
        for made in parents[:: max(1, len(parents) // 10)]:
            Tree.from_parents(made)  # raises if it is no tree
            assert plain.plain_score(made, data.masks, data.weights, 4) + 3.0 in own + changes
        distinct = np.unique(keys, axis=0)
        if most_pairs == 0:  # Allen & Steel 2001: neighbours by pruning and regrafting
            assert len(distinct) - has_own(parent, keys) == 2 * (n_taxa - 3) * (2 * n_taxa - 7)
        near = neighbours(scorer, parent, allowed=2.0, most_pairs=most_pairs)
        kept = changes <= 2.0
        assert np.array_equal(near[1], changes[kept]) and np.array_equal(near[2], keys[kept])


def has_own(parent, keys):
    """Whether the tree itself is among the keys."""
    own = topology_keys(parent[None].astype(np.int16), taxon_codes(parent.size // 2 + 1))
    return bool((keys == own).all(axis=1).any())


def test_five_taxa_have_the_same_neighbours_by_either_move(all_topologies):
    rng = np.random.default_rng(2)
    scorer = ParsimonyScorer(plain.random_characters(rng, 5, 10), 1)
    parent = all_topologies(5)[3]
    _, _, by_spr = neighbours(scorer, parent, most_pairs=0)
    _, _, by_tbr = neighbours(scorer, parent)
    # With five taxa one part has two branches at most, so joining anew is no more than regrafting.
    assert np.array_equal(np.unique(by_spr, axis=0), np.unique(by_tbr, axis=0))


def test_more_moves_than_there_is_room_for_are_counted():
    rng = np.random.default_rng(4)
    scorer = ParsimonyScorer(plain.random_characters(rng, 9, 20), 1)
    space, parent = scorer.workspace(), random_topology(9, rng).parent
    children = children_from_parents(parent)
    moves, changes = np.full((5, 3), -7, np.int16), np.empty(5)
    found, _ = near_moves(
        parent,
        children,
        np.inf,
        ALL_PAIRS,
        space.down,
        space.up,
        space.edge,
        scorer.packed.tiles,
        moves,
        changes,
    )
    assert found > 5 and (moves >= 0).all()


@pytest.mark.parametrize("n_taxa", [4, 7, 20])
@pytest.mark.parametrize("most_pairs", [0, ALL_PAIRS])
def test_climbing_ends_where_no_neighbour_is_better(n_taxa, most_pairs):
    rng = np.random.default_rng(n_taxa)
    scorer = ParsimonyScorer(plain.random_characters(rng, n_taxa, 60), 1)
    for _ in range(4):
        parent = random_topology(n_taxa, rng).parent
        before = scorer.scores(parent[None])[0]
        children = children_from_parents(parent)
        space = scorer.workspace()
        gain, n_costs = climb(
            parent,
            children,
            0.0,
            most_pairs,
            space.down,
            space.up,
            space.edge,
            scorer.packed.tiles,
        )
        assert n_costs > 0 and gain >= 0.0
        assert scorer.scores(parent[None])[0] == before - gain
        assert np.array_equal(np.sort(children, axis=1), np.sort(children_from_parents(parent)))
        assert neighbours(scorer, parent, most_pairs=most_pairs)[1].min() >= 0.0


def test_rounds_of_the_ratchet_keep_trees_with_their_scores():
    rng = np.random.default_rng(8)
    data = plain.evolved_characters(rng, random_topology(25, rng), 60)
    scorer = ParsimonyScorer(data, 1)
    space, packed = scorer.workspace(), scorer.packed
    start = random_topology(25, rng).parent

    def rounds(seed):
        parent, children = start.copy(), children_from_parents(start)
        kept, values = np.empty((12, start.size), np.int16), np.empty(12)
        ratchet(
            parent,
            children,
            np.inf,
            seed,
            0.0,
            ALL_PAIRS,
            packed.leaves,
            space.down,
            space.up,
            space.edge,
            packed.tiles,
            kept,
            values,
        )
        return parent, kept, values

    parent, kept, values = rounds(1)
    assert np.array_equal(scorer.scores(kept), values)
    assert scorer.scores(parent[None])[0] == values.min()  # worse ones are not walked from
    assert np.array_equal(space.down[: packed.leaves.size], packed.leaves.ravel())
    assert len(np.unique(kept, axis=0)) > 1
    assert np.array_equal(rounds(1)[1], kept)
    assert not np.array_equal(rounds(2)[1], kept)
