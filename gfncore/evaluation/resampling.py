"""Systematic resampling: equally weighted draws from weighted ones.

One uniform number places a comb of n equidistant points on the cumulative weights, so that each
item is drawn as often as n times its probability, rounded up or down (Carpenter, Clifford &
Fearnhead 1999, IEE Proc. Radar Sonar Navig. 146:2).
"""

from __future__ import annotations

import numpy as np

__all__ = ["draw_by_weight", "systematic_resample"]


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
