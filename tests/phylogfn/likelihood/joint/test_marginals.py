"""Monotone maps from normal scores to logarithms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import digamma, polygamma
from scipy.stats import kstest, norm

from phylogfn.likelihood.joint.marginals import KNOTS, MarginalMaps

SHAPES = np.array([0.15, 1.0, 7.3, 120.0, 1e5])


def test_maps_are_inverse_to_each_other_and_have_the_slope_that_they_say():
    maps = MarginalMaps(SHAPES, np.full(len(SHAPES), 0.01))
    assert np.all(np.diff(maps.knots, axis=1) > 0.0)
    scores = np.random.default_rng(1).normal(0.0, 3.0, (500, len(SHAPES)))
    logarithms, log_slopes = maps.logarithms(scores)
    back, same = maps.scores(logarithms)
    np.testing.assert_allclose(back, scores, atol=1e-9)
    np.testing.assert_allclose(same, log_slopes, atol=1e-9)
    # away from a knot, a small step of one score moves its logarithm by the slope
    inside = 0.5 * (KNOTS[60] + KNOTS[61])
    at = np.full((1, len(SHAPES)), inside)
    low, high = maps.logarithms(at - 1e-4)[0], maps.logarithms(at + 1e-4)[0]
    assert np.log((high - low) / 2e-4).sum() == pytest.approx(maps.logarithms(at)[1][0], abs=1e-6)


@pytest.mark.parametrize("column", range(1, len(SHAPES)))
def test_without_wide_tails_the_logarithms_are_those_of_gamma_draws(column):
    shape = SHAPES[column]
    scores = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    logarithms, _ = MarginalMaps(SHAPES[column : column + 1], np.zeros(1)).logarithms(
        scores[:, None]
    )
    gamma = np.log(np.random.default_rng(2).gamma(shape, 1.0 / shape, 20_000))
    assert kstest(logarithms[:, 0], gamma).pvalue > 0.01
    assert logarithms.mean() == pytest.approx(digamma(shape) - np.log(shape), abs=5e-3)
    assert logarithms.var() == pytest.approx(float(polygamma(1, shape)), rel=0.03)


def test_wide_tails_reach_lengths_of_nothing():
    scores = np.array([[-5.0]])
    light = MarginalMaps(np.array([30.0]), np.zeros(1)).logarithms(scores)[0]
    wide = MarginalMaps(np.array([30.0]), np.array([0.01])).logarithms(scores)[0]
    assert light > -2.0 > wide


@pytest.mark.parametrize(("low", "high"), [(-np.inf, 1.0), (-0.7, -0.2), (0.0, 3.0)])
@pytest.mark.parametrize("shape", [0.3, 30.0])
def test_between_bounds_draws_are_of_the_truncated_gamma_and_of_the_uniform_density(
    shape, low, high
):
    size, n = 2, 40_000
    maps = MarginalMaps(
        np.full(size, shape), np.array([0.0, 0.9]), np.full(size, low), np.full(size, high)
    )
    assert np.all(np.diff(maps.knots, axis=1) > 0.0)
    rng = np.random.default_rng(3)
    drawn = np.exp(maps.logarithms(rng.standard_normal((n, size)))[0])
    first, last = np.exp(low), np.exp(high)
    assert np.all((drawn > first) & (drawn < last))
    gammas = rng.gamma(shape, 1.0 / shape, 4_000_000)
    gammas = gammas[(gammas > first) & (gammas < last)]
    if len(gammas) > 0.02 * 4_000_000:
        assert drawn[:, 0].mean() == pytest.approx(gammas.mean(), abs=0.03 * (last - first))
    # 30 % of the second are uniform: at least this share of each tenth of the range
    counts = np.histogram(drawn[:, 1], np.linspace(first, last, 11))[0]
    assert counts.min() > 0.1 * 0.3 * n - 4.0 * np.sqrt(0.1 * n)


@pytest.mark.parametrize("skew", [-1.0, -0.4, 0.0, 0.5, 1.0, 2.0])
def test_skewed_marginals_have_the_curvature_and_the_third_derivative_at_the_mode(skew):
    """The density of a logarithm is that of the score less the slope of the map."""
    shape = 40.0
    maps = MarginalMaps(np.array([shape]), np.zeros(1), skews=np.array([skew]))
    assert np.all(np.diff(maps.knots, axis=1) > 0.0)
    scores = np.random.default_rng(1).normal(0.0, 1.0, (200_000, 1))
    drawn = maps.logarithms(scores)[0][:, 0]
    np.testing.assert_allclose(maps.scores(drawn[:9, None])[0], scores[:9], atol=1e-8)
    power = 1.0 / skew if skew else 10.0  # so near the log-normal that it makes no difference
    kappa = shape * power**2
    mean = power * (digamma(kappa) - np.log(kappa))
    assert drawn.mean() == pytest.approx(mean, abs=4.0 * drawn.std() / 447.0 + 1e-3)
    assert drawn.var() == pytest.approx(power**2 * float(polygamma(1, kappa)), rel=0.02)
    third = power**3 * float(polygamma(2, kappa))
    assert ((drawn - drawn.mean()) ** 3).mean() == pytest.approx(third, abs=0.12 * drawn.std() ** 3)


def test_bounded_quantities_have_no_skew():
    bounds = np.full(1, -2.0), np.full(1, 1.0)
    own = MarginalMaps(np.array([30.0]), np.array([0.1]), *bounds, np.array([-1.0]))
    plain = MarginalMaps(np.array([30.0]), np.array([0.1]), *bounds)
    np.testing.assert_array_equal(own.knots, plain.knots)
