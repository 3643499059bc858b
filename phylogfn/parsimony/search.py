"""Search for the most parsimonious and near-optimal trees.

Independent runs of the parsimony ratchet (Nixon 1999), each from its own stepwise-addition tree,
find the best score, which is accepted once several runs have ended there. Starting from the trees
found, all trees within an excess of the best are then collected breadth first. The neighbours of a
tree are all trees obtained by cutting one branch and reconnecting the parts (TBR; Swofford & Olsen
1990), which include those obtained by pruning and regrafting a subtree (SPR). In large trees, cuts
into two large parts are only reconnected by SPR.

All decisions depend only on counts and the seed, not on the number of threads; only the budget ends
a search by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from phylogfn.kernels import parsimony_walk_numba as kernels
from phylogfn.kernels.topology_numba import children_batch
from phylogfn.parsimony.scores import ParsimonyScorer, addition_tree
from phylogfn.parsimony.table import ParsimonyTable

__all__ = ["SearchFacts", "SearchProgress", "SearchResult", "search"]

RUNS = 6  # ratchet runs that are made side by side, whatever the number of threads
MOST_RUNS = 40  # where few runs end at the same score, no more are made
STALL = 20  # rounds of a run without a better tree that end it
ROUNDS = 5  # rounds between looks at the clock
MOST_PAIRS = 2**12  # cuts with more pairs of branches are reconnected only by SPR: n > 65
EXPANDED = 32  # trees whose neighbours are looked for together
WAVE = 4  # of these for each thread, between looks at the clock
FIRST_MOVES = 2**14  # room for the neighbours of one tree; eight times as much while it does not do
MOST_MOVES = 2**17


@dataclass(frozen=True)
class SearchProgress:
    """State of a search.

    Attributes
    ----------
    stage : str
        "ratchet", "best trees" or "near-optimal trees".
    best_score : float
    runs, hits : int
        Number of completed ratchet runs, and of those that ended at the best score.
    n_trees : int
        Number of distinct trees within the excess.
    n_expanded : int
        Number of trees whose neighbours have been examined in this stage.
    seconds : float
        Time since the search began.
    """

    stage: str
    best_score: float
    runs: int
    hits: int
    n_trees: int
    n_expanded: int
    seconds: float


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes
    ----------
    best_score : float
    runs, hits : int
        Number of ratchet runs, and of those that ended at the best score.
    table : ParsimonyTable
        Distinct trees with a score within the excess of the best, in order of score.
    all_best : bool
        Whether the table contains all best trees that are connected by moves between best trees.
    all_near : bool
        Whether it contains all trees within the excess that are connected by moves within the
        excess.
    capped : bool
        Whether there were more trees than the cap.
    out_of_time : bool
        Whether the budget ended the search or the ratchet runs.
    """

    best_score: float
    runs: int
    hits: int
    table: ParsimonyTable
    all_best: bool
    all_near: bool
    capped: bool
    out_of_time: bool


@dataclass(frozen=True)
class SearchFacts:
    """A `SearchResult` without its trees.

    Attributes
    ----------
    best_score, runs, hits, all_best, all_near, capped, out_of_time
        See `SearchResult`.
    n_trees : int
        Trees that the search found.
    """

    best_score: float
    runs: int
    hits: int
    all_best: bool
    all_near: bool
    capped: bool
    out_of_time: bool
    n_trees: int

    @classmethod
    def of(cls, result: SearchResult) -> SearchFacts:
        """Return the facts of a result."""
        names = [field.name for field in fields(cls) if field.name != "n_trees"]
        return cls(**{name: getattr(result, name) for name in names}, n_trees=len(result.table))

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class _Run:
    """One run of the ratchet: the trees its rounds ended at, scores with constant steps."""

    parents: np.ndarray
    scores: np.ndarray
    n_costs: int


@dataclass(frozen=True)
class _Near:
    """Neighbours of one tree: moves, scores and keys, and whether the list is complete."""

    moves: np.ndarray
    scores: np.ndarray
    keys: np.ndarray
    complete: bool
    n_costs: int


