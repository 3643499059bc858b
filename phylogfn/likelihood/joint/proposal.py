"""Importance draws of parameters and branch lengths together: a Gaussian mixture in normal scores.

At the mode of a topology the posterior of each logarithm is nearly that of a gamma distribution
(`phylogfn.likelihood.joint.marginals`); its correlations are those of the inverse Hessian there. So
a draw is a vector of scores from a normal distribution with these correlations, mapped one by one:
a Gaussian copula with gamma marginals. In the mixture are also wider normals, one without
correlations, which bounds what a single coordinate far out can weigh, and normals of the parameters
that are fitted to pilot draws of all topologies together. The density of a draw is exact.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from phylogfn.likelihood.joint.marginals import MarginalMaps
from phylogfn.likelihood.joint.target import Peak

__all__ = ["FEWEST_EFFECTIVE", "ParameterNormals", "Points", "TopologyProposal", "shrunken_mean"]

WIDE_COORDINATES = 0.2  # expected number of coordinates of a draw from the wider gammas
# of the odds of a share: their density falls as slowly as that of a flat one where the share is 0
WIDE_SHARE_OF_SHARES = 0.35
# between bounds: shapes, and the share that is flat; within this distance of an end, the first
SHAPES_OF_FLAT, FLAT_SHARES = np.array([1.5, 4.0, 12.0]), np.array([0.75, 0.3, 0.0])
NEAR_END = 0.05
SCALES = np.array([1.0, 1.3, 2.0])
SCALE_SHARES = np.array([0.67, 0.25, 0.08])
INDEPENDENT_SHARE, INDEPENDENT_SCALE = 0.03, 1.6
NORMALS = 3  # that are fitted: the posterior of some parameters is a curved ridge
ROUNDS = 20  # of expectation maximisation
# number of fitted normals, and weight per coordinate of the standard normal in each, in draws
CANDIDATES = ((1, np.inf), (1, 20.0), (1, 2.0), (NORMALS, 2.0))
FEWEST_EFFECTIVE = 5.0  # draws that anything is fitted to
DRAWS_PER_COORDINATE = 4  # effective ones, that each covariance needs
LEAST_SHARE = 0.02  # of each of them, before they are scaled to sum to 1
UNFITTED_SHARE = 0.1  # of the normal that is not fitted
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

    @cached_property
    def inverses(self) -> np.ndarray:
        """Inverses of the roots, shape (K, d, d)."""
        return np.linalg.inv(self.roots)

    @classmethod
    def unfitted(cls, n_parameters: int) -> ParameterNormals:
        """Return the standard normal, which is right where the Hessian says all."""
        return cls(np.ones(1), np.zeros((1, n_parameters)), np.eye(n_parameters)[None])

    @classmethod
    def fitted(
        cls, whitened: np.ndarray, weights: np.ndarray, ess: float | None = None
    ) -> ParameterNormals:
        """Return normals fitted to weighted draws, as many and as free as the draws allow.

        Candidates are the standard normal; one normal with a mean of its own, without and with a
        covariance; and `NORMALS` of these. That of the highest log density in the half of the
        draws that it was not fitted to is chosen (cross-validation with two parts). The standard
        normal stays among them, and each covariance is shrunk towards it, the more the fewer draws
        are effective.

        Parameters
        ----------
        whitened : ndarray, shape (M, d)
        weights : ndarray, shape (M,)
            Importance weights. The few that dominate are truncated (Ionides 2008, J Comput Graph
            Stat 17:295-311).
        ess : float, optional
            Number of effective draws; default: that of the truncated weights.
        """
        d = whitened.shape[1]
        if d == 0:
            return cls.unfitted(0)
        weights = np.minimum(weights, weights.mean() * np.sqrt(len(weights)))
        weights = weights / weights.sum()
        if ess is None:
            ess = 1.0 / float(weights @ weights)
        if ess < FEWEST_EFFECTIVE:
            return cls.unfitted(d)
        halves = [np.arange(len(weights)) % 2 == i for i in (0, 1)]
        best, highest = cls.unfitted(d), 0.0
        for n_normals, pull in CANDIDATES:
            if pull < np.inf and ess < DRAWS_PER_COORDINATE * n_normals * d:
                continue
            gain = 0.0
            for half in halves:
                own = cls._of_candidate(n_normals, pull, whitened[half], weights[half], 0.5 * ess)
                log_q = own.log_density(whitened[~half])
                gain += weights[~half] @ (log_q + 0.5 * (whitened[~half] ** 2).sum(axis=1))
            if gain > highest:
                highest = gain
                best = cls._of_candidate(n_normals, pull, whitened, weights, ess)
        return best

    def log_density(self, whitened: np.ndarray) -> np.ndarray:
        """Log density (M,) at whitened scores (M, d), up to a constant."""
        parts = [
            np.log(share) + _log_normal(whitened - mean, root)
            for share, mean, root in zip(self.shares, self.means, self.roots, strict=True)
        ]
        return np.asarray(logsumexp(np.array(parts), axis=0))

    @classmethod
    def _of_candidate(
        cls, n_normals: int, pull: float, whitened: np.ndarray, weights: np.ndarray, ess: float
    ) -> ParameterNormals:
        """Return one of the `CANDIDATES` fitted to draws (M, d) of some effective number."""
        d = whitened.shape[1]
        weights = weights / weights.sum()
        mean = shrunken_mean(weights @ whitened, ess)
        apart = whitened - mean
        covariance = apart.T @ (apart * weights[:, None])
        trust = ess / (ess + pull * d)  # 0 without a covariance
        if n_normals == 1:
            means, shares = mean[None], np.ones(1)
            covariances = (trust * covariance + (1.0 - trust) * np.eye(d))[None]
        else:
            shares, means, covariances = _several(
                n_normals, pull, whitened, weights, mean, covariance, ess
            )
        return cls(
            np.append((1.0 - UNFITTED_SHARE) * shares, UNFITTED_SHARE),
            np.vstack([means, np.zeros(d)]),
            np.concatenate([np.linalg.cholesky(covariances), np.eye(d)[None]]),
        )


def shrunken_mean(mean: np.ndarray, ess: float) -> np.ndarray:
    """Return a mean (d,) of ``ess`` draws of variance 1, pulled towards 0 (James & Stein 1961)."""
    squares = float(mean @ mean)
    return max(0.0, 1.0 - len(mean) / (ess * max(squares, 1e-300))) * mean


def _several(
    n_normals: int,
    pull: float,
    whitened: np.ndarray,
    weights: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    ess: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares, means and covariances of several normals, by expectation maximisation."""
    d = len(mean)
    values, vectors = np.linalg.eigh(covariance)
    longest = vectors[:, -1] * np.sqrt(values[-1])
    means = mean + np.linspace(-1.0, 1.0, n_normals)[:, None] * longest
    covariances = np.repeat((0.6 * covariance + 0.05 * np.eye(d))[None], n_normals, axis=0)
    shares = np.full(n_normals, 1.0 / n_normals)
    for _ in range(ROUNDS):
        parts = [
            np.log(share) + _log_normal(whitened - centre, np.linalg.cholesky(spread))
            for share, centre, spread in zip(shares, means, covariances, strict=True)
        ]
        log_part = np.array(parts)
        part = np.exp(log_part - logsumexp(log_part, axis=0)) * weights
        total = part.sum(axis=1)
        shares = (total + LEAST_SHARE) / (total + LEAST_SHARE).sum()
        for k in range(n_normals):
            own = part[k] / max(total[k], 1e-300)
            trust = total[k] * ess / (total[k] * ess + pull * d)
            centre = own @ whitened
            apart = whitened - centre
            means[k] = trust * centre + (1.0 - trust) * mean
            spread = apart.T @ (apart * own[:, None])
            covariances[k] = trust * spread + (1.0 - trust) * np.eye(d)
    return shares, means, covariances


