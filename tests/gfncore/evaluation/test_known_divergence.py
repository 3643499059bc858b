"""Divergence from known objects to a sampler, where the known ones are a small share."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.evaluation import draw_by_weight, known_divergence


@pytest.mark.parametrize("n_known", [20, 300, 10_000])
def test_a_perfect_sampler_has_lost_nothing_whatever_is_known(n_known):
    rng = np.random.default_rng(2)
    log_p = rng.normal(0.0, 1.0, 10_000)
    log_p -= np.logaddexp.reduce(log_p)
    index, counts = draw_by_weight(log_p[:n_known], 300, rng)
    assert known_divergence(log_p[index], log_p[index], counts) == (0.0, 0.0)
    log_q = log_p + rng.normal(0.0, 0.1, 10_000)
    divergence, error = known_divergence(log_p[index], log_q[index], counts)
    assert abs(divergence) < 4 * (error + 0.1 / np.sqrt(n_known)) and 0.003 < error < 0.01


def test_a_lost_mode_shows():
    log_p = np.full(1000, -np.log(10_000))  # a tenth of the whole is known
    log_q = log_p.copy()
    log_q[:300] -= 8.0
    index, counts = draw_by_weight(log_p, 300, np.random.default_rng(3))
    divergence, error = known_divergence(log_p[index], log_q[index], counts)
    assert divergence == pytest.approx(0.3 * 8.0, abs=3 * error) and error < 0.3
