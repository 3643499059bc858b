"""Importance draws of branch lengths over the topologies of a posterior.

With closed forms R_i of the topologies and masses m_i that estimate them (R_i where a topology was
known before the draws, else the mean importance weight),

    Z = sum_i m_i r_i,    r_i = E_b[p(Y, b | i) / (q_i(b) R_i)],

where r_i corrects the closed form. Draws are spent by distinct topology: those of large mass are
all drawn for, half of the draws by mass and half evenly, and of the rest a systematic sample
represents the others (stratified sampling). So Z has an error that is measured, and each topology
has a correction of its own, or, where it was not drawn for, that of those like it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import WeightedDraws, effective_sample_size, pareto_k, systematic_resample
from phylogfn.estimates.annealed_draws import AnnealedDraws
from phylogfn.estimates.collapsed import weigh
from phylogfn.estimates.joint_draws import PILOT_ROUNDS, ROUND_DRAWS, JointDraws
from phylogfn.likelihood.length_proposals import LengthProposal

if TYPE_CHECKING:
    from phylogfn.estimates.collapsed import Drawn
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.likelihood.integrals import Collapsed, LengthDraws

__all__ = [
    "CorrectedShares",
    "Corrections",
    "LengthSamples",
    "TopologyEvidence",
    "TopologyMasses",
    "draw_branch_lengths",
    "mean_correction",
    "probability_errors",
    "topology_evidence",
]

BLOCK = 32  # draws of a topology that are made together
CHUNK = 64  # blocks whose lengths are held at a time
FEWEST_DRAWS = 1000 * BLOCK  # of the first design
SMALLEST_POINTS = 4  # of a design that time cuts short
MOST_DRAWS = 1_000_000
FEWEST_OF_REST = 20  # topologies that represent those of small mass
NEGLIGIBLE = 1e-9  # share of the mass
PILOT_TOPOLOGIES, PILOT_DRAWS = 8, 96
JUDGING_DRAWS = 4096  # of parameters and lengths, by which their proposal is judged
PILOT_SHARE = 0.2  # of the time, for the pilot
FURTHER = 1.5  # times as long, at most, for the peak of the best topology
FEWEST_PILOT_DRAWS = 64  # that a proposal is fitted to
TIMED_DRAWS = 4
WORTH_IT = 1.2  # factor on the number of blocks that a second design must have
HEAVY_TAIL = 0.5  # Pareto k above which the variance of the weights is infinite
POOR_SHARE = 0.25  # of effective pilot draws
VERY_POOR_SHARE = 0.05
# Pareto k of one importance step above which draws are annealed. Below it more draws help, and one
# step gives many more effective draws in a time than a ladder
TOO_HEAVY = 0.7
ANNEALING_SHARE = 0.4  # of the time that is left, for the ladder of annealed draws
ANNEALED_PILOT_DRAWS = 256
FEWEST_ANNEALED = 4096  # annealed draws that are made, if time allows
ANNEALED_DRAWS = 2000  # for which a ladder must leave time
MOST_EFFECTIVE = 0.5  # share of effective draws above which a longer ladder is not worth its time
ANCHOR_SHARE = 0.02  # of the mass, from which a topology has a peak of its own
MORE_IF_HEAVY = 8.0  # factor on the number of draws then
SAFETY = 0.7  # share of the time that is planned for: the cost of a draw varies
POOLED = 200.0  # weight of the pooled variance, in draws, relative to a topology's own draws
# prior spread of corrections between topologies
PRIOR_SPREAD, PRIOR_COUNT, SMALLEST_SPREAD = 0.3, 3.0, 0.02
MOST_PICKS = 32  # draws of a block that can be posterior samples


@dataclass(frozen=True)
class TopologyMasses:
    """Distinct topologies and the share of the evidence that each represents, by the closed form.

    Attributes
    ----------
    rows : ndarray, shape (T,), int64
        Rows of the table.
    shares : ndarray, shape (T,), float64
        Sum 1.
    """

    rows: np.ndarray
    shares: np.ndarray

    @classmethod
    def from_draws(
        cls,
        drawn: Drawn,
        table: TopologyTable,
        n_known: int,
        log_topology_prior: float,
    ) -> TopologyMasses:
        """Return the masses that are summed by `phylogfn.estimates.collapsed.estimate`.

        The first ``n_known`` rows of the table have their closed form; others the mean weight of
        their draws.
        """
        outside = drawn.rows >= n_known
        others, inverse = np.unique(drawn.rows[outside], return_inverse=True)
        weighted = weigh(drawn, table, n_known, log_topology_prior)
        log_weights = weighted.log_weights[outside] - math.log(len(drawn.rows))
        log_known = table.log_evidence[:n_known] + log_topology_prior
        top = max(np.max(log_known, initial=-np.inf), np.max(log_weights, initial=-np.inf))
        mass = np.concatenate(
            [
                np.exp(log_known - top),
                np.bincount(inverse, np.exp(log_weights - top), minlength=len(others)),
            ]
        )
        return cls(np.concatenate([np.arange(n_known), others]), mass / mass.sum())


@dataclass(frozen=True)
class Corrections:
    """Log of r_i, the factor that corrects the closed form of each topology.

    Attributes
    ----------
    log_ratios, variances : ndarray, shape (size of the table,), float64
        With the relative variance of each ratio.
    drawn_for : ndarray, shape (size of the table,), bool
        Whether a topology is corrected by its own draws; others have the mean of similar
        topologies.
    """

    log_ratios: np.ndarray
    variances: np.ndarray
    drawn_for: np.ndarray


@dataclass(frozen=True)
class CorrectedShares:
    """Unbiased shares of topologies in the evidence, for sums over many of them.

    `Corrections` are shrunk, so that each is as good as it can be; a sum over the topologies of a
    clade would add up what they were shrunk by. Here a topology of the design that represents only
    itself has its own ratio. All others have the mean ratio r of the drawn ones, and the n draws k
    of the rest, of mass M, add M (r_k - r) / n to their topologies (difference estimator of survey
    sampling). A share can be negative; sums are unbiased.

    Attributes
    ----------
    values : ndarray, shape (T,), float64
        In the order of the masses; sum 1.
    variances : ndarray, shape (T,), float64
        Their independent variances; of the rest, those that are expected of draws by mass, so that
        topologies without draws count as well.
    """

    values: np.ndarray
    variances: np.ndarray


@dataclass(frozen=True)
class LengthSamples:
    """Joint draws of topology and branch lengths, and the correction of the closed form.

    Attributes
    ----------
    rows : ndarray, shape (S,), int64
    lengths : ndarray, shape (S, 2n-2)
    log_likelihoods : ndarray, shape (S,)
    thetas : ndarray, shape (S, d)
        Free parameters, as `ModelSpec.build` takes them.
    log_correction, standard_error : float
        Of the log evidence.
    corrections : Corrections
    shares : CorrectedShares
    ess, pareto_k : float
        Of the weights of all draws together, the masses of their topologies included.
    n_draws : int
    wanted_draws : int
        That the standard error aimed for calls for; larger where time allowed fewer.
    method : str
        ``independent`` branches, ``joint`` draws of parameters and lengths, or ``annealed`` ones.
    rungs : int
        Steps of the ladder of annealed draws; 1 of others.
    """

    rows: np.ndarray
    lengths: np.ndarray
    log_likelihoods: np.ndarray
    thetas: np.ndarray
    log_correction: float
    standard_error: float
    corrections: Corrections
    shares: CorrectedShares
    ess: float
    pareto_k: float
    n_draws: int
    wanted_draws: int
    method: str = "independent"
    rungs: int = 1


@dataclass(frozen=True)
class _Design:
    """Topologies for which lengths are drawn.

    Attributes
    ----------
    index : ndarray, shape (D,)
        Index into the masses.
    coefficients : ndarray, shape (D,)
        Coefficients of their ratios in the estimate; sum 1.
    blocks : ndarray, shape (D,)
        Number of blocks of draws for each.
    n_certain : int
        This number of topologies represent only themselves; the others represent all remaining
        ones.
    """

    index: np.ndarray
    coefficients: np.ndarray
    blocks: np.ndarray
    n_certain: int

    @classmethod
    def of_size(cls, shares: np.ndarray, points: int, rng: np.random.Generator) -> _Design:
        """Return a design of about ``points`` blocks."""
        certain = shares * points >= 1.0
        of_rest = shares[~certain].sum()
        n = max(math.ceil(points * of_rest), min(FEWEST_OF_REST, points // 2), 2)
        if of_rest <= NEGLIGIBLE:
            n = 0
        elif n >= np.count_nonzero(~certain):  # no need to choose
            certain[:] = True
            n = 0
        own, rest = np.flatnonzero(certain), np.flatnonzero(~certain)
        coefficients = shares[own]
        even = 0.5 * points * coefficients.sum() / max(len(own), 1)
        blocks = np.ceil(0.5 * points * coefficients + even).astype(np.int64)
        if n == 0:
            return cls(own, coefficients / coefficients.sum(), blocks, len(own))
        picked, counts = np.unique(
            rest[systematic_resample(shares[rest], n, rng)], return_counts=True
        )
        return cls(
            np.concatenate([own, picked]),
            np.concatenate([coefficients, of_rest * counts / n]),
            np.concatenate([blocks, counts]),
            len(own),
        )


@dataclass(frozen=True)
class _Blocks:
    """Draws of a design by blocks.

    Attributes
    ----------
    owner : ndarray, shape (K,)
        Position of its topology in the design; ascending.
    log_weights : ndarray, shape (K, BLOCK)
        Log weights relative to the closed form of the topology.
    lengths : ndarray, shape (K, P, 2n-2)
        Lengths of P draws of each block, resampled by weight.
    log_likelihoods : ndarray, shape (K, P)
        Log likelihoods of the same draws.
    thetas : ndarray, shape (K, P, d)
        Free parameters of the same draws.
    """

    owner: np.ndarray
    log_weights: np.ndarray
    lengths: np.ndarray
    log_likelihoods: np.ndarray
    thetas: np.ndarray


class _Source(Protocol):
    """Draws of lengths, and of parameters, for topologies."""

    @property
    def method(self) -> str:
        """``independent``, ``joint`` or ``annealed``."""
        ...

    @property
    def rungs(self) -> int:
        """Number of steps from the proposal to the posterior."""
        ...

    def draw(self, rows: np.ndarray, n_draws: int, rng: np.random.Generator) -> LengthDraws:
        """Draw for topologies, given by rows (B,) of the table, equal ones together."""
        ...


class _Independent:
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
class _Pilot:
    """Result of pilot draws.

    Attributes
    ----------
    source : _Source
    seconds : float
        Cost of a block of draws.
    effective_share, pareto_k : float
        Of the pilot draws; NaN where there was no time for them.
    """

    source: _Source
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
        return self.pareto_k > TOO_HEAVY or self.effective_share < VERY_POOR_SHARE

    def better(self, other: _Pilot | None) -> _Pilot:
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
    ) -> _Pilot:
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
    ) -> _Pilot | None:
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
        best: _Pilot | None = None
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
    ) -> _Pilot:
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
            return cls(_Independent(table, reward, proposal), cost)
        rows = rows[:n_rows]
        fit = fit_of(rows)
        draws = reward.draw_lengths(
            table.parents[rows], fit, max(n_draws // n_rows, 2), seed, start
        )
        proposal = start.fitted(table.parents[rows], draws, fit, reward.branch_prior)
        source = _Independent(table, reward, proposal)
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


@dataclass(frozen=True)
class TopologyEvidence:
    """Log evidence of one topology, by importance draws of its branch lengths.

    Attributes
    ----------
    log_evidence, standard_error : float
        Nats, without the prior of the topology.
    pareto_k : float
    """

    log_evidence: float
    standard_error: float
    pareto_k: float


def topology_evidence(
    parents: np.ndarray,
    lengths: np.ndarray | None,
    reward: CollapsedReward,
    n_draws: int,
    seed: int,
) -> TopologyEvidence:
    """Integrate over the branch lengths of one topology and return its evidence.

    Parameters
    ----------
    parents : ndarray, shape (2n-2,)
    lengths : ndarray, shape (2n-2,), optional
        Near the mode, if known.
    reward : CollapsedReward
    n_draws : int
        Two or more; pilot draws, that the proposal is fitted to, come on top.
    seed : int
    """
    trees = parents[None, :]
    fit = reward.closed_form(trees, None if lengths is None else lengths[None, :])
    start = LengthProposal.pilot(len(parents) - 1, reward.branch_prior)
    pilot_seed, seed = np.random.default_rng(seed).integers(2**31, size=2).tolist()
    n_pilot = PILOT_DRAWS * PILOT_TOPOLOGIES
    pilot = reward.draw_lengths(trees, fit, n_pilot, pilot_seed, start)
    proposal = start.fitted(trees, pilot, fit, reward.branch_prior)
    log_weights = reward.draw_lengths(trees, fit, n_draws, seed, proposal).log_weights[0]
    found = WeightedDraws(log_weights).estimate()
    return TopologyEvidence(found.log_z, found.standard_error, found.pareto_k)


def mean_correction(
    rows: np.ndarray, table: TopologyTable, reward: CollapsedReward, rng: np.random.Generator
) -> float:
    """Return a first estimate of the log correction, from a block of draws for each of some rows.

    Parameters
    ----------
    rows : ndarray, shape (B,)
        Drawn by the closed form, repeats allowed.
    table : TopologyTable
    reward : CollapsedReward
    rng : numpy.random.Generator
    """
    distinct, counts = np.unique(rows, return_counts=True)
    fit = reward.closed_form(table.parents[distinct], table.lengths[distinct])
    seed = int(rng.integers(2**31))
    log_w = reward.draw_lengths(table.parents[distinct], fit, BLOCK, seed).log_weights
    log_ratio = np.asarray(logsumexp(log_w, axis=1)) - table.log_evidence[distinct]
    return float(np.log(np.exp(log_ratio) @ counts / len(rows) / BLOCK))


def draw_branch_lengths(
    masses: TopologyMasses,
    table: TopologyTable,
    reward: CollapsedReward,
    n_samples: int,
    rng: np.random.Generator,
    aim: float,
    seconds: float = math.inf,
    tell: Callable[[float, str], None] = lambda done, text: None,
    clock: Callable[[], float] = time.monotonic,
    joint: Callable[[np.ndarray], JointDraws] | None = None,
    n_parameters: int = 0,
    fewest_draws: int = FEWEST_DRAWS,
    most_draws: int = MOST_DRAWS,
) -> LengthSamples:
    """Draw branch lengths, correct the closed form, and return resampled trees with lengths.

    Free parameters of the model are drawn with the lengths. At fixed parameters the lengths of the
    branches are drawn independently, or jointly where pilot draws say that this is better.

    Parameters
    ----------
    masses : TopologyMasses
    table : TopologyTable
    reward : CollapsedReward
    n_samples : int
        S, the number of equally weighted trees with lengths.
    rng : numpy.random.Generator
    aim : float
        Target standard error of the log correction, in nats, for further draws.
    seconds : float
        Maximum time. The cost of a block of draws is measured first, and the number of blocks is
        reduced to fit; if it is not reduced, the result depends only on the seed.
    tell : callable
        Called from time to time with the completed share of the draws and a few words.
    clock : callable
        Clock in seconds, on which ``seconds`` is measured.
    joint : callable, optional
        Takes rows, best first, and makes the joint draws of their topologies. Required if the model
        has free parameters.
    n_parameters : int
        Number of free parameters.
    fewest_draws, most_draws : int
        Of lengths, if time allows; more than the fewest are made where they are needed.
    """
    end = clock() + seconds
    limit = max(most_draws // BLOCK, SMALLEST_POINTS)

    def fitting(cost: float) -> int:
        points = SAFETY * (end - clock()) / max(cost, 1e-9)
        return int(max(min(points, limit), SMALLEST_POINTS))

    def wanted_points(pilot: _Pilot) -> int:
        if pilot.source.rungs > 1:
            return min(max(FEWEST_ANNEALED, 2 * n_samples) // BLOCK, limit)
        return min(max(fewest_draws // BLOCK, n_samples), limit)

    def first_size(pilot: _Pilot) -> int:
        return min(wanted_points(pilot), fitting(pilot.seconds))

    def carry_out(pilot: _Pilot, points: int) -> tuple[LengthSamples, int, float]:
        began = clock()
        design = _Design.of_size(masses.shares, points, rng)
        blocks = _draw(design, masses, table, pilot.source, n_samples, rng, tell)
        result = _answer(blocks, design, masses, table, n_samples, rng)
        result = replace(result, method=pilot.source.method, rungs=pilot.source.rungs)
        return result, points, (clock() - began) / points

    tell(0.0, "pilot draws")
    made: list[JointDraws] = []

    def joint_draws(rows: np.ndarray) -> JointDraws:
        assert joint is not None
        made.append(joint(rows))
        return made[-1]

    def annealed() -> _Pilot | None:
        left = max(end - clock(), 0.0)
        return _Pilot.run_annealed(made[-1], masses, rng, ANNEALING_SHARE * left, clock)

    pilot = None
    if n_parameters == 0:
        judged = joint is not None
        pilot = _Pilot.run(masses, table, reward, rng, PILOT_SHARE * seconds, clock, judged)
    if joint is not None and (pilot is None or pilot.is_poor):
        jointly = _Pilot.run_joint(joint_draws, masses, rng, PILOT_SHARE * seconds, clock)
        pilot = jointly if pilot is None else pilot.better(jointly)
        if pilot.needs_annealing:
            pilot = pilot.better(annealed())
    if pilot is None:
        raise ValueError("free parameters need joint draws")
    result, points, cost = carry_out(pilot, first_size(pilot))
    if result.pareto_k > TOO_HEAVY and result.rungs == 1 and made:
        # the tail of a few pilot draws is not that of all draws
        found = replace(
            pilot, effective_share=result.ess / result.n_draws, pareto_k=result.pareto_k
        )
        best = found.better(annealed())
        if best is not found:
            # whatever they give: a choice between results by their weights would be biased
            pilot = best
            result, points, cost = carry_out(pilot, first_size(pilot))
    more = (result.standard_error / aim) ** 2
    if result.pareto_k > HEAVY_TAIL:
        more = max(more, 1.0) * MORE_IF_HEAVY
    wanted = max(wanted_points(pilot), min(math.ceil(points * more), limit))
    affordable = min(wanted, fitting(cost))
    if affordable > WORTH_IT * points:
        result, points, _ = carry_out(pilot, affordable)
    if points * WORTH_IT < wanted:
        result = replace(result, wanted_draws=wanted * BLOCK)
    return result


def _draw(
    design: _Design,
    masses: TopologyMasses,
    table: TopologyTable,
    source: _Source,
    n_samples: int,
    rng: np.random.Generator,
    tell: Callable[[float, str], None],
) -> _Blocks:
    """Draw all blocks of a design."""
    rows = masses.rows[design.index]
    owner = np.repeat(np.arange(len(rows)), design.blocks)
    n_picks = min(MOST_PICKS, math.ceil(3 * n_samples / len(owner)) + 2)
    log_weights = np.empty((len(owner), BLOCK))
    lengths = np.empty((len(owner), n_picks, table.parents.shape[1]))
    log_likelihoods = np.empty((len(owner), n_picks))
    thetas: np.ndarray | None = None
    for start in range(0, len(owner), CHUNK):
        part = slice(start, start + CHUNK)
        own = rows[owner[part]]
        draws = source.draw(own, BLOCK, rng)
        log_w = draws.log_weights
        log_weights[part] = log_w - table.log_evidence[own][:, None]
        cumulative = np.cumsum(np.exp(log_w - log_w.max(axis=1, keepdims=True)), axis=1)
        targets = rng.random((len(log_w), n_picks)) * cumulative[:, -1:]
        picks = (cumulative[:, None, :] < targets[:, :, None]).sum(axis=2)
        picks = np.minimum(picks, BLOCK - 1)
        lengths[part] = np.take_along_axis(draws.lengths, picks[:, :, None], axis=1)
        log_likelihoods[part] = np.take_along_axis(draws.log_likelihoods, picks, axis=1)
        if thetas is None:
            thetas = np.empty((len(owner), n_picks, draws.thetas.shape[2]))
        thetas[part] = np.take_along_axis(draws.thetas, picks[:, :, None], axis=1)
        done = min(start + CHUNK, len(owner))
        tell(done / len(owner), f"{done * BLOCK:,} of {len(owner) * BLOCK:,} draws")
    assert thetas is not None
    return _Blocks(owner, log_weights, lengths, log_likelihoods, thetas)


def _answer(
    blocks: _Blocks,
    design: _Design,
    masses: TopologyMasses,
    table: TopologyTable,
    n_samples: int,
    rng: np.random.Generator,
) -> LengthSamples:
    """Return the result of the draws of a design."""
    coefficients, owner = design.coefficients, blocks.owner
    n_draws = design.blocks * BLOCK
    top = blocks.log_weights.max()
    weights = np.exp(blocks.log_weights - top)
    by_block = weights.sum(axis=1)
    sums = np.bincount(owner, by_block)
    squares = np.bincount(owner, (weights**2).sum(axis=1))
    means = sums / n_draws
    variances = np.maximum(squares / n_draws - means**2, 0.0) * n_draws / (n_draws - 1)
    ratio = float(coefficients @ means)

    certain = np.arange(len(coefficients)) < design.n_certain
    variance = float((coefficients**2 * variances / n_draws)[certain].sum())
    rest = by_block[owner >= design.n_certain] / BLOCK / ratio
    of_rest = coefficients[~certain].sum()
    rest_variance = float(rest.var(ddof=1)) / len(rest) if len(rest) > 1 else 0.0
    variance = variance / ratio**2 + of_rest**2 * rest_variance

    relative, errors = _shrunken(
        means / ratio, variances / ratio**2, n_draws, coefficients, certain
    )
    spread = _spread(means / ratio, errors.raw)
    others = float(rest.mean()) if len(rest) else 1.0
    log_ratios = np.full(len(table), top + math.log(ratio * others))
    relative_variances = np.full(len(table), (spread + rest_variance) / others**2)
    drawn_for = np.zeros(len(table), bool)
    rows = masses.rows[design.index]
    log_ratios[rows] = top + np.log(ratio * relative)
    relative_variances[rows] = errors.shrunken / relative**2
    drawn_for[rows] = True

    values = masses.shares * others
    variances_of_values = masses.shares * of_rest * rest_variance
    own, drawn = design.index[certain], design.index[owner[owner >= design.n_certain]]
    values[own] = coefficients[certain] * (means / ratio)[certain]
    variances_of_values[own] = coefficients[certain] ** 2 * errors.raw[certain]
    np.add.at(values, drawn, of_rest * (rest - others) / max(len(rest), 1))

    log_all = np.log(coefficients / n_draws)[owner][:, None] + blocks.log_weights
    log_all = log_all.ravel()

    share = (coefficients * relative / sums)[owner] * by_block
    chosen = systematic_resample(share, n_samples, rng)
    turn = np.arange(n_samples) - np.searchsorted(chosen, chosen)  # which of its block's picks
    turn %= blocks.lengths.shape[1]
    mixed = rng.permutation(n_samples)
    chosen, turn = chosen[mixed], turn[mixed]
    return LengthSamples(
        rows[owner[chosen]],
        blocks.lengths[chosen, turn],
        blocks.log_likelihoods[chosen, turn],
        blocks.thetas[chosen, turn],
        float(top + math.log(ratio)),
        math.sqrt(variance),
        Corrections(log_ratios, relative_variances, drawn_for),
        CorrectedShares(values, variances_of_values),
        effective_sample_size(log_all),
        pareto_k(log_all),
        log_all.size,
        log_all.size,
    )


def probability_errors(
    probabilities: np.ndarray, variances: np.ndarray, total_variance: float
) -> np.ndarray:
    """Return standard errors (T,) of probabilities p = x / (x + y) of topologies.

    Parameters
    ----------
    probabilities, variances : ndarray, shape (T,)
        With the relative variance of each x.
    total_variance : float
        Relative variance of x + y; x and y are independent.
    """
    p = probabilities
    own = p**2 * variances
    others = np.maximum(total_variance - own, 0.0)
    return np.sqrt((1.0 - p) ** 2 * own + p**2 * others)


@dataclass(frozen=True)
class _Variances:
    """Relative variances of ratios, shape (D,): of a topology's own draws, and after shrinkage."""

    raw: np.ndarray
    shrunken: np.ndarray