def _log_normal(apart: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Log density (M,) of a normal at distances (M, d) from its mean, up to a constant."""
    squares = ((apart @ np.linalg.inv(root).T) ** 2).sum(axis=1)
    return -0.5 * squares - np.log(np.diag(root)).sum()


@dataclass(frozen=True)
class Points:
    """Points of a topology, as its proposal sees them.

    Attributes
    ----------
    scores, whitened : ndarray, shape (M, D)
        Normal scores, and the same without their correlations.
    parts : ndarray, shape (parts, M)
        Log densities of the scores by the normals of the mixture.
    coordinates : ndarray, shape (M, D)
    log_slopes : ndarray, shape (M,)
        Log of the volume that the map from scores to coordinates gives a unit.
    """

    scores: np.ndarray
    whitened: np.ndarray
    parts: np.ndarray
    coordinates: np.ndarray
    log_slopes: np.ndarray

    @cached_property
    def log_density(self) -> np.ndarray:
        """Log density of the coordinates, shape (M,)."""
        return np.asarray(logsumexp(self.parts, axis=0)) - self.log_slopes

    def take(self, index: np.ndarray) -> Points:
        """Return some of the points."""
        return Points(
            self.scores[index],
            self.whitened[index],
            self.parts[:, index],
            self.coordinates[index],
            self.log_slopes[index],
        )

    def where(self, chosen: np.ndarray, others: Points) -> Points:
        """Return these points where ``chosen`` (M,), and the others elsewhere."""
        rows = chosen[:, None]
        return Points(
            np.where(rows, self.scores, others.scores),
            np.where(rows, self.whitened, others.whitened),
            np.where(chosen, self.parts, others.parts),
            np.where(rows, self.coordinates, others.coordinates),
            np.where(chosen, self.log_slopes, others.log_slopes),
        )


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
    bounds : tuple of ndarray, shape (D,), optional
        Lower and upper ends of the coordinates, where the prior has any; default: none.

    Attributes
    ----------
    shift : ndarray, shape (D - d,)
        Means of the scores of the lengths without their correlations; 0 unless fitted.
    """

    def __init__(
        self,
        mode: np.ndarray,
        shapes: np.ndarray,
        correlation: np.ndarray,
        are_shares: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        size = len(mode)
        self.bounds = bounds or (np.full(size, -np.inf), np.full(size, np.inf))
        self.mode = mode = np.clip(mode, *self.bounds)
        self.shapes = shapes
        self.are_shares = are_shares
        self.n_parameters = len(are_shares)
        wide = np.full(len(mode), WIDE_COORDINATES / len(mode))
        wide[: self.n_parameters][are_shares] = WIDE_SHARE_OF_SHARES
        lower, upper = self.bounds[0] - mode, self.bounds[1] - mode
        # between bounds a likelihood that is nearly flat, of which the curvature at the mode says
        # nothing, is as probable everywhere
        bounded = np.isfinite(upper)
        wide[bounded] = np.maximum(wide, np.interp(shapes, SHAPES_OF_FLAT, FLAT_SHARES))[bounded]
        at_end = bounded & (np.minimum(-lower, upper) < NEAR_END)
        wide[at_end] = FLAT_SHARES[0]
        self.correlation = np.where(at_end[:, None] | at_end, np.eye(size), correlation)
        self.maps = MarginalMaps(shapes, wide, lower, upper)
        self.shift = np.zeros(len(mode) - self.n_parameters)
        self.root = np.linalg.cholesky(self.correlation)
        self.inverse_root = np.linalg.inv(self.root)

    @classmethod
    def of_peak(
        cls,
        peak: Peak,
        are_shares: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> TopologyProposal:
        """Return the proposal for a posterior near its mode."""
        variances = np.diag(peak.covariance)
        sd = np.sqrt(variances)
        correlation = peak.covariance / np.outer(sd, sd)
        return cls(peak.mode, 1.0 / variances, correlation, are_shares, bounds)

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
        points = self.draw_points(n, normals, rng)
        return points.coordinates, points.log_density, points.whitened[:, : self.n_parameters]

    def draw_points(self, n: int, normals: ParameterNormals, rng: np.random.Generator) -> Points:
        """Draw n times."""
        size = len(self.mode)
        own = rng.choice(len(normals.shares), n, p=normals.shares)
        scale = SCALES[rng.choice(len(SCALES), n, p=SCALE_SHARES)][:, None]
        independent = rng.random(n) < INDEPENDENT_SHARE
        noise = rng.standard_normal((n, size))
        whitened = scale * self._coloured(noise, own, normals)
        whitened[:, : self.n_parameters] += normals.means[own]
        whitened[:, self.n_parameters :] += self.shift
        scores = whitened @ self.root.T
        scores[independent] = INDEPENDENT_SCALE * noise[independent]
        whitened[independent] = scores[independent] @ self.inverse_root.T
        return self._points(scores, whitened, normals)

    def move(
        self,
        points: Points,
        step: float | np.ndarray,
        normals: ParameterNormals,
        rng: np.random.Generator,
    ) -> Points:
        """Move points at random so that draws from the proposal remain such draws.

        The move is reversible: a normal of the mixture is drawn given the point, and the point
        keeps sqrt(1 - step^2) of its distance from the mean of that normal and gets new noise
        (preconditioned Crank-Nicolson; Cotter et al. 2013, Stat Sci 28:424-446).

        Parameters
        ----------
        points : Points
        step : float or ndarray, shape (M,)
            In (0, 1]; 1 makes the point independent of where it was, given the normal.
        normals : ParameterNormals
            The same as of the points.
        rng : numpy.random.Generator
        """
        d, (n, size) = self.n_parameters, points.scores.shape
        cumulative = np.cumsum(np.exp(points.parts - points.parts.max(axis=0)), axis=0)
        part = (cumulative < rng.random(n) * cumulative[-1]).sum(axis=0)
        own, scale = np.divmod(np.minimum(part, len(points.parts) - 1), len(SCALES))
        independent = own == len(normals.shares)
        own[independent] = 0
        step = np.broadcast_to(step, n)[:, None]
        keep = np.sqrt(1.0 - step**2)
        noise = rng.standard_normal((n, size))
        whitened = keep * points.whitened
        whitened += step * SCALES[scale][:, None] * self._coloured(noise, own, normals)
        whitened[:, :d] += (1.0 - keep) * normals.means[own]
        whitened[:, d:] += (1.0 - keep) * self.shift
        scores = whitened @ self.root.T
        alone = keep * points.scores + step * INDEPENDENT_SCALE * noise
        scores[independent] = alone[independent]
        whitened[independent] = scores[independent] @ self.inverse_root.T
        return self._points(scores, whitened, normals)

    def log_density(self, coordinates: np.ndarray, normals: ParameterNormals) -> np.ndarray:
        """Log density (M,) at coordinates (M, D)."""
        scores, log_slopes = self.maps.scores(coordinates - self.mode)
        parts = self._parts(scores, scores @ self.inverse_root.T, normals)
        return np.asarray(logsumexp(parts, axis=0)) - log_slopes

    def log_density_of(self, points: Points, normals: ParameterNormals) -> np.ndarray:
        """Log density (M,) at points of another proposal of the same mode and marginals."""
        parts = self._parts(points.scores, points.whitened, normals)
        return np.asarray(logsumexp(parts, axis=0)) - points.log_slopes

    def shifted(self, shift: np.ndarray) -> TopologyProposal:
        """Return the proposal with other means (D - d,) of the whitened lengths."""
        other = copy(self)
        other.shift = shift
        return other

    def _coloured(
        self, noise: np.ndarray, own: np.ndarray, normals: ParameterNormals
    ) -> np.ndarray:
        """Noise (n, D), its first d columns with the covariance of the normal of each row."""
        d = self.n_parameters
        out = noise.copy()
        for k, root in enumerate(normals.roots):
            rows = own == k
            out[rows, :d] = noise[rows, :d] @ root.T
        return out

    def _points(
        self, scores: np.ndarray, whitened: np.ndarray, normals: ParameterNormals
    ) -> Points:
        logarithms, log_slopes = self.maps.logarithms(scores)
        parts = self._parts(scores, whitened, normals)
        return Points(scores, whitened, parts, self.mode + logarithms, log_slopes)

    def _parts(
        self, scores: np.ndarray, whitened: np.ndarray, normals: ParameterNormals
    ) -> np.ndarray:
        """Log densities (parts, M) of the scores by the normals of the mixture, shares included.

        Each fitted normal has a part for each of the `SCALES`; the independent normal is the last.
        """
        d, size = self.n_parameters, len(self.mode)
        constant = -0.5 * size * LOG_2PI
        of_lengths = ((whitened[:, d:] - self.shift) ** 2).sum(axis=1)
        log_root = np.log(np.diag(self.root)).sum()
        parts = []
        for share, mean, root, inverse in zip(
            normals.shares, normals.means, normals.roots, normals.inverses, strict=True
        ):
            apart = (whitened[:, :d] - mean) @ inverse.T
            squares = of_lengths + (apart**2).sum(axis=1)
            log_own = constant - log_root - np.log(np.diag(root)).sum() + np.log(share)
            for scale, part in zip(SCALES, SCALE_SHARES, strict=True):
                log_part = np.log(part * (1.0 - INDEPENDENT_SHARE)) - size * np.log(scale)
                parts.append(log_own + log_part - 0.5 * squares / scale**2)
        squares = (scores**2).sum(axis=1) / INDEPENDENT_SCALE**2
        log_part = np.log(INDEPENDENT_SHARE) - size * np.log(INDEPENDENT_SCALE)
        parts.append(constant + log_part - 0.5 * squares)
        return np.array(parts)

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
        carried = TopologyProposal(mode, shapes, correlation, self.are_shares, self.bounds)
        carried.shift[own - d] = self.shift[same - d]
        return carried
