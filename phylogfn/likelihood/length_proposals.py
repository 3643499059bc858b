"""Proposals of branch lengths: defensive mixtures whose shares are fitted to weighted draws.

See `phylogfn.kernels.length_draws_numba` for the density. The first families differ in how much of
each branch is wide; the last but one is fitted, class by class, to pilot draws by expectation
maximisation (population Monte Carlo, Cappe et al., Stat. Comput. 18:447, 2008), and the last is the
prior. Pilot draws choose the proposal alone and never enter an estimate, which stays unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln, logsumexp

from phylogfn.kernels import length_draws_numba as kernels

if TYPE_CHECKING:
    from phylogfn.likelihood.branch_prior import BranchPrior
    from phylogfn.likelihood.integrals import Collapsed, LengthDraws

__all__ = ["LengthProposal"]

FACTORS = np.array([1.0, 0.4, 0.12])  # of the shape, in the gamma components
LIGHT = 0.3  # expected number of wide branches in a draw of the first family
MEDIUM = 0.1  # share of the wide components in the second family
SMALLEST_SHARE = 0.02  # of each family after a fit
SMALLEST_COMPONENT = 0.01  # share of each component of the fitted family
ROUNDS = 12  # of expectation maximisation


@dataclass(frozen=True)
class LengthProposal:
    """A mixture of families of independent branches.

    Attributes
    ----------
    shares : ndarray, shape (F, 4, K), float64
        Shares of the components in each family, by class of the branch.
    family_shares : ndarray, shape (F,), float64
    """

    shares: np.ndarray
    family_shares: np.ndarray

    @classmethod
    def default(cls, n_branches: int) -> LengthProposal:
        """Return the proposal that is used where nothing was fitted."""
        light = min(LIGHT / n_branches, MEDIUM)
        wide = np.array([0.5, 0.2, 0.3])
        rows = [
            np.append(1.0 - light, light * wide),
            np.append(1.0 - MEDIUM, MEDIUM * wide),
            np.array([0.4, 0.2, 0.2, 0.2]),
            np.array([0.0, 0.0, 0.0, 1.0]),
        ]
        n_classes = len(kernels.CLASS_SHAPES) + 1
        shares = np.repeat(np.stack(rows)[:, None, :], n_classes, axis=1)
        return cls(shares, np.array([0.88, 0.06, 0.03, 0.03]))

    @classmethod
    def pilot(cls, n_branches: int) -> LengthProposal:
        """Return the proposal of draws that another is to be fitted to."""
        return cls(cls.default(n_branches).shares, np.array([0.4, 0.3, 0.2, 0.1]))

    def fitted(self, draws: LengthDraws, fit: Collapsed, prior: BranchPrior) -> LengthProposal:
        """Return the proposal whose shares are fitted to pilot draws of some topologies.

        Parameters
        ----------
        draws : LengthDraws
            Pilot draws (B, M), by any proposal.
        fit : Collapsed
            Of the same topologies (B,).
        prior : BranchPrior
        """
        weights = _truncated(draws.log_weights).ravel()
        components, classes = _component_densities(draws.lengths, fit, prior)
        shares, families = self.shares.copy(), self.family_shares.copy()
        fitted = len(families) - 2
        for _ in range(ROUNDS):
            by_branch = components[None] + _log(shares)[:, classes]  # F, draws, branches, K
            by_family = (
                np.asarray(logsumexp(by_branch, axis=3)).sum(axis=2) + _log(families)[:, None]
            )
            posterior = np.exp(by_family - logsumexp(by_family, axis=0)) * weights
            families = _bounded(posterior.sum(axis=1), SMALLEST_SHARE)
            own = by_branch[fitted]
            part = np.exp(own - logsumexp(own, axis=2, keepdims=True))
            part *= posterior[fitted][:, None, None]
            for c in range(shares.shape[1]):
                total = part[classes == c].sum(axis=0)
                if total.sum() > 0.0:
                    shares[fitted, c] = _bounded(total, SMALLEST_COMPONENT)
        return LengthProposal(shares, families)


def _log(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(x)


def _bounded(x: np.ndarray, smallest: float) -> np.ndarray:
    """Shares of the sum, each at least about ``smallest``."""
    x = np.maximum(x / x.sum(), smallest)
    return x / x.sum()


def _truncated(log_weights: np.ndarray) -> np.ndarray:
    """Weights (B, M), each row with sum 1, without the few that dominate it (Ionides 2008)."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    most = weights.mean(axis=1, keepdims=True) * np.sqrt(weights.shape[1])
    weights = np.minimum(weights, most)
    return weights / weights.sum(axis=1, keepdims=True) / len(weights)


def _component_densities(
    lengths: np.ndarray, fit: Collapsed, prior: BranchPrior
) -> tuple[np.ndarray, np.ndarray]:
    """Log densities (draws, branches, K) of draws (B, M, 2n-2), and classes (draws, branches)."""
    n_draws = lengths.shape[1]
    shapes, modes = fit.shapes[:, 1:], fit.lengths[:, 1:]
    a = shapes[:, :, None] * FACTORS
    a = np.maximum(a, np.minimum(shapes, kernels.MIN_WIDE_SHAPE)[:, :, None])
    beta = a / modes[:, :, None]
    constant = a * np.log(beta) - gammaln(a)
    b = lengths[:, :, 1:, None]
    density = constant[:, None] + (a[:, None] - 1.0) * np.log(b) - beta[:, None] * b
    density = np.concatenate([density, prior.densities(b).value], axis=3)
    classes = np.empty(fit.shapes.shape, np.int64)
    for row, own in zip(fit.shapes, classes, strict=True):
        kernels.branch_classes(row, own)
    classes = np.repeat(classes[:, 1:], n_draws, axis=0)
    return density.reshape(-1, *density.shape[2:]), classes
