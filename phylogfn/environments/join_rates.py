"""Join rates: preferences for joining two trees of a forest, from a table of known trees.

The rate of a pair is the weight of the topologies in which the two clades are joined, divided by
the weight of the topologies that contain the rarer of the two. Log rates are a logit with a learned
scale: they depend only on the two clades, as conditional clade probabilities do (Larget 2013); the
network adds the influence of the rest of the forest and of the structure of the trees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phylogfn.kernels import forest_numba

__all__ = ["JoinRates"]

UNSEEN = 0.05  # rate of a pair that was never joined, times the number of trees in the forest
LARGEST = 2**25


@dataclass(frozen=True)
class JoinRates:
    """Weights of clades and of pairs of clades, as `phylogfn.kernels.forest_numba` keeps them.

    Attributes
    ----------
    codes : ndarray, shape (n,), uint64
    table : ndarray, shape (2^k,), uint64
    weight : ndarray, shape (2^k,), float64
    smoothing : float
        In shares of the whole weight.
    """

    codes: np.ndarray
    table: np.ndarray
    weight: np.ndarray
    smoothing: float

    @classmethod
    def none(cls, n_taxa: int) -> JoinRates:
        """Return uninformative rates, equal for all pairs."""
        codes = np.random.default_rng(n_taxa).integers(0, 2**64, size=n_taxa, dtype=np.uint64)
        return cls(codes, np.zeros(2, np.uint64), np.zeros(2), 1.0)

    @classmethod
    def of(cls, trees: np.ndarray, weights: np.ndarray) -> JoinRates:
        """Return the rates of weighted topologies ``trees`` (B, 2n-2), parents drawn at taxon 0.

        The smoothing constant is the weight of one topology if all had the same weight.
        """
        trees = np.ascontiguousarray(trees, np.int16)
        codes = cls.none(trees.shape[1] // 2 + 1).codes
        shares = weights / weights.sum()
        size = 2**16
        while True:
            table, weight = np.zeros(size, np.uint64), np.zeros(size)
            used = forest_numba.collect_joins(trees, shares, codes, table, weight)
            if used >= 0:
                return cls(codes, table, weight, 1.0 / len(trees))
            if size >= LARGEST:
                raise MemoryError(f"{len(trees)} topologies have more clades than {LARGEST // 2}")
            size *= 4

    def log_rates(
        self, below: np.ndarray, pairs: np.ndarray, owner: np.ndarray, counts: np.ndarray
    ) -> np.ndarray:
        """Log rates (P,), float32, of pairs of trees; see `forest_numba.graph_arrays`."""
        return forest_numba.log_join_rates(
            below,
            pairs,
            owner,
            counts,
            self.codes,
            self.table,
            self.weight,
            self.smoothing,
            UNSEEN,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return the rates as arrays, for a checkpoint."""
        return {
            "codes": self.codes,
            "table": self.table,
            "weight": self.weight,
            "smoothing": np.array([self.smoothing]),
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> JoinRates:
        """Return the rates from the result of `state`."""
        return cls(state["codes"], state["table"], state["weight"], float(state["smoothing"][0]))
