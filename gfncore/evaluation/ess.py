"""Effective sample size of weighted draws (Kong 1992)."""

from __future__ import annotations

import numpy as np

__all__ = ["effective_sample_size"]


def effective_sample_size(log_weights: np.ndarray) -> float:
    """Return (sum w)^2 / sum w^2, from 1 to n; zero if no weight is positive.

    Parameters
    ----------
    log_weights : ndarray, shape (n,), float64
        In nats; -inf allowed.
    """
    top = np.max(log_weights, initial=-np.inf)
    if not np.isfinite(top):
        return 0.0
    w = np.exp(log_weights - top)
    return float(w.sum() ** 2 / (w**2).sum())
