"""Maximum-likelihood values of a model's free parameters and of the branch lengths of one tree.

After a few Newton steps on the lengths alone, both are moved together by L-BFGS-B in unconstrained
coordinates: theta as the model's spec defines it, and the logarithms of the lengths, each divided
by the square root of its own curvature, so that all ask for steps of one size. Moving the two in
turn is slow where they depend on one another (gamma shape, invariant sites and tree length).
Derivatives by length come from one pass of the kernel; those by theta, which is short, from
central differences.

With gamma rates, free rates or invariant sites the likelihood can have several maxima: sites
without change are explained by slow categories as well as by a share that cannot change. So, from a
first fit, the likelihood is computed on a grid of these parameters (free rates: those of gamma
distributions), and each maximum of the grid is a further start; the best two points after some
iterations are followed to the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import minimize

from gfncore.program.messages import Note
from phylogfn.likelihood.branch_prior_base import external_branches
from phylogfn.likelihood.joint.partwise import PartwiseLikelihood
from phylogfn.likelihood.joint.stacked_models import log_priors
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models.rates import gamma_category_rates
from phylogfn.trees.tree import Tree

if TYPE_CHECKING:
    from phylogfn.alignments.patterns import SitePatterns
    from phylogfn.likelihood.branch_prior import BranchPrior
    from phylogfn.models import ModelSpec, Parameter, SiteModel

__all__ = ["ModelFit", "bounds_note", "fit_model", "parameters_at_bounds"]

SHORTEST, LONGEST = 1e-8, 20.0  # expected substitutions per site
INSIDE = 1e-9  # distance of lengths from the ends of a bounded prior, relative to its width
THETA_STEP = 3e-4
START_LENGTH = 0.05
FIRST_ITERATIONS = 15
NEWTON_SWEEPS = 8
FOLLOWED = 2  # points that are followed to the end
AT_BOUND = 1.01  # factor from the end of its range within which a parameter is at it
NOTHING = 1e-4  # share, frequency or relative exchangeability that is as good as 0
LARGEST_SHAPE = 100.0  # of the gamma distribution, above which rates are as good as equal
# grid of the gamma shape, and of invariant sites as a share of the sites that may be invariant
SHAPES = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 3.0, 10.0)
INVARIANT_SHARES = (0.001, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95)
GRID_SWEEPS = 3  # Newton steps on the lengths at each of its points
MAXIMA = 3  # of the grid, that are starts
NEARLY_FLAT, FLAT = 0.1, 2e-3  # nats that a bound may cost before and after other parameters follow


class ModelFit(NamedTuple):
    """What `fit_model` found.

    Attributes
    ----------
    model : SiteModel
        The model at `theta`.
    lengths : ndarray, shape(2n-2,), dtype=float64
        Branch lengths, expected substitutions per site; entry 0 is 0.
    theta : ndarray, shape(n_free,), dtype=float64
        Unconstrained free parameters; `spec.describe(theta)` names their natural values.
    log_likelihood : float
        There, with the priors if they were included, nats.
    """

    model: SiteModel
    lengths: np.ndarray
    theta: np.ndarray
    log_likelihood: float


def fit_model(
    spec: ModelSpec,
    patterns: SitePatterns,
    tree: Tree,
    *,
    theta: np.ndarray | None = None,
    branch_prior: BranchPrior | None = None,
    with_prior: bool = False,
    max_iterations: int = 500,
    until: Callable[[], bool] | None = None,
) -> ModelFit:
    """Maximise the likelihood over the free parameters and the branch lengths of a tree.

    Parameters
    ----------
    spec : ModelSpec
        The model; empirical frequencies are counted in `patterns`.
    patterns : SitePatterns
        The data.
    tree : Tree
        Its topology is kept; its lengths, where it has any, are the start.
    theta : ndarray, shape(n_free,), dtype=float64, optional
        The only start of the free parameters. None: several, where there may be several maxima.
    branch_prior : BranchPrior, optional
        Prior on the lengths; then the mode in log length is sought.
    with_prior : bool, default False
        Add the prior of theta (Jacobian included), so that the mode in theta is sought.
    max_iterations : int
        Limit of L-BFGS-B iterations.
    until : callable, optional
        Asked after each evaluation of the likelihood; where it says so, the best values so far are
        returned.

    Returns
    -------
    model : SiteModel
        The model at the optimum.
    lengths : ndarray, shape(2n-2,), dtype=float64
        Expected substitutions per site.
    theta : ndarray, shape(n_free,), dtype=float64
        Unconstrained values of the free parameters.
    log_likelihood : float
        The maximum, nats.
    """
    spec = spec.resolve(patterns)
    several = theta is None
    theta = spec.start(patterns) if theta is None else np.array(theta, dtype=float)
    theta = np.clip(theta, *np.array(spec.bounds).T) if spec.n_free else theta
    target = _Target(spec, patterns, tree, branch_prior, with_prior, until)
    lengths = _start_lengths(tree)
    lengths[1:] = np.clip(lengths[1:], target.shortest, target.longest)
    lengths = _newton_lengths(target, theta, lengths)
    points = [_maximise(target, theta, lengths, FIRST_ITERATIONS)]
    if several:
        for start in _other_starts(target, points[0]):
            if target.is_late():
                break
            points.append(_maximise(target, start.theta, start.lengths, FIRST_ITERATIONS))
    points.sort(key=lambda point: -point.value)
    best = points[0]
    for point in points[:FOLLOWED]:
        if target.is_late():
            break
        # scaled anew by the curvatures near the maximum
        end = _maximise(target, point.theta, point.lengths, max_iterations)
        best = max(best, end, key=lambda point: point.value)
    best = _at_flat_bounds(target, best)
    return ModelFit(spec.build(best.theta), best.lengths, best.theta, best.value)


def parameters_at_bounds(spec: ModelSpec, theta: np.ndarray) -> dict[str, float]:
    """Return the free parameters that a fit has driven to an end of their range.

    Parameters
    ----------
    spec : ModelSpec
    theta : ndarray, shape (n_free,), float64
        Unconstrained free parameters.

    Returns
    -------
    values : dict of str to float
        Natural values by name, as `ModelSpec.describe` has them. The likelihood is flat near most
        ends, so that fits stop short of them: a value counts from `NOTHING` or `LARGEST_SHAPE` on.

    Examples
    --------
    >>> from phylogfn.models import parse_model
    >>> spec = parse_model("JC69+G4", "dna")
    >>> {name: round(value, 2) for name, value in parameters_at_bounds(spec, [-3.9]).items()}
    {'alpha': 0.02}
    """
    described = iter(spec.describe(np.asarray(theta, dtype=float)).items())
    found: dict[str, float] = {}
    for parameter in spec.parameters:
        low, high = np.exp(parameter.bounds[0]), np.exp(parameter.bounds[1])
        below = 0.0
        for _ in parameter.labels:
            name, value = next(described)
            if parameter.kind == "positive":
                largest = LARGEST_SHAPE if parameter.name == "gamma_shape" else high / AT_BOUND
                ended = value < low * AT_BOUND or value > largest
            elif parameter.name == "rates":  # of parts; their scale is not that of shares
                ended = value < NOTHING
            elif name.startswith("rate("):  # they may be 0, but not equal where they are ordered
                ordered = parameter.kind == "free_rates"
                ended = ordered and value - below < NOTHING * value and below > 0.0
                below = value
            else:
                ended = not NOTHING < value < 1.0 - NOTHING
            if ended:
                found[name] = value
    return found


def bounds_note(spec: ModelSpec, theta: np.ndarray) -> Note | None:
    """Return a note on parameters at an end of their range; None if there are none."""
    ended = parameters_at_bounds(spec, theta)
    if not ended:
        return None
    values = ", ".join(f"{name} = {value:.3g}" for name, value in ended.items())
    return Note(
        "parameters-at-bounds",
        f"{spec.name}: the fit ended at a bound of {values}; the maximum lies at or beyond it; "
        "a simpler model may be sufficient",
    )


class _OutOfTime(Exception):
    """The time for the fit is up."""


class _Target:
    """The function to maximise and its gradient in (theta, log length)."""

    def __init__(
        self,
        spec: ModelSpec,
        patterns: SitePatterns,
        tree: Tree,
        branch_prior: BranchPrior | None,
        with_prior: bool,
        until: Callable[[], bool] | None = None,
    ):
        self.until = until
        self.spec = spec
        self.patterns = patterns
        self.tree = tree
        self.branch_prior = branch_prior
        self.shortest, self.longest = SHORTEST, LONGEST
        if branch_prior is not None and np.isfinite(branch_prior.functions.high):
            functions = branch_prior.functions
            inside = INSIDE * (functions.high - functions.low)
            self.shortest = max(SHORTEST, functions.low + inside)
            self.longest = min(LONGEST, functions.high - inside)
        self.with_prior = with_prior
        self._likelihood: TreeLikelihood | None = None
        self._partwise: PartwiseLikelihood | None = None

    def is_late(self) -> bool:
        """Whether the time for the fit is up."""
        return self.until is not None and self.until()

    def _at(self, theta: np.ndarray) -> TreeLikelihood:
        model = self.spec.build(theta)
        if self._likelihood is None:
            self._likelihood = TreeLikelihood(self.patterns, model)
        return self._likelihood.with_model(model)

    def _theta_values(self, thetas: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Values (M,) at parameters (M, d), without the prior of the lengths."""
        if self._partwise is None:
            self._partwise = PartwiseLikelihood(self.spec, self._at(thetas[0]))
        with np.errstate(all="ignore"):
            values = self._partwise.values(self.tree, thetas, lengths)
            return values + (log_priors(self.spec, thetas) if self.with_prior else 0.0)

    def by_lengths(
        self, theta: np.ndarray, lengths: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, and first and second derivative by the log lengths (2n-3,).

        The second is at a fixed slope of a prior by the tree length.
        """
        tree = Tree(self.tree.parent, self.tree.children, lengths)
        value, first, second = self._at(theta).derivatives(tree)
        inner = lengths[1:]
        slope = inner * first[1:]
        curvature = slope + inner**2 * second[1:]
        if self.branch_prior is not None:
            external = external_branches(np.asarray(tree.parent)[None])[0, 1:]
            prior = self.branch_prior.tree_density(inner, external)
            value += float(np.sum(np.log(inner))) + prior.value
            slope += 1.0 + inner * prior.slope
            curvature += inner * prior.slope + inner**2 * prior.curvature
        if self.with_prior:
            value += self.spec.log_prior(theta)
        return float(value), slope, curvature

    def by_theta(self, theta: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative by each component of theta, by central differences."""
        first, second = np.empty(theta.size), np.empty(theta.size)
        if not theta.size:
            return first, second
        steps = THETA_STEP * np.eye(theta.size)
        values = self._theta_values(np.vstack([theta, theta + steps, theta - steps]), lengths)
        here = float(values[0])
        for i, (above, below) in enumerate(values[1:].reshape(2, -1).T.tolist()):
            if not (np.isfinite(above) and np.isfinite(below)):  # at an end of a bounded prior
                inside, sign = (below, -1.0) if np.isfinite(below) else (above, 1.0)
                first[i], second[i] = sign * (inside - here) / THETA_STEP, 0.0
                continue
            first[i] = (above - below) / (2.0 * THETA_STEP)
            second[i] = (above - 2.0 * here + below) / THETA_STEP**2
        return first, second


def _start_lengths(tree: Tree) -> np.ndarray:
    n_nodes = tree.parent.size
    lengths = np.full(n_nodes, START_LENGTH)
    if tree.lengths is not None:
        given = np.asarray(tree.lengths, dtype=float)
        # From a length of zero the logarithm would never come back.
        lengths = np.where(np.isfinite(given), np.clip(given, 1e-4, LONGEST), START_LENGTH)
    lengths[0] = 0.0
    return lengths


def _newton_lengths(
    target: _Target, theta: np.ndarray, lengths: np.ndarray, sweeps: int = NEWTON_SWEEPS
) -> np.ndarray:
    """A few damped Newton steps on all log lengths at once; the best lengths seen are returned."""
    best, best_lengths = -np.inf, lengths
    for _ in range(sweeps):
        value, slope, curvature = target.by_lengths(theta, lengths)
        if value <= best or (best > -np.inf and target.is_late()):
            break
        best, best_lengths = value, lengths
        step = np.clip(slope / np.maximum(-curvature, 0.3), -1.5, 1.5)
        lengths = lengths.copy()
        lengths[1:] = np.clip(
            lengths[1:] * np.exp(step), max(1e-6, target.shortest), target.longest
        )
    return best_lengths


class _Point(NamedTuple):
    """A point of the target, and the target there."""

    theta: np.ndarray
    lengths: np.ndarray
    value: float


def _maximise(
    target: _Target, theta: np.ndarray, lengths: np.ndarray, max_iterations: int
) -> _Point:
    """L-BFGS-B from a point, coordinates scaled by the curvatures there."""
    n_free = theta.size
    curvatures = [target.by_theta(theta, lengths)[1], target.by_lengths(theta, lengths)[2]]
    scale = 1.0 / np.sqrt(np.maximum(-np.concatenate(curvatures), 1.0))

    def unpack(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        natural = x * scale
        moved = np.zeros(lengths.size)
        moved[1:] = np.clip(np.exp(natural[n_free:]), target.shortest, target.longest)
        return natural[:n_free], moved

    best, best_point = -np.inf, (theta, lengths)

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best, best_point
        point = unpack(x)
        value, slope, _ = target.by_lengths(*point)
        if value > best:
            best, best_point = value, point
        if target.is_late():
            raise _OutOfTime
        return -value, -np.concatenate([target.by_theta(*point)[0], slope]) * scale

    of_lengths = (np.log(target.shortest), np.log(target.longest))
    bounds = target.spec.bounds + [of_lengths] * (lengths.size - 1)
    lower, upper = np.array(bounds).T / scale
    try:
        result = minimize(
            negative,
            np.clip(np.concatenate([theta, np.log(lengths[1:])]) / scale, lower, upper),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(lower, upper, strict=True)),
            options={"maxiter": max_iterations, "ftol": 1e-10, "gtol": 1e-3, "maxcor": 30},
        )
    except _OutOfTime:
        return _Point(*best_point, best)
    return _Point(*unpack(result.x), -float(result.fun))


def _other_starts(target: _Target, first: _Point) -> list[_Point]:
    """Return the maxima of the likelihood on a grid of rates among sites, best first.

    The other parameters are those of ``first``; empty if rates among sites are not free.
    """
    axes: dict[str, list[list[np.ndarray]]] = {}
    places: dict[str, list[slice]] = {}
    position = 0
    for parameter in target.spec.parameters:
        points_of_axis = _axis(parameter, target.patterns)
        if points_of_axis:  # one axis for the same parameter of all parts
            axis = [parameter.to_unconstrained(point) for point in points_of_axis]
            axes.setdefault(parameter.name, []).append(axis)
            place = slice(position, position + parameter.n_free)
            places.setdefault(parameter.name, []).append(place)
        position += parameter.n_free
    if not axes:
        return []
    sizes = tuple(len(alike[0]) for alike in axes.values())
    found = np.full(sizes, -np.inf)
    points: dict[tuple[int, ...], _Point] = {}
    lengths = first.lengths
    for index in np.ndindex(sizes):
        if points and target.is_late():
            return []
        # there and back, so that each point has a neighbour's lengths
        at = (*index[:-1], sizes[-1] - 1 - index[-1] if sum(index[:-1]) % 2 else index[-1])
        theta = first.theta.copy()
        for name, i in zip(axes, at, strict=True):
            for place, axis in zip(places[name], axes[name], strict=True):
                theta[place] = axis[i]
        theta = np.clip(theta, *np.array(target.spec.bounds).T)
        lengths = _newton_lengths(target, theta, lengths, GRID_SWEEPS)
        found[at] = target.by_lengths(theta, lengths)[0]
        points[at] = _Point(theta, lengths, float(found[at]))
    padded = np.pad(found, 1, constant_values=-np.inf)
    around = [
        padded[tuple(slice(1 + s, 1 + s + n) for s, n in zip(shift, sizes, strict=True))]
        for shift in itertools.product((-1, 0, 1), repeat=len(sizes))
    ]
    maxima = np.argwhere(found >= np.max(around, axis=0))
    starts = [points[tuple(int(i) for i in at)] for at in maxima]
    return sorted(starts, key=lambda point: -point.value)[:MAXIMA]


def _axis(parameter: Parameter, patterns: SitePatterns) -> list[np.ndarray]:
    """Return the natural values of a parameter on the grid; empty if it is not on it."""
    if parameter.name == "gamma_shape":
        return [np.array([shape]) for shape in SHAPES]
    if parameter.name == "invariant":
        return [np.array([share * _constant_share(patterns)]) for share in INVARIANT_SHARES]
    if parameter.name == "free_rates":
        size = len(parameter.start) // 2
        equal = np.full(size, 1.0 / size)
        return [np.append(equal, gamma_category_rates(shape, size)) for shape in SHAPES]
    return []


def _at_flat_bounds(target: _Target, best: _Point) -> _Point:
    """Move invariant sites to 0 and the gamma shape to its upper end where that costs nothing.

    The likelihood is flat there, so that the maximisation stops on the way.
    """
    position = 0
    for parameter in target.spec.parameters:
        end = {"invariant": parameter.bounds[0], "gamma_shape": parameter.bounds[1]}
        if parameter.name in end and not target.is_late():
            theta = best.theta.copy()
            theta[position] = end[parameter.name]
            lengths = _newton_lengths(target, theta, best.lengths, GRID_SWEEPS)
            if target.by_lengths(theta, lengths)[0] > best.value - NEARLY_FLAT:
                moved = _maximise(target, theta, lengths, FIRST_ITERATIONS)
                best = moved if moved.value > best.value - FLAT else best
        position += parameter.n_free
    return best


def _constant_share(patterns: SitePatterns) -> float:
    """Return the share of sites at which all taxa may have one state."""
    common = np.bitwise_and.reduce(np.asarray(patterns.masks, np.uint32), axis=0)
    weights = np.asarray(patterns.weights, float)
    return max(float(weights[common != 0].sum() / weights.sum()), 1e-3)
