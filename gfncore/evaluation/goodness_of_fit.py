"""Distances and tests between a distribution and draws, or two distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

__all__ = ["ChiSquared", "chi_squared", "total_variation"]


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Return half the sum of |p - q|; both (m,), each summing to one."""
    return 0.5 * float(np.abs(p - q).sum())


@dataclass(frozen=True)
class ChiSquared:
    """Pearson's statistic, its degrees of freedom and the p-value."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def chi_squared(
    counts: np.ndarray, probabilities: np.ndarray, smallest_expected: float = 5.0
) -> ChiSquared:
    """Perform Pearson's test of counts against a known distribution.

    Cells with a small expectation are pooled, the smallest first, into cells of
    `smallest_expected` or more (Cochran 1954).

    Parameters
    ----------
    counts : ndarray, shape (m,)
        Independent draws in each cell.
    probabilities : ndarray, shape (m,), float64
        Of the cells; sum to one.
    smallest_expected : float

    Raises
    ------
    ValueError
        If fewer than two cells are left.
    """
    expected = np.asarray(probabilities, np.float64) * counts.sum()
    order = np.argsort(expected, kind="stable")
    cell = np.empty(len(order), np.int64)
    current, sum_of_cell = 0, 0.0
    for i, value in enumerate(expected[order]):
        cell[i] = current
        sum_of_cell += value
        if sum_of_cell >= smallest_expected:
            current, sum_of_cell = current + 1, 0.0
    cell = np.minimum(cell, max(current - 1, 0))  # the remainder joins the last cell
    pooled_expected = np.bincount(cell, expected[order])
    pooled_counts = np.bincount(cell, np.asarray(counts, np.float64)[order])
    degrees = len(pooled_expected) - 1
    if degrees < 1:
        raise ValueError(
            f"{int(counts.sum())} draws leave one cell with an expectation of "
            f"{smallest_expected:g}; draw more"
        )
    statistic = float(((pooled_counts - pooled_expected) ** 2 / pooled_expected).sum())
    return ChiSquared(statistic, degrees, float(chdtrc(degrees, statistic)))