class _Search:
    def __init__(
        self,
        scorer: ParsimonyScorer,
        excess: float,
        cap: int,
        seconds: float,
        progress: Callable[[SearchProgress], None] | None,
    ):
        self.scorer = scorer
        self.excess = excess
        self.cap = cap
        self.start = time.monotonic()
        self.seconds = seconds
        self.progress = progress
        self.table = ParsimonyTable(scorer.n_taxa)
        self.best = np.inf
        self.ends: list[float] = []  # best scores of the runs
        self.hurried = False

    @property
    def hits(self) -> int:
        return sum(score <= self.best + self.scorer.tolerance for score in self.ends)

    def late(self, share: float = 1.0) -> bool:
        """Return whether this share of the time has been used."""
        return time.monotonic() - self.start > share * self.seconds

    def report(self, stage: str, n_expanded: int) -> None:
        if self.progress is not None:
            seconds = time.monotonic() - self.start
            n_trees = len(self.table)
            self.progress(
                SearchProgress(
                    stage, self.best, len(self.ends), self.hits, n_trees, n_expanded, seconds
                )
            )

    def add(self, parents: np.ndarray, scores: np.ndarray) -> bool:
        """Keep trees within the excess; return whether the best score became better."""
        if len(scores) == 0:
            return False
        better = bool(scores.min() < self.best - self.scorer.tolerance)
        if better:
            self.best = float(scores.min())
            self.table = self.table.within(self.limit(self.excess))
        near = np.flatnonzero(scores <= self.limit(self.excess))
        for i in near[np.argsort(scores[near], kind="stable")]:
            if len(self.table) < self.cap:
                self.table.add(parents[i : i + 1], scores[i : i + 1])
        return better

    def sorted_table(self) -> ParsimonyTable:
        """Return the trees in order of score, each scored again completely."""
        scores = self.scorer.scores(self.table.parents)
        order = np.argsort(scores, kind="stable")
        table = ParsimonyTable(self.table.n_taxa)
        table.add(self.table.parents[order], scores[order])
        return table

    def limit(self, excess: float) -> float:
        return self.best + excess + self.scorer.tolerance

    def ratchet_run(self, seed: np.random.SeedSequence, share: float) -> _Run:
        scorer = self.scorer
        space, packed = scorer.workspace(), scorer.packed
        rng = np.random.default_rng(seed)
        parent = addition_tree(packed, space, rng).astype(np.int32)
        children = children_batch(parent[None])[0]
        score, stalled, n_costs = np.inf, 0, 0
        trees, steps = [], []
        while stalled < STALL and not (trees and self.late(share)):
            kept = np.empty((ROUNDS, parent.size), np.int16)
            scores = np.empty(ROUNDS)
            n_costs += kernels.ratchet(
                parent,
                children,
                score,
                int(rng.integers(2**31)),
                scorer.tolerance,
                MOST_PAIRS,
                packed.leaves,
                space.down,
                space.up,
                space.edge,
                packed.tiles,
                kept,
                scores,
            )
            for value in scores:
                stalled = 0 if value < score - scorer.tolerance else stalled + 1
                score = min(score, float(value))
            trees.append(kept)
            steps.append(scores + scorer.constant)
        return _Run(np.concatenate(trees), np.concatenate(steps), n_costs)

    def find_best(self, seeds: np.random.SeedSequence, hits: int) -> None:
        """Make ratchet runs until ``hits`` of them ended at the best score."""
        share = 0.5  # of the time: the rest is for the trees around
        while self.hits < hits and len(self.ends) < MOST_RUNS:
            if self.ends and self.late(share):
                self.hurried = True
                return
            runs = self.scorer.pool.map(
                lambda seed: self.ratchet_run(seed, share), seeds.spawn(RUNS)
            )
            for run in runs:
                self.scorer.n_scores += run.n_costs
                self.ends.append(float(run.scores.min()))
                self.add(run.parents, run.scores)
                self.report("ratchet", 0)

    def neighbours(self, row: int, limit: float) -> _Near:
        """Return the neighbours of a row of the table with a score of at most ``limit``."""
        scorer = self.scorer
        space, tiles = scorer.workspace(), scorer.packed.tiles
        parent = self.table.parents[row].astype(np.int32)
        children = children_batch(parent[None])[0]
        score = float(self.table.scores[row])
        size, n_costs = FIRST_MOVES, 0
        while True:
            moves, changes = np.empty((size, 3), np.int16), np.empty(size)
            found, costs = kernels.near_moves(
                parent,
                children,
                limit - score,
                MOST_PAIRS,
                space.down,
                space.up,
                space.edge,
                tiles,
                moves,
                changes,
            )
            n_costs += costs
            if found <= size or size >= MOST_MOVES:
                break
            size *= 8
        moves, changes = moves[:found], changes[:found]
        keys = np.empty((len(moves), 2), np.uint64)
        kernels.move_keys(parent, children, moves, self.table.codes, keys)
        return _Near(moves, score + changes, keys, found <= size, n_costs)

    def expanded(self, rows: list[int], limit: float) -> Iterator[tuple[int, _Near]]:
        """Yield rows with their `neighbours`, in order, until the time is up."""
        together = WAVE * self.scorer.threads
        for start in range(0, len(rows), together):
            if start and self.late():
                return
            part = rows[start : start + together]
            near = self.scorer.pool.map(lambda row: self.neighbours(row, limit), part)
            yield from zip(part, list(near), strict=True)

    def explore(self, excess: float) -> str:
        """Collect trees within ``excess`` of the best and return the reason for ending.

        The reason is "done", "better" (a better tree was found; restart), "cap" or "time".
        """
        stage = "near-optimal trees" if excess > 0 else "best trees"
        done, complete = 0, True
        next_row = 0
        while True:
            limit = self.limit(excess)
            rows = []
            while next_row < len(self.table) and len(rows) < EXPANDED:
                if self.table.scores[next_row] <= limit:
                    rows.append(next_row)
                next_row += 1
            if not rows:
                return "done" if complete else "cap"
            if self.late():
                return "time"
            before = done
            for row, near in self.expanded(rows, limit):
                self.scorer.n_scores += near.n_costs
                complete &= near.complete
                new = self.table.unknown(near.keys)
                room = self.cap - len(self.table)
                best_first = new[np.argsort(near.scores[new], kind="stable")]
                parents = np.empty((min(room, len(new)), self.table.parents.shape[1]), np.int16)
                taken = best_first[: len(parents)]
                parent = self.table.parents[row].astype(np.int32)
                children = children_batch(parent[None])[0]
                kernels.moved_trees(parent, children, near.moves[taken], parents)
                if self.add(parents, near.scores[taken]):
                    return "better"
                if len(new) > room:
                    return "cap"
                done += 1
            self.report(stage, done)
            if done - before < len(rows):
                return "time"


