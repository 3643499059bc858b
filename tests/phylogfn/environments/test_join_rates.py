"""Join rates beside plain counts over clades."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.environments.join_rates import UNSEEN, JoinRates
from phylogfn.kernels import forest_numba, merging_numba
from phylogfn.trees.tree import Tree, node_splits, random_topology

N_TAXA = 7
EVERYTHING = 2**N_TAXA - 1


def plain_weights(trees, shares):
    """Weights of clades (as bit masks) and of pairs of clades that meet at a node."""
    clades: dict[int, float] = {}
    pairs: dict[frozenset, float] = {}
    for parents, share in zip(trees, shares, strict=True):
        tree = Tree.from_parents(parents)
        below = node_splits(tree)
        for v in range(1, 2 * N_TAXA - 2):
            for clade in (below[v], EVERYTHING ^ below[v]):
                clades[clade] = clades.get(clade, 0.0) + share
        for v in range(N_TAXA, 2 * N_TAXA - 2):
            a, b = (below[c] for c in tree.children[v])
            for pair in ((a, b), (a, EVERYTHING ^ below[v]), (b, EVERYTHING ^ below[v])):
                pairs[frozenset(pair)] = pairs.get(frozenset(pair), 0.0) + share
    return clades, pairs


@pytest.fixture
def known():
    rng = np.random.default_rng(2)
    trees = np.stack([random_topology(N_TAXA, rng).parent for _ in range(25)]).astype(np.int16)
    weights = rng.random(25)
    return trees, weights


def forests(trees, depth):
    rng = np.random.default_rng(depth)
    parents = merging_numba.states_of_trees(trees)
    counts = np.ones(len(trees), np.int64)
    for _ in range(depth):
        state, code = merging_numba.backward_codes(parents, counts)
        chosen = np.array([rng.choice(code[state == i]) for i in range(len(trees))])
        merging_numba.split(parents, counts, chosen, np.empty(len(trees), np.int64))
    return parents, counts


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_rates_are_shares_of_the_rarer_clade(known, depth):
    trees, weights = known
    rates = JoinRates.of(trees, weights)
    clades, met = plain_weights(trees, weights / weights.sum())
    other = np.stack([random_topology(N_TAXA, np.random.default_rng(9)).parent, trees[3]]).astype(
        np.int16
    )
    parents, counts = forests(other, depth)
    state, _, root = merging_numba.slots_and_roots(parents, counts)
    below, pairs, owner = forest_numba.graph_arrays(parents, state, root, counts)
    found = rates.log_rates(below, pairs, owner, counts)
    masks = [int(sum(1 << j for j in range(N_TAXA) if row[j])) for row in below]
    c = 1.0 / len(trees)
    for k, (a, b) in enumerate(pairs.T):
        together = met.get(frozenset((masks[a], masks[b])), 0.0)
        rarer = min(clades.get(masks[a], 0.0), clades.get(masks[b], 0.0))
        expected = np.log((together + c * UNSEEN / counts[owner[k]]) / (rarer + c))
        assert found[k] == pytest.approx(expected, abs=1e-5)


def test_no_rates_say_nothing():
    rates = JoinRates.none(N_TAXA)
    parents = np.full((1, 2 * N_TAXA), -1, np.int16)
    counts = np.array([N_TAXA])
    state, _, root = merging_numba.slots_and_roots(parents, counts)
    below, pairs, owner = forest_numba.graph_arrays(parents, state, root, counts)
    assert len(np.unique(rates.log_rates(below, pairs, owner, counts))) == 1


def test_rates_go_through_a_checkpoint(known):
    rates = JoinRates.of(*known)
    again = JoinRates.from_state(rates.state())
    assert again.smoothing == rates.smoothing and np.array_equal(again.table, rates.table)
    assert np.array_equal(again.weight, rates.weight)
