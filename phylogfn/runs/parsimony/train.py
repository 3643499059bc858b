"""Training of ``phylogfn parsimony`` at many temperatures, in cycles that are judged by draws."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.program.messages import Note
from gfncore.program.metrics import MetricsWriter
from gfncore.tempering import TemperatureRange
from phylogfn.environments.base import TreeEnvironment
from phylogfn.estimates.tempered import divergence_of_known, draw_trees, in_table, weigh
from phylogfn.parsimony.table import ParsimonyTable
from phylogfn.runs.parsimony.pilots import Pilots
from phylogfn.runs.parsimony.run import ParsimonyRun
from phylogfn.runs.parsimony.state import ParsimonyState
from phylogfn.training.curricula import make_policy, make_trainer
from phylogfn.training.tempered_curricula import TemperedCurriculum, fit_log_partition

if TYPE_CHECKING:
    from gfncore.training.trainer import Trainer

__all__ = ["cycle_betas", "divergence", "environment_of", "new_trainer", "train"]


def train(
    run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment, metrics: MetricsWriter
) -> None:
    """Cycles of training, until the answer is accurate or the time is up."""
    effort = run.effort
    run.progress.phase("training the sampler of near-optimal trees")
    settings = run.settings
    if state.trainer is None:
        state.trainer = new_trainer(run, state, environment)
        state.save(run.checkpoint, run.clock, run.settings.origin())
    trainer = state.trainer
    betas = cycle_betas(run, state)
    if state.pilots is None or not np.array_equal(state.pilots.betas, betas):
        state.pilots = Pilots.none(betas, run.n_taxa)  # other temperatures than before
    found = ParsimonyTable(run.n_taxa)
    found.add(
        state.table.parents[: state.search.n_trees], state.table.scores[: state.search.n_trees]
    )
    curriculum = run.sampler.curriculum(environment, run.fewer(effort.trajectories, 8))
    every = run.sampler.own_draws_every
    saved = time.monotonic()

    def late() -> bool:
        return run.past(effort.train_share - effort.settling_share, state)

    while not (state.accurate and state.judged == list(settings.temperature)):
        if not late():
            curriculum.refresh(state.pilots.weigh(found, state.search.best_score))
            if state.cycles in effort.rates_at_cycles:
                curriculum.set_rates()
                state.rates = environment.rates
            for step in range(effort.cycle_steps):
                if late():
                    break
                metrics.write(curriculum.teach(trainer, state.cycles > 0 and step % every == 0))
                run.progress.update(detail=f"cycle {state.cycles + 1}, step {trainer.step_number}")
        if late():
            if state.cycles:
                run.warn(
                    Note(
                        "training-time-limit",
                        f"training reached its time limit ({effort.train_share:.0%} of "
                        f"{settings.budget}) before the target accuracy; results of the same seed "
                        "may differ between machines",
                    )
                )
                curriculum.refresh(state.pilots.weigh(found, state.search.best_score))
                _settle(run, state, environment, curriculum, metrics)
            state.n_scores = run.scorer.n_scores
            # to go on from with more time
            state.save(run.checkpoint, run.clock, run.settings.origin())
            break
        _judge(run, state, environment, found, metrics)
        if state.accurate:
            curriculum.refresh(state.pilots.weigh(found, state.search.best_score))
            if _settle(run, state, environment, curriculum, metrics):
                run.warn(
                    Note(
                        "settling-time-limit",
                        "the last steps of training reached their time limit "
                        f"({effort.settling_share:.0%} of {settings.budget}); results of the same "
                        "seed may differ between machines",
                    )
                )
        if state.accurate or time.monotonic() - saved > effort.checkpoint_seconds:
            state.save(run.checkpoint, run.clock, run.settings.origin())
            saved = time.monotonic()


def _settle(
    run: ParsimonyRun,
    state: ParsimonyState,
    environment: TreeEnvironment,
    curriculum: TemperedCurriculum,
    metrics: MetricsWriter,
) -> bool:
    """Take the noise of the steps out of the policy, by learning rates that fall to zero.

    All steps have own draws. The rates fall by steps, or by time where that is short; True if so.
    """
    effort = run.effort
    trainer = state.trainer
    assert trainer is not None
    budget = run.settings.budget_seconds
    began = run.seconds(state)
    allowed = min(effort.settling_share * budget, effort.train_share * budget - began)
    hurried = False
    for step in range(effort.settling_steps):
        share = step / effort.settling_steps
        used = (run.seconds(state) - began) / allowed if allowed > 0.0 else 1.0
        if used > (step + 1) / effort.settling_steps:
            hurried, share = True, used
        if share >= 1.0:
            break
        trainer.rate_factor = 1.0 - share
        metrics.write(curriculum.teach(trainer, True))
        run.progress.update(detail=f"last steps, {step + 1} of {effort.settling_steps}")
    trainer.rate_factor = 1.0
    table = state.table
    state.divergence = divergence(run, state, environment, table.parents, table.scores)
    return hurried


def divergence(
    run: ParsimonyRun,
    state: ParsimonyState,
    environment: TreeEnvironment,
    parents: np.ndarray,
    scores: np.ndarray,
) -> list[float]:
    """`divergence_of_known` from given trees, at all temperatures asked for."""
    assert state.trainer is not None
    policy = state.trainer.averaged.policy

    def at(beta: float) -> float:
        rng = run.rng("divergence", state.cycles)
        return divergence_of_known(
            environment, policy, beta, parents, scores, run.effort.compared, rng
        )

    return [at(float(beta)) for beta in run.betas]


def _judge(
    run: ParsimonyRun,
    state: ParsimonyState,
    environment: TreeEnvironment,
    searched: ParsimonyTable,
    metrics: MetricsWriter,
) -> None:
    """Draw at all temperatures of the cycle: how accurate is it, and what does the next teach?"""
    effort = run.effort
    trainer, table, pilots = state.trainer, state.table, state.pilots
    assert trainer is not None and pilots is not None
    policy = trainer.averaged.policy
    betas, asked = pilots.betas, len(run.betas)
    n, n_known = run.fewer(effort.pilot_draws, 100), len(table)
    rng = run.rng("pilot", state.cycles)
    began, most = run.seconds(state), effort.pilot_share * run.settings.budget_seconds

    def late() -> bool:
        return run.past(effort.train_share, state) or run.seconds(state) - began > most

    drawn = draw_trees(environment, policy, betas, n, rng, run.scorer.pool, late)
    n = len(drawn[0].log_q)
    known_parents, known_scores = table.parents[:n_known].copy(), table.scores[:n_known].copy()
    scores = [run.scorer.scores(draws.parents) for draws in drawn]
    reference = state.search.best_score
    weighted = [
        weigh(draws, own, in_table(table, draws.parents), reference)
        for draws, own in zip(drawn, scores, strict=True)
    ]
    found = [
        one.estimate(beta * (reference - known_scores))
        for one, beta in zip(weighted, betas, strict=True)
    ]
    outside = [~in_table(searched, draws.parents) for draws in drawn]
    state.pilots = pilots.after(drawn, outside, weighted)
    for draws, own in zip(drawn, scores, strict=True):
        _remember(table, draws.parents, own, effort.most_known)
    state.cycles += 1
    if state.cycles == 1 and isinstance(trainer.objective, TrajectoryBalance):
        fit_log_partition(trainer.objective, betas, np.array([one.log_z for one in found]))
    state.divergence = divergence(run, state, environment, known_parents, known_scores)
    state.judged = list(run.settings.temperature)
    factor = math.sqrt(n / run.fewer(effort.most_draws, effort.fewest_of_many_taxa))
    state.accurate = state.cycles >= effort.fewest_cycles and all(
        one.standard_error * factor < effort.accurate and one.ess > effort.accurate_share * n
        for one in found[:asked]
    )
    shares = [one.known_share for one in found[:asked]]
    missed = max(kl + math.log(s) for kl, s in zip(state.divergence, shares, strict=True))
    state.accurate &= missed < effort.missed
    state.n_scores = run.scorer.n_scores
    worst = min(range(asked), key=lambda k: found[k].ess)
    metrics.write(
        {
            "step": trainer.step_number,
            "seconds": trainer.seconds,
            "temperature": run.settings.temperature[worst],
            "log_partition": found[worst].log_z,
            "log_partition_se": found[worst].standard_error,
            "ess": found[worst].ess,
            "effective_share": found[worst].ess / n,
            "pareto_k": found[worst].pareto_k,
            "known_share": found[worst].known_share,
            "kl_known_to_sampler": missed,
            "trees": len(table),
        }
    )
    run.progress.update(
        best_score=float(table.scores.min()),
        detail=f"cycle {state.cycles}, {found[worst].ess / n:.0%} of draws effective at "
        f"temperature {run.settings.temperature[worst]:g}, {len(table)} trees",
    )


def environment_of(run: ParsimonyRun, state: ParsimonyState) -> TreeEnvironment:
    """Return the environment of the trainer, or a new one before there is a trainer."""
    if state.trainer is not None:  # its own: the rates there must not have a twin
        trained: Any = state.trainer.environment
        return trained.inner
    limit = state.search.best_score + state.excess + run.scorer.tolerance

    def log_reward(trees: np.ndarray) -> np.ndarray:
        scores = run.scorer.scores(trees)
        near = scores <= limit
        _remember(state.table, trees[near], scores[near], run.effort.most_known)
        return state.search.best_score - scores

    return run.sampler.environment(run, state, log_reward)


def _remember(table: ParsimonyTable, trees: np.ndarray, scores: np.ndarray, most: int) -> None:
    """Add trees while the table has at most `most`; better ones always."""
    best = table.scores.min()
    better = scores < best
    room = max(0, most - len(table))
    kept = np.flatnonzero(better | (np.arange(len(scores)) < room))
    table.add(trees[kept], scores[kept])


def new_trainer(run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment) -> Trainer:
    """Return a new trainer with a new policy, for all temperatures of the run."""
    seed = int(run.rng("policy").integers(2**31))
    policy = make_policy(environment, seed, run.device, conditioning="both")
    log_z = float(np.logaddexp.reduce(state.search.best_score - state.table.scores))
    pool = run.scorer.pool if run.settings.n_threads > 1 else None
    temperatures = TemperatureRange(*state.range)
    return make_trainer(environment, policy, log_z, run.rng("training"), pool, temperatures)


def cycle_betas(run: ParsimonyRun, state: ParsimonyState) -> np.ndarray:
    """Return the inverse temperatures of a cycle: those requested, then others of the range."""
    return np.concatenate([run.betas, np.geomspace(*state.range, run.effort.more_temperatures)])
