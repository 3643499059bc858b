"""Experience for training: tempered walks over topologies from several over-dispersed starts.

Replicas stand at the rungs of a temperature ladder and exchange neighbours (parallel tempering,
Geyer 1991); several rungs are at temperature 1 and started apart, so that their agreement is a
diagnostic. All that a walk evaluates goes into the `TopologyTable`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.kernels import pruning_numba
from phylogfn.kernels.topology_numba import children_batch
from phylogfn.kernels.walk_numba import walk

if TYPE_CHECKING:
    from phylogfn.evidence import Collapsed, CollapsedReward
    from phylogfn.topologies import TopologyTable

__all__ = ["BLOCK", "LADDER", "Block", "Replica", "Walkers"]

LADDER = (1.0, 1.0, 1.0, 1.0, 1.2, 1.45, 1.75, 2.1)
BLOCK = 40  # steps between exchanges
EVALUATIONS_A_STEP = 12.0  # evaluations of a whole tree that a step takes as long as, about


@dataclass
class Replica:
    """One tree of the ladder, as the kernels take it.

    Attributes
    ----------
    parent, children, lengths, shapes : ndarray
        The tree at its mode, drawn at taxon 0.
    log_evidence : float
        Closed form of log R.
    row : int
        Its row in the table.
    """

    parent: np.ndarray
    children: np.ndarray
    lengths: np.ndarray
    shapes: np.ndarray
    log_evidence: float
    row: int


@dataclass(frozen=True)
class Block:
    """What one replica did in a block of steps: kept trees, and on which of them it stood.

    Attributes
    ----------
    replica : Replica
    temperature : float
    parents, lengths, log_evidence : ndarray
        See `phylogfn.kernels.walk_numba.walk`.
    visited : ndarray, shape (steps,), int32
    evaluations : int
    """

    replica: Replica
    temperature: float
    parents: np.ndarray
    lengths: np.ndarray
    log_evidence: np.ndarray
    visited: np.ndarray
    evaluations: int


class Walkers:
    """The replicas of the ladder.

    Parameters
    ----------
    reward : CollapsedReward
    replicas : sequence of Replica
        One a rung of `LADDER`.
    rng : numpy.random.Generator

    Attributes
    ----------
    steps : int
        Of all replicas so far.
    block : int
        Steps between exchanges, `BLOCK` unless these take too long (`keep_pace`).
    """

    def __init__(
        self, reward: CollapsedReward, replicas: Sequence[Replica], rng: np.random.Generator
    ):
        self.reward = reward
        self.replicas = list(replicas)
        self.rng = rng
        self.steps = 0
        self.block = BLOCK
        like = reward.likelihood
        self._spaces = [
            pruning_numba.workspace(
                2 * like.n_taxa - 2,
                like.model_arrays.rates.size,
                like.model_arrays.freqs.size,
                like.model_arrays.kind,
                like.rescale,
                like.data_arrays.weights.size // pruning_numba.T,
            )
            for _ in self.replicas
        ]

    @classmethod
    def start(
        cls,
        reward: CollapsedReward,
        table: TopologyTable,
        starts: np.ndarray,
        rng: np.random.Generator,
        fit: Collapsed | None = None,
    ) -> Walkers:
        """Put a replica on each of the topologies ``starts`` (len(LADDER), 2n-2), int16.

        ``fit`` are their closed forms, if known.
        """
        fit = reward.closed_form(starts) if fit is None else fit
        rows = table.add(starts, fit.lengths, fit.log_evidence)
        children = children_batch(starts)
        replicas = [
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
        return cls(reward, replicas, rng)

    def keep_pace(self, seconds: float, seconds_an_evaluation: float, threads: int) -> bool:
        """Make blocks so short that a round of them takes some seconds at most, about.

        Parameters
        ----------
        seconds : float
        seconds_an_evaluation : float
            That a likelihood of a whole tree with its derivatives takes one thread.
        threads : int

        Returns
        -------
        bool
            Whether they are shorter than `BLOCK`.
        """
        a_step = EVALUATIONS_A_STEP * seconds_an_evaluation * len(self.replicas) / threads
        self.block = max(1, min(BLOCK, int(seconds / max(a_step, 1e-9))))
        return self.block < BLOCK

    def _walk(self, i: int, seed: int) -> Block:
        like, length = self.reward.likelihood, self.block
        replica = self.replicas[i]
        width = replica.parent.size
        kept = np.empty((length, width), np.int16)
        kept_lengths = np.empty((length, width), np.float32)
        kept_evidence = np.empty(length)
        visited = np.empty(length, np.int32)
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
            length,
            seed,
            like.rescale,
            self._spaces[i],
            kept,
            kept_lengths,
            kept_evidence,
            visited,
        )
        return Block(
            replica,
            LADDER[i],
            kept[:n_kept],
            kept_lengths[:n_kept],
            kept_evidence[:n_kept],
            visited,
            evaluations,
        )

    def run(
        self, n_blocks: int, parallel: bool = True, until: Callable[[], bool] | None = None
    ) -> list[Block]:
        """Walk blocks with every replica, and exchange neighbours after each.

        Nothing but the replicas is changed, so this may run beside the training; `absorb` what it
        returns. ``parallel``: use the threads of the reward's pool, otherwise this thread alone.
        ``until``: asked after each round of blocks; they end where it says so.
        """
        blocks: list[Block] = []
        for _ in range(n_blocks):
            if blocks and until is not None and until():
                break
            seeds = self.rng.integers(2**31, size=len(self.replicas))
            rungs = range(len(self.replicas))
            blocks += (self.reward.pool.map if parallel else map)(self._walk, rungs, seeds)
            self._exchange()
        return blocks

    def _exchange(self) -> None:
        for i in range(len(LADDER) - 1):
            a, b = self.replicas[i], self.replicas[i + 1]
            gain = (a.log_evidence - b.log_evidence) * (1.0 / LADDER[i + 1] - 1.0 / LADDER[i])
            if np.log(self.rng.random()) < gain:
                self.replicas[i], self.replicas[i + 1] = b, a

    def absorb(self, blocks: Sequence[Block], table: TopologyTable, count_visits: bool) -> None:
        """Put what was walked into the table, in order; count the visits at temperature 1."""
        for block in blocks:
            self.steps += block.visited.size
            self.reward.evaluations += block.evaluations
            rows = table.add(block.parents, block.lengths, block.log_evidence)
            replica = block.replica
            stood = np.full(block.visited.size, replica.row)
            if rows.size:
                stood = np.where(block.visited < 0, replica.row, rows[block.visited])
            replica.row = int(stood[-1])
            if count_visits and block.temperature == 1.0:
                np.add.at(table.visits, stood, 1)

    def state(self) -> dict[str, np.ndarray]:
        """The replicas as arrays, for a checkpoint."""
        names = ("parent", "children", "lengths", "shapes", "log_evidence", "row")
        return {name: np.array([getattr(r, name) for r in self.replicas]) for name in names}

    @staticmethod
    def replicas_of_state(state: dict[str, np.ndarray]) -> list[Replica]:
        """The replicas that `state` described."""
        return [
            Replica(
                state["parent"][i].copy(),
                state["children"][i].copy(),
                state["lengths"][i].copy(),
                state["shapes"][i].copy(),
                float(state["log_evidence"][i]),
                int(state["row"][i]),
            )
            for i in range(len(state["parent"]))
        ]
