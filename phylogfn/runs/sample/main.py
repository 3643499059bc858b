"""``phylogfn sample``: from an alignment to a posterior over trees that states its own accuracy.

    starts -> walks -> environment -> training beside more walks, in cycles -> draws -> files

All decisions but one depend on what was found and not on the clock, so that a seed reproduces the
files; the one is the end of the budget, and the user is told when it struck.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import logsumexp

from gfncore.errors import UserError
from gfncore.evaluation import PartitionEstimate
from gfncore.files import clear_leftovers, write_atomic
from gfncore.program.configuration import settings_toml
from gfncore.program.metrics import MetricsWriter
from gfncore.program.output import clear_output, locked_output
from gfncore.training.checkpoint import restore_trainer
from phylogfn.environments.tree_environment import TreeEnvironment
from phylogfn.estimates.length_samples import mean_correction
from phylogfn.exploration.agreement import compare_searches
from phylogfn.exploration.starting_trees import overdispersed_starts
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import BLOCK, N_REPLICAS, Block, Walkers
from phylogfn.likelihood.collapsed import MAX_SWEEPS, CollapsedReward
from phylogfn.likelihood.integrals import Collapsed
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.output_names import OUTPUT_NAMES
from phylogfn.runs.sample.answer import answer, write_answer
from phylogfn.runs.sample.run import (
    SampleRun,
    draw_from_sampler,
    of_the_known,
    of_the_searches,
    random_trees_of,
)
from phylogfn.runs.sample.state import RunState, read_state
from phylogfn.runs.stored_arrays import check_parameters
from phylogfn.settings import SampleSettings, resolve_settings
from phylogfn.training.curricula import (
    Curriculum,
)
from phylogfn.training.lengths_curriculum import POOL, TRIES
from phylogfn.training.random_trees import RandomTrees
from phylogfn.trees.tree import Tree

if TYPE_CHECKING:
    from gfncore.program.progress import Progress

__all__ = ["open_run", "rehearse", "run_sample", "trained_run"]

WALK_BATCH = 4  # rounds of blocks between looks at what was found
WALK_MOST = 140  # rounds of the first walk
HITS = 10  # scouts that reach the best topology before the first walk ends
# shares of the budget after which a phase ends, at the latest when its smallest part is done
STARTS_SHARE = 0.1  # building starting trees
FIT_SHARE = 0.2  # fitting the model's parameters
WALK_SHARE = 0.35  # the first walk
TRAIN_SHARE = 0.82  # training: no new cycle is begun, and one that goes on is cut short
LAST_STEP_SHARE = 0.86  # training: no further step or draw
# of the budget, the most that a part of a phase takes
SWEEPS_SHARE = 0.02  # Newton steps on the starting trees, when the time for them is up
ROUND_SHARE = 0.05  # a round of blocks of the first walk, or all those beside a cycle
PILOT_SHARE = 0.1  # draws that judge a cycle
CORRECTION_SHARE = 0.02  # first draws of branch lengths
POOL_SHARE = 0.05  # draws of branch lengths for trees to learn from
FEWEST_PILOT = 64  # of these draws, where there is no time
CORRECTION_TOPOLOGIES = 64  # for the first correction of the closed form, where time allows
CORRECTION_DRAWS = 32  # of the lengths of each of them
FEWEST_SWEEPS = 6  # Newton steps on starting trees
SETTLED = 0.002  # share of the table's mass that two batches may add when the walk has settled
CYCLE_ROUNDS = 4  # of blocks walked beside each cycle of training
DISAGREEING = 3  # times as many while the searches disagree
FEWEST_STEPS = 10  # of a cycle, even if the time is up
RATES_AT_CYCLES = (0, 2, 5, 10)  # before which the attachment rates are counted
OWN_DRAWS_EVERY = 6  # steps from one with own draws to the next, once there are any
# of the budget, from which on the learning rates of merging fall to `LAST_RATE` of what they were:
# the noise of its histories is then averaged out. Insertion gained nothing by it
SETTLE_FROM = 0.45
LAST_RATE = 0.02
FEWEST_CYCLES = 3
FIRST_GUESS = 1.0  # nats by which the evidence is thought larger than the table's, before training
RANKED = 0.98  # correlation of log q with log R over random trees, at which training may end
CHECKPOINT_SECONDS = 30.0
TOPOLOGIES_JUDGED = 300  # draws of known topologies that the divergence is measured on
LENGTHS_JUDGED = 200  # trees of the teacher, with their lengths, that the divergence is measured on


def run_sample(settings: SampleSettings, progress: Progress) -> int:
    """Run and write all files; return the exit code (`phylogfn.runs.sample.answer.write_answer`).

    Raises
    ------
    UserError
        The alignment, the model or the device cannot be used.
    """
    with trained_run(settings, progress) as parts:
        return write_answer(parts[0], answer(*parts))


@contextmanager
def trained_run(
    settings: SampleSettings, progress: Progress, command: str | None = None
) -> Iterator[tuple[SampleRun, RunState, TreeEnvironment]]:
    """Run until the sampler is trained; its output directory is locked inside of the context.

    Parameters
    ----------
    settings : SampleSettings
    progress : Progress
    command : str, optional
        How the run was started. Default: the command line of this process.

    Yields
    ------
    run, state, environment
        What `phylogfn.runs.sample.answer.answer` takes.

    Raises
    ------
    UserError
        The alignment, the model or the device cannot be used.
    """
    torch.set_num_threads(1)  # the second core walks; intra-op threads would make sums depend on it
    run = SampleRun(settings, progress, command)
    with locked_output(settings.output, "run.toml") as check_output:
        if settings.resume:
            clear_leftovers(settings.output)
        else:
            clear_output(settings.output, OUTPUT_NAMES)
        state = _resumed(run) if settings.resume else None
        write_atomic(settings.output / "run.toml", settings_toml(settings))
        if state is None:
            state = _started(run)
        state.draws_from_prior = run.draws_from_prior
        _walk(run, state)
        environment = run.sampler.environment_of(run, state)
        curves = settings.output / "train.jsonl"
        with MetricsWriter(curves, state.steps, settings.tensorboard_directory) as metrics:
            if state.draws_from_prior:
                _leave_untrained(run, state, environment)
            else:
                _train(run, state, environment, metrics)
        check_output()
        yield run, state, environment


def open_run(output: Path, progress: Progress) -> tuple[CollapsedReward, TreeEnvironment, RunState]:
    """A run as its checkpoint has it, to ask its sampler for probabilities.

    Raises
    ------
    UserError
        There is no run that got as far as training, or its sampler draws trees with lengths.
    """
    run = SampleRun(resolve_settings({"output": output, "resume": True}), progress)
    state = _resumed(run)
    if state is None or state.trainer is None:
        raise UserError(
            f"{output}: contains no trained sampler; run phylogfn sample --resume first"
        )
    if run.with_lengths:
        raise UserError(f"{output}: its sampler draws trees with branch lengths, not topologies")
    return state.walkers.reward, run.sampler.environment_of(run, state), state


def rehearse(run: SampleRun) -> None:
    """Go once through the parts of a run, each as short as can be, so that all is compiled."""
    state = _started(run)
    walkers, rng = state.walkers, run.rng("walk")
    walkers.block = 2
    walkers.absorb(walkers.run(1), state.table, True)
    run.sampler.prepare(run, state)
    environment = run.sampler.environment_of(run, state)
    state.trainer = run.sampler.trainer(run, state, environment)
    curriculum = _curriculum(run, state, environment, None)
    curriculum.refresh(None)
    curriculum.set_rates()
    for own_draws in (False, True):
        curriculum.teach(state.trainer, own_draws)
    drawn = draw_from_sampler(run, state, environment, 4, rng)
    _missed(run, state, environment, run.sampler.estimate(state, drawn, 1))
    parents, lengths = state.table.parents[:2], state.table.lengths[:2]
    walkers.reward.draw_lengths(parents, walkers.reward.closed_form(parents, lengths), 4, 1)
    walkers.reward.pool.shutdown()


def _resumed(run: SampleRun) -> RunState | None:
    saved = read_state(run.checkpoint, run.settings.origin())
    if saved is None:
        run.progress.note("the run was interrupted before its first checkpoint; starting again")
        return None
    run.check_same_alignment(saved.extra["checksum"])
    check_parameters(saved.arrays, run.spec.n_free, str(run.checkpoint))
    state = RunState.restore(saved, run.reward(saved.arrays["theta"]))
    run.clock.resume(saved.extra["spent"])
    if saved.has_trainer:
        environment = run.sampler.environment_of(run, state)
        state.trainer = run.sampler.trainer(run, state, environment)
        restore_trainer(saved, state.trainer)
    return state


def _started(run: SampleRun) -> RunState:
    """Starting trees, and the free parameters at their maximum on the best of them."""
    run.progress.phase("building starting trees")
    theta = run.spec.start(run.patterns)
    reward = run.reward(theta)
    run.check_budget(reward)
    began = run.seconds()  # the loading of libraries may have taken this share already

    def late() -> bool:
        if run.seconds() - began > STARTS_SHARE * run.settings.budget_seconds:
            run.warn_of_clock("the construction of starting trees")
            return True
        return False

    starts = overdispersed_starts(run.patterns, N_REPLICAS, run.rng("starts"), late)
    fit = _fitted(run, reward, starts, None)
    if run.spec.n_free:
        best = int(np.argmax(fit.log_evidence))
        run.progress.phase("fitting the model's parameters on the best starting tree")
        tree = Tree.from_parents(starts[best].astype(np.int32), fit.lengths[best])
        theta = fit_model(run.spec, run.patterns, tree, until=lambda: run.past(FIT_SHARE)).theta
        if run.past(FIT_SHARE):
            run.warn(
                f"the fit of the model parameters reached its time limit ({FIT_SHARE:.0%} of "
                f"{run.settings.budget}); the values may not be the maximum"
            )
        reward = run.reward(theta)
        fit = _fitted(run, reward, starts, fit.lengths)
    table = TopologyTable(run.alignment.n_taxa)
    walkers = Walkers.start(reward, table, starts, run.rng("walk"), fit)
    return RunState(table, walkers, theta, checksum=run.checksum)


def _fitted(
    run: SampleRun, reward: CollapsedReward, starts: np.ndarray, lengths: np.ndarray | None
) -> Collapsed:
    """Closed forms of the starting trees, in as many Newton steps as there is time for."""
    a_sweep = run.seconds_an_evaluation(reward) * len(starts) / run.settings.n_threads
    affordable = int(max(run.left(FIT_SHARE), SWEEPS_SHARE * run.settings.budget_seconds) / a_sweep)
    if affordable < MAX_SWEEPS:
        run.warn_of_clock("the optimisation of branch lengths of the starting trees")
    return reward.closed_form(starts, lengths, min(MAX_SWEEPS, max(FEWEST_SWEEPS, affordable)))


def _burn_in(n_taxa: int) -> int:
    """Rounds before visits count."""
    return max(2, math.ceil(20 * n_taxa / BLOCK))


def _walk(run: SampleRun, state: RunState) -> None:
    """The first walk: until it finds little that is new, and its two searches agree."""
    if not state.draws_from_prior:
        run.progress.phase("walking over topologies")
    table, walkers = state.table, state.walkers
    prior = walkers.reward.log_topology_prior
    burn_in = _burn_in(run.alignment.n_taxa)
    saved = time.monotonic()

    def out_of_time() -> bool:
        return run.past(WALK_SHARE, state)

    if walkers.keep_pace(
        ROUND_SHARE * run.settings.budget_seconds,
        run.seconds_an_evaluation(walkers.reward),
        run.settings.n_threads,
    ):
        _warn_of_pace(run, walkers)
    most = 0 if state.draws_from_prior else burn_in + WALK_MOST
    while (
        not (_found_all(state) and _enough_hits(state))
        and state.blocks < most
        and state.cycles == 0
    ):
        if out_of_time() and table.visits.any():
            run.warn(
                f"the walk reached its time limit ({WALK_SHARE:.0%} of {run.settings.budget})"
                + (" during burn-in" if state.blocks < burn_in else "")
                + "; results of the same seed may differ between machines"
            )
            break
        counted = state.blocks >= burn_in
        before = walkers.rounds
        walked = walkers.run(WALK_BATCH, until=out_of_time, scouts_only=_found_all(state))
        # where the time is up there will be no others whose visits count
        walkers.absorb(walked, table, counted or out_of_time())
        state.blocks += walkers.rounds - before
        state.log_mass.append(float(np.asarray(logsumexp(table.log_evidence))))
        if counted and state.blocks >= burn_in + 4 * WALK_BATCH:
            gained = 1.0 - math.exp(state.log_mass[-3] - state.log_mass[-1])
            state.settled = gained < SETTLED
            _compare(run, state)
        run.progress.update(
            detail=f"{len(table)} topologies, best {table.log_evidence.max() + prior:.2f}"
        )
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            state.save(run.checkpoint, run.clock, run.settings.origin())
            saved = time.monotonic()
    run.sampler.prepare(run, state)


def _found_all(state: RunState) -> bool:
    """Return whether nothing suggests that the searches missed a part of the posterior."""
    return state.settled and state.agreement is not None and state.agreement.agree


def _enough_hits(state: RunState) -> bool:
    """Return whether enough scouts have reached the best topology to trust that it is the best."""
    return state.walkers.hits(float(state.table.log_evidence.max())) >= HITS


def _compare(run: SampleRun, state: RunState) -> None:
    """Compare what the two searches have found so far."""
    rng = run.rng("searches", state.blocks, state.cycles)
    state.agreement = compare_searches(state.table, rng)


def _train(
    run: SampleRun, state: RunState, environment: TreeEnvironment, metrics: MetricsWriter
) -> None:
    """Cycles of training beside further walks, until the answer is accurate or the time is up."""
    run.progress.phase("training the sampler")
    walkers, settings = state.walkers, run.settings
    if state.trainer is None:
        state.trainer = run.sampler.trainer(run, state, environment)
        state.log_correction = 0.0 if run.with_lengths else _correction(run, state)
        state.save(run.checkpoint, run.clock, run.settings.origin())
    random_trees = random_trees_of(run, state, environment)
    curriculum = _curriculum(run, state, environment, random_trees)
    falls = random_trees is not None or run.sampler.rates_fall
    saved = time.monotonic()
    cost = run.seconds_an_evaluation(walkers.reward)
    if walkers.keep_pace(ROUND_SHARE * settings.budget_seconds / CYCLE_ROUNDS, cost, 1):
        _warn_of_pace(run, walkers)

    def late() -> bool:
        return _out_of_time(run, state)

    with ThreadPoolExecutor(1) as beside:
        while not state.accurate:
            if state.cycles and _out_of_time(run, state):
                run.warn(
                    f"training reached its time limit ({TRAIN_SHARE:.0%} of {settings.budget}) "
                    "before the target accuracy; results of the same seed may differ between "
                    "machines"
                )
                state.save(
                    run.checkpoint, run.clock, run.settings.origin()
                )  # to go on from with more time
                break
            curriculum.refresh(_unknown_log_z(state))
            if state.cycles in RATES_AT_CYCLES:
                curriculum.set_rates()
                run.sampler.keep_rates(state, environment)
            agreed = state.agreement is None or state.agreement.agree
            rounds = CYCLE_ROUNDS * (1 if agreed else DISAGREEING)
            walking: Future | None = None
            if settings.n_threads > 1:
                walking = beside.submit(walkers.run, rounds, False, late)
            _teach(run, state, curriculum, falls, metrics)
            walked = walking.result() if walking else walkers.run(rounds, False, late)
            _judge(run, state, environment, walked, random_trees, metrics)
            if state.accurate or time.monotonic() - saved > CHECKPOINT_SECONDS:
                state.save(run.checkpoint, run.clock, run.settings.origin())
                saved = time.monotonic()
    if state.agreement is not None and not state.agreement.agree:
        run.warn(state.agreement.warning)


def _leave_untrained(run: SampleRun, state: RunState, environment: TreeEnvironment) -> None:
    """Make ready for draws from the prior, which is the posterior or nearly so."""
    run.progress.phase("no training: the draws come from the prior of topologies")
    if state.trainer is None:
        state.trainer = run.sampler.trainer(run, state, environment)
    state.accurate, state.missed, state.missed_error = True, 0.0, 0.0
    state.save(run.checkpoint, run.clock, run.settings.origin())


def _out_of_time(run: SampleRun, state: RunState) -> bool:
    """Whether training has had its share of the budget."""
    return run.past(TRAIN_SHARE, state)


def _warn_of_pace(run: SampleRun, walkers: Walkers) -> None:
    run.warn(
        f"the budget of {run.settings.budget} is small for these data: the walks exchange their "
        f"trees every {walkers.block} steps instead of {BLOCK}; results of the same seed may "
        "differ between machines"
    )


def _teach(
    run: SampleRun, state: RunState, curriculum: Curriculum, falls: bool, metrics: MetricsWriter
) -> None:
    """The steps of a cycle; `falls` says whether learning rates fall towards the end."""
    trainer, settings = state.trainer, run.settings
    assert trainer is not None
    for step in range(run.aims.cycle_steps):
        if falls:
            factor = _rate_factor(run.seconds(state), settings)
            if factor < 1.0 and trainer.rate_factor == 1.0:
                run.warn(
                    f"learning rates decrease from {SETTLE_FROM:.0%} of the budget on; results of "
                    "the same seed may differ between machines"
                )
            trainer.rate_factor = factor
        own = state.cycles > 0 and step % OWN_DRAWS_EVERY == 0
        metrics.write(curriculum.teach(trainer, own))
        run.progress.update(detail=f"cycle {state.cycles + 1}, step {trainer.step_number}")
        # with many taxa a cycle may be longer than what is left
        fewest = 1 if run.past(LAST_STEP_SHARE, state) else FEWEST_STEPS
        if step + 1 >= fewest and _out_of_time(run, state):
            break


def _judge(
    run: SampleRun,
    state: RunState,
    environment: TreeEnvironment,
    walked: list[Block],
    random_trees: RandomTrees | None,
    metrics: MetricsWriter,
) -> None:
    """End a cycle: what draws say of the sampler, and what the walk beside it found."""
    table, walkers, trainer = state.table, state.walkers, state.trainer
    assert trainer is not None
    n_known = len(table)
    began, most = run.seconds(state), PILOT_SHARE * run.settings.budget_seconds

    def late() -> bool:
        return run.past(LAST_STEP_SHARE, state) or run.seconds(state) - began > most

    rng = run.rng("pilot", state.cycles)
    pilot = FEWEST_PILOT if late() else run.aims.pilot
    drawn = draw_from_sampler(run, state, environment, pilot, rng, late)
    n_drawn = len(drawn.rows)
    if n_drawn < run.aims.pilot:
        run.warn_of_clock("the evaluation of the sampler")
    found = run.sampler.estimate(state, drawn, n_known)
    walkers.absorb(walked, table, True)
    state.cycles += 1
    state.known_share = found.known_share
    state.log_z = found.log_z - walkers.reward.log_topology_prior
    _compare(run, state)
    state.missed, state.missed_error = _missed(run, state, environment, found)
    correlation = None if random_trees is None else random_trees.correlation
    state.accurate = (
        state.cycles >= FEWEST_CYCLES
        and _is_accurate(run, found, n_drawn, state)
        and state.agreement is not None
        and state.agreement.agree
        and (random_trees is None or (correlation or 0.0) > RANKED)
    )
    metrics.write(
        {
            "step": trainer.step_number,
            "seconds": trainer.seconds,
            "log_evidence": found.log_z + state.log_correction,
            "log_evidence_se": found.standard_error,
            "ess": found.ess,
            "pareto_k": found.pareto_k,
            **of_the_known(run, state, found),
            **of_the_searches(state),
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


def _curriculum(
    run: SampleRun,
    state: RunState,
    environment: TreeEnvironment,
    random_trees: RandomTrees | None,
) -> Curriculum:
    n_pool = POOL
    if run.with_lengths:
        n_pool = min(POOL, _affordable(run, state.walkers.reward, POOL_SHARE, TRIES))
        if n_pool < POOL:
            run.warn_of_clock("the sampling of branch lengths for training")
    return run.sampler.curriculum(run, state, environment, random_trees, n_pool)


def _rate_factor(seconds: float, settings: SampleSettings) -> float:
    """Factor on learning rates, where they fall, after some seconds of the run."""
    left = TRAIN_SHARE - seconds / settings.budget_seconds
    return min(1.0, max(LAST_RATE, left / (TRAIN_SHARE - SETTLE_FROM)))


def _unknown_log_z(state: RunState) -> float | None:
    """Log evidence to hold the table against; None where the table has nearly all of it."""
    if state.cycles == 0:
        if state.settled:
            return None
        # not known yet: that the visits were hardly ever to the same topology says it is larger
        return float(np.asarray(logsumexp(state.table.log_evidence))) + FIRST_GUESS
    return None if state.known_share > 0.9 else state.log_z


def _is_accurate(run: SampleRun, found: PartitionEstimate, n_drawn: int, state: RunState) -> bool:
    aims = run.aims
    projected = found.standard_error * math.sqrt(n_drawn / aims.most_draws)
    return (
        projected < aims.standard_error
        and found.ess > aims.effective_share * n_drawn
        and state.missed - state.missed_error < aims.missed
    )


def _missed(
    run: SampleRun, state: RunState, environment: TreeEnvironment, found: PartitionEstimate
) -> tuple[float, float]:
    """Return the divergence from what is known to the sampler and its error, nats."""
    n = TOPOLOGIES_JUDGED
    if run.with_lengths:
        affordable = _affordable(run, state.walkers.reward, CORRECTION_SHARE, TRIES)
        n = min(LENGTHS_JUDGED, affordable)
        if n < LENGTHS_JUDGED:
            run.warn_of_clock("the evaluation of the sampler")
    return run.sampler.divergence(run, state, environment, found, n)


def _affordable(run: SampleRun, reward: CollapsedReward, share: float, draws: int) -> int:
    """Trees, 16 or more, for which branch lengths can be drawn in a share of the budget."""
    seconds = share * run.settings.budget_seconds * run.settings.n_threads
    return max(16, int(seconds / (draws * run.seconds_an_evaluation(reward))))


def _correction(run: SampleRun, state: RunState) -> float:
    """A first estimate of the correction of the closed form, from the known topologies."""
    table = state.table
    rng = run.rng("pilot")
    mass = np.exp(table.log_evidence - table.log_evidence.max())
    fitting = _affordable(run, state.walkers.reward, CORRECTION_SHARE, CORRECTION_DRAWS)
    if fitting < CORRECTION_TOPOLOGIES:
        run.warn_of_clock("the first correction of the closed form")
    rows = rng.choice(len(table), min(CORRECTION_TOPOLOGIES, fitting), p=mass / mass.sum())
    return mean_correction(rows, table, state.walkers.reward, rng)
