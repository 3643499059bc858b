"""Divergence from known objects to a sampler: draws of the sampler cannot show a mode it has lost.

Let C be known objects, R their rewards, Z the sum over all objects, q the sampler. The mean of
log(R/Z) - log q over C, by weight R, is the Kullback-Leibler divergence from the target restricted
to C to q, plus the log of the share of Z that C holds. For a sampler that is equal to the target it
is 0 whatever that share is; with R normalised to 1 over C it would be minus the log of the share.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["known_divergence"]


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
