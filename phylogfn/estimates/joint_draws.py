"""Importance draws of parameters and branch lengths for the topologies of a posterior.

The exact peaks of the most probable topologies (`phylogfn.likelihood.joint_target`) are the
anchors; another topology takes the correlations of the anchor that has most splits in common with
it, and its own mode. Pilot draws fit the normals of the parameters and choose between proposals;
they never enter an estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.kernels.topology_numba import children_batch
from phylogfn.likelihood.integrals import LengthDraws
from phylogfn.likelihood.joint_proposal import ParameterNormals, TopologyProposal
from phylogfn.likelihood.joint_target import JointTarget
from phylogfn.trees.tree import Tree, node_splits

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.models import ModelSpec

__all__ = ["JointDraws"]

MOST_ANCHORS = 12
PILOT_ROUNDS = 2
PILOT_DRAWS = 400  # of a round


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

    def anchor(self, rows: np.ndarray, late: Callable[[], bool]) -> None:
        """Find the peaks of the topologies in ``rows``, the first at least, until ``late()``."""
        for row in rows[:MOST_ANCHORS].tolist():
            if self._anchors and late():
                return
            parents, children, mode, _ = self._modes(np.array([row]))
            peak = self.target.peak(children[0], mode[0])
            proposal = TopologyProposal.of_peak(peak, self.target.n_parameters)
            self._anchors[row] = (proposal, _branches(parents[0]))

    def fit(self, rows: np.ndarray, rng: np.random.Generator, late: Callable[[], bool]) -> None:
        """Fit the normals of the parameters to pilot draws for some topologies."""
        if self.target.n_parameters == 0:
            return
        each = max(PILOT_DRAWS // len(rows), 2)
        for _ in range(PILOT_ROUNDS):
            if late():
                return
            whitened, log_weights = self._draw(rows, np.full(len(rows), each), rng)[3:]
            parts = [np.exp(w - w.max()) for w in log_weights]
            weights = np.concatenate([w / w.sum() for w in parts])
            self.normals = ParameterNormals.fitted(np.concatenate(whitened), weights)

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
        distinct, counts = np.unique(rows, return_counts=True)
        coordinates, log_likelihoods, _, _, log_weights = self._draw(
            distinct, counts * n_draws, rng
        )
        joined = np.concatenate(coordinates)
        shape = (len(rows), n_draws)
        d = self.target.n_parameters
        return LengthDraws(
            np.concatenate(log_weights).reshape(shape),
            np.concatenate(log_likelihoods).reshape(shape),
            self.target.lengths(joined[:, d:]).reshape(*shape, -1),
            self.target.thetas(joined).reshape(*shape, d),
        )

    def _draw(
        self, rows: np.ndarray, counts: np.ndarray, rng: np.random.Generator
    ) -> tuple[list[np.ndarray], ...]:
        """Coordinates, log likelihoods, log densities, whitened scores, log weights, by row."""
        _, children, modes, shapes = self._modes(rows)
        found: list[tuple[np.ndarray, ...]] = []
        for i, row in enumerate(rows.tolist()):
            proposal = self._proposal(row, modes[i], shapes[i])
            x, log_q, whitened = proposal.draw(int(counts[i]), self.normals, rng)
            log_likelihood, log_density = self.target.log_densities(children[i], x)
            found.append((x, log_likelihood, log_density, whitened, log_density - log_q))
        return tuple(list(part) for part in zip(*found, strict=True))

    def _modes(
        self, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Parents, children, modes (B, D) and conditional shapes (B, D) at fixed parameters."""
        parents = self.table.parents[rows]
        fit = self.target.reward.closed_form(parents, self.table.lengths[rows])
        d = self.target.n_parameters
        phi = np.repeat((self.target.to_phi @ self.target.theta)[None], len(rows), axis=0)
        modes = np.hstack([phi, np.log(fit.lengths[:, 1:])])
        shapes = np.hstack([np.ones((len(rows), d)), fit.shapes[:, 1:]])
        return parents, children_batch(parents), modes, shapes

    def _proposal(self, row: int, mode: np.ndarray, shapes: np.ndarray) -> TopologyProposal:
        """The proposal of a topology: its own, or that of an anchor with its mode."""
        if row in self._anchors:
            return self._anchors[row][0]
        d = self.target.n_parameters
        branches = _branches(self.table.parents[row])
        proposal, others = max(
            self._anchors.values(), key=lambda anchor: len(branches.keys() & anchor[1].keys())
        )
        common = sorted(branches.keys() & others.keys())
        own = np.array([d + branches[split] for split in common])
        same = np.array([d + others[split] for split in common])
        moved = np.concatenate([proposal.mode[:d], mode[d:]])
        return proposal.transferred(moved, shapes, own, same)


def _branches(parents: np.ndarray) -> dict[int, int]:
    """Split of each branch, and its position among the 2n-3."""
    splits = node_splits(Tree.from_parents(parents.astype(np.int32)))
    return {split: node - 1 for node, split in enumerate(splits) if node > 0}
