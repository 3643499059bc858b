"""Divergence from known objects to a sampler: draws of the sampler cannot show a mode it has lost.

Let C be known objects, R their rewards, Z the sum over all objects, q the sampler. The mean of
log(R/Z) - log q over C, by weight R, is the Kullback-Leibler divergence from the target restricted
to C to q, plus the log of the share of Z that C holds. For a sampler that is equal to the target it
is 0 whatever that share is; with R normalised to 1 over C it would be minus the log of the share.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["draw_by_weight", "known_divergence"]


def draw_by_weight(
    log_weights: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw objects by their weights, systematically.

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
    cumulative = np.cumsum(weights)
    points = (rng.random() + np.arange(size)) / size * cumulative[-1]
    chosen = np.searchsorted(cumulative, points, side="right")
    return np.unique(np.minimum(chosen, len(weights) - 1), return_counts=True)


def known_divergence(
    log_p: np.ndarray, log_q: np.ndarray, counts: np.ndarray
) -> tuple[float, float]:
    """Return the divergence from known objects to a sampler and its standard error, nats.

    Parameters
    ----------
    log_p : ndarray, shape (M,), float64
        log R/Z of known objects drawn by weight, Z being the sum over all objects, the unknown ones
        included.
    log_q : ndarray, shape (M,), float64
        Their log-probabilities under the sampler.
    counts : ndarray, shape (M,), int64
        How often each was drawn.

    Returns
    -------
    divergence : float
        Positive where the sampler gives the known objects less than their share.
    standard_error : float
        Of the draws alone: an error of Z has to be added.

    Examples
    --------
    >>> import numpy as np
    >>> log_p, log_q = np.log([0.01, 0.01]), np.log([0.01, 0.005])
    >>> divergence, error = known_divergence(log_p, log_q, np.array([1, 1]))
    >>> print(f"{divergence:.4f} {error:.4f}")
    0.3466 0.3466
    """
    ratios = log_p - log_q
    n = int(counts.sum())
    mean = float(counts @ ratios) / n
    variance = float(counts @ (ratios - mean) ** 2) / max(n - 1, 1)
    return mean, math.sqrt(variance / n)
