"""``phylogfn parsimony``: from an alignment to its most parsimonious trees and near-optimal ones.

    search -> environment -> training at many temperatures, in cycles -> draws -> files

All decisions but the end of the budget depend on what was found and not on the clock, so that a
seed reproduces the files; the user is told when the clock struck.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gfncore.errors import UserError
from gfncore.files import clear_leftovers, write_atomic
from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.program.configuration import settings_toml
from gfncore.program.metrics import MetricsWriter
from gfncore.program.output import clear_output, locked_output
from gfncore.tempering import TemperatureRange
from gfncore.training.checkpoint import read_checkpoint, restore_trainer
from phylogfn.alignments.patterns import SitePatterns
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.environments.taxon_order import taxon_order
from phylogfn.environments.tree_environment import TreeEnvironment
from phylogfn.estimates.tempered import (
    divergence_of_known,
    draw_trees,
    in_table,
    weigh,
)
from phylogfn.output_names import PARSIMONY_OUTPUT_NAMES
from phylogfn.parsimony.search import SearchFacts, SearchProgress, SearchResult, search
from phylogfn.parsimony.table import ParsimonyTable
from phylogfn.runs.parsimony.answer import ACCURATE, FEWEST_OF_MANY_TAXA, MOST_DRAWS, finish
from phylogfn.runs.parsimony.pilots import Pilots
from phylogfn.runs.parsimony.run import ParsimonyRun
from phylogfn.runs.parsimony.state import ParsimonyState
from phylogfn.training.curricula import make_policy, make_trainer
from phylogfn.training.tempered_curricula import (
    TemperedCurriculum,
    fit_log_partition,
    make_tempered_curriculum,
)

if TYPE_CHECKING:
    from gfncore.program.progress import Progress
    from gfncore.training.trainer import Trainer
    from phylogfn.settings import ParsimonySettings

__all__ = ["rehearse", "run_parsimony"]

SEARCH_SHARE = 0.35  # of the budget, the most that the search takes
WIDER_SHARE = 0.25  # of the budget, after which no search for more trees begins
TRAIN_SHARE = 0.85  # of the budget, after which no step begins
PILOT_SHARE = 0.1  # of the budget, the most that the draws that judge a cycle take
MOST_FOUND = 20_000  # trees that the search collects
MOST_KNOWN = 40_000  # and with those that the sampler meets before its last draws
FIRST_EXCESS = 2.0  # steps; doubled while the search finds few trees, up to WIDEST temperatures
ENOUGH_FOUND = 1000
WIDEST = 8.0
LARGEST_TRAINED = 150  # taxa: with more, one draw of the sampler takes too long to train it
WIDENING = 2.0  # the sampler learns temperatures from the lowest / 2 to the highest * 1.5
HEADROOM = 1.5
CYCLE_STEPS = 60
SETTLING_STEPS = 120  # the last ones, in which the learning rates fall to zero
SETTLING_SHARE = 0.1  # of the budget, the most that they take: cycles end so much earlier
RATES_AT_CYCLES = (0, 2, 5, 10)  # before which the rates that the policy starts from are counted
OWN_DRAWS_EVERY = {"insertion": 6, "merging": 2}  # steps, once there are any
TRAJECTORIES = 96
MORE_TEMPERATURES = 4  # that a cycle learns from beside those asked for
PILOT = 500  # draws at each temperature that judge a cycle
FEWEST_CYCLES = 3
ACCURATE_SHARE = 0.5  # effective share of the draws at which training ends
MISSED = 0.1  # KL from the known trees to the sampler, nats, at which training ends
COMPARED = 200  # draws of known trees for it
CHECKPOINT_SECONDS = 30.0


def run_parsimony(settings: ParsimonySettings, progress: Progress) -> None:
    """Run and write all files.

    Raises
    ------
    UserError
        The alignment or the device cannot be used, or a run cannot be resumed as asked.
    """
    torch.set_num_threads(1)  # intra-op threads would make sums depend on their number
    run = ParsimonyRun(settings, progress)
    with locked_output(settings.output, "run.toml") as check_output:
        if settings.resume:
            clear_leftovers(settings.output)
        else:
            clear_output(settings.output, PARSIMONY_OUTPUT_NAMES)
        state = _resumed(run) if settings.resume else None
        write_atomic(settings.output / "run.toml", settings_toml(settings))
        if state is None:
            state = _searched(run)
        environment = None
        curves = settings.output / "train.jsonl"
        with MetricsWriter(curves, state.steps, settings.tensorboard_directory) as metrics:
            if not run.characters.n_characters:
                run.progress.note("no sampler is trained: all trees are equally probable")
            elif run.n_taxa > LARGEST_TRAINED:
                run.warn(
                    f"no sampler of near-optimal trees was trained: {run.n_taxa} taxa are more "
                    f"than the {LARGEST_TRAINED} for which it can be trained in reasonable time"
                )
            else:
                environment = _environment(run, state)
                _train(run, state, environment, metrics)
        check_output()
        finish(run, state, environment)


def rehearse(run: ParsimonyRun) -> None:
    """Go once through the parts of a run, each as short as can be, so that all is compiled."""
    found = search(run.scorer, 1, excess=1.0, hits=1)
    lowest, highest = float(run.betas.min()), float(run.betas.max())
    state = ParsimonyState(
        found.table, SearchFacts.of(found), 1.0, 0, (lowest / HEADROOM, highest * WIDENING)
    )
    _set_order(run, state, lowest)
    environment = _environment(run, state)
    state.trainer = _new_trainer(run, state, environment)
    curriculum = make_tempered_curriculum(environment, 4)
    pilots = Pilots.none(_cycle_betas(run, state), run.n_taxa)
    curriculum.refresh(pilots.weigh(found.table, found.best_score))
    curriculum.set_rates()
    for own_draws in (False, True):
        curriculum.teach(state.trainer, own_draws)
    policy, rng = state.trainer.averaged.policy, run.rng("pilot")
    (drawn,) = draw_trees(environment, policy, run.betas[:1], 4, rng, run.scorer.pool)
    in_table(state.table, drawn.parents)
    _divergence(run, state, environment, found.table.parents, found.table.scores)
    run.scorer.pool.shutdown()


def _resumed(run: ParsimonyRun) -> ParsimonyState | None:
    if not (run.checkpoint / "checkpoint.json").exists():
        run.progress.note("the run was interrupted before its first checkpoint; starting again")
        return None
    saved = read_checkpoint(run.checkpoint, run.settings.origin())
    run.check_same_alignment(saved.extra["checksum"])
    state = ParsimonyState.restore(saved, run.n_taxa)
    run.clock.resume(saved.extra["spent"])
    run.scorer.n_scores = state.n_scores
    low, high = state.range
    for temperature in run.settings.temperature:
        if not low * (1 - 1e-9) <= 1.0 / temperature <= high * (1 + 1e-9):
            raise UserError(
                f"--temperature {temperature:g}: the sampler of this run was trained for "
                f"{1 / high:.3g} to {1 / low:.3g} steps; start a new run for others"
            )
    if saved.has_trainer:
        environment = _environment(run, state)
        state.trainer = _new_trainer(run, state, environment)
        restore_trainer(saved, state.trainer)
    return state


def _searched(run: ParsimonyRun) -> ParsimonyState:
    """The best score, and trees that have it or nearly."""
    settings, progress = run.settings, run.progress
    progress.phase("searching for the shortest trees")

    def report(at: SearchProgress) -> None:
        progress.update(
            best_score=at.best_score,
            detail=f"{at.stage}: {at.hits} of {at.runs} searches ended at the best score, "
            f"{at.n_trees} trees",
        )

    seed = int(run.rng("search").integers(2**31))
    seconds = SEARCH_SHARE * settings.budget_seconds
    cap = MOST_FOUND if run.characters.n_characters else ENOUGH_FOUND
    excess = FIRST_EXCESS if settings.excess is None else settings.excess
    widest = max(WIDEST * max(settings.temperature), FIRST_EXCESS)

    def searched(within: float) -> SearchResult:
        left = seconds - run.seconds()
        return search(run.scorer, seed, excess=within, cap=cap, seconds=left, progress=report)

    result = searched(excess)
    hurried = result.out_of_time
    while settings.excess is None and len(result.table) < ENOUGH_FOUND and excess < widest:
        if hurried or not run.characters.n_characters or run.past(WIDER_SHARE):
            break
        wider = searched(min(2 * excess, widest))
        hurried = wider.out_of_time
        if not hurried:  # else it may have found less than the one before
            result, excess = wider, min(2 * excess, widest)
    if hurried:
        run.warn(
            f"the search reached its time limit ({SEARCH_SHARE:.0%} of {settings.budget}); "
            "results of the same seed may differ between machines"
        )
    lowest, highest = float(run.betas.min()), float(run.betas.max())
    state = ParsimonyState(
        table=result.table,
        search=SearchFacts.of(result),
        excess=excess,
        n_scores=run.scorer.n_scores,
        range=(lowest / HEADROOM, highest * WIDENING),
        checksum=run.checksum,
    )
    _set_order(run, state, lowest)
    state.save(run.checkpoint, run.clock, run.settings.origin())
    return state


def _set_order(run: ParsimonyRun, state: ParsimonyState, beta: float) -> None:
    """Choose the order in which taxa are inserted, from the trees weighed at an inverse T."""
    if run.settings.environment == "insertion":
        table = state.table
        weights = np.exp(beta * (state.search.best_score - table.scores))
        state.order = taxon_order(table.parents, weights, table.codes)


def _environment(run: ParsimonyRun, state: ParsimonyState) -> TreeEnvironment:
    if state.trainer is not None:  # its own: the rates there must not have a twin
        trained: Any = state.trainer.environment
        return trained.inner
    limit = state.search.best_score + state.excess + run.scorer.tolerance

    def log_reward(trees: np.ndarray) -> np.ndarray:
        scores = run.scorer.scores(trees)
        _remember(state.table, trees[scores <= limit], scores[scores <= limit])
        return state.search.best_score - scores

    if run.settings.environment == "merging":
        merging = MergingEnvironment(_features(run, state), run.n_taxa, log_reward)
        if isinstance(state.rates, JoinRates):
            merging.rates = state.rates
        return merging
    assert state.order is not None
    insertion = InsertionEnvironment(state.order, log_reward)
    if isinstance(state.rates, AttachmentRates):
        insertion.rates = state.rates
    return insertion


def _remember(table: ParsimonyTable, trees: np.ndarray, scores: np.ndarray) -> None:
    """Add trees as long as there is room; better ones always."""
    best = table.scores.min()
    better = scores < best
    room = max(0, MOST_KNOWN - len(table))
    kept = np.flatnonzero(better | (np.arange(len(scores)) < room))
    table.add(trees[kept], scores[kept])


def _features(run: ParsimonyRun, state: ParsimonyState) -> ForestFeatures:
    """What the policy reads of rooted trees: Fitch's sets, projected."""
    data = run.characters
    patterns = SitePatterns(
        data.masks, data.weights, np.arange(data.n_characters, dtype=np.int32), data.n_states
    )
    frequencies = np.full(data.n_states, 1.0 / data.n_states)
    features = ForestFeatures(patterns, frequencies, None, state.projection)
    if state.projection is None:
        rng = run.rng("features")
        weights = np.exp(state.search.best_score - state.table.scores)
        rows = rng.choice(len(weights), 200, p=weights / weights.sum())
        features.fit(state.table.parents[rows], rng)
        state.projection = (features.projection[0], features.projection[1])
    return features


