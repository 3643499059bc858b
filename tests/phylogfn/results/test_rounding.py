"""Digits that standard errors support."""

from __future__ import annotations

import math

import pytest

from phylogfn.results.rounding import decimals, rounded, significant


@pytest.mark.parametrize(
    ("error", "shown"),
    [(0.0123, 3), (0.0999, 3), (0.1, 2), (0.5, 2), (3.0, 1), (40.0, 0), (4e5, 0), (1e-30, 12)],
)
def test_two_digits_of_the_error_are_shown(error, shown):
    assert decimals(error) == shown


def test_errors_that_are_no_numbers():
    assert decimals(0.0) == decimals(0.0, 12) == 12
    assert decimals(math.inf) == decimals(math.nan) == 0


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.929034, 0.0012, "0.9290"),
        (1.0, 0.0, "1.000000000000"),
        (0.0, 0.1, "0"),
        (0.5, math.nan, "0.50"),
        (3.214e-7, 1.3e-8, "3.21e-07"),
        (3.2e-7, 0.5, "3e-07"),  # one digit at least
        (0.004, 0.2, "0.004"),
        (-7108.4231, 0.013, "-7108.423"),
    ],
)
def test_values_have_the_digits_of_their_errors(value, error, text):
    assert rounded(value, error) == text


def test_significant_digits():
    assert significant(0.004501842) == 0.0045
    assert significant(math.inf) == math.inf
    assert significant(0.0) == 0.0
