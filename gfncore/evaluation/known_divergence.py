"""Divergence of a sampler from known objects, which reveals modes that its draws have lost.

Let C be the set of known objects, R their rewards, Z the sum over all objects, and q the sampler.
The mean of log(R/Z) - log q over C, weighted by R, is the Kullback-Leibler divergence of q from the
target restricted to C, plus the log of the share of C in Z. For a sampler equal to the target it is
0 for any share; with R normalised to 1 over C it would be minus the log of the share.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["known_divergence"]


def known_divergence(
    log_p: np.ndarray, log_q: np.ndarray, counts: np.ndarray
) -> tuple[float, float]:
    """Return the divergence of a sampler from known objects and its standard error, in nats.

    Parameters
    ----------
    log_p : ndarray, shape (M,), float64
        log R/Z of known objects drawn by weight, where Z is the sum over all objects, known or not.
    log_q : ndarray, shape (M,), float64
        Their log-probabilities under the sampler.
    counts : ndarray, shape (M,), int64
        Number of times that each was drawn.

    Returns
    -------
    divergence : float
        Positive if the sampler gives the known objects less than their share.
    standard_error : float
        Sampling error only; the error of Z must be added.

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