def _new_trainer(run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment) -> Trainer:
    seed = int(run.rng("policy").integers(2**31))
    policy = make_policy(environment, seed, run.device, conditioning="both")
    log_z = float(np.logaddexp.reduce(state.search.best_score - state.table.scores))
    pool = run.scorer.pool if run.settings.n_threads > 1 else None
    temperatures = TemperatureRange(*state.range)
    return make_trainer(environment, policy, log_z, run.rng("training"), pool, temperatures)


def _cycle_betas(run: ParsimonyRun, state: ParsimonyState) -> np.ndarray:
    """Those asked for, first, and others of the range."""
    return np.concatenate([run.betas, np.geomspace(*state.range, MORE_TEMPERATURES)])


def _train(
    run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment, metrics: MetricsWriter
) -> None:
    """Cycles of training, until the answer is accurate or the time is up."""
    run.progress.phase("training the sampler of near-optimal trees")
    settings = run.settings
    if state.trainer is None:
        state.trainer = _new_trainer(run, state, environment)
        state.save(run.checkpoint, run.clock, run.settings.origin())
    trainer = state.trainer
    betas = _cycle_betas(run, state)
    if state.pilots is None or not np.array_equal(state.pilots.betas, betas):
        state.pilots = Pilots.none(betas, run.n_taxa)  # other temperatures than before
    found = ParsimonyTable(run.n_taxa)
    found.add(
        state.table.parents[: state.search.n_trees], state.table.scores[: state.search.n_trees]
    )
    curriculum = make_tempered_curriculum(environment, run.fewer(TRAJECTORIES, 8))
    every = OWN_DRAWS_EVERY[settings.environment]
    saved = time.monotonic()

    def late() -> bool:
        return run.past(TRAIN_SHARE - SETTLING_SHARE, state)

    while not (state.accurate and state.judged == list(settings.temperature)):
        if not late():
            curriculum.refresh(state.pilots.weigh(found, state.search.best_score))
            if state.cycles in RATES_AT_CYCLES:
                curriculum.set_rates()
                state.rates = environment.rates
            for step in range(CYCLE_STEPS):
                if late():
                    break
                metrics.write(curriculum.teach(trainer, state.cycles > 0 and step % every == 0))
                run.progress.update(detail=f"cycle {state.cycles + 1}, step {trainer.step_number}")
        if late():
            if state.cycles:
                run.warn(
                    f"training reached its time limit ({TRAIN_SHARE:.0%} of {settings.budget}) "
                    "before the target accuracy; results of the same seed may differ between "
                    "machines"
                )
                curriculum.refresh(state.pilots.weigh(found, state.search.best_score))
                _settle(run, state, environment, curriculum, metrics)
            state.n_scores = run.scorer.n_scores
            state.save(
                run.checkpoint, run.clock, run.settings.origin()
            )  # to go on from with more time
            break
        _judge(run, state, environment, found, metrics)
        if state.accurate:
            curriculum.refresh(state.pilots.weigh(found, state.search.best_score))
            if _settle(run, state, environment, curriculum, metrics):
                run.warn(
                    f"the last steps of training reached their time limit ({SETTLING_SHARE:.0%} of "
                    f"{settings.budget}); results of the same seed may differ between machines"
                )
        if state.accurate or time.monotonic() - saved > CHECKPOINT_SECONDS:
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
    trainer = state.trainer
    assert trainer is not None
    budget = run.settings.budget_seconds
    began = run.seconds(state)
    allowed = min(SETTLING_SHARE * budget, TRAIN_SHARE * budget - began)
    hurried = False
    for step in range(SETTLING_STEPS):
        share = step / SETTLING_STEPS
        used = (run.seconds(state) - began) / allowed if allowed > 0.0 else 1.0
        if used > (step + 1) / SETTLING_STEPS:
            hurried, share = True, used
        if share >= 1.0:
            break
        trainer.rate_factor = 1.0 - share
        metrics.write(curriculum.teach(trainer, True))
        run.progress.update(detail=f"last steps, {step + 1} of {SETTLING_STEPS}")
    trainer.rate_factor = 1.0
    table = state.table
    state.divergence = _divergence(run, state, environment, table.parents, table.scores)
    return hurried


