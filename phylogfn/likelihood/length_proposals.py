"""Proposals of branch lengths: defensive mixtures whose shares are fitted to weighted draws.

See `phylogfn.kernels.length_draws_numba` for the density. The first families differ in how much of
each branch is wide; the third is fitted, class by class, to pilot draws by expectation maximisation
(population Monte Carlo, Cappe et al., Stat. Comput. 18:447, 2008), and the fourth is the prior. A
fifth is for priors that couple the branches. Pilot draws choose the proposal alone and never enter
an estimate, which stays unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from phylogfn.kernels import length_draws_numba as kernels
from phylogfn.likelihood.branch_prior import external_branches

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
FITTED, PRIOR = 2, 3  # families
JOINT_SHARE = 0.5  # of the joint family, under a prior that couples the branches


@dataclass(frozen=True)
class LengthProposal:
    """A mixture of families of independent branches, and of a joint one.

    Attributes
    ----------
    shares : ndarray, shape (F, 4, K), float64
        Shares of the components in each family, by class of the branch.
    family_shares : ndarray, shape (F + 1,), float64
        The last is that of the joint family, 0 if the prior does not couple the branches.
    """

    shares: np.ndarray
    family_shares: np.ndarray

    @classmethod
    def default(cls, n_branches: int, prior: BranchPrior) -> LengthProposal:
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
        return cls(shares, _with_joint([0.88, 0.06, 0.03, 0.03], prior))

    @classmethod
    def pilot(cls, n_branches: int, prior: BranchPrior) -> LengthProposal:
        """Return the proposal of draws that another is to be fitted to."""
        shares = cls.default(n_branches, prior).shares
        return cls(shares, _with_joint([0.4, 0.3, 0.2, 0.1], prior))

    def fitted(
        self, parents: np.ndarray, draws: LengthDraws, fit: Collapsed, prior: BranchPrior
    ) -> LengthProposal:
        """Return the proposal whose shares are fitted to pilot draws of some topologies.

        Parameters
        ----------
        parents : ndarray, shape (B, 2n-2)
        draws : LengthDraws
            Pilot draws (B, M), by any proposal.
        fit : Collapsed
            Of the same topologies (B,).
        prior : BranchPrior
        """
        weights = _truncated(draws.log_weights).ravel()
        densities = _Densities.of_draws(parents, draws.lengths, fit, prior)
        components, classes = densities.components, densities.classes
        shares, families = self.shares.copy(), self.family_shares.copy()
        n_used = len(families) if prior.couples else len(families) - 1
        for _ in range(ROUNDS):
            by_branch = components[None] + _log(shares)[:, classes]  # F, draws, branches, K
            by_family = np.asarray(logsumexp(by_branch, axis=3)).sum(axis=2)
            if prior.couples:
                by_family = np.vstack([by_family, densities.joint])
                by_family[PRIOR] = densities.prior
            by_family += _log(families[:n_used])[:, None]
            posterior = np.exp(by_family - logsumexp(by_family, axis=0)) * weights
            families[:n_used] = _bounded(posterior.sum(axis=1), SMALLEST_SHARE)
            own = by_branch[FITTED]
            part = np.exp(own - logsumexp(own, axis=2, keepdims=True))
            part *= posterior[FITTED][:, None, None]
            for c in range(shares.shape[1]):
                total = part[classes == c].sum(axis=0)
                if total.sum() > 0.0:
                    shares[FITTED, c] = _bounded(total, SMALLEST_COMPONENT)
        return LengthProposal(shares, families)


def _with_joint(families: list[float], prior: BranchPrior) -> np.ndarray:
    """Shares of the families, and of the joint one where the prior couples the branches."""
    if not prior.couples:
        return np.array([*families, 0.0])
    return np.array([*(1.0 - JOINT_SHARE) * np.array(families), JOINT_SHARE])


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


@dataclass(frozen=True)
class _Densities:
    """Log densities of draws by the parts of a proposal.

    Attributes
    ----------
    components : ndarray, shape (draws, branches, K)
    classes : ndarray, shape (draws, branches)
        Classes of the branches.
    joint, prior : ndarray, shape (draws,)
        Of the joint family, and of the prior of all branches; NaN if the prior does not couple
        them.
    """

    components: np.ndarray
    classes: np.ndarray
    joint: np.ndarray
    prior: np.ndarray

    @classmethod
    def of_draws(
        cls, parents: np.ndarray, lengths: np.ndarray, fit: Collapsed, prior: BranchPrior
    ) -> _Densities:
        """Return the densities of draws (B, M, 2n-2) for topologies ``parents`` (B, 2n-2)."""
        n_draws, n_nodes = lengths.shape[1:]
        functions, external = prior.functions, external_branches(parents)
        components = np.empty((*lengths.shape[:2], n_nodes - 1, len(FACTORS) + 1))
        classes = np.empty(fit.shapes.shape, np.int64)
        joint, own = np.full((2, *lengths.shape[:2]), np.nan)
        for i, drawn in enumerate(lengths):
            modes, shapes = fit.lengths[i], fit.shapes[i]
            kernels.branch_classes(shapes, classes[i])
            a, beta, constant = np.zeros((3, n_nodes, len(FACTORS) + 1))
            top = int(np.flatnonzero(parents[i] == 0)[0])
            kernels.branch_components(functions, top, modes, shapes, FACTORS, a, beta, constant)
            b = drawn[:, 1:, None]
            log_b = np.log(b)
            components[i] = constant[1:] + (a[1:] - 1.0) * log_b - beta[1:] * b
            if prior.couples:
                common, mean, log_density = kernels.joint_family(functions, modes, shapes)
                z = drawn[:, 1:] @ (shapes[1:] / modes[1:])
                joint[i] = log_density + log_b[:, :, 0] @ (shapes[1:] - 1.0)
                joint[i] += (common - mean) * np.log(z) - common * z / mean
                own[i] = prior.log_density(drawn[:, 1:], external[i, 1:])
            else:
                components[i, :, :, -1] = prior.densities(drawn[:, 1:]).value
        return cls(
            components.reshape(-1, *components.shape[2:]),
            np.repeat(classes[:, 1:], n_draws, axis=0),
            joint.ravel(),
            own.ravel(),
        )
