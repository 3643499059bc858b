"""Importance draws of parameters and branch lengths for the topologies of a posterior.

The exact peaks of the most probable topologies (`phylogfn.likelihood.joint.target`) are the
anchors; another topology takes the correlations of the anchor that has most splits in common with
it, and its own mode. Pilot draws fit the normals of the parameters and choose between proposals;
they never enter an estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from phylogfn.likelihood.integrals import LengthDraws
from phylogfn.likelihood.joint.annealing import AnnealedPoints, Bridge
from phylogfn.likelihood.joint.proposal import (
    FEWEST_EFFECTIVE,
    ParameterNormals,
    TopologyProposal,
    shrunken_mean,
)
from phylogfn.likelihood.joint.target import JointTarget
from phylogfn.trees.tree import Tree, node_splits

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.models import ModelSpec

__all__ = ["PILOT_ROUNDS", "ROUND_DRAWS", "JointDraws"]

MOST_ANCHORS = 12
PILOT_ROUNDS = 5
ROUND_DRAWS = 600  # of a round


class JointDraws:
    """Draws of the parameters and lengths of topologies, and their weights.

    Parameters
    ----------
    spec : ModelSpec
    reward : CollapsedReward
        At ``theta``.
    theta : ndarray, shape (d,)
        Near the mode of the parameters given the first of the topologies.
    table : TopologyTable
    """

    method, rungs = "joint", 1

    def __init__(
        self, spec: ModelSpec, reward: CollapsedReward, theta: np.ndarray, table: TopologyTable
    ):
        self.target = JointTarget(spec, reward, theta)
        self.table = table
        self.normals = ParameterNormals.unfitted(len(theta))
        self._anchors: dict[int, tuple[TopologyProposal, dict[int, int]]] = {}

    def anchor(
        self,
        rows: np.ndarray,
        late: Callable[[], bool] = lambda: False,
        seconds: float = math.inf,
        too_late: Callable[[], bool] = lambda: False,
    ) -> None:
        """Find the peaks of the topologies in ``rows``, the first at least, until ``late()``.

        Where a peak would take more than ``seconds``, that of the first has no correlations between
        branches, and there are no others. The steps towards the first peak, without which no draw
        is of use, go on until ``too_late()``.
        """
        for row in rows[:MOST_ANCHORS].tolist():
            if self._anchors and late():
                return
            trees, mode, shapes = self._modes(np.array([row]))
            simple = self.target.seconds_a_peak(trees[0], mode[0])[0] > seconds
            if self._anchors and simple:
                return
            skews = None
            if simple:
                peak = self.target.peak(trees[0], mode[0], shapes[0])
            else:
                peak = self.target.climbed(trees[0], mode[0], late if self._anchors else too_late)
                skews = self.target.skews(trees[0], peak)
            proposal = TopologyProposal.of_peak(
                peak, self.target.are_shares, self.target.bounds, skews
            )
            self._anchors[row] = (proposal, _branches(trees[0]))

    def fit(
        self,
        rows: np.ndarray,
        rng: np.random.Generator,
        late: Callable[[], bool] = lambda: False,
        n_draws: int = ROUND_DRAWS,
    ) -> None:
        """Fit the normals of the parameters to pilot draws for some topologies.

        There are `PILOT_ROUNDS` rounds of ``n_draws`` at most.

        The draws of all rounds count, weighted by the mean of the densities that they were drawn
        with (adaptive multiple importance sampling, Cornuet et al. 2012, Scand J Stat 39:798-812).
        """
        each = max(n_draws // len(rows), 2)
        rounds: list[list[AnnealedPoints]] = []
        used: list[list[Bridge]] = []
        for _ in range(PILOT_ROUNDS):
            if late():
                return
            used.append(self.bridges(rows))
            rounds.append([bridge.start(each, rng) for bridge in used[-1]])
            whitened, weights = [], []
            for i in range(len(rows)):
                log_weights = []
                for drawn in rounds:
                    points = drawn[i].points
                    log_density = drawn[i].log_ratios + points.log_density
                    log_q = [own[i].proposal.log_density_of(points, own[i].normals) for own in used]
                    log_weights.append(log_density - np.asarray(logsumexp(np.array(log_q), axis=0)))
                joined = np.concatenate(log_weights)
                weights.append(np.exp(joined - logsumexp(joined)))
                whitened.append(np.concatenate([drawn[i].points.whitened for drawn in rounds]))
            self.refit(rows, whitened, weights)

    def refit(
        self,
        rows: np.ndarray,
        whitened: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
        ess: float | None = None,
    ) -> None:
        """Fit the normals of the parameters, and the means of the lengths of each anchor.

        Parameters
        ----------
        rows : ndarray, shape (B,)
        whitened : sequence of ndarray, shape (M, D)
            Draws of each of the topologies.
        weights : sequence of ndarray, shape (M,)
            Their weights, with sum 1.
        ess : float, optional
            Effective number of draws of each topology, if it is not that of the weights.
        """
        fitted = self.target.n_parameters + 1
        centred = [part.copy() for part in whitened]
        for part, row, weight in zip(centred, rows.tolist(), weights, strict=True):
            effective = 1.0 / float(weight @ weight) if ess is None else ess
            if row not in self._anchors or effective < FEWEST_EFFECTIVE:
                continue
            proposal, branches = self._anchors[row]
            shift = shrunken_mean(weight @ part[:, fitted:], effective)
            part[:, fitted:] -= shift
            self._anchors[row] = (proposal.shifted(shift), branches)
        self.normals = ParameterNormals.fitted(
            np.concatenate(centred),
            self.target.n_parameters,
            np.concatenate(weights),
            None if ess is None else ess * len(rows),
        )

    def mean_correction(
        self, row: np.ndarray, n_draws: int, rng: np.random.Generator, seconds: float = math.inf
    ) -> float | None:
        """Return a first estimate of the log correction from draws for one topology, (1,).

        None if it would take more than about ``seconds``.
        """
        trees, mode, _ = self._modes(row)
        if self.target.seconds_a_peak(trees[0], mode[0])[1] > seconds:
            return None
        end = time.perf_counter() + seconds
        self.anchor(row, seconds=seconds, too_late=lambda: time.perf_counter() > end)
        log_weights = self.draw(row, n_draws, rng).log_weights
        mean = float(np.asarray(logsumexp(log_weights))) - np.log(n_draws)
        return mean - float(self.table.log_evidence[row[0]])

    def draw(self, rows: np.ndarray, n_draws: int, rng: np.random.Generator) -> LengthDraws:
        """Draw for topologies.

        Parameters
        ----------
        rows : ndarray, shape (B,)
            Rows of the table, equal ones together.
        n_draws : int
            M, for each.
        rng : numpy.random.Generator
        """
        starts = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
        counts = np.diff(np.append(starts, len(rows)))
        drawn = [
            bridge.start(int(count) * n_draws, rng)
            for bridge, count in zip(self.bridges(rows[starts]), counts, strict=True)
        ]
        joined = np.concatenate([at.points.coordinates for at in drawn])
        shape = (len(rows), n_draws)
        d = self.target.n_parameters
        return LengthDraws(
            np.concatenate([at.log_ratios for at in drawn]).reshape(shape),
            np.concatenate([at.log_likelihoods for at in drawn]).reshape(shape),
            self.target.lengths(joined[:, d:]).reshape(*shape, -1),
            self.target.thetas(joined).reshape(*shape, d),
        )

    def bridges(self, rows: np.ndarray) -> list[Bridge]:
        """Return the densities between proposal and posterior of topologies in distinct rows."""
        trees, modes, shapes = self._modes(rows)
        proposals = [
            self._proposal(row, trees[i], modes[i], shapes[i])
            for i, row in enumerate(rows.tolist())
        ]
        return [
            Bridge(self.target, tree, proposal, self.normals)
            for tree, proposal in zip(trees, proposals, strict=True)
        ]

    def _modes(self, rows: np.ndarray) -> tuple[list[Tree], np.ndarray, np.ndarray]:
        """Trees, modes (B, D) and conditional shapes (B, D) at fixed parameters."""
        parents = self.table.parents[rows]
        fit = self.target.reward.closed_form(parents, self.table.lengths[rows])
        d = self.target.n_parameters
        phi = np.repeat((self.target.to_phi @ self.target.theta)[None], len(rows), axis=0)
        modes = np.hstack([phi, np.log(fit.lengths[:, 1:])])
        shapes = np.hstack([np.ones((len(rows), d)), fit.shapes[:, 1:]])
        return [Tree.from_parents(row) for row in parents], modes, shapes

    def _proposal(
        self, row: int, tree: Tree, mode: np.ndarray, shapes: np.ndarray
    ) -> TopologyProposal:
        """The proposal of a topology: its own, or that of an anchor with its mode."""
        if row in self._anchors:
            return self._anchors[row][0]
        d = self.target.n_parameters
        branches = _branches(tree)
        proposal, others = max(
            self._anchors.values(), key=lambda anchor: len(branches.keys() & anchor[1].keys())
        )
        common = sorted(branches.keys() & others.keys())
        own = np.array([d + branches[split] for split in common])
        same = np.array([d + others[split] for split in common])
        moved = np.concatenate([proposal.mode[:d], mode[d:]])
        return proposal.transferred(moved, shapes, own, same)


def _branches(tree: Tree) -> dict[int, int]:
    """Split of each branch, and its position among the 2n-3."""
    return {split: node - 1 for node, split in enumerate(node_splits(tree)) if node > 0}
