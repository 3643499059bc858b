"""Experience for training: tempered walks over topologies from several over-dispersed starts.

Replicas stand at the rungs of a temperature ladder and exchange neighbours (parallel tempering, Geyer
1991); several rungs are at temperature 1 and started apart, so that their agreement is a diagnostic.
All that a walk evaluates goes into the `TopologyTable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.kernels import pruning_numba
from phylogfn.kernels.topology_numba import children_batch
from phylogfn.kernels.walk_numba import walk

if TYPE_CHECKING:
    from phylogfn.evidence import CollapsedReward
    from phylogfn.topologies import TopologyTable

__all__ = ["LADDER", "Replica", "Walkers"]

LADDER = (1.0, 1.0, 1.0, 1.0, 1.2, 1.45, 1.75, 2.1)
BLOCK = 40  # steps between exchanges


@dataclass
class Replica:
    """One tree of the ladder: parents, children, lengths, shapes (as kernels take them), log R, row."""

    parent: np.ndarray
    children: np.ndarray
    lengths: np.ndarray
    shapes: np.ndarray
    log_evidence: float
    row: int


class Walkers:
    """All replicas, and the table that they fill.

    Parameters
    ----------
    reward : CollapsedReward
    table : TopologyTable
    starts : ndarray, shape (len(LADDER), 2n-2), int16
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        reward: CollapsedReward,
        table: TopologyTable,
        starts: np.ndarray,
        rng: np.random.Generator,
    ):
        self.reward = reward
        self.table = table
        self.rng = rng
        self.steps = 0
        like = reward.likelihood
        fit = reward.closed_form(starts)
        rows = table.add(starts, fit.lengths, fit.log_evidence)
        children = children_batch(starts)
        self.replicas = [
            Replica(
                starts[i].astype(np.int32),
                children[i],
                fit.lengths[i],
                fit.shapes[i],
                float(fit.log_evidence[i]),
                int(rows[i]),
            )
            for i in range(len(starts))
        ]
        n_tiles = like.data_arrays.weights.size // pruning_numba.T
        self._spaces = [
            pruning_numba.workspace(
                2 * like.n_taxa - 2,
                like.model_arrays.rates.size,
                like.model_arrays.freqs.size,
                like.model_arrays.kind,
                like.rescale,
                n_tiles,
            )
            for _ in range(len(starts))
        ]

    def _walk(self, i: int, seed: int):
        like = self.reward.likelihood
        replica = self.replicas[i]
        width = replica.parent.size
        kept = np.empty((BLOCK, width), np.int16)
        kept_lengths = np.empty((BLOCK, width), np.float32)
        kept_evidence = np.empty(BLOCK)
        visited = np.empty(BLOCK, np.int32)
        n_kept, replica.log_evidence, evaluations = walk(
            like.model_arrays,
            like.data_arrays,
            self.reward.branch_rate,
            replica.parent,
            replica.children,
            replica.lengths,
            replica.shapes,
            replica.log_evidence,
            LADDER[i],
            BLOCK,
            seed,
            like.rescale,
            self._spaces[i],
            kept,
            kept_lengths,
            kept_evidence,
            visited,
        )
        return kept[:n_kept], kept_lengths[:n_kept], kept_evidence[:n_kept], visited, evaluations

    def block(self, count_visits: bool) -> np.ndarray:
        """Walk `BLOCK` steps with every replica, exchange neighbours.

        Returns
        -------
        ndarray, shape (number of rungs at temperature 1, BLOCK), int64
            Rows of the table on which each stood after each step.
        """
        seeds = self.rng.integers(2**31, size=len(self.replicas))
        trail = []
        for i, done in enumerate(
            self.reward.pool.map(self._walk, range(len(self.replicas)), seeds)
        ):
            parents, lengths, evidence, visited, evaluations = done
            self.reward.evaluations += evaluations
            rows = self.table.add(parents, lengths, evidence)
            replica = self.replicas[i]
            stood = np.where(visited < 0, replica.row, rows[visited] if rows.size else 0)
            replica.row = int(stood[-1])
            if LADDER[i] == 1.0:
                trail.append(stood)
                if count_visits:
                    np.add.at(self.table.visits, stood, 1)
        self.steps += BLOCK * len(self.replicas)
        for i in range(len(LADDER) - 1):
            a, b = self.replicas[i], self.replicas[i + 1]
            gain = (a.log_evidence - b.log_evidence) * (1.0 / LADDER[i + 1] - 1.0 / LADDER[i])
            if np.log(self.rng.random()) < gain:
                self.replicas[i], self.replicas[i + 1] = b, a
        return np.array(trail)
