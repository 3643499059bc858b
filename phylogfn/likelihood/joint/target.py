"""The posterior density of the free parameters of a model and the branch lengths of a topology.

Coordinates are logarithms: x = (phi, y), with y_v = log b_v of the 2n-3 branches and phi the free
parameters: logarithms of positive parameters, log odds of shares, and for simplexes log ratios to
the component that is largest at a reference point (the last component, to which `Parameter` relates
them, may be nearly 0, and the log ratios would then be skewed and correlated).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.likelihood.branch_prior_base import external_branches
from phylogfn.likelihood.joint.partwise import PartwiseLikelihood
from phylogfn.likelihood.joint.stacked_models import log_likelihoods, log_priors
from phylogfn.trees.tree import Tree

if TYPE_CHECKING:
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.models import ModelSpec

__all__ = ["JointTarget", "Peak"]

TIMED = 8  # values that are timed
CHUNK = 256  # draws whose models are made together
STEP = 1e-4  # of a coordinate, in differences of gradients
VALUE_STEP = 1e-3  # in second differences of values
SMALLEST = 1e-100  # length that a branch has at least
MOST_STEPS, HALVINGS = 6, 6  # towards the mode; of such a step
LEAST_SKEW, MOST_SKEW = -1.0, 2.0  # of a marginal: third derivatives say little of far tails
LEAST_RISE = 0.02  # nats
MOST_MOVE = 0.5  # of a coordinate, in the Newton step towards the peak
LEAST_CURVATURE = 0.1  # of the log density along any direction, in units of its diagonal


@dataclass(frozen=True)
class Peak:
    """A normal approximation of the posterior of a topology, in D = d + 2n-3 coordinates.

    Attributes
    ----------
    mode : ndarray, shape (D,), float64
    covariance : ndarray, shape (D, D), float64
        Inverse of minus the second derivatives of the log density.
    rise : float
        By which the log density rises from the start to the mode, by its derivatives at the start.
    move : ndarray, shape (D,), float64
        From the start to the mode, before it is cut.
    """

    mode: np.ndarray
    covariance: np.ndarray
    rise: float
    move: np.ndarray


class JointTarget:
    """Log density of (phi, y) given a topology; its prior probability is left out.

    Parameters
    ----------
    spec : ModelSpec
    reward : CollapsedReward
        At the reference point; its likelihood, prior on lengths and threads are used.
    theta : ndarray, shape (d,)
        The reference point, near the mode.
    """

    def __init__(self, spec: ModelSpec, reward: CollapsedReward, theta: np.ndarray):
        self.spec = spec
        self.reward = reward
        self.theta = np.asarray(theta, float)
        self.from_phi = _log_ratio_map(spec, self.theta)
        self.to_phi = np.linalg.inv(self.from_phi)
        self.n_invalid = 0  # draws at which the model has no likelihood, for numerical reasons

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, d."""
        return len(self.theta)

    @property
    def are_shares(self) -> np.ndarray:
        """Which parameters are shares, shape (d,), bool."""
        kinds = [p.kind == "share" for p in self.spec.parameters for _ in range(p.n_free)]
        return np.array(kinds, bool)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of the coordinates, each (D,); infinite unless a prior has ends."""
        d, size = self.n_parameters, self.n_parameters + 2 * self.reward.likelihood.n_taxa - 3
        lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
        prior = self.reward.branch_prior.functions
        if math.isfinite(prior.high):
            lower[d:], upper[d:] = math.log(max(prior.low, SMALLEST)), math.log(prior.high)
        position = 0
        for parameter in self.spec.parameters:
            if parameter.prior.family == "uniform":
                with np.errstate(divide="ignore"):
                    ends = parameter.to_unconstrained(np.array(parameter.prior.arguments))
                lower[position], upper[position] = ends
            position += parameter.n_free
        return lower, upper

    def log_densities(self, tree: Tree, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log likelihoods and log posterior densities, each (M,), nats.

        Parameters
        ----------
        tree : Tree
            The topology.
        coordinates : ndarray, shape (M, D)
        """
        d = self.n_parameters
        phi, y = coordinates[:, :d], coordinates[:, d:]
        lengths = self.lengths(y)
        log_prior = self._log_prior(tree, y)
        log_likelihood = np.empty(len(y))
        like = self.reward.likelihood
        thetas = phi @ self.from_phi.T

        def task(start: int, stop: int) -> None:
            for first in range(start, stop, CHUNK):
                part = slice(first, min(first + CHUNK, stop))
                if d:
                    log_likelihood[part] = log_likelihoods(
                        self.spec, thetas[part], like, tree, lengths[part]
                    )
                    continue
                models = like.model_arrays
                log_likelihood[part] = like.log_likelihoods_of_models(
                    tree,
                    lengths[part],
                    models._replace(numbers=models.numbers[None]),
                    like.data_arrays.invariant[None],
                )

        with np.errstate(all="ignore"):
            self._in_threads(task, len(y))
            if d:
                log_prior = log_prior + log_priors(self.spec, thetas)
        self.reward.evaluations += len(y)
        log_likelihood[log_likelihood > 0.0] = np.nan  # no probability: rounding at extreme values
        self.n_invalid += int(np.count_nonzero(~np.isfinite(log_likelihood)))
        log_density = log_likelihood + log_prior
        log_density[~np.isfinite(log_density)] = -np.inf
        return log_likelihood, log_density

    def lengths(self, y: np.ndarray) -> np.ndarray:
        """Branch lengths (M, 2n-2) from their logarithms (M, 2n-3)."""
        out = np.zeros((len(y), y.shape[1] + 1))
        out[:, 1:] = np.maximum(np.exp(y), SMALLEST)
        return out

    def thetas(self, coordinates: np.ndarray) -> np.ndarray:
        """Free parameters (M, d), as `ModelSpec.build` takes them, of coordinates (M, D)."""
        return coordinates[:, : self.n_parameters] @ self.from_phi.T

    def peak(self, tree: Tree, coordinates: np.ndarray, shapes: np.ndarray | None = None) -> Peak:
        """Approximate the posterior of a topology near its mode.

        Gradients by all branches at once are differentiated numerically, once per coordinate; one
        Newton step then corrects a start near the mode. With ``shapes`` this is done for the
        parameters alone, and branches are independent given these.

        Parameters
        ----------
        tree : Tree
            The topology.
        coordinates : ndarray, shape (D,)
            Near the mode.
        shapes : ndarray, shape (D,), optional
            Minus the second derivatives by the log lengths, each for itself; those of parameters
            are not read.
        """
        d, size = self.n_parameters, len(coordinates)
        lower, upper = self.bounds  # differences are taken inside them
        coordinates = np.clip(coordinates, lower + 4.0 * VALUE_STEP, upper - 4.0 * VALUE_STEP)
        differentiated = size if shapes is None else d
        forward = np.empty((size, size - d))
        backward = np.empty((size, size - d))

        def differences(start: int, stop: int) -> None:
            for i in range(start, stop):
                step = np.zeros(size)
                step[i] = STEP
                forward[i] = self._length_gradient(tree, coordinates + step)
                backward[i] = self._length_gradient(tree, coordinates - step)

        self._in_threads(differences, differentiated)
        self.reward.evaluations += 2 * differentiated
        hessian, gradient = np.zeros((size, size)), np.zeros(size)
        if shapes is None:
            hessian[:, d:] = (forward - backward) / (2.0 * STEP)
            hessian[d:, d:] = 0.5 * (hessian[d:, d:] + hessian[d:, d:].T)
            gradient[d:] = 0.5 * (forward + backward).mean(axis=0)
        else:
            hessian[:d, d:] = (forward[:d] - backward[:d]) / (2.0 * STEP)
            hessian[np.arange(d, size), np.arange(d, size)] = -shapes[d:]
        hessian[d:, :d] = hessian[:d, d:].T
        if d:
            gradient[:d], hessian[:d, :d] = self._parameter_block(tree, coordinates)
        precision = _made_positive(-hessian)
        covariance = np.linalg.inv(precision)
        move = covariance @ gradient
        rise = 0.5 * float(gradient @ move)
        return Peak(coordinates + np.clip(move, -MOST_MOVE, MOST_MOVE), covariance, rise, move)

    def climbed(
        self, tree: Tree, coordinates: np.ndarray, late: Callable[[], bool] = lambda: False
    ) -> Peak:
        """Approximate the posterior of a topology near its mode, from a start that may be far off.

        Newton steps, halved until the log density rises, are made until a further one would raise
        it by less than `LEAST_RISE`, or ``late()``.
        """
        for _ in range(MOST_STEPS):
            peak = self.peak(tree, coordinates)
            if peak.rise < LEAST_RISE or late():
                return peak
            shares = 0.5 ** np.arange(HALVINGS)[:, None]
            # cut coordinate by coordinate the move is longer, as a whole it is sure to rise
            cut = peak.mode - coordinates
            whole = peak.move / max(1.0, float(np.abs(peak.move).max()) / MOST_MOVE)
            path = np.vstack(
                [coordinates, coordinates + shares * cut, coordinates + shares * whole]
            )
            values = self.log_densities(tree, path)[1]
            best = int(np.argmax(values))
            if best == 0:
                return replace(peak, mode=coordinates)
            coordinates = path[best]
        return replace(peak, mode=coordinates)

    def skews(self, tree: Tree, peak: Peak) -> np.ndarray:
        """Return the skew s (D,) of each coordinate, see `phylogfn.likelihood.joint.marginals`.

        Along a coordinate, with all others at their conditional means by the normal approximation,
        s is minus the third derivative of the log density over its curvature, from differences of
        values one and two standard deviations from the mode, within `LEAST_SKEW` and `MOST_SKEW`;
        1 where a value is not finite.
        """
        sd = np.sqrt(np.diag(peak.covariance))
        directions = peak.covariance / sd  # column i moves coordinate i by one standard deviation
        steps = np.array([1.0, -1.0, 2.0, -2.0])
        points = peak.mode + steps[:, None, None] * directions.T
        values = self.log_densities(tree, points.reshape(-1, len(sd)))[1].reshape(4, -1)
        with np.errstate(invalid="ignore"):
            once, twice = values[0] - values[1], values[2] - values[3]
            third = 0.5 * (twice - 2.0 * once)  # the slope, which is not quite 0, cancels
        return np.clip(np.where(np.isfinite(third), -third / sd, 1.0), LEAST_SKEW, MOST_SKEW)

    def seconds_a_peak(self, tree: Tree, coordinates: np.ndarray) -> tuple[float, float]:
        """Seconds that `peak` will take, about, without ``shapes`` and with them."""
        d, few = self.n_parameters, np.repeat(coordinates[None], TIMED, axis=0)
        self._length_gradient(tree, coordinates)  # not timed, as they may load the kernels
        self.log_densities(tree, few)
        began = time.perf_counter()
        self._length_gradient(tree, coordinates)
        a_gradient = (time.perf_counter() - began) / self.reward.threads
        began = time.perf_counter()
        self.log_densities(tree, few)
        a_value = (time.perf_counter() - began) / TIMED
        of_parameters = (1 + d + d**2) * a_value if d else 0.0
        return (
            2 * len(coordinates) * a_gradient + of_parameters,
            2 * d * a_gradient + of_parameters,
        )

    def _length_gradient(self, tree: Tree, at: np.ndarray) -> np.ndarray:
        """Gradient (2n-3,) of the log density by the log lengths."""
        d = self.n_parameters
        like = self.reward.likelihood
        if d:
            like = like.with_model(self.spec.build(self.from_phi @ at[:d]))
        lengths = self.lengths(at[None, d:])
        _, first, _ = like.derivatives(Tree(tree.parent, tree.children, lengths[0]))
        return lengths[0, 1:] * first[1:] + self._prior_gradient(tree, at[d:])

    def _prior_gradient(self, tree: Tree, y: np.ndarray) -> np.ndarray:
        """Gradient (2n-3,) of the log prior of the lengths by their logarithms."""
        external = external_branches(np.asarray(tree.parent)[None])[0, 1:]
        lengths = self.lengths(y[None])[0, 1:]
        return 1.0 + lengths * self.reward.branch_prior.tree_density(lengths, external).slope

    def _log_prior(self, tree: Tree, y: np.ndarray) -> np.ndarray:
        """Log prior density (M,) of log lengths (M, 2n-3)."""
        parents = np.broadcast_to(tree.parent, (len(y), len(tree.parent)))
        log_density = self.reward.log_priors(self.lengths(y), parents)
        return log_density - self.reward.log_topology_prior + y.sum(axis=1)

    def _parameter_block(self, tree: Tree, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient (d,) and second derivatives (d, d) by phi, from differences of values."""
        d = self.n_parameters
        partwise = PartwiseLikelihood(self.spec, self.reward.likelihood)
        # second derivatives by parameters of different parts are 0
        pairs = [(i, j) for i in range(d) for j in range(i) if not partwise.separate(i, j)]
        phi, unit = at[:d], VALUE_STEP * np.eye(d)
        points = [phi] + [phi + s * unit[i] for i in range(d) for s in (1.0, -1.0)]
        points += [phi + s * (unit[i] + unit[j]) for i, j in pairs for s in (1.0, -1.0)]
        steps = (np.array(points) - phi) @ self.from_phi.T  # exactly 0 where nothing changes
        thetas = self.from_phi @ phi + steps
        with np.errstate(all="ignore"):
            values = partwise.values(tree, thetas, self.lengths(at[None, d:])[0], self._in_threads)
            values += log_priors(self.spec, thetas)
        values[~np.isfinite(values)] = -np.inf
        self.reward.evaluations += len(thetas)
        plus, minus = values[1 : 2 * d + 1 : 2], values[2 : 2 * d + 1 : 2]
        gradient = (plus - minus) / (2.0 * VALUE_STEP)
        single = plus + minus - 2.0 * values[0]
        hessian = np.diag(single)
        for k, (i, j) in enumerate(pairs):
            both = values[2 * d + 1 + 2 * k] + values[2 * d + 2 + 2 * k] - 2.0 * values[0]
            hessian[i, j] = hessian[j, i] = 0.5 * (both - single[i] - single[j])
        return gradient, hessian / VALUE_STEP**2

    def _in_threads(self, task: Callable[[int, int], None], n: int) -> None:
        """Call ``task`` on ranges that cover 0 to n."""
        threads = self.reward.threads
        if threads == 1:
            task(0, n)
            return
        ends = np.linspace(0, n, 4 * threads + 1).astype(int)
        list(self.reward.pool.map(task, ends[:-1].tolist(), ends[1:].tolist()))


def _log_ratio_map(spec: ModelSpec, theta: np.ndarray) -> np.ndarray:
    """Matrix A (d, d) with theta = A phi; its determinant is 1 or -1."""
    matrix = np.eye(len(theta))
    position = 0
    for parameter in spec.parameters:
        size = parameter.n_free
        if parameter.kind == "simplex":
            here = slice(position, position + size)
            reference = int(np.argmax(np.append(theta[here], 0.0)))
            to_last = np.hstack([np.eye(size), -np.ones((size, 1))])
            matrix[here, here] = np.delete(to_last, reference, axis=1)
        position += size
    return matrix


def _made_positive(precision: np.ndarray) -> np.ndarray:
    """Raise small and negative eigenvalues, relative to the diagonal."""
    scale = np.sqrt(np.maximum(np.diag(precision), LEAST_CURVATURE))
    values, vectors = np.linalg.eigh(precision / np.outer(scale, scale))
    if values[0] >= LEAST_CURVATURE / len(scale):
        return precision
    values = np.maximum(values, LEAST_CURVATURE / len(scale))
    return (vectors * values) @ vectors.T * np.outer(scale, scale)
