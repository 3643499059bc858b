"""Training of ``phylogfn sample``, beside further walks, in cycles that are judged by draws."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import PartitionEstimate
from gfncore.program.messages import Note
from gfncore.program.metrics import MetricsWriter
from phylogfn.environments.base import TreeEnvironment
from phylogfn.estimates.joint_draws import JointDraws
from phylogfn.estimates.lengths.one_topology import mean_correction
from phylogfn.exploration.walks import Block
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.runs.sample.run import (
    SampleRun,
    draw_from_sampler,
    known_topologies,
    random_trees_of,
    search_facts,
)
from phylogfn.runs.sample.state import RunState
from phylogfn.runs.sample.walk import compare, warn_of_pace
from phylogfn.training.curricula import Curriculum
from phylogfn.training.lengths_curriculum import POOL, TRIES
from phylogfn.training.random_trees import RandomTrees

__all__ = ["divergence", "leave_untrained", "new_curriculum", "train"]


def train(
    run: SampleRun, state: RunState, environment: TreeEnvironment, metrics: MetricsWriter
) -> None:
    """Cycles of training beside further walks, until the answer is accurate or the time is up."""
    effort = run.effort
    run.phase("training the sampler")
    walkers, settings = state.walkers, run.settings
    if state.trainer is None:
        state.trainer = run.sampler.trainer(run, state, environment)
        state.log_correction = 0.0 if run.with_lengths else _correction(run, state)
        state.save(run.checkpoint, run.clock, run.settings.origin())
    run.keep_for_lengths(walkers.reward, state.theta)
    random_trees = random_trees_of(run, state, environment)
    curriculum = new_curriculum(run, state, environment, random_trees)
    falls = random_trees is not None or run.sampler.rates_fall
    saved = time.monotonic()
    cost = run.seconds_an_evaluation(walkers.reward)
    a_cycle = effort.round_share * settings.budget_seconds
    if walkers.keep_pace(a_cycle / effort.cycle_rounds, cost, 1):
        warn_of_pace(run, walkers)

    def late() -> bool:
        return _out_of_time(run, state)

    with ThreadPoolExecutor(1) as beside:
        while not state.accurate:
            if state.cycles and _out_of_time(run, state):
                run.warn(
                    Note(
                        "training-time-limit",
                        f"training reached its time limit ({_limit(run):.0%} of "
                        f"{settings.budget}) before the target accuracy; results of the same seed "
                        "may differ between machines",
                    )
                )
                # to go on from with more time
                state.save(run.checkpoint, run.clock, run.settings.origin())
                break
            curriculum.refresh(_unknown_log_z(run, state))
            if state.cycles in effort.rates_at_cycles:
                curriculum.set_rates()
                run.sampler.keep_rates(state, environment)
            agreed = state.agreement is None or state.agreement.agree
            rounds = effort.cycle_rounds * (1 if agreed else effort.disagreeing)
            walking: Future | None = None
            if settings.n_threads > 1:
                walking = beside.submit(walkers.run, rounds, False, late)
            _teach(run, state, curriculum, falls, metrics)
            walked = walking.result() if walking else walkers.run(rounds, False, late)
            _judge(run, state, environment, walked, random_trees, metrics)
            if state.accurate or time.monotonic() - saved > effort.checkpoint_seconds:
                state.save(run.checkpoint, run.clock, run.settings.origin())
                saved = time.monotonic()
    if state.agreement is not None and not state.agreement.agree:
        run.warn(state.agreement.warning)


def leave_untrained(run: SampleRun, state: RunState, environment: TreeEnvironment) -> None:
    """Make ready for draws from the prior, which is the posterior or nearly so."""
    run.phase("no training: the draws come from the prior of topologies")
    if state.trainer is None:
        state.trainer = run.sampler.trainer(run, state, environment)
    state.accurate, state.missed, state.missed_error = True, 0.0, 0.0
    state.save(run.checkpoint, run.clock, run.settings.origin())


def _limit(run: SampleRun) -> float:
    """Share of the whole budget after which training ends."""
    return run.effort.train_share * (1.0 - run.kept_seconds / run.settings.budget_seconds)


def _out_of_time(run: SampleRun, state: RunState) -> bool:
    """Whether training has had its share of the budget.

    While the topologies are the larger problem, it also has half of the time that is kept for draws
    of lengths.
    """
    share = run.effort.train_share
    if not run.past_for_topologies(share, state):
        return False
    if run.has_lent or state.projected_error <= run.effort.good_enough:
        return True
    run.kept_seconds, run.has_lent = 0.5 * run.kept_seconds, True
    return run.past_for_topologies(share, state)


def _teach(
    run: SampleRun, state: RunState, curriculum: Curriculum, falls: bool, metrics: MetricsWriter
) -> None:
    """The steps of a cycle; `falls` says whether learning rates fall towards the end."""
    effort = run.effort
    trainer = state.trainer
    assert trainer is not None
    for step in range(run.aims.cycle_steps):
        if falls:
            factor = _rate_factor(run, state)
            if factor < 1.0 and trainer.rate_factor == 1.0:
                run.warn(
                    Note(
                        "settling-by-time",
                        f"learning rates decrease from {effort.settle_from:.0%} of the budget on; "
                        "results of the same seed may differ between machines",
                    )
                )
            trainer.rate_factor = factor
        own = state.cycles > 0 and step % effort.own_draws_every == 0
        metrics.write(curriculum.teach(trainer, own))
        run.progress.update(detail=f"cycle {state.cycles + 1}, step {trainer.step_number}")
        # with many taxa a cycle may be longer than what is left
        fewest = (
            1 if run.past_for_topologies(effort.last_step_share, state) else effort.fewest_steps
        )
        if step + 1 >= fewest and _out_of_time(run, state):
            break


def _rate_factor(run: SampleRun, state: RunState) -> float:
    """Return the factor on learning rates, where they fall, at this time of the run."""
    effort = run.effort
    budget = run.settings.budget_seconds - run.kept_seconds
    left = effort.train_share - run.seconds(state) / budget
    return min(1.0, max(effort.last_rate, left / (effort.train_share - effort.settle_from)))


def _judge(
    run: SampleRun,
    state: RunState,
    environment: TreeEnvironment,
    walked: list[Block],
    random_trees: RandomTrees | None,
    metrics: MetricsWriter,
) -> None:
    """End a cycle: what draws say of the sampler, and what the walk beside it found."""
    effort = run.effort
    table, walkers, trainer = state.table, state.walkers, state.trainer
    assert trainer is not None
    n_known = len(table)
    began, most = run.seconds(state), effort.pilot_share * run.settings.budget_seconds

    def late() -> bool:
        late = run.past_for_topologies(effort.last_step_share, state)
        return late or run.seconds(state) - began > most

    rng = run.rng("pilot", state.cycles)
    pilot = effort.fewest_pilot if late() else run.aims.pilot
    drawn = draw_from_sampler(run, state, environment, pilot, rng, late)
    n_drawn = len(drawn.rows)
    if n_drawn < run.aims.pilot:
        run.warn_of_clock("the evaluation of the sampler")
    found = run.sampler.estimate(state, drawn, n_known)
    walkers.absorb(walked, table, True)
    state.cycles += 1
    state.projected_error = found.standard_error * math.sqrt(n_drawn / run.aims.most_draws)
    state.known_share = found.known_share
    state.log_z = found.log_z - walkers.reward.log_topology_prior
    compare(run, state)
    state.missed, state.missed_error = divergence(run, state, environment, found)
    correlation = None if random_trees is None else random_trees.correlation
    state.accurate = (
        state.cycles >= effort.fewest_cycles
        and _is_accurate(run, found, n_drawn, state)
        and state.agreement is not None
        and state.agreement.agree
        and (random_trees is None or (correlation or 0.0) > effort.ranked)
    )
    searches = search_facts(state)
    metrics.write(
        {
            "step": trainer.step_number,
            "seconds": trainer.seconds,
            "log_evidence": found.log_z + state.log_correction,
            "log_evidence_se": found.standard_error,
            "ess": found.ess,
            "pareto_k": found.pareto_k,
            **known_topologies(run, state, found).as_dict(),
            **({} if searches is None else searches.as_dict()),
            **({} if correlation is None else {"random_trees_correlation": correlation}),
            "topologies": len(table),
        }
    )
    run.progress.update(
        log_evidence=found.log_z + state.log_correction,
        se=found.standard_error,
        ess=found.ess,
        detail=f"cycle {state.cycles}, {found.ess / n_drawn:.0%} of draws effective, "
        f"{len(table)} topologies",
    )


def _is_accurate(run: SampleRun, found: PartitionEstimate, n_drawn: int, state: RunState) -> bool:
    aims = run.aims
    return (
        state.projected_error < aims.standard_error
        and found.ess > aims.effective_share * n_drawn
        and state.missed - state.missed_error < aims.missed
    )


def divergence(
    run: SampleRun, state: RunState, environment: TreeEnvironment, found: PartitionEstimate
) -> tuple[float, float]:
    """Return the divergence from what is known to the sampler and its error, nats."""
    effort = run.effort
    n = effort.topologies_judged
    if run.with_lengths:
        affordable = _affordable(run, state.walkers.reward, effort.correction_share, TRIES)
        n = min(effort.lengths_judged, affordable)
        if n < effort.lengths_judged:
            run.warn_of_clock("the evaluation of the sampler")
    return run.sampler.divergence(run, state, environment, found, n)


def new_curriculum(
    run: SampleRun,
    state: RunState,
    environment: TreeEnvironment,
    random_trees: RandomTrees | None,
) -> Curriculum:
    """Return the curriculum of the sampler, with a pool of lengths that the budget allows."""
    n_pool = POOL
    if run.with_lengths:
        n_pool = min(POOL, _affordable(run, state.walkers.reward, run.effort.pool_share, TRIES))
        if n_pool < POOL:
            run.warn_of_clock("the sampling of branch lengths for training")
    return run.sampler.curriculum(run, state, environment, random_trees, n_pool)


def _unknown_log_z(run: SampleRun, state: RunState) -> float | None:
    """Log evidence to hold the table against; None where the table has nearly all of it."""
    if state.cycles == 0:
        if state.settled:
            return None
        # not known yet: that the visits were hardly ever to the same topology says it is larger
        return float(np.asarray(logsumexp(state.table.log_evidence))) + run.effort.first_guess
    return None if state.known_share > 0.9 else state.log_z


def _affordable(run: SampleRun, reward: CollapsedReward, share: float, draws: int) -> int:
    """Trees, 16 or more, for which branch lengths can be drawn in a share of the budget."""
    seconds = share * run.settings.budget_seconds * run.settings.n_threads
    return max(16, int(seconds / (draws * run.seconds_an_evaluation(reward))))


def _correction(run: SampleRun, state: RunState) -> float:
    """A first estimate of the correction of the closed form, from the known topologies."""
    effort = run.effort
    table = state.table
    rng = run.rng("pilot")
    if run.spec.n_free:
        best = np.array([int(np.argmax(table.log_evidence))])
        draws = JointDraws(run.spec, state.walkers.reward, state.theta, table)
        seconds = effort.correction_share * run.settings.budget_seconds
        found = draws.mean_correction(best, effort.correction_draws, rng, seconds)
        if found is None:
            run.warn_of_clock("the first correction of the closed form")
        return 0.0 if found is None else found
    mass = np.exp(table.log_evidence - table.log_evidence.max())
    reward = state.walkers.reward
    fitting = _affordable(run, reward, effort.correction_share, effort.correction_draws)
    if fitting < effort.correction_topologies:
        run.warn_of_clock("the first correction of the closed form")
    rows = rng.choice(len(table), min(effort.correction_topologies, fitting), p=mass / mass.sum())
    return mean_correction(rows, table, reward, rng)
