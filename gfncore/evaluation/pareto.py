"""Fronts of several objectives, and indicators of how good a set of points is.

All objectives are to be maximised. A point dominates another if it is nowhere smaller and somewhere
larger; equal points do not dominate one another.

Indicators: hypervolume (Zitzler & Thiele 1998), IGD+ (Ishibuchi et al. 2015) and R2 (Hansen &
Jaszkiewicz 1998; Brockhoff et al. 2012). IGD+ and the hypervolume never prefer a set that another
one dominates. Glossary: n points, K objectives.
"""

from __future__ import annotations

from itertools import combinations

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


def _front(points: np.ndarray) -> np.ndarray:
    """Mask of the front of distinct points, sorted so that a point is dominated by earlier ones."""
    n, k = points.shape
    front = np.zeros(n, bool)
    if k == 1:
        front[:1] = True
        return front
    if k == 2:
        best = np.maximum.accumulate(points[:, 1])
        front[:1] = True
        front[1:] = points[1:, 1] > best[:-1]
        return front
    left = np.arange(n)
    while len(left):
        best, left = left[0], left[1:]
        front[best] = True
        left = left[(points[left] > points[best]).any(axis=1)]
    return front


def _sorted_distinct(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct points, lexicographically from the largest, and the row there of each point."""
    distinct, inverse = np.unique(points, axis=0, return_inverse=True)
    return distinct[::-1], len(distinct) - 1 - inverse.reshape(-1)


def non_dominated(points: np.ndarray) -> np.ndarray:
    """Which points no other point dominates.

    Parameters
    ----------
    points : ndarray, shape(n, K), dtype=float64
        -inf allowed.

    Returns
    -------
    ndarray, shape(n,), dtype=bool

    Raises
    ------
    ValueError
        If points are not a table of numbers.
    """
    distinct, row = _sorted_distinct(_table(points))
    return _front(distinct)[row]


def front_numbers(points: np.ndarray) -> np.ndarray:
    """Non-dominated sorting (Deb et al. 2002): 0 for the front, 1 for the front of the rest, ...

    Parameters
    ----------
    points : ndarray, shape(n, K), dtype=float64

    Returns
    -------
    ndarray, shape(n,), dtype=int64
    """
    distinct, row = _sorted_distinct(_table(points))
    number = np.zeros(len(distinct), np.int64)
    if distinct.shape[1] == 1:
        return np.arange(len(distinct))[row]
    left, current = np.arange(len(distinct)), 0
    while len(left):
        front = _front(distinct[left])
        number[left[front]] = current
        left, current = left[~front], current + 1
    return number[row]


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Volume of what is dominated by the points and dominates the reference; exact.

    By slices along the last objective: about n log n operations for K = 2, n^2 log n for K = 3, and
    a factor n for each objective more.

    Parameters
    ----------
    points : ndarray, shape(n, K), dtype=float64
        Finite; those that do not exceed `reference` everywhere add nothing.
    reference : ndarray, shape(K,), dtype=float64
        The worst corner.

    Raises
    ------
    ValueError
        If points are not a table of numbers with K columns.
    """
    points, reference = _table(points), np.asarray(reference, np.float64)
    if reference.shape != (points.shape[1],):
        raise ValueError(f"a reference of shape {reference.shape} for {points.shape[1]} objectives")
    return _volume(points[(points > reference).all(axis=1)] - reference)


def _volume(points: np.ndarray) -> float:
    """Hypervolume above the origin of positive points."""
    if len(points) == 0:
        return 0.0
    points, _ = _sorted_distinct(points)
    points = points[_front(points)]
    if points.shape[1] == 1:
        return float(points[0, 0])
    if points.shape[1] == 2:  # a staircase: the first objective falls, the second rises
        rise = np.diff(points[:, 1], prepend=0.0)
        return float((points[:, 0] * rise).sum())
    points = points[np.argsort(-points[:, -1], kind="stable")]
    depth = points[:, -1] - np.append(points[1:, -1], 0.0)
    slices = [_volume(points[: i + 1, :-1]) for i in np.flatnonzero(depth > 0.0)]
    return float((np.array(slices) * depth[depth > 0.0]).sum())


def igd_plus(points: np.ndarray, front: np.ndarray) -> float:
    """Mean over a reference front of how far the nearest point falls short of it; 0 is best.

        mean over z in front of min over a in points of sqrt(sum_k max(z_k - a_k, 0)^2)

    Parameters
    ----------
    points : ndarray, shape(n, K), dtype=float64
    front : ndarray, shape(m, K), dtype=float64

    Returns
    -------
    float
        In the units of the objectives; inf if there are no points.
    """
    points, front = _table(points), _table(front, "the front's points")
    if len(points) == 0:
        return float("inf")
    short = [np.sqrt((np.maximum(z - points, 0.0) ** 2).sum(axis=1)).min() for z in front]
    return float(np.mean(short))


def r2_indicator(points: np.ndarray, ideal: np.ndarray, weights: np.ndarray) -> float:
    """Mean over weights of the smallest weighted Chebyshev distance to the ideal; 0 is best.

        mean over w of min over a in points of max_k w_k (ideal_k - a_k)

    Parameters
    ----------
    points : ndarray, shape(n, K), dtype=float64
    ideal : ndarray, shape(K,), dtype=float64
        Not exceeded by any point.
    weights : ndarray, shape(W, K), dtype=float64
        E.g. of `simplex_weights`.

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
    """The lattice of weights i / divisions that are not negative and sum to one.

    Das & Dennis 1998.

    Returns
    -------
    ndarray, shape(W, K), dtype=float64
        W = binomial(divisions + K - 1, K - 1).
    """
    bars = combinations(range(divisions + objectives - 1), objectives - 1)
    ends = np.array([(-1, *bar, divisions + objectives - 1) for bar in bars])
    return (np.diff(ends, axis=1) - 1) / divisions