def _divergence(
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
        return divergence_of_known(environment, policy, beta, parents, scores, COMPARED, rng)

    return [at(float(beta)) for beta in run.betas]


def _judge(
    run: ParsimonyRun,
    state: ParsimonyState,
    environment: TreeEnvironment,
    searched: ParsimonyTable,
    metrics: MetricsWriter,
) -> None:
    """Draw at all temperatures of the cycle: how accurate is it, and what does the next teach?"""
    trainer, table, pilots = state.trainer, state.table, state.pilots
    assert trainer is not None and pilots is not None
    policy = trainer.averaged.policy
    betas, asked = pilots.betas, len(run.betas)
    n, n_known = run.fewer(PILOT, 100), len(table)
    rng = run.rng("pilot", state.cycles)
    began, most = run.seconds(state), PILOT_SHARE * run.settings.budget_seconds

    def late() -> bool:
        return run.past(TRAIN_SHARE, state) or run.seconds(state) - began > most

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
        _remember(table, draws.parents, own)
    state.cycles += 1
    if state.cycles == 1 and isinstance(trainer.objective, TrajectoryBalance):
        fit_log_partition(trainer.objective, betas, np.array([one.log_z for one in found]))
    state.divergence = _divergence(run, state, environment, known_parents, known_scores)
    state.judged = list(run.settings.temperature)
    factor = math.sqrt(n / run.fewer(MOST_DRAWS, FEWEST_OF_MANY_TAXA))
    state.accurate = state.cycles >= FEWEST_CYCLES and all(
        one.standard_error * factor < ACCURATE and one.ess > ACCURATE_SHARE * n
        for one in found[:asked]
    )
    shares = [one.known_share for one in found[:asked]]
    missed = max(kl + math.log(s) for kl, s in zip(state.divergence, shares, strict=True))
    state.accurate &= missed < MISSED
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
