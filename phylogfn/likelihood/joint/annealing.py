"""Annealed importance sampling of the parameters and branch lengths of a topology.

Between the proposal q and the posterior density p (not normalised) lies a ladder of densities
p_j = q^(1 - beta_j) p^beta_j with 0 = beta_0 < beta_1 < ... < beta_L = 1. A draw z_0 from q is
moved by Metropolis steps that leave p_1, p_2, ... invariant in turn, and has the weight

    W = prod_j w(z_{j-1})^(beta_j - beta_{j-1}),    w = p / q.

Its mean is the integral of p, for any ladder and any moves, as long as they do not depend on the
draws; with L = 1 it is importance sampling (Neal 2001, Stat Comput 11:125-139). A proposed move
leaves q invariant (`TopologyProposal.move`), so it is accepted with the probability
min(1, (w(z') / w(z))^beta_j), which does not become small with the number of dimensions as long as
q fits.

The ladder and the step sizes are found by a population that is moved from q to p (adaptive
sequential Monte Carlo; Del Moral, Doucet & Jasra 2012, Stat Comput 22:1009-1020), which enters no
estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import systematic_resample

if TYPE_CHECKING:
    from phylogfn.likelihood.joint.proposal import ParameterNormals, Points, TopologyProposal
    from phylogfn.likelihood.joint.target import JointTarget
    from phylogfn.trees.tree import Tree

__all__ = ["AnnealedPoints", "Bridge", "Ladder", "found_ladder"]

KEPT_SHARE = 0.8  # effective share of a population after a step of the ladder that is sought
SWEEPS = 3  # of moves after each such step
STEP_SIZES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1)
BISECTIONS = 40
MOST_RUNGS = 200


@dataclass(frozen=True)
class Ladder:
    """Intermediate densities, and the size of the moves at each.

    Attributes
    ----------
    betas : ndarray, shape (L + 1,)
        Ascending from 0 to 1.
    steps : ndarray, shape (L + 1,)
        Step sizes; the first is not used.
    """

    betas: np.ndarray
    steps: np.ndarray

    @property
    def n_rungs(self) -> int:
        """Number of steps from the proposal to the posterior, L."""
        return len(self.betas) - 1

    def resized(self, n_rungs: int) -> Ladder:
        """Return a ladder of another number of steps, spaced like this one."""
        at = np.linspace(0.0, self.n_rungs, n_rungs + 1)
        every = np.arange(self.n_rungs + 1)
        betas = np.interp(at, every, self.betas)
        betas[0], betas[-1] = 0.0, 1.0
        return Ladder(betas, np.interp(betas, self.betas, self.steps))


@dataclass(frozen=True)
class AnnealedPoints:
    """Points of a topology on their way from the proposal to the posterior.

    Attributes
    ----------
    points : Points
    log_likelihoods : ndarray, shape (M,)
    log_ratios : ndarray, shape (M,)
        Log of p / q.
    """

    points: Points
    log_likelihoods: np.ndarray
    log_ratios: np.ndarray

    def take(self, index: np.ndarray) -> AnnealedPoints:
        """Return some of the points."""
        return AnnealedPoints(
            self.points.take(index), self.log_likelihoods[index], self.log_ratios[index]
        )


class Bridge:
    """The densities between the proposal and the posterior of a topology.

    Parameters
    ----------
    target : JointTarget
    tree : Tree
        The topology.
    proposal : TopologyProposal
    normals : ParameterNormals
    """

    def __init__(
        self,
        target: JointTarget,
        tree: Tree,
        proposal: TopologyProposal,
        normals: ParameterNormals,
    ):
        self.target = target
        self.tree = tree
        self.proposal = proposal
        self.normals = normals

    def start(self, n: int, rng: np.random.Generator) -> AnnealedPoints:
        """Draw n points from the proposal."""
        return self._weighted(self.proposal.draw_points(n, self.normals, rng))

    def move(
        self, at: AnnealedPoints, beta: float, step: float, rng: np.random.Generator
    ) -> tuple[AnnealedPoints, float]:
        """Move points by a Metropolis step; return them and the accepted share.

        The density q^(1 - beta) p^beta is invariant. Half of the points move by shorter steps, of
        random size: a point where q is too small by far (p / q large) can leave it by short steps
        alone.
        """
        n = len(at.log_ratios)
        sizes = step * np.exp(-rng.exponential(size=n) * (rng.random(n) < 0.5))
        moved = self._weighted(self.proposal.move(at.points, sizes, self.normals, rng))
        with np.errstate(invalid="ignore"):
            log_odds = beta * (moved.log_ratios - at.log_ratios)
        impossible = np.isneginf(moved.log_ratios)
        accepted = (np.log(rng.random(len(log_odds))) < log_odds) & ~impossible
        accepted |= np.isneginf(at.log_ratios) & ~impossible
        after = AnnealedPoints(
            moved.points.where(accepted, at.points),
            np.where(accepted, moved.log_likelihoods, at.log_likelihoods),
            np.where(accepted, moved.log_ratios, at.log_ratios),
        )
        return after, float(accepted.mean())

    def draw(
        self, n: int, ladder: Ladder, rng: np.random.Generator
    ) -> tuple[AnnealedPoints, np.ndarray]:
        """Draw n points with log weights (n,), whose mean weight is the integral of p."""
        at = self.start(n, rng)
        log_weights = ladder.betas[1] * at.log_ratios
        for j in range(1, ladder.n_rungs):
            at, _ = self.move(at, ladder.betas[j], ladder.steps[j], rng)
            log_weights = log_weights + (ladder.betas[j + 1] - ladder.betas[j]) * at.log_ratios
        return at, log_weights

    def _weighted(self, points: Points) -> AnnealedPoints:
        log_likelihoods, log_densities = self.target.log_densities(self.tree, points.coordinates)
        return AnnealedPoints(points, log_likelihoods, log_densities - points.log_density)


def found_ladder(
    bridges: Sequence[Bridge],
    n_each: int,
    rng: np.random.Generator,
    late: Callable[[], bool] = lambda: False,
) -> tuple[Ladder, list[AnnealedPoints]] | None:
    """Find a ladder for several topologies together.

    Parameters
    ----------
    bridges : sequence of Bridge
        Of the topologies.
    n_each : int
        Points of each.
    rng : numpy.random.Generator
    late : callable
        Whether there is no time left.

    Returns
    -------
    ladder : Ladder
    clouds : list of AnnealedPoints
        Points of each topology, nearly draws from its posterior.

    None if time ran out, or no point has a posterior density.
    """
    clouds = [bridge.start(n_each, rng) for bridge in bridges]
    betas, steps = [0.0], [1.0]
    choice = 0  # of the step sizes
    while betas[-1] < 1.0:
        ratios = np.array([cloud.log_ratios for cloud in clouds])
        if late() or len(betas) > MOST_RUNGS or np.any(np.all(np.isneginf(ratios), axis=1)):
            return None
        rise = _rise(ratios, 1.0 - betas[-1])
        for i, cloud in enumerate(clouds):
            chosen = systematic_resample(_weights(rise * ratios[i]), n_each, rng)
            clouds[i] = cloud.take(chosen)
        betas.append(betas[-1] + rise if rise < 1.0 - betas[-1] else 1.0)
        tried: dict[int, float] = {}
        for _ in range(SWEEPS):
            clouds, accepted = _moved(bridges, clouds, betas[-1], STEP_SIZES[choice], rng)
            tried[choice] = accepted * STEP_SIZES[choice] ** 2
            choice = _next_choice(tried)
        choice = max(tried, key=lambda i: tried[i])
        steps.append(STEP_SIZES[choice])
    return Ladder(np.array(betas), np.array(steps)), clouds


def _moved(
    bridges: Sequence[Bridge],
    clouds: Sequence[AnnealedPoints],
    beta: float,
    step: float,
    rng: np.random.Generator,
) -> tuple[list[AnnealedPoints], float]:
    """Move all points once; return them and the mean share that was accepted."""
    results = [
        bridge.move(cloud, beta, step, rng) for bridge, cloud in zip(bridges, clouds, strict=True)
    ]
    return [cloud for cloud, _ in results], float(np.mean([share for _, share in results]))


def _next_choice(tried: dict[int, float]) -> int:
    """The step size to try next: the best one, or a neighbour that was not tried."""
    best = max(tried, key=lambda i: tried[i])
    for neighbour in (best + 1, best - 1):
        if 0 <= neighbour < len(STEP_SIZES) and neighbour not in tried:
            return neighbour
    return best


def _weights(log_weights: np.ndarray) -> np.ndarray:
    return np.exp(log_weights - log_weights.max())


def _rise(ratios: np.ndarray, most: float) -> float:
    """The rise of beta after which `KEPT_SHARE` of equal points is effective, at most ``most``.

    ``ratios`` (B, n) are the log ratios of the points of B topologies. Points without a posterior
    density, which any rise removes, do not count.
    """
    possible = (~np.isneginf(ratios)).sum(axis=1)

    def kept(rise: float) -> float:
        scaled = rise * ratios
        relative = np.exp(scaled - np.asarray(logsumexp(scaled, axis=1))[:, None])
        return 1.0 / float(((relative**2).sum(axis=1) * possible).mean())

    if kept(most) >= KEPT_SHARE:
        return most
    low, high = math.log(1e-9), math.log(most)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if kept(math.exp(middle)) >= KEPT_SHARE:
            low = middle
        else:
            high = middle
    return math.exp(low)
