"""How the scores of components become one score, or one vector of objectives."""

from __future__ import annotations

import numpy as np

__all__ = ["AGGREGATIONS", "combine"]

AGGREGATIONS = {
    "geometric": "weighted geometric mean: a single score of 0 makes it 0",
    "arithmetic": "weighted arithmetic mean",
    "product": "product of the scores, each to the power of its weight",
    "pareto": "no single score: each component is an objective (reward: weighted arithmetic mean)",
}


def combine(scores: np.ndarray, weights: np.ndarray, aggregation: str) -> np.ndarray:
    """Return one score a molecule.

    Parameters
    ----------
    scores : ndarray, shape (n, K), dtype float64
        Between 0 and 1; a NaN makes the molecule's score NaN.
    weights : ndarray, shape (K,), dtype float64
        Above 0.
    aggregation : str
        One of `AGGREGATIONS`.

    Returns
    -------
    total : ndarray, shape (n,), dtype float64
    """
    if aggregation in ("arithmetic", "pareto"):
        return scores @ (weights / weights.sum())
    powers = weights / weights.sum() if aggregation == "geometric" else weights
    return np.prod(scores**powers, axis=1)
