"""Errors that cover weights larger than any that was drawn."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from gfncore.evaluation import WeightedDraws, pareto_k, unseen_tail_factor
from gfncore.evaluation.pareto_k import pareto_tail
from gfncore.evaluation.unseen_tail import FURTHER


def plain_factor(log_weights):
    """The same by adaptive quadrature over the density of the tail."""
    tail = pareto_tail(log_weights)
    weights = np.exp(log_weights - log_weights.max())
    largest = tail.scale / tail.k * ((FURTHER * tail.size) ** tail.k - 1.0)

    def integrand(log_y):
        y = math.exp(log_y)
        density = (1.0 + tail.k * y / tail.scale) ** (-1.0 / tail.k - 1.0) / tail.scale
        return (tail.threshold + y) ** 2 * density * y

    of_tail, _ = quad(integrand, -40.0, math.log(largest), limit=500)
    of_body = (weights[weights <= tail.threshold] ** 2).mean() * (1 - tail.size / len(weights))
    second = of_body + tail.size / len(weights) * of_tail
    return math.sqrt(max((second - weights.mean() ** 2) / weights.var(), 1.0))


@pytest.mark.parametrize("sigma", [0.7, 1.5, 2.5])
def test_the_factor_is_that_of_the_fitted_tail(sigma):
    log_weights = np.random.default_rng(3).normal(-1000.0, sigma, 2000)
    assert unseen_tail_factor(log_weights) == pytest.approx(plain_factor(log_weights), rel=2e-3)
    assert unseen_tail_factor(log_weights[::-1]) == pytest.approx(unseen_tail_factor(log_weights))


def test_light_tails_hardly_change():
    log_weights = np.random.default_rng(4).normal(0.0, 0.2, 4000)
    assert 1.0 <= unseen_tail_factor(log_weights) < 1.03


def test_what_has_no_tail_has_the_factor_one():
    rng = np.random.default_rng(5)
    few_values = np.log(rng.choice([1.0, 2.0, 3.0], 1000))
    mostly_zero = np.where(np.arange(1000) < 5, 0.0, -np.inf)
    for log_weights in (np.zeros(1000), rng.normal(size=10), few_values, mostly_zero, np.zeros(1)):
        assert unseen_tail_factor(log_weights) == 1.0


def test_errors_of_heavy_tails_are_what_they_state():
    """Log-normal weights: sample variances state errors that are a third too small."""
    rng = np.random.default_rng(6)
    plain, stated = [], []
    while len(plain) < 300:
        log_weights = rng.normal(-2.0, 2.0, 1000)
        if not 0.5 < pareto_k(log_weights) < 0.7:
            continue
        weights = np.exp(log_weights)
        found = WeightedDraws(log_weights).estimate()
        plain.append(found.log_z * math.sqrt(1000) * weights.mean() / weights.std(ddof=1))
        stated.append(found.log_z / found.standard_error)
    rms = [math.sqrt(np.mean(np.square(z))) for z in (plain, stated)]
    assert rms[0] > 1.3
    assert rms[1] < 1.2
