"""Models averaged by their evidences."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.estimates.lengths.samples import CorrectedShares, Corrections, LengthSamples
from phylogfn.estimates.model_average import average_models

S = 400


def part(log_ratios, log_correction, error, d, mark):
    """Draws of a model, all marked by a number."""
    n = len(log_ratios)
    return LengthSamples(
        rows=np.arange(S) % n,
        lengths=np.full((S, 4), float(mark)),
        log_likelihoods=np.full(S, float(mark)),
        thetas=np.full((S, d), float(mark)),
        log_correction=log_correction,
        standard_error=error,
        shares=CorrectedShares(np.full(n, 1.0 / n) + 0.1 * mark, np.full(n, 0.01 * mark)),
        corrections=Corrections(np.array(log_ratios), np.full(n, 0.01), np.ones(n, bool)),
        ess=100.0 * mark,
        pareto_k=0.1 * mark,
        n_draws=1000,
        wanted_draws=1000,
    )


def test_the_average_is_that_of_the_evidences():
    masses = np.array([0.7, 0.3])
    ratios = [np.array([1.0, 2.0]), np.array([4.0, 0.5])]
    z = np.array([masses @ own for own in ratios])
    parts = [
        part(np.log(own), np.log(own_z), error, d, mark)
        for own, own_z, error, d, mark in zip(ratios, z, (0.1, 0.2), (1, 3), (1, 2), strict=True)
    ]
    found = average_models(parts, S, np.random.default_rng(1))
    p = z / z.sum()
    np.testing.assert_allclose(found.probabilities, p)
    samples = found.samples
    assert samples.log_correction == pytest.approx(np.log(z.mean()))
    assert samples.standard_error == pytest.approx(np.hypot(p[0] * 0.1, p[1] * 0.2))
    np.testing.assert_allclose(np.exp(samples.corrections.log_ratios), np.mean(ratios, axis=0))
    # the posterior of topologies is the mean of those of the models
    of_models = np.array([masses * own / own_z for own, own_z in zip(ratios, z, strict=True)])
    averaged = masses * np.exp(samples.corrections.log_ratios - samples.log_correction)
    np.testing.assert_allclose(averaged, p @ of_models)
    np.testing.assert_allclose(samples.shares.values, 0.5 + p @ [0.1, 0.2])
    np.testing.assert_allclose(samples.shares.variances, p**2 @ [0.01, 0.02])
    counts = np.bincount(found.models, minlength=2)
    assert abs(counts[0] - p[0] * S) <= 1
    marks = found.models + 1.0
    np.testing.assert_array_equal(samples.log_likelihoods, marks)
    np.testing.assert_array_equal(samples.lengths[:, 0], marks)
    assert samples.thetas.shape == (S, 3)
    assert np.isnan(samples.thetas[found.models == 0, 1:]).all()
    assert not np.isnan(samples.thetas[found.models == 1]).any()
    assert samples.pareto_k == pytest.approx(0.2) and samples.n_draws == 2000


def test_errors_of_ratios_are_those_of_their_mean():
    rng = np.random.default_rng(2)
    parts = [part([0.3], 0.3, 0.1, 0, 1), part([-0.5], -0.5, 0.1, 0, 2)]
    found = average_models(parts, S, rng)
    means = np.exp([0.3, -0.5])
    draws = means * (1.0 + 0.1 * rng.standard_normal((100_000, 2)))
    expected = draws.mean(axis=1).var() / means.mean() ** 2
    assert found.samples.corrections.variances[0] == pytest.approx(expected, rel=0.03)
