"""Pilot draws of branch lengths: which proposal is used, and what its draws cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import effective_sample_size, pareto_k, systematic_resample
from gfncore.evaluation.pareto_k import PARETO_K_LIMIT
from phylogfn.estimates.annealed_draws import AnnealedDraws
from phylogfn.estimates.joint_draws import PILOT_ROUNDS, ROUND_DRAWS, JointDraws
from phylogfn.estimates.lengths.designs import BLOCK, Source
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.likelihood.length_proposals import LengthProposal

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.likelihood.integrals import Collapsed, LengthDraws

__all__ = [
    "ANNEALING_SHARE",
    "HEAVY_TAIL",
    "MOST_DRAWS",
    "PILOT_DRAWS",
    "PILOT_TOPOLOGIES",
    "IndependentDraws",
    "Pilot",
]

MOST_DRAWS = 1_000_000
PILOT_TOPOLOGIES, PILOT_DRAWS = 8, 96
JUDGING_DRAWS = 4096  # of parameters and lengths, by which their proposal is judged
FURTHER = 1.5  # times as long, at most, for the peak of the best topology
FEWEST_PILOT_DRAWS = 64  # that a proposal is fitted to
TIMED_DRAWS = 4
HEAVY_TAIL = 0.5  # Pareto k above which the variance of the weights is infinite
POOR_SHARE = 0.25  # of effective pilot draws
VERY_POOR_SHARE = 0.05
ANNEALING_SHARE = 0.4  # of the time that is left, for the ladder of annealed draws
ANNEALED_PILOT_DRAWS = 256
ANNEALED_DRAWS = 2000  # for which a ladder must leave time
MOST_EFFECTIVE = 0.5  # share of effective draws above which a longer ladder is not worth its time
ANCHOR_SHARE = 0.02  # of the mass, from which a topology has a peak of its own


class IndependentDraws:
    """Draws of independent branch lengths at fixed parameters.

    Parameters
    ----------
    table : TopologyTable
    reward : CollapsedReward
    proposal : LengthProposal
    """

    method, rungs = "independent", 1

    def __init__(self, table: TopologyTable, reward: CollapsedReward, proposal: LengthProposal):
        self.table = table
        self.reward = reward
        self.proposal = proposal

    def draw(self, rows: np.ndarray, n_draws: int, rng: np.random.Generator) -> LengthDraws:
        """Draw for topologies, given by rows (B,) of the table, equal ones together."""
        distinct, inverse = np.unique(rows, return_inverse=True)
        fit = self.reward.closed_form(self.table.parents[distinct], self.table.lengths[distinct])
        seed = int(rng.integers(2**31))
        return self.reward.draw_lengths(
            self.table.parents[rows], fit.take(inverse), n_draws, seed, self.proposal
        )


@dataclass(frozen=True)
class Pilot:
    """Result of pilot draws.

    Attributes
    ----------
    source : Source
    seconds : float
        Cost of a block of draws.
    effective_share, pareto_k : float
        Of the pilot draws; NaN where there was no time for them.
    """

    source: Source
    seconds: float
    effective_share: float = math.nan
    pareto_k: float = math.nan

    @property
    def is_poor(self) -> bool:
        """Whether another proposal is worth its preparation."""
        return self.pareto_k > HEAVY_TAIL or self.effective_share < POOR_SHARE

    @property
    def needs_annealing(self) -> bool:
        """Whether one importance step is not enough."""
        return self.pareto_k > PARETO_K_LIMIT or self.effective_share < VERY_POOR_SHARE

    def better(self, other: Pilot | None) -> Pilot:
        """Return the one of two that gives more effective draws in a time.

        A heavy tail counts first.
        """
        if other is None:
            return self
        heavy, other_heavy = self.pareto_k > HEAVY_TAIL, other.pareto_k > HEAVY_TAIL
        if heavy != other_heavy:
            return other if heavy else self
        own = self.effective_share / self.seconds
        return self if own >= other.effective_share / other.seconds else other

    @classmethod
    def run_joint(
        cls,
        joint: Callable[[np.ndarray], JointDraws],
        masses: TopologyMasses,
        rng: np.random.Generator,
        seconds: float,
        clock: Callable[[], float],
    ) -> Pilot:
        """Prepare joint draws in about ``seconds``: peaks, then a fit, then draws that judge."""
        end = clock() + seconds
        best_first = masses.rows[np.argsort(-masses.shares, kind="stable")]
        wanted = np.flatnonzero(np.sort(masses.shares)[::-1] > ANCHOR_SHARE)
        source = joint(best_first)
        left = max(end - clock(), 0.0)
        source.anchor(
            best_first[: max(len(wanted), 1)],
            lambda: clock() > end - left / 2,
            left / 2,
            lambda: clock() > end + FURTHER * seconds,
        )
        source.draw(best_first[:1], 1, rng)  # not timed, as it may load the kernel
        began = clock()
        source.draw(best_first[:1], TIMED_DRAWS, rng)
        per_draw = max((clock() - began) / TIMED_DRAWS, 1e-9)

        def affordable(share: float) -> int:
            return int(min(share * max(end - clock(), 0.0) / per_draw, MOST_DRAWS))

        at = np.unique(systematic_resample(masses.shares, PILOT_TOPOLOGIES, rng))
        rows = masses.rows[at]
        n_fit = min(affordable(0.7) // PILOT_ROUNDS, ROUND_DRAWS)
        if n_fit >= FEWEST_PILOT_DRAWS:
            source.fit(rows, rng, lambda: clock() > end, n_fit)
        n = min(max(affordable(1.0), FEWEST_PILOT_DRAWS), JUDGING_DRAWS)
        began = clock()
        log_weights = source.draw(rows, max(n // len(rows), 2), rng).log_weights
        share, k = _quality(log_weights)
        return cls(source, (clock() - began) / log_weights.size * BLOCK, share, k)

    @classmethod
    def run_annealed(
        cls,
        joint: JointDraws,
        masses: TopologyMasses,
        rng: np.random.Generator,
        seconds: float,
        clock: Callable[[], float],
    ) -> Pilot | None:
        """Prepare annealed draws in about ``seconds``; None if that is not enough time.

        The number of steps of the ladder is doubled until most pilot draws are effective, as long
        as there is time for `ANNEALED_DRAWS`. That of most effective draws is chosen: annealing is
        there for the tail of the weights.
        """
        end = clock() + seconds
        at = np.unique(systematic_resample(masses.shares, PILOT_TOPOLOGIES, rng))
        rows = masses.rows[at]
        found = AnnealedDraws.prepared(joint, rows, rng, lambda: clock() > end)
        if found is None:
            return None
        n = max(ANNEALED_PILOT_DRAWS // len(rows), 2)
        best: Pilot | None = None
        while True:
            began = clock()
            share, k = _quality(found.draw(rows, n, rng).log_weights)
            cost = (clock() - began) / (n * len(rows)) * BLOCK
            pilot = cls(found, cost, share, k)
            if best is None or share > best.effective_share:
                best = pilot
            again = clock() + 2.0 * (clock() - began)
            # in the time that is left then, on a ladder twice as long
            affordable = (1.0 / ANNEALING_SHARE - 1.0) * seconds / (2.0 * cost) * BLOCK
            enough = share > MOST_EFFECTIVE and not k > HEAVY_TAIL
            if enough or again > end or affordable < ANNEALED_DRAWS:
                return best
            found = found.with_rungs(2 * found.rungs)

    @classmethod
    def run(
        cls,
        masses: TopologyMasses,
        table: TopologyTable,
        reward: CollapsedReward,
        rng: np.random.Generator,
        seconds: float,
        clock: Callable[[], float],
        judged: bool,
    ) -> Pilot:
        """Draw for a few topologies, chosen by mass, in at most about ``seconds``.

        ``judged`` says whether the fitted proposal is judged by more draws.
        """
        at = systematic_resample(masses.shares, PILOT_TOPOLOGIES, rng)
        rows = masses.rows[np.unique(at)]
        seed = int(rng.integers(2**31))
        n_branches = table.parents.shape[1] - 1
        start = LengthProposal.pilot(n_branches, reward.branch_prior)

        def fit_of(some: np.ndarray) -> Collapsed:
            return reward.closed_form(table.parents[some], table.lengths[some])

        # one topology determines the cost; its first draw is not timed, as it may load the kernel
        reward.draw_lengths(table.parents[rows[:1]], fit_of(rows[:1]), 1, seed)
        began = clock()
        fit = fit_of(rows[:1])
        fitted = clock()
        reward.draw_lengths(table.parents[rows[:1]], fit, TIMED_DRAWS, seed)
        per_draw = (clock() - fitted) / TIMED_DRAWS
        cost = fitted - began + BLOCK * per_draw

        n_rows = int(min(len(rows), 0.5 * seconds / max(fitted - began, 1e-9)))
        n_draws = int(min(PILOT_DRAWS * PILOT_TOPOLOGIES, 0.5 * seconds / max(per_draw, 1e-9)))
        if n_rows == 0 or n_draws < FEWEST_PILOT_DRAWS:
            proposal = LengthProposal.default(n_branches, reward.branch_prior)
            return cls(IndependentDraws(table, reward, proposal), cost)
        rows = rows[:n_rows]
        fit = fit_of(rows)
        draws = reward.draw_lengths(
            table.parents[rows], fit, max(n_draws // n_rows, 2), seed, start
        )
        proposal = start.fitted(table.parents[rows], draws, fit, reward.branch_prior)
        source = IndependentDraws(table, reward, proposal)
        if not judged:
            return cls(source, cost)
        # by weights of the fitted proposal: those of the pilot are wider
        again = np.repeat(rows, max(n_draws // n_rows // BLOCK, 1))
        log_weights = source.draw(again, BLOCK, np.random.default_rng(seed)).log_weights
        return cls(source, cost, *_quality(log_weights))


def _quality(log_weights: np.ndarray) -> tuple[float, float]:
    """Effective share and Pareto k of pilot draws (B, M), by the mean of each row."""
    relative = (log_weights - np.asarray(logsumexp(log_weights, axis=1))[:, None]).ravel()
    return effective_sample_size(relative) / relative.size, pareto_k(relative)
