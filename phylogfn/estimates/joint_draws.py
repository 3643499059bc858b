"""Importance draws of parameters and branch lengths for the topologies of a posterior.

The exact peaks of the most probable topologies (`phylogfn.likelihood.joint_target`) are the
anchors; another topology takes the correlations of the anchor that has most splits in common with
it, and its own mode. Pilot draws fit the normals of the parameters and choose between proposals;
they never enter an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import logsumexp

from phylogfn.likelihood.integrals import LengthDraws
from phylogfn.likelihood.joint_proposal import ParameterNormals, TopologyProposal
from phylogfn.likelihood.joint_target import JointTarget
from phylogfn.trees.tree import Tree, node_splits

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.models import ModelSpec

__all__ = ["PILOT_ROUNDS", "ROUND_DRAWS", "JointDraws"]

MOST_ANCHORS = 12
PILOT_ROUNDS = 5
ROUND_DRAWS = 600  # of a round


class _Drawn(NamedTuple):
    """Draws for several topologies; entries are lists of arrays, one of each topology."""

    proposals: list[TopologyProposal]
    coordinates: list[np.ndarray]
    whitened: list[np.ndarray]
    log_likelihoods: list[np.ndarray]
    log_densities: list[np.ndarray]
    log_weights: list[np.ndarray]


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

    def __init__(
        self, spec: ModelSpec, reward: CollapsedReward, theta: np.ndarray, table: TopologyTable
    ):
        self.target = JointTarget(spec, reward, theta)
        self.table = table
        self.normals = ParameterNormals.unfitted(len(theta))
        self._anchors: dict[int, tuple[TopologyProposal, dict[int, int]]] = {}

    def anchor(
        self, rows: np.ndarray, late: Callable[[], bool] = lambda: False, seconds: float = math.inf
    ) -> None:
        """Find the peaks of the topologies in ``rows``, the first at least, until ``late()``.

        Where a peak would take more than ``seconds``, that of the first has no correlations between
        branches, and there are no others.
        """
        for row in rows[:MOST_ANCHORS].tolist():
            if self._anchors and late():
                return
            trees, mode, shapes = self._modes(np.array([row]))
            simple = self.target.seconds_a_peak(trees[0], mode[0]) > seconds
            if self._anchors and simple:
                return
            peak = self.target.peak(trees[0], mode[0], shapes[0] if simple else None)
            proposal = TopologyProposal.of_peak(peak, self.target.are_shares)
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
        if self.target.n_parameters == 0:
            return
        each = np.full(len(rows), max(n_draws // len(rows), 2))
        used = [self.normals]
        rounds: list[_Drawn] = []
        for _ in range(PILOT_ROUNDS):
            if late():
                return
            rounds.append(self._draw(rows, each, rng))
            weights = []
            for i in range(len(rows)):
                points = np.concatenate([drawn.coordinates[i] for drawn in rounds])
                log_density = np.concatenate([drawn.log_densities[i] for drawn in rounds])
                proposal = rounds[0].proposals[i]
                log_q = [proposal.log_density(points, normals) for normals in used]
                log_weights = log_density - np.asarray(logsumexp(np.array(log_q), axis=0))
                weights.append(np.exp(log_weights - logsumexp(log_weights)))
            whitened = [
                np.concatenate([drawn.whitened[i] for drawn in rounds]) for i in range(len(rows))
            ]
            self.normals = ParameterNormals.fitted(
                np.concatenate(whitened), np.concatenate(weights)
            )
            used.append(self.normals)

    def mean_correction(self, row: np.ndarray, n_draws: int, rng: np.random.Generator) -> float:
        """Return a first estimate of the log correction from draws for one topology, (1,)."""
        self.anchor(row)
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
        drawn = self._draw(rows[starts], counts * n_draws, rng)
        joined = np.concatenate(drawn.coordinates)
        shape = (len(rows), n_draws)
        d = self.target.n_parameters
        return LengthDraws(
            np.concatenate(drawn.log_weights).reshape(shape),
            np.concatenate(drawn.log_likelihoods).reshape(shape),
            self.target.lengths(joined[:, d:]).reshape(*shape, -1),
            self.target.thetas(joined).reshape(*shape, d),
        )

    def _draw(self, rows: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> _Drawn:
        """Draw for distinct topologies, so many times each."""
        trees, modes, shapes = self._modes(rows)
        drawn = _Drawn([], [], [], [], [], [])
        for i, row in enumerate(rows.tolist()):
            proposal = self._proposal(row, trees[i], modes[i], shapes[i])
            coordinates, log_q, whitened = proposal.draw(int(counts[i]), self.normals, rng)
            log_likelihoods, log_densities = self.target.log_densities(trees[i], coordinates)
            drawn.proposals.append(proposal)
            drawn.coordinates.append(coordinates)
            drawn.whitened.append(whitened)
            drawn.log_likelihoods.append(log_likelihoods)
            drawn.log_densities.append(log_densities)
            drawn.log_weights.append(log_densities - log_q)
        return drawn

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
