"""Importance draws of parameters and branch lengths together: a Gaussian mixture in normal scores.

At the mode of a topology the posterior of each logarithm is nearly that of a gamma distribution
(`phylogfn.likelihood.marginals`); its correlations are those of the inverse Hessian there. So a
draw is a vector of scores from a normal distribution with these correlations, mapped one by one: a
Gaussian copula with gamma marginals. In the mixture are also wider normals, one without
correlations, which bounds what a single coordinate far out can weigh, and normals of the parameters
that are fitted to pilot draws of all topologies together. The density of a draw is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from phylogfn.likelihood.joint_target import Peak
from phylogfn.likelihood.marginals import MarginalMaps

__all__ = ["ParameterNormals", "TopologyProposal"]

WIDE_COORDINATES = 0.2  # expected number of coordinates of a draw from the wider gammas
# of the odds of a share: their density falls as slowly as that of a flat one where the share is 0
WIDE_SHARE_OF_SHARES = 0.35
SCALES = np.array([1.0, 1.3, 2.0])
SCALE_SHARES = np.array([0.67, 0.25, 0.08])
INDEPENDENT_SHARE, INDEPENDENT_SCALE = 0.03, 1.6
NORMALS = 3  # that are fitted: the posterior of some parameters is a curved ridge
ROUNDS = 30  # of expectation maximisation
LEAST_SHARE = 0.02  # of each of them, before they are scaled to sum to 1
UNFITTED_SHARE = 0.1  # of the normal that is not fitted
PRIOR_DRAWS = 2.0  # weight, per coordinate, of the standard normal in a fit, in effective draws
LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class ParameterNormals:
    """Normals (K) of the parameters, in whitened scores, which all topologies share.

    Attributes
    ----------
    shares : ndarray, shape (K,)
    means : ndarray, shape (K, d)
    roots : ndarray, shape (K, d, d)
        Lower triangular roots of the covariances.
    """

    shares: np.ndarray
    means: np.ndarray
    roots: np.ndarray

    @classmethod
    def unfitted(cls, n_parameters: int) -> ParameterNormals:
        """Return the standard normal, which is right where the Hessian says all."""
        return cls(np.ones(1), np.zeros((1, n_parameters)), np.eye(n_parameters)[None])

    @classmethod
    def fitted(cls, whitened: np.ndarray, weights: np.ndarray) -> ParameterNormals:
        """Return normals fitted to weighted draws by expectation maximisation.

        The standard normal stays among them, and each covariance is shrunk towards it, the more the
        fewer draws are effective.

        Parameters
        ----------
        whitened : ndarray, shape (M, d)
        weights : ndarray, shape (M,)
            Importance weights. The few that dominate are truncated (Ionides 2008, J Comput Graph
            Stat 17:295-311).
        """
        d = whitened.shape[1]
        if d == 0:
            return cls.unfitted(0)
        weights = np.minimum(weights, weights.mean() * np.sqrt(len(weights)))
        weights = weights / weights.sum()
        ess = 1.0 / float(weights @ weights)
        mean = weights @ whitened
        covariance = (whitened - mean).T @ ((whitened - mean) * weights[:, None])
        values, vectors = np.linalg.eigh(covariance)
        longest = vectors[:, -1] * np.sqrt(values[-1])
        means = mean + np.linspace(-1.0, 1.0, NORMALS)[:, None] * longest
        covariances = np.repeat((0.6 * covariance + 0.05 * np.eye(d))[None], NORMALS, axis=0)
        shares = np.full(NORMALS, 1.0 / NORMALS)
        for _ in range(ROUNDS):
            parts = [
                np.log(share) + _log_normal(whitened - centre, np.linalg.cholesky(spread))
                for share, centre, spread in zip(shares, means, covariances, strict=True)
            ]
            log_part = np.array(parts)
            part = np.exp(log_part - logsumexp(log_part, axis=0)) * weights
            total = part.sum(axis=1)
            shares = (total + LEAST_SHARE) / (total + LEAST_SHARE).sum()
            for k in range(NORMALS):
                own = part[k] / max(total[k], 1e-300)
                trust = total[k] * ess / (total[k] * ess + PRIOR_DRAWS * d)
                centre = own @ whitened
                apart = whitened - centre
                means[k] = trust * centre + (1.0 - trust) * mean
                spread = apart.T @ (apart * own[:, None])
                covariances[k] = trust * spread + (1.0 - trust) * np.eye(d)
        return cls(
            np.append((1.0 - UNFITTED_SHARE) * shares, UNFITTED_SHARE),
            np.vstack([means, np.zeros(d)]),
            np.concatenate([np.linalg.cholesky(covariances), np.eye(d)[None]]),
        )


def _log_normal(apart: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Log density (M,) of a normal at distances (M, d) from its mean, up to a constant."""
    squares = (solve_triangular(root, apart.T, lower=True) ** 2).sum(axis=0)
    return -0.5 * squares - np.log(np.diag(root)).sum()


