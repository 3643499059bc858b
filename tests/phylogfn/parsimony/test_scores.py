"""Parsimony scores of batches of trees, and how characters are packed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from phylogfn.parsimony.scores import ParsimonyScorer, pack
from phylogfn.trees.tree import random_topology

_file = importlib.util.spec_from_file_location(
    "plain_parsimony", Path(__file__).parents[1] / "plain_parsimony.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)

WEIGHTS = {
    "ones": lambda rng, size: np.ones(size),
    "small integers": lambda rng, size: rng.integers(0, 4, size),
    "large integers": lambda rng, size: rng.integers(10**6, 10**9, size),
    "beyond integers": lambda rng, size: rng.integers(1, 3, size) * 2.0**60,
    "fractions": lambda rng, size: rng.choice([0.1, 0.25, 1.5], size),
}


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("ambiguous", [0.0, 0.5])
def test_scores_with_weights(kind, ambiguous):
    rng = np.random.default_rng(1)
    weights = WEIGHTS[kind](rng, 40)
    data = plain.random_characters(rng, 8, 40, 5, ambiguous, weights)
    scorer = ParsimonyScorer(data, 2)
    parents = np.stack([random_topology(8, rng).parent for _ in range(4)])
    wanted = [plain.plain_score(parent, data.masks, data.weights, 5) + 3.0 for parent in parents]
    found = scorer.scores(parents)
    if kind == "fractions":
        assert found == pytest.approx(wanted, rel=1e-12)
        assert 0.0 < scorer.tolerance < 1e-5
    else:
        assert np.array_equal(found, wanted)
        assert scorer.tolerance == 0.0
    assert scorer.n_scores == 4


def test_characters_without_weight_or_choice_take_no_words():
    masks = np.array([[1, 1, 15], [15, 2, 15], [1, 1, 4], [15, 2, 15]], np.uint32)
    weights = np.array([1.0, 0.0, 2.0])
    assert pack(masks, weights, 4).leaves.shape == (4, 0)
    weights[1] = 1.0
    assert pack(masks, weights, 4).tiles.states.tolist() == [2]


def test_integer_weights_are_copies_or_binary_digits():
    rng = np.random.default_rng(2)
    masks = plain.random_characters(rng, 40, 600, 2).masks
    few = pack(masks, np.where(np.arange(600) < 10, 2.0, 1.0), 2).tiles
    assert few.weights.tolist() == [1.0, 1.0, 1.0]  # 610 copies in tiles of 256
    many = pack(masks, rng.integers(200, 256, 600).astype(float), 2).tiles
    assert set(many.weights) == {1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0}
    each = pack(masks, np.where(np.arange(600) < 300, 1000.0, 999.0), 2).tiles
    assert set(each.weights) == {999.0, 1000.0}


def test_threads_share_a_batch():
    rng = np.random.default_rng(3)
    data = plain.random_characters(rng, 12, 300, 4, 0.1)
    parents = np.stack([random_topology(12, rng).parent for _ in range(500)])
    one, four = ParsimonyScorer(data, 1), ParsimonyScorer(data, 4)
    found = one.scores(parents)
    assert np.array_equal(found, four.scores(parents))
    assert np.array_equal(found[123:124], four.scores(parents[123:124]))
    assert one.scores(parents[:0]).shape == (0,)
