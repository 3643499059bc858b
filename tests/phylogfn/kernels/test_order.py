"""The order of insertion by least entropy, against a slow version on sets of taxa."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phylogfn.environments.taxon_order import MAX_TREES, taxon_order
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, node_splits, random_topology


def restricted(tree, taxa):
    """The nontrivial splits of a tree restricted to a set of taxa, as sets of taxa."""
    out = set()
    for split in node_splits(tree):
        side = frozenset(t for t in taxa if split >> t & 1)
        other = frozenset(taxa) - side
        if len(side) > 1 and len(other) > 1:
            out.add(min(side, other, key=sorted))
    return frozenset(out)


def entropy(trees, weights, taxa):
    """Entropy (nats) of the distribution over restricted topologies."""
    shares = {}
    for tree, weight in zip(trees, weights, strict=True):
        key = restricted(tree, taxa)
        shares[key] = shares.get(key, 0.0) + weight
    return -sum(p * math.log(p) for p in shares.values() if p > 0)


def plain_order(parents, weights):
    trees = [Tree.from_parents(parent) for parent in parents]
    weights = weights / weights.sum()
    present = list(range(len(parents[0]) // 2 + 1))
    last = []
    while len(present) > 3:
        entropies = [entropy(trees, weights, [x for x in present if x != t]) for t in present]
        best = min(range(len(present)), key=lambda i: (round(entropies[i], 9), present[i]))
        last.append(present.pop(best))
    return present + last[::-1]


@pytest.mark.parametrize("n_taxa", [4, 6, 8])
def test_order_is_that_of_the_plain_version(n_taxa):
    rng = np.random.default_rng(n_taxa)
    parents = np.stack([random_topology(n_taxa, rng).parent for _ in range(25)])
    weights = rng.gamma(0.5, size=25)
    found = taxon_order(parents.astype(np.int16), weights, taxon_codes(n_taxa))
    assert found.tolist() == plain_order(parents, weights)


def test_a_wandering_taxon_comes_last():
    rng = np.random.default_rng(7)
    n = 9
    parents = np.full((2 * n - 5, 2 * n - 2), -1, np.int16)
    small = random_topology(n - 1, rng).parent
    move = np.where(np.arange(2 * n - 4) < 4, np.arange(2 * n - 4), np.arange(2 * n - 4) + 1)
    place = np.flatnonzero(small >= 0)  # taxon 4 in every branch of one tree
    for tree, branch in zip(parents, move[place], strict=True):
        tree[move] = np.where(small >= 0, move[small], -1)
        tree[2 * n - 3] = tree[branch]
        tree[branch] = tree[4] = 2 * n - 3
    order = taxon_order(parents, np.ones(len(parents)), taxon_codes(n))
    assert order[-1] == 4
    assert sorted(order) == list(range(n))


def test_only_the_best_trees_are_read():
    rng = np.random.default_rng(8)
    parents = np.stack([random_topology(7, rng).parent for _ in range(MAX_TREES + 50)])
    parents = parents.astype(np.int16)
    weights = np.concatenate([np.full(50, 1e-9), rng.random(MAX_TREES)])
    codes = taxon_codes(7)
    best = taxon_order(parents[50:], weights[50:], codes)
    assert np.array_equal(taxon_order(parents, weights, codes), best)
