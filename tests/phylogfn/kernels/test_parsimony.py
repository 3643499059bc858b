"""Fitch's steps against Sankoff's by dynamic programming, one pattern at a time."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.kernels.parsimony_numba import insertion_costs, stepwise_addition
from phylogfn.kernels.pruning_numba import postorder
from phylogfn.tree import Tree, children_from_parents, random_topology, robinson_foulds


def plain_score(children, masks, weights, n_states=4):
    """Least weighted number of changes of a tree drawn at leaf 0 (Sankoff 1975)."""
    change = 1.0 - np.eye(n_states)

    def costs(node, pattern):
        if children[node, 0] < 0 or node == 0:
            possible = (masks[node, pattern] >> np.arange(n_states)) & 1
            own = np.where(possible, 0.0, np.inf)
        else:
            own = np.zeros(n_states)
        for child in children[node]:
            if child >= 0:
                own = own + (costs(child, pattern)[None, :] + change).min(axis=1)
        return own

    return sum(weight * costs(0, pattern).min() for pattern, weight in enumerate(weights))


def with_taxon(parent, taxon, branch, n_taxa):
    """The tree after the last taxon and the last node were put into a branch."""
    out = parent.copy()
    node = 2 * n_taxa - 3
    out[node] = out[branch]
    out[branch] = out[taxon] = node
    return out


@pytest.mark.parametrize("ambiguous", [0.0, 0.3])
def test_insertion_costs_are_the_differences_of_scores(ambiguous):
    rng = np.random.default_rng(3)
    n, n_patterns = 7, 12
    small = random_topology(n - 1, rng).parent
    # the same tree among arrays for n taxa: leaf n - 1 and node 2n - 3 are not there yet
    parent = np.full(2 * n - 2, -1, np.int32)
    move = np.where(np.arange(2 * n - 4) < n - 1, np.arange(2 * n - 4), np.arange(2 * n - 4) + 1)
    parent[move] = np.where(small >= 0, move[small], -1)
    children = np.full((2 * n - 2, 2), -1, np.int32)
    children[move] = np.where(
        children_from_parents(small) >= 0, move[children_from_parents(small)], -1
    )
    masks = (1 << rng.integers(4, size=(n, n_patterns))).astype(np.uint32)
    sets = rng.integers(1, 16, size=masks.shape).astype(np.uint32)
    masks = np.where(rng.random(masks.shape) < ambiguous, sets, masks).astype(np.uint32)
    weights = rng.integers(1, 5, n_patterns).astype(float)
    space = [np.empty((2 * n - 2, n_patterns), np.uint32) for _ in range(2)]
    order, costs = np.empty(2 * n - 2, np.int32), np.full(2 * n - 2, np.nan)
    count = insertion_costs(
        masks, weights, children, children[0, 0], 0, n - 1, *space, order, costs
    )
    assert count == 2 * (n - 1) - 3
    before = plain_score(children, masks, weights)
    for branch in order[:count]:
        after = children_from_parents(with_taxon(parent, n - 1, branch, n))
        assert costs[branch] == plain_score(after, masks, weights) - before


def test_clean_data_give_back_their_tree():
    rng = np.random.default_rng(5)
    n = 12
    truth = random_topology(n, rng)
    # one pattern a branch: who is below
    order = np.empty(2 * n - 2, np.int32)
    below = np.zeros((2 * n - 2, n), bool)
    below[np.arange(1, n), np.arange(1, n)] = True
    for v in order[: postorder(truth.children, truth.children[0, 0], order)]:
        if v >= n:
            below[v] = below[truth.children[v]].any(axis=0)
    masks = np.where(below[1:].T, 2, 1).astype(np.uint32)
    masks, weights = np.ascontiguousarray(masks), np.ones(masks.shape[1])
    for seed in range(5):
        sequence = np.concatenate([[0], 1 + np.random.default_rng(seed).permutation(n - 1)])
        found = stepwise_addition(masks, weights, sequence, seed)
        assert robinson_foulds(Tree.from_parents(found), truth) == 0


def test_ties_are_broken_by_the_seed():
    masks = np.ones((9, 3), np.uint32)  # every tree is as good
    sequence = np.arange(9)
    trees = [stepwise_addition(masks, np.ones(3), sequence, seed) for seed in (1, 1, 2, 3, 4)]
    assert np.array_equal(trees[0], trees[1])
    assert len({tree.tobytes() for tree in trees}) > 2
    for tree in trees:
        Tree.from_parents(tree)  # raises if it is no tree
