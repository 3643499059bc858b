"""How the scores of components become one score, or one vector of objectives."""

from __future__ import annotations

import numpy as np

__all__ = ["AGGREGATIONS", "combine", "non_dominated"]

AGGREGATIONS = {
    "geometric": "weighted geometric mean: one score of 0 makes the whole 0",
    "arithmetic": "weighted arithmetic mean",
    "product": "product of the scores, each to the power of its weight",
    "pareto": "no one score: every component is an objective (reward: weighted arithmetic mean)",
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


def non_dominated(objectives: np.ndarray) -> np.ndarray:
    """Tell which rows no other row dominates (at least as good in all, better in one).

    Parameters
    ----------
    objectives : ndarray, shape (n, K), dtype float64
        Higher is better. A row with a NaN is not on the front.

    Returns
    -------
    front : ndarray, shape (n,), dtype bool
        Equal rows are on the front together.
    """
    front = np.asarray(~np.isnan(objectives).any(axis=1))
    # a row of a larger sum is dominated by none of a smaller sum: the front grows by one pass
    order = np.flatnonzero(front)[np.argsort(-objectives[front].sum(axis=1), kind="stable")]
    kept = np.empty((0, objectives.shape[1]))
    for row in order:
        point = objectives[row]
        if len(kept) and np.any((kept >= point).all(axis=1) & (kept > point).any(axis=1)):
            front[row] = False
        else:
            kept = np.vstack([kept, point])
    return front