def _spread(ratios: np.ndarray, variances: np.ndarray) -> float:
    """Return the variance of the true ratios between topologies, from estimates with errors."""
    excess = float(((ratios - 1.0) ** 2 - variances).sum()) + PRIOR_COUNT * PRIOR_SPREAD**2
    return max(excess / (PRIOR_COUNT + len(ratios)), SMALLEST_SPREAD**2)


def _shrunken(
    ratios: np.ndarray,
    variances: np.ndarray,
    n_draws: np.ndarray,
    coefficients: np.ndarray,
    certain: np.ndarray,
) -> tuple[np.ndarray, _Variances]:
    """Return the ratios of the topologies, shrunk towards the mean (empirical Bayes).

    If there are many topologies, each has few draws, and ratios hardly differ: the overall mean is
    then the better estimate. The weighted mean of the ratios remains 1.

    Parameters
    ----------
    ratios : ndarray, shape (D,)
        Ratios relative to their weighted mean.
    variances : ndarray, shape (D,)
        Variances of one draw.
    n_draws, coefficients : ndarray, shape (D,)
    certain : ndarray, shape (D,), bool
        Whether a topology represents only itself; the others are shrunk towards their own mean.
    """
    pooled = float(coefficients @ variances)
    raw = ((n_draws - 1) * variances + POOLED * pooled) / (n_draws - 1 + POOLED) / n_draws
    between = _spread(ratios, raw)
    keep = between / (between + raw)
    centre = np.empty(len(ratios))
    for group in (certain, ~certain):
        weight = coefficients[group]
        if weight.sum() > 0.0:
            centre[group] = weight @ ratios[group] / weight.sum()
    shrunken = np.maximum(centre + keep * (ratios - centre), 1e-300)
    shrunken /= coefficients @ shrunken
    return shrunken, _Variances(raw, keep * raw)
