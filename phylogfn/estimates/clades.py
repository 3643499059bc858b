"""Probabilities of clades with their standard errors, from what the evidence is summed of.

The posterior share of topology i is s_i = x_i / Z, Z = sum_i x_i, and a clade c has the probability

    p_c = sum_i s_i 1_c(i),    1_c(i) = 1 if topology i contains c, else 0.

To first order (delta method for a ratio of sums), relative errors e_i of the terms x_i change it by

    dp_c = sum_i s_i (1_c(i) - p_c) e_i,

so that terms common to all x_i cancel. Two errors are independent of each other:

1. of the corrections by draws of branch lengths: sum_i v_i (1_c(i) - p_c)^2, where v_i are the
   independent variances of the shares (`phylogfn.estimates.lengths.samples.CorrectedShares`);
2. of the draws of topologies. Those known before the draws are summed exactly. Of the others, x_i
   is the mean of N independent terms w_n 1(draw n is i), whose shares are a_n = w_n / (N Z):
   N / (N - 1) [sum_n a_n^2 (1_c(n) - p_c)^2 - (sum_n a_n (1_c(n) - p_c))^2 / N].

The second would be 0 for a clade that all draws agree on, but one further draw could disagree: the
mean share of a draw is added to the error as its smallest value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.trees.splits import SplitProbabilities, split_incidence

if TYPE_CHECKING:
    from gfncore.evaluation import WeightedDraws
    from phylogfn.estimates.lengths.masses import TopologyMasses
    from phylogfn.estimates.lengths.samples import CorrectedShares

__all__ = ["TopologyShares"]

NEGLIGIBLE = 1e-7  # share of the posterior of topologies that are left out together


@dataclass(frozen=True, eq=False)
class TopologyShares:
    """Distinct topologies with their shares of the posterior and what these are uncertain by.

    Attributes
    ----------
    rows : ndarray, shape (T,), int64
        Rows of the table of topologies.
    shares : ndarray, shape (T,), float64
        s_i; sum 1. Single ones may be negative, if sums over many are unbiased.
    variances : ndarray, shape (T,), float64
        v_i, of the corrections.
    squares : ndarray, shape (T,), float64
        Sum of a_n^2 over the draws of each topology; 0 where it is summed exactly.
    n_draws, n_outside : int
        N, the number of draws of topologies, and how many of them are not summed exactly.
    """

    rows: np.ndarray
    shares: np.ndarray
    variances: np.ndarray
    squares: np.ndarray
    n_draws: int
    n_outside: int

    @classmethod
    def from_collapsed(
        cls,
        masses: TopologyMasses,
        weighted: WeightedDraws,
        drawn_rows: np.ndarray,
        corrected: CorrectedShares,
    ) -> TopologyShares:
        """Return the shares by the closed form and its corrections.

        Parameters
        ----------
        masses : TopologyMasses
            By the closed form.
        weighted : WeightedDraws
            The draws of topologies.
        drawn_rows : ndarray, shape (N,)
            Their rows of the table.
        corrected : CorrectedShares
            The corrected masses.
        """
        squares = np.zeros(masses.rows.max() + 1)
        outside = np.zeros(0, bool) if weighted.known is None else ~weighted.known
        if outside.any():
            squares = _squared_shares(weighted.log_weights[outside], drawn_rows[outside], squares)
        return cls(
            masses.rows,
            corrected.values,
            corrected.variances,
            squares[masses.rows] * masses.shares**2,
            len(weighted),
            int(outside.sum()),
        )

    @classmethod
    def from_draws(cls, weighted: WeightedDraws, drawn_rows: np.ndarray) -> TopologyShares:
        """Return the shares of draws whose weights are those of trees with their lengths."""
        rows, number = np.unique(drawn_rows, return_inverse=True)
        shares = np.bincount(number, weighted.probabilities)
        none = np.zeros(len(rows))
        squares = _squared_shares(weighted.log_weights, number, none) * shares**2
        n = len(weighted)
        return cls(rows, shares, none, squares, n, n)

    def clades(self, parents: np.ndarray) -> SplitProbabilities:
        """Return the probabilities of all clades with their standard errors.

        Topologies of the smallest shares, `NEGLIGIBLE` together, are left out; what they can change
        is added to the errors.

        Parameters
        ----------
        parents : ndarray, shape (size of the table, 2n-2)
        """
        size = np.abs(self.shares)
        order = np.argsort(-size, kind="stable")
        tail = np.cumsum(size[order][::-1])[::-1]
        kept = order[tail > NEGLIGIBLE]
        total = self.shares[kept].sum()
        shares = self.shares[kept] / total
        squares = self.squares[kept]
        found = split_incidence(parents[self.rows[kept]])
        p = np.clip(found.sums(shares), 0.0, 1.0)

        def spread(terms: np.ndarray) -> np.ndarray:
            """Sum of terms_i (1_c(i) - p_c)^2, shape (M,)."""
            return found.sums(terms) * (1.0 - 2.0 * p) + terms.sum() * p**2

        def shift(terms: np.ndarray) -> np.ndarray:
            """Sum of terms_i (1_c(i) - p_c), shape (M,)."""
            return found.sums(terms) - terms.sum() * p

        variance = spread(self.variances[kept])
        variance += (1.0 - total / self.shares.sum()) ** 2
        sampled = np.where(squares > 0.0, shares, 0.0)
        if self.n_outside > 0:
            n = self.n_draws
            of_draws = np.maximum(spread(squares) - shift(sampled) ** 2 / n, 0.0)
            smallest = sampled.sum() / self.n_outside
            variance += of_draws * n / max(n - 1, 1) + smallest**2
        return SplitProbabilities(found.splits, p, np.sqrt(np.maximum(variance, 0.0)))


def _squared_shares(log_weights: np.ndarray, rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return, by row, the sum of the squared shares of its draws in the weight of the row."""
    # relative to the largest of the row: a common one would make weak rows 0 / 0
    largest = np.full(len(like), -np.inf)
    np.maximum.at(largest, rows, log_weights)
    largest[~np.isfinite(largest)] = 0.0
    weights = np.exp(log_weights - largest[rows])
    sums = np.bincount(rows, weights, minlength=len(like))
    squares = np.bincount(rows, weights**2, minlength=len(like))
    return np.divide(squares, sums**2, out=np.zeros(len(like)), where=sums > 0.0)
