"""Pareto fronts of several objectives, and indicators of the quality of a set of points.

All objectives are maximised. A point dominates another if it is not smaller in any objective and
larger in at least one; equal points do not dominate each other.

Indicators: hypervolume (Zitzler & Thiele 1998), IGD+ (Ishibuchi et al. 2015) and R2 (Hansen &
Jaszkiewicz 1998; Brockhoff et al. 2012). IGD+ and the hypervolume never prefer a set that another
one dominates. Fronts, hypervolume and IGD+ are computed by moocore (López-Ibáñez et al.), from
ranks if values may be -inf. Glossary: n points, K objectives.
"""

from __future__ import annotations

from itertools import combinations

import moocore
import numpy as np

__all__ = [
    "front_numbers",
    "hypervolume",
    "igd_plus",
    "non_dominated",
    "r2_indicator",
    "simplex_weights",
]


def _table(points: np.ndarray, name: str = "points") -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(f"{name} are of shape {points.shape}, but must be (n, K) with K >= 1")
    if np.isnan(points).any():
        raise ValueError(f"{name} are not all numbers")
    return points


def _ranks(points: np.ndarray) -> np.ndarray:
    """Rank the points in each objective, equal ones equally: -inf becomes a number."""
    columns = [np.unique(column, return_inverse=True)[1] for column in points.T]
    return np.stack(columns, axis=1).astype(np.float64)


def non_dominated(points: np.ndarray) -> np.ndarray:
    """Return whether each point is non-dominated.

    Parameters
    ----------
    points : ndarray, shape (n, K), float64
        -inf allowed.

    Returns
    -------
    ndarray, shape (n,), bool

    Raises
    ------
    ValueError
        If `points` is not a table of numbers.
    """
    ranks = _ranks(_table(points))
    return moocore.is_nondominated(ranks, maximise=True, keep_weakly=True)


def front_numbers(points: np.ndarray) -> np.ndarray:
    """Return front numbers (Deb et al. 2002): 0 for the front, 1 for the front of the rest, ...

    Parameters
    ----------
    points : ndarray, shape (n, K), float64

    Returns
    -------
    ndarray, shape (n,), int64
    """
    return moocore.pareto_rank(_ranks(_table(points)), maximise=True).astype(np.int64)


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Return the volume of the region between the reference and the points; exact.

    Parameters
    ----------
    points : ndarray, shape (n, K), float64
        Points that do not exceed `reference` in every objective add nothing.
    reference : ndarray, shape (K,), float64
        The worst corner.

    Raises
    ------
    ValueError
        If points are not a table of numbers with K columns.
    """
    points, reference = _table(points), np.asarray(reference, np.float64)
    if reference.shape != (points.shape[1],):
        raise ValueError(f"a reference of shape {reference.shape} for {points.shape[1]} objectives")
    above = points[(points > reference).all(axis=1)]  # so that no -inf reaches the library
    return float(moocore.hypervolume(above, ref=reference, maximise=True))


def igd_plus(points: np.ndarray, front: np.ndarray) -> float:
    """Return IGD+, the mean shortfall of the nearest point from a reference front; 0 is best.

        mean over z in front of min over a in points of sqrt(sum_k max(z_k - a_k, 0)^2)

    Parameters
    ----------
    points : ndarray, shape (n, K), float64
    front : ndarray, shape (m, K), float64

    Returns
    -------
    float
        In the units of the objectives; inf if there are no points.
    """
    points, front = _table(points), _table(front, "the front's points")
    if len(points) == 0:
        return float("inf")
    return float(moocore.igd_plus(points, ref=front, maximise=True))


def r2_indicator(points: np.ndarray, ideal: np.ndarray, weights: np.ndarray) -> float:
    """Return R2, the mean smallest weighted Chebyshev distance to the ideal; 0 is best.

        mean over w of min over a in points of max_k w_k (ideal_k - a_k)

    Parameters
    ----------
    points : ndarray, shape (n, K), float64
    ideal : ndarray, shape (K,), float64
        An upper bound of all points.
    weights : ndarray, shape (W, K), float64
        For example from `simplex_weights`.

    Returns
    -------
    float
        inf if there are no points.
    """
    points = _table(points)
    if len(points) == 0:
        return float("inf")
    short = np.asarray(ideal, np.float64) - points
    return float(np.mean([(w * short).max(axis=1).min() for w in np.asarray(weights)]))


def simplex_weights(objectives: int, divisions: int) -> np.ndarray:
    """Return the lattice of non-negative weights i / divisions that sum to one.

    Das & Dennis 1998.

    Returns
    -------
    ndarray, shape (W, K), float64
        W = binomial(divisions + K - 1, K - 1).
    """
    bars = combinations(range(divisions + objectives - 1), objectives - 1)
    ends = np.array([(-1, *bar, divisions + objectives - 1) for bar in bars])
    return (np.diff(ends, axis=1) - 1) / divisions
