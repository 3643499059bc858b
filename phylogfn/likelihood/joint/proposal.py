"""Importance draws of parameters and branch lengths together: a Gaussian mixture in normal scores.

At the mode of a topology the posterior of each logarithm is nearly that of a gamma distribution
(`phylogfn.likelihood.joint.marginals`); its correlations are those of the inverse Hessian there. So
a draw is a vector of scores from a normal distribution with these correlations, mapped one by one:
a Gaussian copula with gamma marginals. In the mixture are also wider normals, one without
correlations, which bounds what a single coordinate far out can weigh, and normals that are fitted
to pilot draws of all topologies together: normals of the parameters and of the scale of the tree,
which is the direction in scores along which all branches become longer together. The posterior is
skewed along it, and its ridge is curved where it depends on parameters (the gamma shape, above
all). The density of a draw is exact.

Whitened scores, w, are uncorrelated under the normal of the Hessian. First stand the d parameters,
then the scale, then all other directions of the lengths.
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
# of the odds of a share: their density falls as slowly as that of a flat one where the share is 0,
# which matters where the share is not well determined, i.e. for small shapes
SHAPES_OF_SHARES, WIDE_SHARES_OF_SHARES = np.array([2.0, 5.0, 15.0]), np.array([0.35, 0.15, 0.01])
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
SPREAD_PULL = 50.0  # scores that the spread 1 counts for in the fit of the spread
SPREADS = (0.9, 1.5)  # least and most that is fitted
DRAWS_PER_COORDINATE = 4  # effective ones, that each covariance needs
LEAST_SHARE = 0.02  # of each of them, before they are scaled to sum to 1
UNFITTED_SHARE = 0.1  # of the normal that is not fitted
LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class ParameterNormals:
    """Normals (K) of the parameters and the scale, which all topologies share.

    Attributes
    ----------
    shares : ndarray, shape (K,)
    means : ndarray, shape (K, d + 1)
        In whitened scores.
    roots : ndarray, shape (K, d + 1, d + 1)
        Lower triangular roots of the covariances.
    spreads : ndarray, shape (K,)
        Standard deviations of each of the other whitened scores.
    """

    shares: np.ndarray
    means: np.ndarray
    roots: np.ndarray
    spreads: np.ndarray

    @cached_property
    def inverses(self) -> np.ndarray:
        """Inverses of the roots, shape (K, d + 1, d + 1)."""
        return np.linalg.inv(self.roots)

    @classmethod
    def unfitted(cls, n_parameters: int) -> ParameterNormals:
        """Return the standard normal, which is right where the Hessian says all."""
        size = n_parameters + 1
        return cls(np.ones(1), np.zeros((1, size)), np.eye(size)[None], np.ones(1))

    @classmethod
    def fitted(
        cls,
        whitened: np.ndarray,
        n_parameters: int,
        weights: np.ndarray,
        ess: float | None = None,
    ) -> ParameterNormals:
        """Return normals fitted to weighted draws, as many and as free as the draws allow.

        Candidates are the standard normal; one normal with a mean of its own, without and with a
        covariance; and `NORMALS` of these. That of the highest log density in the half of the
        draws that it was not fitted to is chosen (cross-validation with two parts). The standard
        normal stays among them, and each covariance is shrunk towards it, the more the fewer draws
        are effective.

        Parameters
        ----------
        whitened : ndarray, shape (M, D)
            Whitened scores, in which the lengths have the mean 0.
        n_parameters : int
            d.
        weights : ndarray, shape (M,)
            Importance weights. The few that dominate are truncated (Ionides 2008, J Comput Graph
            Stat 17:295-311).
        ess : float, optional
            Number of effective draws; default: that of the truncated weights.
        """
        weights = np.minimum(weights, weights.mean() * np.sqrt(len(weights)))
        weights = weights / weights.sum()
        if ess is None:
            ess = 1.0 / float(weights @ weights)
        if ess < FEWEST_EFFECTIVE:
            return cls.unfitted(n_parameters)
        size = n_parameters + 1
        halves = [np.arange(len(weights)) % 2 == i for i in (0, 1)]
        best, highest = cls.unfitted(n_parameters), 0.0
        for n_normals, pull in CANDIDATES:
            if pull < np.inf and ess < DRAWS_PER_COORDINATE * n_normals * size:
                continue
            gain = 0.0
            for half in halves:
                own = cls._of_candidate(
                    n_normals, pull, size, whitened[half], weights[half], 0.5 * ess
                )
                log_q = own.log_density(whitened[~half])
                gain += weights[~half] @ (log_q + 0.5 * (whitened[~half] ** 2).sum(axis=1))
            if gain > highest:
                highest = gain
                best = cls._of_candidate(n_normals, pull, size, whitened, weights, ess)
        return best

    def log_density(self, whitened: np.ndarray) -> np.ndarray:
        """Log density (M,) at whitened scores (M, D), up to a constant."""
        size = self.means.shape[1]
        squares = (whitened[:, size:] ** 2).sum(axis=1)
        n_others = whitened.shape[1] - size
        parts = [
            np.log(share)
            + _log_normal(whitened[:, :size] - mean, root)
            - 0.5 * squares / spread**2
            - n_others * np.log(spread)
            for share, mean, root, spread in zip(
                self.shares, self.means, self.roots, self.spreads, strict=True
            )
        ]
        return np.asarray(logsumexp(np.array(parts), axis=0))

    @classmethod
    def _of_candidate(
        cls,
        n_normals: int,
        pull: float,
        size: int,
        whitened: np.ndarray,
        weights: np.ndarray,
        ess: float,
    ) -> ParameterNormals:
        """Return one of the `CANDIDATES` fitted to draws (M, D) of some effective number.

        ``size`` is d + 1.
        """
        weights = weights / weights.sum()
        spread = _spread(whitened[:, size:], weights, ess)
        whitened = whitened[:, :size]
        mean = shrunken_mean(weights @ whitened, ess)
        apart = whitened - mean
        covariance = apart.T @ (apart * weights[:, None])
        trust = ess / (ess + pull * size)  # 0 without a covariance
        if n_normals == 1:
            means, shares = mean[None], np.ones(1)
            covariances = (trust * covariance + (1.0 - trust) * np.eye(size))[None]
        else:
            shares, means, covariances = _several(
                n_normals, pull, whitened, weights, mean, covariance, ess
            )
        return cls(
            np.append((1.0 - UNFITTED_SHARE) * shares, UNFITTED_SHARE),
            np.vstack([means, np.zeros(size)]),
            np.concatenate([np.linalg.cholesky(covariances), np.eye(size)[None]]),
            np.append(np.full(len(shares), spread), 1.0),
        )


def shrunken_mean(mean: np.ndarray, ess: float) -> np.ndarray:
    """Return a mean (d,) of ``ess`` draws of variance 1, pulled towards 0 (James & Stein 1961)."""
    squares = float(mean @ mean)
    return max(0.0, 1.0 - len(mean) / (ess * max(squares, 1e-300))) * mean


def _spread(others: np.ndarray, weights: np.ndarray, ess: float) -> float:
    """Standard deviation of whitened scores (M, L) of the mean 0, shrunk towards 1."""
    known = ess * others.shape[1]
    variance = (known * float(weights @ (others**2).mean(axis=1)) + SPREAD_PULL) / (
        known + SPREAD_PULL
    )
    return float(np.clip(np.sqrt(variance), *SPREADS))


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
    skews : ndarray, shape (D,), optional
        Of the marginals, see `phylogfn.likelihood.joint.marginals`; default: those of gammas.

    Attributes
    ----------
    shift : ndarray, shape (D - d - 1,)
        Means of the whitened scores after the scale; 0 unless fitted.
    """

    def __init__(
        self,
        mode: np.ndarray,
        shapes: np.ndarray,
        correlation: np.ndarray,
        are_shares: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
        skews: np.ndarray | None = None,
    ):
        size = len(mode)
        self.skews = np.ones(size) if skews is None else skews
        self.bounds = bounds or (np.full(size, -np.inf), np.full(size, np.inf))
        self.mode = mode = np.clip(mode, *self.bounds)
        self.shapes = shapes
        self.are_shares = are_shares
        self.n_parameters = len(are_shares)
        wide = np.full(len(mode), WIDE_COORDINATES / len(mode))
        of_shares = np.flatnonzero(are_shares)
        wide[of_shares] = np.interp(shapes[of_shares], SHAPES_OF_SHARES, WIDE_SHARES_OF_SHARES)
        lower, upper = self.bounds[0] - mode, self.bounds[1] - mode
        # between bounds a likelihood that is nearly flat, of which the curvature at the mode says
        # nothing, is as probable everywhere
        bounded = np.isfinite(upper)
        wide[bounded] = np.maximum(wide, np.interp(shapes, SHAPES_OF_FLAT, FLAT_SHARES))[bounded]
        at_end = bounded & (np.minimum(-lower, upper) < NEAR_END)
        wide[at_end] = FLAT_SHARES[0]
        self.correlation = np.where(at_end[:, None] | at_end, np.eye(size), correlation)
        self.maps = MarginalMaps(shapes, wide, lower, upper, self.skews)
        d = self.n_parameters
        self.shift = np.zeros(size - d - 1)
        root = np.linalg.cholesky(self.correlation)
        inverse = np.linalg.inv(root)
        self._log_root = float(np.log(np.diag(root)).sum())
        # a logarithm moves by 1 / sqrt(shape) where its score moves by 1
        self._turn = _reflection(inverse[d:, d:] @ np.sqrt(shapes[d:]))
        root[:, d:] = root[:, d:] @ self._turn
        inverse[d:] = self._turn @ inverse[d:]
        self.root, self.inverse_root = root, inverse

    @classmethod
    def of_peak(
        cls,
        peak: Peak,
        are_shares: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
        skews: np.ndarray | None = None,
    ) -> TopologyProposal:
        """Return the proposal for a posterior near its mode."""
        variances = np.diag(peak.covariance)
        sd = np.sqrt(variances)
        correlation = peak.covariance / np.outer(sd, sd)
        return cls(peak.mode, 1.0 / variances, correlation, are_shares, bounds, skews)

    def draw(
        self, n: int, normals: ParameterNormals, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw n times.

        Returns
        -------
        coordinates : ndarray, shape (n, D)
        log_density : ndarray, shape (n,)
        whitened : ndarray, shape (n, D)
            Which a fit takes.
        """
        points = self.draw_points(n, normals, rng)
        return points.coordinates, points.log_density, points.whitened

    def draw_points(self, n: int, normals: ParameterNormals, rng: np.random.Generator) -> Points:
        """Draw n times."""
        size = len(self.mode)
        own = rng.choice(len(normals.shares), n, p=normals.shares)
        scale = SCALES[rng.choice(len(SCALES), n, p=SCALE_SHARES)][:, None]
        independent = rng.random(n) < INDEPENDENT_SHARE
        noise = rng.standard_normal((n, size))
        whitened = scale * self._coloured(noise, own, normals)
        fitted = self.n_parameters + 1
        whitened[:, :fitted] += normals.means[own]
        whitened[:, fitted:] += self.shift
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
        fitted, (n, size) = self.n_parameters + 1, points.scores.shape
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
        whitened[:, :fitted] += (1.0 - keep) * normals.means[own]
        whitened[:, fitted:] += (1.0 - keep) * self.shift
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
        """Return the proposal with other means (D - d - 1,) of the whitened lengths."""
        other = copy(self)
        other.shift = shift
        return other

    def _coloured(
        self, noise: np.ndarray, own: np.ndarray, normals: ParameterNormals
    ) -> np.ndarray:
        """Noise (n, D) with the covariance of the normal of each row."""
        fitted = self.n_parameters + 1
        out = normals.spreads[own, None] * noise
        for k, root in enumerate(normals.roots):
            rows = own == k
            out[rows, :fitted] = noise[rows, :fitted] @ root.T
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
        fitted, size = self.n_parameters + 1, len(self.mode)
        constant = -0.5 * size * LOG_2PI
        of_others = ((whitened[:, fitted:] - self.shift) ** 2).sum(axis=1)
        parts = []
        for share, mean, root, inverse, spread in zip(
            normals.shares,
            normals.means,
            normals.roots,
            normals.inverses,
            normals.spreads,
            strict=True,
        ):
            apart = (whitened[:, :fitted] - mean) @ inverse.T
            squares = of_others / spread**2 + (apart**2).sum(axis=1)
            log_own = constant - self._log_root - np.log(np.diag(root)).sum() + np.log(share)
            log_own -= (size - fitted) * np.log(spread)
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
        correlations and skews; the others have gammas of their conditional shapes.

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
        skews = np.ones(len(mode))
        skews[both[0]] = self.skews[both[1]]
        carried = TopologyProposal(mode, shapes, correlation, self.are_shares, self.bounds, skews)
        # the means of branches, not those of directions, are the same
        of_branches = self._turn[:, 1:] @ self.shift
        carried_branches = np.zeros(len(mode) - d)
        carried_branches[own - d] = of_branches[same - d]
        carried.shift = (carried._turn @ carried_branches)[1:]
        return carried


def _reflection(direction: np.ndarray) -> np.ndarray:
    """Symmetric orthogonal matrix (L, L) that maps the first axis to a direction (L,)."""
    unit = direction / np.linalg.norm(direction)
    apart = -unit
    apart[0] += 1.0
    squares = float(apart @ apart)
    if squares < 1e-24:
        return np.eye(len(unit))
    return np.eye(len(unit)) - 2.0 * np.outer(apart, apart) / squares
