"""Selection without replacement: right inclusion probabilities, and sums without bias."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.evaluation.selection import inclusion_probabilities, select_by_weight


def by_bisection(weights: np.ndarray, n: int) -> np.ndarray:
    """min(1, w / c) with the c for which they sum to n, found by halving an interval."""
    low, high = 0.0, weights.sum()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(1, weights / middle).sum() > n else (low, middle)
    return np.minimum(1.0, weights / high)


@pytest.mark.parametrize("n", [1, 2, 7, 19])
@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0, 30.0])
def test_probabilities_are_those_of_one_threshold(n, spread):
    log_weights = spread * np.random.default_rng(n).normal(size=20) + 700.0
    found = inclusion_probabilities(log_weights, n)
    expected = by_bisection(np.exp(log_weights - log_weights.max()), n)
    assert np.allclose(found, expected, atol=1e-12) and np.isclose(found.sum(), n)


@pytest.mark.parametrize("n", [1, 4, 11])
def test_objects_are_selected_with_their_probabilities(n):
    rng = np.random.default_rng(1)
    log_weights = rng.normal(0, 2, 12)
    log_weights[3] = -np.inf
    runs = 20_000
    chosen = [select_by_weight(log_weights, n, rng) for _ in range(runs)]
    assert all(len(set(found.rows.tolist())) == len(found.rows) == n for found in chosen)
    counts = np.bincount(np.concatenate([found.rows for found in chosen]), minlength=12)
    expected = inclusion_probabilities(log_weights, n)
    assert expected[3] == counts[3] == 0
    error = np.sqrt(expected * (1 - expected) / runs)
    assert (np.abs(counts / runs - expected) <= 4.5 * error + 1e-12).all()


def test_weighted_sums_have_no_bias():
    rng = np.random.default_rng(2)
    log_weights, values = rng.normal(0, 1.5, 30), rng.normal(size=30)
    sums = []
    for _ in range(20_000):
        found = select_by_weight(log_weights, 8, rng)
        sums.append((np.exp(found.log_weights) * values[found.rows]).sum())
        # all weight is accounted for, whichever objects were selected
        assert np.isclose(np.exp(found.log_weights).sum(), np.exp(log_weights).sum())
    exact = (np.exp(log_weights) * values).sum()
    assert abs(np.mean(sums) - exact) < 4.5 * np.std(sums) / np.sqrt(len(sums))


def test_all_are_selected_where_there_are_no_more():
    log_weights = np.array([0.0, -np.inf, 2.0])
    for n in (2, 3, 10):
        found = select_by_weight(log_weights, n, np.random.default_rng(0))
        assert found.rows.tolist() == [0, 2] and found.log_weights.tolist() == [0.0, 2.0]
    empty = select_by_weight(np.full(3, -np.inf), 2, np.random.default_rng(0))
    assert len(empty.rows) == 0
