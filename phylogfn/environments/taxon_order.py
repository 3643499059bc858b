"""The order of insertion of taxa, starting with those whose positions are most certain.

Every order gives the same distribution over complete trees, but not the same number of distinct
partial trees, which a policy must learn. The order is therefore built backward from a sample of
trees: the last taxon is the one whose removal leaves the distribution of the rest with the lowest
entropy, and so on for the taxa before it. Taxa with uncertain positions are inserted last, when all
possible neighbours are present.
"""

from __future__ import annotations

import numpy as np

from phylogfn.kernels.order_numba import entropy_order

__all__ = ["taxon_order"]

MAX_TREES = 400  # of the highest weight; more do not change the order by much


def taxon_order(trees: np.ndarray, weights: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the order of taxa (n,), int64, most certain first.

    Parameters
    ----------
    trees : ndarray, shape (M, 2n-2), int16
        Distinct topologies, parents drawn at taxon 0.
    weights : ndarray, shape (M,), float64
        Their probabilities, up to a factor.
    codes : ndarray, shape (n, 2), uint64
        From `phylogfn.trees.keys.taxon_codes`.
    """
    best = np.argsort(-weights, kind="stable")[:MAX_TREES]
    share = weights[best] / weights[best].sum()
    return entropy_order(np.ascontiguousarray(trees[best], np.int16), share, codes)