def search(
    scorer: ParsimonyScorer,
    seed: int,
    *,
    excess: float = 0.0,
    cap: int = 100_000,
    hits: int = 5,
    seconds: float = np.inf,
    progress: Callable[[SearchProgress], None] | None = None,
) -> SearchResult:
    """Find the most parsimonious trees and all within ``excess`` steps of them; return the result.

    Parameters
    ----------
    scorer : ParsimonyScorer
        A scorer for at least three taxa.
    seed : int
    excess : float
        Weighted steps, non-negative.
    cap : int
        Maximum number of stored trees, 4n - 4 bytes each.
    hits : int
        Number of independent ratchet runs that must end at the best score before it is accepted; at
        most `MOST_RUNS` are made.
    seconds : float
        Maximum time. At least one round of each of the first `RUNS` runs is made.
    progress : callable, optional
        Called from time to time.

    Raises
    ------
    ValueError
        If ``excess``, ``cap`` or ``hits`` are out of range.
    """
    if not 0 <= excess < np.inf:
        raise ValueError(f"excess is {excess}, and must be 0 or more")
    if cap < 1 or hits < 1:
        raise ValueError(f"cap and hits must be 1 or more, and are {cap} and {hits}")
    work = _Search(scorer, excess, cap, seconds, progress)
    seeds = np.random.SeedSequence(seed)
    stages = [0.0] if excess == 0 else [0.0, excess]
    done: list[str] = []
    while len(done) < len(stages):
        if not done:
            work.find_best(seeds, hits)
        outcome = work.explore(stages[len(done)])
        if outcome == "better":
            done = []
        elif outcome == "done":
            done.append(outcome)
        else:
            break
    else:
        outcome = "done"
    return SearchResult(
        best_score=work.best,
        runs=len(work.ends),
        hits=work.hits,
        table=work.sorted_table(),
        all_best=len(done) > 0,
        all_near=len(done) == len(stages),
        capped=outcome == "cap",
        out_of_time=outcome == "time" or work.hurried,
    )
