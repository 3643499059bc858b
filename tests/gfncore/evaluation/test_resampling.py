"""Draws by weight are as many as expected; selections have their probabilities and no bias."""

import numpy as np
import pytest

from gfncore.evaluation import draw_by_weight, systematic_resample
from gfncore.evaluation.resampling import inclusion_probabilities, select_by_weight


def test_draws_follow_the_weights():
    rng = np.random.default_rng(1)
    log_weights = rng.normal(0.0, 2.0, 500) - 3000.0
    index, counts = draw_by_weight(log_weights, 400, rng)
    assert counts.sum() == 400 and (np.diff(index) > 0).all()
    expected = np.exp(log_weights - log_weights.max())
    expected *= 400 / expected.sum()
    assert (np.abs(counts - expected[index]) < 1.0).all()
    everywhere, times = draw_by_weight(np.zeros(300), 300, rng)
    assert len(everywhere) == 300 and (times == 1).all()


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_each_item_is_drawn_within_one_of_its_expected_number(scale):
    rng = np.random.default_rng(4)
    weights = rng.gamma(0.3, size=200) * (rng.random(200) < 0.7) * scale
    chosen = systematic_resample(weights, 1000, rng)
    counts = np.bincount(chosen, minlength=200)
    assert len(chosen) == 1000 and (np.diff(chosen) >= 0).all()
    assert np.abs(counts - 1000 * (weights / weights.sum())).max() < 1.0
    assert not counts[weights == 0.0].any()


def test_draws_are_unbiased_and_one_random_number_is_used():
    weights, total = np.array([0.0, 0.17, 0.5, 0.33]), np.zeros(4)
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(4000):
        total += np.bincount(systematic_resample(weights, 3, rng), minlength=4)
        again.random()
    assert rng.random() == again.random()
    np.testing.assert_allclose(total / 12_000, weights, atol=0.01)


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
