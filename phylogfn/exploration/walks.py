"""Two independent searches for topologies by tempered walks, which provide training data.

Each search has replicas at the rungs of a temperature ladder, which exchange trees with
neighbouring rungs (parallel tempering, Geyer 1991), and scouts: walks that start at a new tree,
cool down (simulated annealing, Kirkpatrick et al. 1983), climb, and restart once they no longer
improve. The number of scouts that end near the best topology indicates whether better ones may
exist. The final tree of a scout is proposed to a replica at temperature 1, so that islands of trees
that no walk connects are nevertheless reached. The searches are independent, so that topologies
found by only one of them indicate how much both may have missed (`phylogfn.exploration.agreement`).
All topologies evaluated by a walk enter the `TopologyTable`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.exploration.starting_trees import StartingTrees
from phylogfn.kernels.topology_numba import children_batch
from phylogfn.kernels.walk_numba import walk

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.likelihood.integrals import Collapsed

__all__ = ["BLOCK", "N_REPLICAS", "N_SEARCHES", "RUNGS", "SCOUTS", "Block", "Replica", "Walkers"]

N_SEARCHES = 2
RUNGS = (1.0, 1.0, 1.3, 1.8)  # temperatures of one search
COLD = RUNGS.count(1.0)  # rungs of temperature 1, the first ones
SCOUTS = 2  # of one search
N_REPLICAS = N_SEARCHES * (len(RUNGS) + SCOUTS)
BLOCK = 40  # steps between exchanges
EVALUATIONS_A_STEP = 15.0  # evaluations of a whole tree that a step takes as long as, about
RISE = 0.1  # nats by which a scout has to rise to go on
COOLING = (10.0, 5.0, 2.5)  # temperatures of a scout before it climbs
COOLING_STEPS = 5.0  # at each of them, times the number of taxa
NEAR = 2.0  # nats below the best topology at which a scout has reached it
PATIENCE = 2.0  # steps without improvement before a scout restarts, times the number of taxa
CLOSE = 10.0  # nats below the ladder at which a scout may be a few moves from another island's top
PATIENCE_CLOSE = 20.0  # of such a scout, in place of `PATIENCE`


@dataclass
class Replica:
    """One tree of a search, in the form used by the kernels.

    Attributes
    ----------
    parent, children, lengths : ndarray
        The tree at its mode, drawn at taxon 0.
    log_evidence : float
        Closed form of log R.
    row : int
        Its row in the table.
    highest : float
        Largest log R since the walk began; only for scouts.
    idle : int
        Steps since the last improvement; only for scouts.
    age : int
        Steps since the walk began; only for scouts.
    """

    parent: np.ndarray
    children: np.ndarray
    lengths: np.ndarray
    log_evidence: float
    row: int
    highest: float = -math.inf
    idle: int = 0
    age: int = 0


@dataclass(frozen=True)
class Block:
    """Result of a block of steps of one replica: stored trees, and the tree of each step.

    Attributes
    ----------
    replica : Replica
    place : int
        Index of the replica among all.
    parents, lengths, log_evidence : ndarray
        See `phylogfn.kernels.walk_numba.walk`.
    visited : ndarray, shape (steps,), int32
        Stored tree of each step; shape (1,) for a starting tree.
    evaluations : int
    """

    replica: Replica
    place: int
    parents: np.ndarray
    lengths: np.ndarray
    log_evidence: np.ndarray
    visited: np.ndarray
    evaluations: int


class Walkers:
    """The replicas of both searches.

    Parameters
    ----------
    reward : CollapsedReward
    replicas : sequence of Replica
        `N_REPLICAS` replicas, grouped by search, scouts last.
    rng : numpy.random.Generator

    Attributes
    ----------
    steps : int
        Total number of steps of all replicas so far.
    ends : list of float
        Largest log R of each completed scout, in nats.
    block : int
        Steps between exchanges: `BLOCK`, unless they take too long (`keep_pace`).
    """

    def __init__(
        self, reward: CollapsedReward, replicas: Sequence[Replica], rng: np.random.Generator
    ):
        self.reward = reward
        self.replicas = list(replicas)
        self.rng = rng
        self.steps = 0
        self.block = BLOCK
        self.rounds = 0
        self.ends: list[float] = []
        self._starting_trees = StartingTrees(reward.likelihood.patterns, reward.constraints)
        self._sides = np.zeros((0, reward.likelihood.n_taxa), np.int8)
        if reward.constraints is not None:
            self._sides = reward.constraints.sides
        self._spaces: list[tuple[np.ndarray, ...]] = []  # that no thread uses at the moment

    @classmethod
    def start(
        cls,
        reward: CollapsedReward,
        table: TopologyTable,
        starts: np.ndarray,
        rng: np.random.Generator,
        fit: Collapsed | None = None,
    ) -> Walkers:
        """Put a replica on each of the topologies ``starts`` (N_REPLICAS, 2n-2), int16.

        ``fit`` are their closed forms, if known.
        """
        fit = reward.closed_form(starts) if fit is None else fit
        replicas = _replicas(starts, fit)
        for place, replica in enumerate(replicas):
            parents, lengths = starts[place : place + 1], replica.lengths[None]
            (replica.row,) = table.add(parents, lengths, np.array([replica.log_evidence]))
            table.searches[replica.row] |= 1 << _search(place)
        return cls(reward, replicas, rng)

    def keep_pace(self, seconds: float, seconds_an_evaluation: float, threads: int) -> bool:
        """Shorten blocks such that a round takes at most about the given time.

        Parameters
        ----------
        seconds : float
        seconds_an_evaluation : float
            Time of one likelihood of a complete tree with derivatives on one thread.
        threads : int

        Returns
        -------
        bool
            Whether blocks are shorter than `BLOCK`.
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
        space = self._free_space()
        n_kept, replica.log_evidence, evaluations = walk(
            like.model_arrays,
            like.data_arrays,
            self.reward.branch_prior.functions,
            replica.parent,
            replica.children,
            replica.lengths,
            np.empty(width),  # of the last tree, drawn at some leaf: not used
            replica.log_evidence,
            self._temperature(i),
            length,
            seed,
            like.rescale,
            space,
            self._sides,
            kept,
            kept_lengths,
            kept_evidence,
            visited,
        )
        self._spaces.append(space)
        return Block(
            replica,
            i,
            kept[:n_kept],
            kept_lengths[:n_kept],
            kept_evidence[:n_kept],
            visited,
            evaluations,
        )

    def _free_space(self) -> tuple[np.ndarray, ...]:
        """Return a workspace that no other thread uses: each has one, whatever it walks on."""
        try:
            return self._spaces.pop()
        except IndexError:
            return self.reward.likelihood.workspace(keep=True)

    def _temperature(self, place: int) -> float:
        """Return the temperature that a replica walks at."""
        rung = place % (len(RUNGS) + SCOUTS)
        if rung < len(RUNGS):
            return RUNGS[rung]
        stage = int(self.replicas[place].age / (COOLING_STEPS * self.reward.likelihood.n_taxa))
        return COOLING[stage] if stage < len(COOLING) else 1.0

    def hits(self, log_evidence: float) -> int:
        """Return how many scouts ended within `NEAR` nats of a log evidence, or above."""
        return sum(end > log_evidence - NEAR for end in self.ends)

    def run(
        self,
        n_rounds: int,
        parallel: bool = True,
        until: Callable[[], bool] | None = None,
        scouts_only: bool = False,
    ) -> list[Block]:
        """Run rounds of blocks, exchanges and restarts of scouts; return the blocks.

        Only the replicas are changed, so this may run concurrently with training; pass the result
        to `absorb`. ``parallel``: use the threads of the reward's pool instead of only this thread.
        ``until``: called after each round; the rounds end when it returns True. ``scouts_only``:
        the replicas of the ladders do not move.
        """
        blocks: list[Block] = []
        for _ in range(n_rounds):
            if blocks and until is not None and until():
                break
            seeds = self.rng.integers(2**31, size=len(self.replicas))
            places = [i for i in range(len(self.replicas)) if not scouts_only or _is_scout(i)]
            seeds = seeds[places]
            blocks += (self.reward.pool.map if parallel else map)(self._walk, places, seeds)
            for search in range(N_SEARCHES):
                first = search * (len(RUNGS) + SCOUTS)
                if not scouts_only:
                    self._exchange(first)
                for place in range(first + len(RUNGS), first + len(RUNGS) + SCOUTS):
                    blocks += self._scout(place, first)
            self.rounds += 1
        return blocks

    def _exchange(self, first: int) -> None:
        """Exchange neighbours on the ladder whose lowest rung has the place ``first``."""
        for rung in range(len(RUNGS) - 1):
            i = first + rung
            a, b = self.replicas[i], self.replicas[i + 1]
            gain = (a.log_evidence - b.log_evidence) * (1.0 / RUNGS[rung + 1] - 1.0 / RUNGS[rung])
            if np.log(self.rng.random()) < gain:
                self.replicas[i], self.replicas[i + 1] = b, a

    def _scout(self, place: int, first: int) -> list[Block]:
        """End a scout that rises no more: offer its tree to the ladder, begin at a new one."""
        scout = self.replicas[place]
        walked_at = self._temperature(place)
        scout.age += self.block
        if walked_at > 1.0:
            return []
        if scout.log_evidence > scout.highest + RISE:
            scout.highest, scout.idle = scout.log_evidence, 0
        else:
            scout.idle += self.block
        if scout.idle < self._patience(scout, first) * self.reward.likelihood.n_taxa:
            return []
        self.ends.append(scout.highest)
        rung = first + int(self.rng.integers(COLD))
        if np.log(self.rng.random()) < scout.log_evidence - self.replicas[rung].log_evidence:
            self.replicas[rung] = scout
        start = self._starting_trees.draw(self.rng)[None]
        fit, evaluations = self.reward.uncounted_closed_form(start)
        (new,) = _replicas(start, fit)
        self.replicas[place] = new
        evidence, visited = np.array([new.log_evidence]), np.zeros(1, np.int32)
        return [Block(new, place, start, new.lengths[None].copy(), evidence, visited, evaluations)]

    def _patience(self, scout: Replica, first: int) -> float:
        """Return the maximum number of steps per taxon without improvement of a scout.

        A scout that has stopped a few nats below the ladder gets more steps: it may be on the flank
        of an island that the ladder has not reached, one regraft from its top.
        """
        ladder = max(replica.log_evidence for replica in self.replicas[first : first + COLD])
        below = ladder - scout.highest
        return PATIENCE_CLOSE if NEAR < below < CLOSE else PATIENCE

    def absorb(self, blocks: Sequence[Block], table: TopologyTable, count_visits: bool) -> None:
        """Add the topologies of blocks to the table, in order, and count visits at temperature 1.

        Visits of scouts are not counted, because they do not follow the posterior.
        """
        for block in blocks:
            n_steps = len(block.visited)
            self.steps += n_steps
            self.reward.evaluations += block.evaluations
            rows = table.add(block.parents, block.lengths, block.log_evidence)
            table.searches[rows] |= 1 << _search(block.place)
            replica = block.replica
            stood = np.full(n_steps, replica.row)
            if rows.size:
                stood = np.where(block.visited < 0, replica.row, rows[block.visited])
            replica.row = int(stood[-1])
            if count_visits and _is_cold(block.place):
                np.add.at(table.visits, stood, 1)

    def state(self) -> dict[str, np.ndarray]:
        """Return the replicas as arrays, for a checkpoint."""
        names = ("parent", "children", "lengths", "log_evidence", "row")
        names += ("highest", "idle", "age")
        arrays = {name: np.array([getattr(r, name) for r in self.replicas]) for name in names}
        return arrays | {"ends": np.array(self.ends, float)}

    @staticmethod
    def replicas_of_state(state: dict[str, np.ndarray]) -> list[Replica]:
        """Return the replicas from the result of `state`."""
        return [
            Replica(
                state["parent"][i].copy(),
                state["children"][i].copy(),
                state["lengths"][i].copy(),
                float(state["log_evidence"][i]),
                int(state["row"][i]),
                float(state["highest"][i]),
                int(state["idle"][i]),
                int(state["age"][i]),
            )
            for i in range(len(state["parent"]))
        ]


def _search(place: int) -> int:
    """Return the search that a replica belongs to."""
    return place // (len(RUNGS) + SCOUTS)


def _is_scout(place: int) -> bool:
    """Return whether a replica is a scout."""
    return place % (len(RUNGS) + SCOUTS) >= len(RUNGS)


def _is_cold(place: int) -> bool:
    """Return whether a replica is on a rung of temperature 1 and is not a scout."""
    rung = place % (len(RUNGS) + SCOUTS)
    return rung < len(RUNGS) and RUNGS[rung] == 1.0


def _replicas(starts: np.ndarray, fit: Collapsed) -> list[Replica]:
    """Return replicas at topologies (B, 2n-2), int16, with their closed forms; without rows."""
    children = children_batch(np.ascontiguousarray(starts, np.int16))
    return [
        Replica(
            starts[i].astype(np.int32),
            children[i],
            fit.lengths[i],
            float(fit.log_evidence[i]),
            -1,
        )
        for i in range(len(starts))
    ]
