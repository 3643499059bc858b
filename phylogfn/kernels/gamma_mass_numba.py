"""The probability that a gamma distribution gives to an interval.

Series and continued fraction of the incomplete gamma function: DLMF 8.11.4 and 8.9.2, the latter
evaluated as in Thompson and Barnett (J Comput Phys 64:490, 1986).
"""

from __future__ import annotations

import math

from numba import njit

__all__ = ["gamma_mass"]

ACCURACY = 1e-14
MOST_TERMS = 10_000
SMALL = 1e-300


@njit(cache=True, nogil=True)
def gamma_mass(a, low, high):
    """Probability of the interval from ``low`` to ``high`` (may be infinite), shape a and rate 1.

    Far above the mode, it is a difference of upper tails, so that it keeps its digits.
    """
    if low > a:
        return _tails(a, low)[1] - _tails(a, high)[1]
    return _tails(a, high)[0] - _tails(a, low)[0]


@njit(cache=True, nogil=True)
def _tails(a, x):
    """Probabilities below and above x of a gamma distribution of shape a and rate 1."""
    if x <= 0.0:
        return 0.0, 1.0
    if math.isinf(x):
        return 1.0, 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        term = 1.0 / a
        total = term
        for i in range(1, MOST_TERMS):
            term *= x / (a + i)
            total += term
            if term < total * ACCURACY:
                break
        return front * total, 1.0 - front * total
    b = x + 1.0 - a
    c = 1.0 / SMALL
    d = 1.0 / b
    total = d
    for i in range(1, MOST_TERMS):
        numerator = -i * (i - a)
        b += 2.0
        d = numerator * d + b
        d = 1.0 / (d if abs(d) > SMALL else SMALL)
        c = b + numerator / c
        c = c if abs(c) > SMALL else SMALL
        total *= d * c
        if abs(d * c - 1.0) < ACCURACY:
            break
    return 1.0 - front * total, front * total
