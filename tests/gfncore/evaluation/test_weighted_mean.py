"""Estimates combined: the mean, its error, and how well they agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gfncore.evaluation.weighted_mean import weighted_mean


def test_two_estimates_by_hand():
    found = weighted_mean([1.0, 2.0], [0.5, 1.0])  # weights 4 and 1
    assert found.value == pytest.approx(1.2)
    assert found.birge_ratio == pytest.approx(math.sqrt(4 * 0.2**2 + 0.8**2))
    assert found.error == pytest.approx(math.sqrt(1 / 5))  # they agree: not enlarged


def test_error_grows_where_estimates_disagree():
    found = weighted_mean([0.0, 10.0], [1.0, 1.0])
    assert found.birge_ratio == pytest.approx(math.sqrt(50.0))
    assert found.error == pytest.approx(math.sqrt(0.5) * math.sqrt(50.0))


def test_one_estimate_is_itself():
    found = weighted_mean([3.0], [0.1])
    assert (found.value, found.error) == (3.0, 0.1)
    assert math.isnan(found.birge_ratio)


@pytest.mark.parametrize("error", [0.0, math.nan, math.inf])
def test_unknown_errors_give_the_plain_mean(error):
    found = weighted_mean([1.0, 2.0, 6.0], [error, 1.0, 1.0])
    assert found.value == 3.0
    assert found.error == pytest.approx(np.std([1.0, 2.0, 6.0], ddof=1) / math.sqrt(3))
    assert math.isnan(found.birge_ratio)
    assert math.isnan(weighted_mean([1.0], [error]).error)


def test_error_is_that_of_repeated_experiments():
    rng = np.random.default_rng(1)
    errors = np.array([0.1, 0.3, 0.2, 0.25])
    means = [
        weighted_mean(row, errors).value for row in rng.normal(0.0, errors, (4000, 4)).tolist()
    ]
    assert np.std(means) == pytest.approx(1 / math.sqrt((errors**-2).sum()), rel=0.05)
