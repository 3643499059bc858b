"""Draws and selections of objects by their weights, both systematic.

Draws: one uniform number places a comb of n equidistant points on the cumulative weights, so that
each item is drawn as often as n times its probability, rounded up or down (Carpenter, Clifford &
Fearnhead 1999, IEE Proc. Radar Sonar Navig. 146:2).

Selections: n distinct objects of N, object i of weight w_i with the probability

    pi_i = min(1, w_i / c),    c such that sum_i pi_i = n.

A selected object then has the weight w_i / pi_i = max(w_i, c), by which every sum over all objects
is estimated without bias (Horvitz & Thompson 1952, J. Am. Stat. Assoc. 47:663), whatever the
weights are. The probabilities hold exactly: the comb is placed on objects in random order (Madow
1949, Ann. Math. Stat. 20:333).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "WeightedSelection",
    "draw_by_weight",
    "inclusion_probabilities",
    "select_by_weight",
    "systematic_resample",
]


def systematic_resample(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n items by their weights, systematically.

    Parameters
    ----------
    weights : ndarray, shape (N,), float64
        Not negative, not all zero; they need not be normalised.
    n : int
        Number of draws.
    rng : numpy.random.Generator
        Asked for one number.

    Returns
    -------
    ndarray, shape (n,), int64
        Indices, ascending. Each item is drawn within 1 of its expected number.

    Examples
    --------
    >>> import numpy as np
    >>> systematic_resample(np.array([0.5, 0.25, 0.25]), 4, np.random.default_rng(0))
    array([0, 0, 1, 2])
    """
    cumulative = np.cumsum(weights)
    points = (rng.random() + np.arange(n)) / n * cumulative[-1]
    chosen = np.searchsorted(cumulative, points, side="right")
    return np.minimum(chosen, len(weights) - 1)  # rounding may put the last point at the end


def draw_by_weight(
    log_weights: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw distinct objects by their weights, systematically, and count how often each is drawn.

    Parameters
    ----------
    log_weights : ndarray, shape (N,), float64
        They need not be normalised.
    size : int
        Number of draws.
    rng : numpy.random.Generator

    Returns
    -------
    index : ndarray, shape (M,), int64
        The distinct objects drawn, ascending.
    counts : ndarray, shape (M,), int64
        How often each was drawn; within 1 of its expectation. They sum to `size`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> draw_by_weight(np.log([0.5, 0.25, 0.25]), 4, rng)
    (array([0, 1, 2]), array([2, 1, 1]))
    """
    weights = np.exp(log_weights - np.max(log_weights))
    return np.unique(systematic_resample(weights, size, rng), return_counts=True)


@dataclass(frozen=True, eq=False)
class WeightedSelection:
    """Objects that were selected.

    Attributes
    ----------
    rows : ndarray, shape (n,), int64
        Their numbers, ascending.
    log_weights : ndarray, shape (n,), float64
        log(w / pi) of each.
    """

    rows: np.ndarray
    log_weights: np.ndarray


def inclusion_probabilities(log_weights: np.ndarray, n: int) -> np.ndarray:
    """Return the probabilities with which objects are selected, shape (N,), float64.

    Parameters
    ----------
    log_weights : ndarray, shape (N,), float64
        They need not be normalised; -inf for objects that are never selected.
    n : int
        Number of selected objects, at least 1. If no more have a positive weight, all of these
        have the probability 1.

    Examples
    --------
    >>> import numpy as np
    >>> inclusion_probabilities(np.log([8.0, 1.0, 2.0, 1.0]), 2)
    array([1.  , 0.25, 0.5 , 0.25])
    """
    positive = np.isfinite(log_weights)
    if positive.sum() <= n:
        return positive.astype(np.float64)
    weights = np.exp(log_weights - log_weights.max())
    order = np.argsort(-weights, kind="stable")
    ranked = weights[order]
    rest = np.cumsum(ranked[::-1])[::-1]  # of each object and all lighter ones
    # as many of the heaviest are certain until the next one is not; one place is left for it
    certain = int(np.argmax((n - np.arange(n)) * ranked[:n] <= rest[:n]))
    probabilities = np.ones(len(weights))
    probabilities[order[certain:]] = (n - certain) * ranked[certain:] / rest[certain]
    return probabilities


def select_by_weight(
    log_weights: np.ndarray, n: int, rng: np.random.Generator
) -> WeightedSelection:
    """Select n objects, or all of positive weight if there are no more.

    Parameters
    ----------
    log_weights : ndarray, shape (N,), float64
        They need not be normalised; -inf for objects that are never selected.
    n : int
        At least 1.
    rng : numpy.random.Generator

    Examples
    --------
    >>> import numpy as np
    >>> found = select_by_weight(np.log([8.0, 1.0, 2.0, 1.0]), 2, np.random.default_rng(0))
    >>> found.rows, np.exp(found.log_weights).round(6)
    (array([0, 3]), array([8., 4.]))
    """
    probabilities = inclusion_probabilities(log_weights, n)
    certain = np.flatnonzero(probabilities >= 1.0)
    others = rng.permutation(np.flatnonzero((probabilities > 0.0) & (probabilities < 1.0)))
    more = min(n - len(certain), len(others))
    rows = certain
    if more > 0:
        cumulative = np.cumsum(probabilities[others])
        # a comb of distance 1 meets no object twice, as none has a probability above 1
        points = (rng.random() + np.arange(more)) / more * cumulative[-1]
        found = np.searchsorted(cumulative, points, side="right")
        rows = np.sort(np.concatenate([certain, others[np.minimum(found, len(others) - 1)]]))
    return WeightedSelection(rows, log_weights[rows] - np.log(probabilities[rows]))
