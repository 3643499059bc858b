"""Fitch's steps against Sankoff's by dynamic programming, one character at a time."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from phylogfn.kernels.fitch_numba import insertion_costs, join, meeting_cost, scores
from phylogfn.kernels.pruning_numba import postorder
from phylogfn.parsimony.scores import Workspace, addition_tree, pack
from phylogfn.trees.tree import Tree, children_from_parents, random_topology, robinson_foulds

_file = importlib.util.spec_from_file_location(
    "plain_parsimony", Path(__file__).parents[1] / "plain_parsimony.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)


@pytest.mark.parametrize("n_states", [2, 3, 4, 5, 6, 20, 32])
@pytest.mark.parametrize("ambiguous", [0.0, 0.4])
def test_scores_are_those_of_dynamic_programming(n_states, ambiguous):
    rng = np.random.default_rng(n_states)
    for n in (2, 3, 4, 9):
        data = plain.random_characters(rng, n, 30, n_states, ambiguous, rng.integers(0, 4, 30))
        packed = pack(data.masks, data.weights, n_states)
        parents = np.stack([random_topology(n, rng).parent for _ in range(3)])
        found = np.empty(3)
        scores(parents, n, Workspace(packed).down, packed.tiles, found)
        wanted = [
            plain.plain_score(parent, data.masks, data.weights, n_states) for parent in parents
        ]
        assert np.array_equal(found, wanted)


def test_a_join_costs_what_it_is_said_to_cost():
    rng = np.random.default_rng(7)
    data = plain.random_characters(rng, 6, 700, 4, 0.5, rng.integers(1, 3, 700))
    packed = pack(data.masks, data.weights, 4)
    assert packed.tiles.starts.size > 2
    rows = packed.leaves.ravel().copy()
    apart = (data.masks[1] & data.masks[2]) == 0
    steps = data.weights[apart].sum()
    assert meeting_cost(rows, 1, rows, 2, packed.tiles, np.inf) == steps
    assert meeting_cost(rows, 1, rows, 2, packed.tiles, steps) == steps
    assert meeting_cost(rows, 1, rows, 2, packed.tiles, steps - 1.0) > steps - 1.0
    joined = np.where(apart, data.masks[1] | data.masks[2], data.masks[1] & data.masks[2])
    assert join(rows, 1, rows, 2, rows, 2, packed.tiles) == steps  # onto one of its own
    for other in (0, 1, 3, 4, 5):
        cost = data.weights[(data.masks[other] & joined) == 0].sum()
        assert meeting_cost(rows, other, rows, 2, packed.tiles, np.inf) == cost


@pytest.mark.parametrize("ambiguous", [0.0, 0.3])
def test_insertion_costs_are_the_differences_of_scores(ambiguous):
    rng = np.random.default_rng(3)
    n, n_characters = 7, 12
    small = random_topology(n - 1, rng).parent
    # the same tree among arrays for n taxa: leaf n - 1 and node 2n - 3 are not there yet
    parent = np.full(2 * n - 2, -1, np.int32)
    move = np.where(np.arange(2 * n - 4) < n - 1, np.arange(2 * n - 4), np.arange(2 * n - 4) + 1)
    parent[move] = np.where(small >= 0, move[small], -1)
    below = children_from_parents(small)
    children = np.full((2 * n - 2, 2), -1, np.int32)
    children[move] = np.where(below >= 0, move[below], -1)
    data = plain.random_characters(
        rng, n, n_characters, 4, ambiguous, rng.integers(1, 5, n_characters)
    )
    packed = pack(data.masks, data.weights, 4)
    space = Workspace(packed)
    order, costs = np.empty(2 * n - 2, np.int32), np.full(2 * n - 2, np.nan)
    count = insertion_costs(
        children, n, n - 1, space.down, space.up, space.edge, packed.tiles, order, costs
    )
    assert count == 2 * (n - 1) - 3
    before = plain.plain_score(small, data.masks[: n - 1], data.weights, 4)
    for branch in order[:count]:
        after = plain.with_taxon(parent, n - 1, branch, 2 * n - 3)
        assert costs[branch] == plain.plain_score(after, data.masks, data.weights, 4) - before


def test_clean_data_give_back_their_tree():
    rng = np.random.default_rng(5)
    n = 12
    truth = random_topology(n, rng)
    # one character a branch: who is below
    order = np.empty(2 * n - 2, np.int32)
    below = np.zeros((2 * n - 2, n), bool)
    below[np.arange(1, n), np.arange(1, n)] = True
    for v in order[: postorder(truth.children, truth.children[0, 0], order)]:
        if v >= n:
            below[v] = below[truth.children[v]].any(axis=0)
    masks = np.where(below[1:].T, 2, 1).astype(np.uint32)
    packed = pack(masks, np.ones(masks.shape[1]), 4)
    for seed in range(5):
        found = addition_tree(packed, Workspace(packed), np.random.default_rng(seed))
        assert found.dtype == np.int16
        assert robinson_foulds(Tree.from_parents(found), truth) == 0


def test_ties_are_broken_by_the_seed():
    packed = pack(np.ones((9, 3), np.uint32), np.ones(3), 4)  # every tree is as good
    space = Workspace(packed)
    trees = [addition_tree(packed, space, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert np.array_equal(trees[0], trees[1])
    assert len({tree.tobytes() for tree in trees}) > 2
    for tree in trees:
        Tree.from_parents(tree)  # raises if it is no tree
