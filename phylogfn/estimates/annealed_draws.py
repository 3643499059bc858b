"""Annealed importance draws of parameters and branch lengths for the topologies of a posterior.

Where one importance step from the proposals of `phylogfn.estimates.joint_draws` has weights with a
heavy tail, draws are moved along a ladder of densities from the proposal to the posterior
(`phylogfn.likelihood.joint.annealing`). The population that finds the ladder is nearly a sample of
the posterior, so the normals of the parameters are fitted to it before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.likelihood.integrals import LengthDraws
from phylogfn.likelihood.joint.annealing import Ladder, found_ladder

if TYPE_CHECKING:
    from phylogfn.estimates.joint_draws import JointDraws

__all__ = ["AnnealedDraws"]

POPULATION = 256  # points that find the ladder, of all topologies together
FEWEST_POINTS = 32  # of each
FIT_SWEEPS = 12  # of moves, after which points are kept for a fit
INDEPENDENT = 0.5  # effective draws of a point: many have a common ancestor


class AnnealedDraws:
    """Draws of the parameters and lengths of topologies, and their weights.

    Parameters
    ----------
    joint : JointDraws
        With anchors; its normals of the parameters are fitted anew by `prepared`.
    ladder : Ladder
    """

    method = "annealed"

    def __init__(self, joint: JointDraws, ladder: Ladder):
        self.joint = joint
        self.ladder = ladder

    @classmethod
    def prepared(
        cls,
        joint: JointDraws,
        rows: np.ndarray,
        rng: np.random.Generator,
        late: Callable[[], bool] = lambda: False,
    ) -> AnnealedDraws | None:
        """Fit the proposal and find a ladder for some topologies; None if time ran out.

        Parameters
        ----------
        joint : JointDraws
        rows : ndarray, shape (B,)
            Distinct.
        rng : numpy.random.Generator
        late : callable
            Whether there is no time left.
        """
        n_each = max(POPULATION // len(rows), FEWEST_POINTS)
        found = found_ladder(joint.bridges(rows), n_each, rng, late)
        if found is None:
            return None
        ladder, clouds = found
        bridges, step = joint.bridges(rows), float(ladder.steps[-1])
        kept: list[list[np.ndarray]] = [[] for _ in bridges]
        for _ in range(FIT_SWEEPS):
            for i, bridge in enumerate(bridges):
                clouds[i], _ = bridge.move(clouds[i], 1.0, step, rng)
                kept[i].append(clouds[i].points.whitened)
            if late():
                return None
        whitened = [np.concatenate(part) for part in kept]
        weights = [np.full(len(part), 1.0 / len(part)) for part in whitened]
        joint.refit(rows, whitened, weights, ess=INDEPENDENT * n_each)
        again = found_ladder(joint.bridges(rows), n_each, rng, late)
        return cls(joint, ladder if again is None else again[0])

    @property
    def rungs(self) -> int:
        """Number of steps of the ladder."""
        return self.ladder.n_rungs

    def with_rungs(self, n_rungs: int) -> AnnealedDraws:
        """Return the same draws on a ladder of another number of steps."""
        return AnnealedDraws(self.joint, self.ladder.resized(n_rungs))

    def draw(self, rows: np.ndarray, n_draws: int, rng: np.random.Generator) -> LengthDraws:
        """Draw for topologies, given by rows (B,) of the table, equal ones together.

        ``n_draws`` is M, for each.
        """
        starts = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
        counts = np.diff(np.append(starts, len(rows)))
        target = self.joint.target
        d = target.n_parameters
        log_weights, log_likelihoods, coordinates = [], [], []
        for bridge, count in zip(self.joint.bridges(rows[starts]), counts, strict=True):
            at, log_w = bridge.draw(int(count) * n_draws, self.ladder, rng)
            log_weights.append(log_w)
            log_likelihoods.append(at.log_likelihoods)
            coordinates.append(at.points.coordinates)
        joined = np.concatenate(coordinates)
        shape = (len(rows), n_draws)
        return LengthDraws(
            np.concatenate(log_weights).reshape(shape),
            np.concatenate(log_likelihoods).reshape(shape),
            target.lengths(joined[:, d:]).reshape(*shape, -1),
            target.thetas(joined).reshape(*shape, d),
        )
