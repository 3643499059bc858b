"""Estimates and tests against known distributions."""

import math

import numpy as np
import pytest
from scipy.stats import chi2, genpareto, kstest

from gfncore.evaluation import (
    chi_squared,
    effective_sample_size,
    generalised_pareto_fit,
    pareto_k,
    total_variation,
)


def test_effective_sample_size():
    assert effective_sample_size(np.full(8, 1234.0)) == pytest.approx(8)
    assert effective_sample_size(np.array([0.0, -np.inf, -np.inf])) == pytest.approx(1)
    assert effective_sample_size(np.log([1.0, 3.0])) == pytest.approx(1.6)


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.7, 1.2])
def test_generalised_pareto_fit_finds_shape_and_scale(k):
    x = np.sort(genpareto.rvs(k, scale=2.0, size=20_000, random_state=0))
    shape, scale = generalised_pareto_fit(x)
    assert shape == pytest.approx(k, abs=0.04)
    assert scale == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("k", [0.3, 0.7, 1.0])
def test_pareto_k_of_weights_with_a_pareto_tail(k):
    weights = genpareto.rvs(k, size=100_000, random_state=1)
    assert pareto_k(np.log(weights) - 7000.0) == pytest.approx(k, abs=0.12)


def test_pareto_k_at_the_edges():
    assert pareto_k(np.zeros(1000)) == -math.inf
    assert pareto_k(np.zeros(4)) == math.inf
    assert math.isnan(pareto_k(np.repeat([0.0, 1.0, 1.5], [900, 99, 1])))
    assert pareto_k(np.concatenate([np.zeros(2), np.full(998, -np.inf)])) == math.inf


def test_chi_squared_pools_small_cells():
    p = np.array([0.5, 0.3, 0.1, 0.05, 0.03, 0.02])
    counts = np.array([48, 32, 9, 6, 3, 2])
    result = chi_squared(counts, p)  # the last two cells are pooled
    expected = 4 / 50 + 4 / 30 + 1 / 10 + 1 / 5
    assert result.statistic == pytest.approx(expected)
    assert result.degrees_of_freedom == 4
    assert result.p_value == pytest.approx(chi2.sf(expected, 4))
    with pytest.raises(ValueError, match="draw more"):
        chi_squared(np.array([3, 1]), np.array([0.5, 0.5]))


def test_p_values_are_uniform_and_find_a_wrong_model():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(40))
    values = [chi_squared(rng.multinomial(2000, p), p).p_value for _ in range(300)]
    assert kstest(values, "uniform").pvalue > 1e-3
    q = 0.9 * p + 0.1 / 40
    assert chi_squared(rng.multinomial(20_000, q), p).p_value < 1e-6
    assert total_variation(p, q) == pytest.approx(0.5 * np.abs(p - q).sum())
    assert total_variation(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0
