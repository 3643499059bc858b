"""Attachment rates against a version with dictionaries and sets of taxa."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.training.prefix_tree import PrefixTree
from phylogfn.environments.attachment_rates import UNSEEN, AttachmentRates
from phylogfn.environments.insertion import InsertionEnvironment, InsertionStates
from phylogfn.kernels import insertion_numba
from phylogfn.trees.tree import random_topology

N_TAXA = 7


def looks(parent, count):
    """The three keys of each branch of a state, by node: dict of int to list."""
    n = len(parent) // 2 + 1
    nodes = [v for v in range(1, len(parent)) if parent[v] >= 0]
    below = {v: set() for v in nodes}
    for position in range(1, count):
        v = position
        while v > 0:
            below[v].add(position)
            v = int(parent[v])
    found = {}
    for v in nodes:
        own = (count, frozenset(below[v]))
        up = int(parent[v])
        above = (*own, frozenset(below[up]) if up > 0 else None)
        parts = frozenset(frozenset(below[c]) for c in nodes if parent[c] == v)
        assert len(parts) == (2 if v >= n else 0)
        found[v] = [own, above, (*above, parts)]
    return found


@pytest.fixture(scope="module")
def trie():
    rng = np.random.default_rng(1)
    trees = np.stack([random_topology(N_TAXA, rng).parent for _ in range(40)]).astype(np.int16)
    actions = np.unique(insertion_numba.actions_of_trees(trees, rng.permutation(N_TAXA)), axis=0)
    return PrefixTree.build(actions, rng.gamma(0.5, size=len(actions)))


def states_of(trie):
    parents = insertion_numba.states_of_actions(trie.sequences[trie.row], trie.depth)
    return parents, trie.depth + 3


def test_rates_are_smoothed_shares_of_the_flow(trie):
    rates = AttachmentRates.of(trie, N_TAXA)
    parents, counts = states_of(trie)
    total, taken = {}, {}
    for i in range(len(trie)):
        part = slice(trie.first[i], trie.first[i + 1])
        chosen = dict(zip(trie.action[part].tolist(), trie.probability[part], strict=True))
        for v, keys in looks(parents[i], counts[i]).items():
            for key in keys:
                total[key] = total.get(key, 0.0) + trie.flow[i]
                taken[key] = taken.get(key, 0.0) + trie.flow[i] * chosen.get(v, 0.0)
    # known states, and states that the trie does not hold
    rng = np.random.default_rng(2)
    others = np.stack([random_topology(N_TAXA, rng).parent for _ in range(20)]).astype(np.int16)
    actions = insertion_numba.actions_of_trees(others, np.arange(N_TAXA))
    depths = rng.integers(0, N_TAXA - 3, 20)
    parents = np.concatenate([parents, insertion_numba.states_of_actions(actions, depths)])
    counts = np.concatenate([counts, depths + 3])
    expected = []
    for parent, count in zip(parents, counts, strict=True):
        for keys in looks(parent, count).values():
            rate = UNSEEN / (2 * count - 3)
            for key in keys:
                if key not in total:
                    break
                rate = (taken[key] + rates.smoothing * rate) / (total[key] + rates.smoothing)
            expected.append(np.log(rate))
    found = rates.log_rates(parents, counts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_counts_all_branches_are_alike():
    environment = InsertionEnvironment(np.arange(N_TAXA), lambda trees: np.zeros(len(trees)))
    states = environment.initial(2)
    states = InsertionStates.concat([states, environment.step(states, np.array([1, 2])).states])
    found = AttachmentRates.none(N_TAXA).log_rates(states.parents, states.counts)
    np.testing.assert_allclose(found, np.log(UNSEEN / np.repeat([3, 3, 5, 5], [3, 3, 5, 5])))


def test_they_come_back_from_a_checkpoint(trie):
    rates = AttachmentRates.of(trie, N_TAXA)
    again = AttachmentRates.from_state({k: v.copy() for k, v in rates.state().items()})
    parents, counts = states_of(trie)
    assert np.array_equal(rates.log_rates(parents, counts), again.log_rates(parents, counts))
