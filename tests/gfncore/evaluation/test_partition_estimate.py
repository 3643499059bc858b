"""From weighted draws to log Z, its error and how far they can be trusted."""

import math

import numpy as np
import pytest

from gfncore.evaluation import (
    PartitionEstimate,
    WeightedDraws,
    effective_sample_size,
    pareto_k,
)


def test_equal_weights_have_no_error():
    found = WeightedDraws(np.full(10, -7000.0)).estimate()
    assert (found.log_z, found.standard_error) == pytest.approx((-7000.0, 0.0))
    assert found.ess == pytest.approx(10) and found.n_draws == 10
    assert found.effective_share == pytest.approx(1.0) and found.known_share == 0.0


def test_the_error_covers_the_truth():
    rng = np.random.default_rng(0)
    sigma, inside = 0.5, 0
    for _ in range(200):
        found = WeightedDraws(rng.normal(-100.0, sigma, 400)).estimate()
        inside += abs(found.log_z - (-100.0 + sigma**2 / 2)) < 1.96 * found.standard_error
    assert 0.90 < inside / 200 < 0.99


@pytest.fixture
def problem():
    """Rewards of 50 objects, the best 30 of them, and the weights of draws with those known."""
    rng = np.random.default_rng(1)
    reward = rng.gamma(1.0, size=50)
    q = rng.dirichlet(np.ones(50))
    draws = rng.choice(50, size=20_000, p=q)
    best = np.argsort(reward)[-30:]
    log_weights = np.log(reward[draws] / q[draws])
    return reward, best, WeightedDraws(log_weights, np.isin(draws, best))


def test_known_objects_lower_the_error_and_not_the_value(problem):
    reward, best, draws = problem
    found, plain = draws.estimate(np.log(reward[best])), draws.estimate()
    assert abs(found.log_z - math.log(reward.sum())) < 4 * found.standard_error
    assert found.standard_error < plain.standard_error
    share = reward[best].sum() / reward.sum()
    assert found.known_share == pytest.approx(share, rel=4 * found.standard_error)
    assert plain.known_share == pytest.approx(share, rel=8 * plain.standard_error)
    assert found.ess == plain.ess == effective_sample_size(draws.log_weights)
    assert found.pareto_k == plain.pareto_k == pareto_k(draws.log_weights)
    every = WeightedDraws(draws.log_weights, np.ones(len(draws), bool))
    exact = every.estimate(np.log(reward))
    assert (exact.log_z, exact.standard_error) == pytest.approx((math.log(reward.sum()), 0.0))
    assert exact.known_share == pytest.approx(1.0)


def test_draws_that_are_too_few_or_worth_nothing():
    found = WeightedDraws(np.array([0.0, -np.inf])).estimate()
    assert found.log_z == pytest.approx(math.log(0.5))
    assert found.standard_error == pytest.approx(1.0)
    one = WeightedDraws(np.array([-3.5])).estimate()
    assert one.log_z == -3.5 and math.isnan(one.standard_error)
    with pytest.raises(ValueError, match="finite"):
        WeightedDraws(np.full(3, -np.inf)).estimate()
    with pytest.raises(ValueError, match="0 draws"):
        WeightedDraws(np.zeros(0)).estimate()
    with pytest.raises(ValueError, match="which draws are known"):
        WeightedDraws(np.zeros(3)).estimate(np.zeros(1))
    assert WeightedDraws(np.full(3, -np.inf)).ess == 0.0


def test_resampled_draws_follow_the_weights_in_random_order(problem):
    *_, draws = problem
    chosen = draws.resample(1000, np.random.default_rng(2))
    counts = np.bincount(chosen, minlength=len(draws))
    assert np.abs(counts - 1000 * draws.probabilities).max() < 1.0
    assert (np.diff(chosen) < 0).any()
    assert draws.probabilities.sum() == pytest.approx(1.0)


def test_an_estimate_as_text_and_by_name():
    found = PartitionEstimate(-7.25, 0.03, 800.0, 1000, 0.2, known_share=0.9)
    assert str(found) == "log Z -7.250 ± 0.030"
    assert PartitionEstimate(**found.as_dict()) == found
