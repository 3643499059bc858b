"""The mass of a gamma distribution in an interval, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammainc, gammaincc

from phylogfn.kernels.gamma_mass_numba import gamma_mass


def test_mass_is_the_difference_of_tails():
    rng = np.random.default_rng(1)
    for _ in range(3000):
        a = 10.0 ** rng.uniform(-2.0, 4.0)
        low, high = np.sort(a * 10.0 ** rng.uniform(-3.0, 1.0, 2))
        expected = gammainc(a, high) - gammainc(a, low)
        if low > a:
            expected = gammaincc(a, low) - gammaincc(a, high)
        assert gamma_mass(a, low, high) == pytest.approx(expected, abs=1e-11)


def test_mass_of_half_lines():
    assert gamma_mass(2.5, 0.0, np.inf) == 1.0
    assert gamma_mass(2.5, 0.0, 2.0) == pytest.approx(gammainc(2.5, 2.0), rel=1e-13)
    assert gamma_mass(2.5, 40.0, np.inf) == pytest.approx(gammaincc(2.5, 40.0), rel=1e-10)
