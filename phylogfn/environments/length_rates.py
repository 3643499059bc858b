"""Length rates: statistics of branch lengths from a set of trees, in analogy to join rates.

Mean and variance of log b are stored for every branch (by its split), and for every branch with the
continuation at either of its ends, each smoothed towards the coarser level: the parametrisation of
variational inference on trees by splits and primary subsplit pairs (Zhang & Matsen 2019). A density
of lengths starts from these statistics and from the lengths of neighbouring branches; a network
adds learned terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phylogfn.kernels import forest_lengths_numba
from phylogfn.likelihood.branch_prior import BranchPrior

__all__ = ["LengthRates"]

LARGEST = 2**24


@dataclass(frozen=True)
class LengthRates:
    """Sums over weighted trees, as `phylogfn.kernels.forest_lengths_numba` keeps them.

    Attributes
    ----------
    codes : ndarray, shape (n,), uint64
    table : ndarray, shape (2^k,), uint64
    sums : ndarray, shape (2^k, 3), float64
    overall : ndarray, shape (2, 3), float64
    smoothing : float
        Weight of one tree, if all weighed the same.
    """

    codes: np.ndarray
    table: np.ndarray
    sums: np.ndarray
    overall: np.ndarray
    smoothing: float

    @classmethod
    def of_prior(cls, n_taxa: int, prior: BranchPrior) -> LengthRates:
        """Return rates from the prior only: mean and variance of log b under it."""
        codes = np.random.default_rng(n_taxa).integers(0, 2**64, size=n_taxa, dtype=np.uint64)
        mean, variance = prior.log_length_moments(n_taxa)
        overall = np.tile([1.0, mean, variance + mean**2], (2, 1))
        return cls(codes, np.zeros(2, np.uint64), np.zeros((2, 3)), overall, 1.0)

    @classmethod
    def of(
        cls, trees: np.ndarray, lengths: np.ndarray, weights: np.ndarray, prior: LengthRates
    ) -> LengthRates:
        """Return the rates of weighted trees ``trees`` (B, 2n-2), drawn at taxon 0, with lengths.

        Statistics over all branches include ``prior`` with the weight of one tree.
        """
        trees = np.ascontiguousarray(trees, np.int16)
        shares = weights / weights.sum()
        smoothing = 1.0 / len(trees)
        size = 2**14
        while True:
            table, sums = np.zeros(size, np.uint64), np.zeros((size, 3))
            overall = smoothing * prior.overall
            used = forest_lengths_numba.collect_lengths(
                trees, lengths, shares, prior.codes, table, sums, overall
            )
            if used >= 0:
                return cls(prior.codes, table, sums, overall, smoothing)
            if size >= LARGEST:
                raise MemoryError(f"{len(trees)} trees have more branches than {LARGEST // 2}")
            size *= 4

    def features(
        self, parents: np.ndarray, counts: np.ndarray, lengths: np.ndarray, action: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return features (B, 2, F), float32, of the lengths of a join; which exist."""
        out = np.empty((len(parents), 2, forest_lengths_numba.FEATURES), np.float32)
        present = np.empty((len(parents), 2), np.bool_)
        forest_lengths_numba.length_features(
            parents,
            counts,
            lengths,
            action,
            self.codes,
            self.table,
            self.sums,
            self.overall,
            self.smoothing,
            out,
            present,
        )
        return out, present

    def state(self) -> dict[str, np.ndarray]:
        """Return the rates as arrays, for a checkpoint."""
        return {
            "codes": self.codes,
            "table": self.table,
            "sums": self.sums,
            "overall": self.overall,
            "smoothing": np.array([self.smoothing]),
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> LengthRates:
        """Return the rates from the result of `state`."""
        return cls(
            state["codes"],
            state["table"],
            state["sums"],
            state["overall"],
            float(state["smoothing"][0]),
        )
