"""The trie of known objects, against dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.training.prefix_tree import PrefixTree


def plain(sequences, weights):
    """Flow of every proper prefix and, in each, the probability of every next action."""
    flow, choices = {}, {}
    for sequence, weight in zip(sequences.tolist(), weights / weights.sum(), strict=True):
        for depth, action in enumerate(sequence):
            prefix = tuple(sequence[:depth])
            flow[prefix] = flow.get(prefix, 0.0) + weight
            here = choices.setdefault(prefix, {})
            here[action] = here.get(action, 0.0) + weight
    return flow, {k: {a: w / flow[k] for a, w in v.items()} for k, v in choices.items()}


def random_objects(length, n, base, seed, dtype=np.int16):
    rng = np.random.default_rng(seed)
    sequences = np.unique(rng.integers(base, size=(n, length)), axis=0).astype(dtype)
    return rng.permutation(sequences), rng.gamma(0.3, size=len(sequences)) + 1e-6


@pytest.mark.parametrize(
    ("length", "n", "base"), [(1, 5, 9), (2, 1, 3), (4, 60, 3), (9, 300, 2), (5, 200, 7)]
)
def test_flows_and_choices(length, n, base):
    sequences, weights = random_objects(length, n, base, seed=length)
    tree = PrefixTree.build(sequences, weights)
    flow, choices = plain(sequences, weights)
    assert len(tree) == len(flow)
    for i in range(len(tree)):
        prefix = tuple(tree.sequences[tree.row[i], : tree.depth[i]].tolist())
        assert tree.flow[i] == pytest.approx(flow.pop(prefix))
        part = slice(tree.first[i], tree.first[i + 1])
        found = dict(zip(tree.action[part].tolist(), tree.probability[part], strict=True))
        assert found == pytest.approx(choices[prefix])
    assert not flow
    assert tree.weights.sum() == pytest.approx(1.0)


def test_objects_come_back_with_their_weights():
    sequences, weights = random_objects(4, 50, 3, seed=7)
    tree = PrefixTree.build(sequences, weights)
    back = {tuple(s): w for s, w in zip(tree.sequences.tolist(), tree.weights, strict=True)}
    expected = dict(zip(map(tuple, sequences.tolist()), weights / weights.sum(), strict=True))
    assert back == pytest.approx(expected)
    assert np.array_equal(tree.sequences, np.array(sorted(sequences.tolist())))


def test_the_chain_of_choices_is_the_weight():
    sequences, weights = random_objects(6, 80, 3, seed=8)
    tree = PrefixTree.build(sequences, weights)
    _, choices = plain(sequences, weights)
    for sequence, weight in zip(tree.sequences.tolist(), tree.weights, strict=True):
        product = 1.0
        for depth, action in enumerate(sequence):
            product *= choices[tuple(sequence[:depth])][action]
        assert product == pytest.approx(weight)


def test_choices_of_some_prefixes():
    sequences, weights = random_objects(5, 100, 4, seed=9)
    tree = PrefixTree.build(sequences, weights)
    some = np.array([7, 0, 7, len(tree) - 1, 30])
    owner, action, probability = tree.choices(some)
    np.testing.assert_allclose(np.bincount(owner, probability), 1.0)
    for place, prefix in enumerate(some):
        part = slice(tree.first[prefix], tree.first[prefix + 1])
        assert action[owner == place].tolist() == tree.action[part].tolist()
        assert probability[owner == place].tolist() == tree.probability[part].tolist()


def test_one_object_is_one_path():
    tree = PrefixTree.build(np.array([[3, 1, 2]]), np.array([5.0]))
    assert len(tree) == 3
    assert tree.flow.tolist() == [1.0] * 3 and tree.probability.tolist() == [1.0] * 3
    assert tree.action.tolist() == [3, 1, 2] and tree.depth.tolist() == [0, 1, 2]
