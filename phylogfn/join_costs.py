"""Join costs: how far below the posterior a join leads that no known tree has.

The known trees say nothing of a join that none of them has: its join rate is the floor of all such
rates (`phylogfn.join_rates`), and the trees that it leads to, hundreds or thousands of nats below
the posterior, all seem about as unlikely as each other. How unlikely they are is nearly additive
over joins: log R of random trees of DS1 falls in proportion to the sum, over their joins, of the
number of sites at which the two roots are expected to differ (correlation -0.99). So such a join
is made the less likely, the longer it makes the tree (`phylogfn.kernels.join_costs_numba`).

Two roots with partials u and v, normalised at each site, are expected to differ at

    sum_s w_s (1 - u_s . v_s) = |u - v|^2 / 2 + a(u) + a(v)

sites (w: weights of the sites, in the norm as well). What belongs to one root alone makes the
branch to it longer, and so does not count in the excess of a pair; and |u - v|^2 is read off the
projected partials that the network reads (`phylogfn.forest_features`).
"""

from __future__ import annotations

import numpy as np

from phylogfn.forest_features import ForestFeatures
from phylogfn.kernels import join_costs_numba

__all__ = ["JoinCosts"]

NATS_A_SITE = 2.0  # with it, log q of random trees of DS1 falls as fast as log R
FREE = 10.0  # sites that cost nothing: distances of roots are no better than that


class JoinCosts:
    """Costs of joins.

    Parameters
    ----------
    features : ForestFeatures
        With a projection.
    """

    def __init__(self, features: ForestFeatures):
        self._unit = (1.0 / features.component_scales).astype(np.float32)

    def of(self, rows: np.ndarray, counts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Costs (P,), float32, nats, at least 0, of pairs of trees.

        Parameters
        ----------
        rows : ndarray, shape (N, width), float32
            Features of the trees, forest by forest.
        counts : ndarray, shape (B,), int64
            Trees of each forest.
        pairs : ndarray, shape (2, P), int64
            From `forest_numba.graph_arrays`.
        """
        excess = np.empty(pairs.shape[1], np.float32)
        join_costs_numba.join_excess(rows * self._unit, counts, pairs, excess)
        return NATS_A_SITE * np.maximum(excess - np.float32(FREE), np.float32(0.0))