class TopologyProposal:
    """The proposal of one topology, in the coordinates of `JointTarget`.

    Parameters
    ----------
    mode : ndarray, shape (D,)
    shapes : ndarray, shape (D,)
        Shapes of the marginal gammas, one over the variance of each logarithm.
    correlation : ndarray, shape (D, D)
        Positive definite.
    are_shares : ndarray, shape (d,), bool
        Which parameters are shares; parameters stand before lengths.
    """

    def __init__(
        self,
        mode: np.ndarray,
        shapes: np.ndarray,
        correlation: np.ndarray,
        are_shares: np.ndarray,
    ):
        self.mode = mode
        self.shapes = shapes
        self.correlation = correlation
        self.are_shares = are_shares
        self.n_parameters = len(are_shares)
        wide = np.full(len(mode), WIDE_COORDINATES / len(mode))
        wide[: self.n_parameters][are_shares] = WIDE_SHARE_OF_SHARES
        self.maps = MarginalMaps(shapes, wide)
        self.root = np.linalg.cholesky(correlation)

    @classmethod
    def of_peak(cls, peak: Peak, are_shares: np.ndarray) -> TopologyProposal:
        """Return the proposal for a posterior near its mode."""
        variances = np.diag(peak.covariance)
        sd = np.sqrt(variances)
        correlation = peak.covariance / np.outer(sd, sd)
        return cls(peak.mode, 1.0 / variances, correlation, are_shares)

    def draw(
        self, n: int, normals: ParameterNormals, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw n times.

        Returns
        -------
        coordinates : ndarray, shape (n, D)
        log_density : ndarray, shape (n,)
        whitened : ndarray, shape (n, d)
            Scores of the parameters without their correlations, which a fit takes.
        """
        d, size = self.n_parameters, len(self.mode)
        own = rng.choice(len(normals.shares), n, p=normals.shares)
        scale = SCALES[rng.choice(len(SCALES), n, p=SCALE_SHARES)][:, None]
        independent = rng.random(n) < INDEPENDENT_SHARE
        noise = rng.standard_normal((n, size))
        whitened = scale * noise
        whitened[:, :d] = np.einsum("nij,nj->ni", normals.roots[own], whitened[:, :d])
        whitened[:, :d] += normals.means[own]
        scores = whitened @ self.root.T
        scores[independent] = INDEPENDENT_SCALE * noise[independent]
        whitened[independent] = solve_triangular(self.root, scores[independent].T, lower=True).T
        logarithms, log_slopes = self.maps.logarithms(scores)
        log_density = self._log_density(scores, whitened, normals) - log_slopes
        return self.mode + logarithms, log_density, whitened[:, :d]

    def log_density(self, coordinates: np.ndarray, normals: ParameterNormals) -> np.ndarray:
        """Log density (M,) at coordinates (M, D)."""
        scores, log_slopes = self.maps.scores(coordinates - self.mode)
        whitened = solve_triangular(self.root, scores.T, lower=True).T
        return self._log_density(scores, whitened, normals) - log_slopes

    def _log_density(
        self, scores: np.ndarray, whitened: np.ndarray, normals: ParameterNormals
    ) -> np.ndarray:
        """Log density of the scores."""
        d, size = self.n_parameters, len(self.mode)
        constant = -0.5 * size * LOG_2PI
        of_lengths = (whitened[:, d:] ** 2).sum(axis=1)
        log_root = np.log(np.diag(self.root)).sum()
        parts = []
        for share, mean, root in zip(normals.shares, normals.means, normals.roots, strict=True):
            apart = solve_triangular(root, (whitened[:, :d] - mean).T, lower=True)
            squares = of_lengths + (apart**2).sum(axis=0)
            log_own = constant - log_root - np.log(np.diag(root)).sum() + np.log(share)
            for scale, part in zip(SCALES, SCALE_SHARES, strict=True):
                log_part = np.log(part * (1.0 - INDEPENDENT_SHARE)) - size * np.log(scale)
                parts.append(log_own + log_part - 0.5 * squares / scale**2)
        squares = (scores**2).sum(axis=1) / INDEPENDENT_SCALE**2
        log_part = np.log(INDEPENDENT_SHARE) - size * np.log(INDEPENDENT_SCALE)
        parts.append(constant + log_part - 0.5 * squares)
        return np.asarray(logsumexp(np.array(parts), axis=0))

    def transferred(
        self, mode: np.ndarray, conditional: np.ndarray, own: np.ndarray, same: np.ndarray
    ) -> TopologyProposal:
        """Return the proposal of another topology, of which only the mode is known.

        Branches that the topologies share, which are those of equal splits, keep their
        correlations; shapes of the others are their conditional ones.

        Parameters
        ----------
        mode : ndarray, shape (D,)
        conditional : ndarray, shape (D,)
            Shapes given all other coordinates; those of parameters are not read.
        own, same : ndarray, shape (B,)
            Coordinates of the other topology, and those of this one that are the same.
        """
        precision = np.linalg.inv(self.correlation)
        narrowing = np.diag(precision)  # conditional over marginal shape
        shapes = conditional.copy()
        shapes[own] = np.maximum(conditional[own] / narrowing[same], 0.0)
        d = self.n_parameters
        shapes[:d] = self.shapes[:d]
        correlation = np.eye(len(mode))
        both = np.concatenate([np.arange(d), own]), np.concatenate([np.arange(d), same])
        correlation[np.ix_(both[0], both[0])] = self.correlation[np.ix_(both[1], both[1])]
        return TopologyProposal(mode, shapes, correlation, self.are_shares)
