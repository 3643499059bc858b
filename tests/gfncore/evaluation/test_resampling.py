"""Systematic resampling: as many of each as expected, and never one without weight."""

import numpy as np
import pytest

from gfncore.evaluation import draw_by_weight, systematic_resample


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
