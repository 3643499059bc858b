"""``phylogfn parsimony``: from an alignment to its most parsimonious trees and near-optimal ones.

    search -> environment -> training at many temperatures, in cycles -> draws -> files

All decisions but the end of the budget depend on what was found and not on the clock, so that a
seed reproduces the files; the user is told when the clock struck.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import logsumexp

from gfncore.checkpoint import read_checkpoint, restore_trainer
from gfncore.errors import UserError
from gfncore.keys import unique_keys
from gfncore.metrics import MetricsWriter
from gfncore.objectives import TrajectoryBalance
from gfncore.output import clear_output, write_atomic
from gfncore.provenance import Stopwatch, command_line, record_provenance
from gfncore.tempering import TemperatureRange
from phylogfn.alignment import SitePatterns, read_alignment
from phylogfn.attachment_rates import AttachmentRates
from phylogfn.characters import parsimony_characters
from phylogfn.citations import methods_of_parsimony
from phylogfn.cli.config import settings_toml
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.forest_features import ForestFeatures
from phylogfn.join_rates import JoinRates
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.learning import TreeEnvironment, make_policy, make_trainer
from phylogfn.parsimony import ParsimonyScorer
from phylogfn.parsimony_estimate import (
    TemperedDraws,
    TemperedEstimate,
    draw_trees,
    estimate_partition,
    known_divergence,
    resample,
)
from phylogfn.parsimony_learning import (
    WeightedTrees,
    fit_log_partition,
    make_tempered_curriculum,
)
from phylogfn.parsimony_result import ParsimonyResult, TemperatureSample
from phylogfn.parsimony_search import SearchProgress, search
from phylogfn.parsimony_state import ParsimonyState, SearchFacts
from phylogfn.parsimony_trees import ParsimonyTable
from phylogfn.parsimony_writers import PARSIMONY_OUTPUT_NAMES, ParsimonyFacts, write_parsimony
from phylogfn.taxon_order import taxon_order

if TYPE_CHECKING:
    from gfncore.progress import Progress
    from gfncore.training import Trainer
    from phylogfn.settings import ParsimonySettings

__all__ = ["ParsimonyRun", "run_parsimony"]

SEARCH_SHARE = 0.35  # of the budget, the most that the search takes
TRAIN_SHARE = 0.85  # of the budget, after which no step begins
MOST_FOUND = 20_000  # trees that the search collects
MOST_KNOWN = 40_000  # and with those that the sampler meets before its last draws
LARGEST_TRAINED = 150  # taxa: with more, one draw of the sampler takes too long to train it
WIDENING = 2.0  # the sampler learns temperatures from the lowest / 2 to the highest * 1.5
HEADROOM = 1.5
CYCLE_STEPS = 60
RATES_AT_CYCLES = (0, 2, 5, 10)  # before which the rates that the policy starts from are counted
OWN_DRAWS_EVERY = {"insertion": 6, "merging": 2}  # steps, once there are any
TRAJECTORIES = 96
EASY_TAXA = 50  # up to which a step draws so many; more taxa, fewer
MORE_TEMPERATURES = 4  # that a cycle learns from beside those asked for
PILOT = 500  # draws at each temperature that judge a cycle
FEWEST_CYCLES = 3
ACCURATE = 0.01  # standard error of log Z, nats, with the most draws, at which training ends
ACCURATE_SHARE = 0.5  # effective share of the draws at which training ends
MISSED = 0.1  # KL from the known trees to the sampler, nats, at which training ends
COMPARED = 200  # draws of known trees for it
LARGEST_WEIGHT = 0.01  # share of the sum that one tree met by luck may get
FEWEST_DRAWS, MOST_DRAWS = 2000, 10_000  # at each temperature
CHECKPOINT_SECONDS = 30.0
SEEDS = {
    "search": 1,
    "policy": 2,
    "training": 3,
    "pilot": 4,
    "draws": 5,
    "files": 6,
    "features": 7,
    "betas": 8,
    "divergence": 9,
}


class ParsimonyRun:
    """One run: the settings and the data.

    Raises
    ------
    UserError
        The alignment or the device will not do.
    """

    def __init__(self, settings: ParsimonySettings, progress: Progress):
        self.settings = settings
        self.progress = progress
        self.watch = Stopwatch()
        self.warnings: list[str] = []
        self.device = _device(settings.device)
        self.alignment = read_alignment(
            settings.alignment, data_type=settings.data_type, file_format=settings.format
        )
        self.characters = parsimony_characters(self.alignment, settings.gaps)
        self.scorer = ParsimonyScorer(self.characters, settings.n_threads)
        for note in dict.fromkeys((*self.alignment.notes, *self.characters.notes)):
            self.warn(note)
        self.checkpoint = Path(settings.output) / "checkpoint"

    @property
    def n_taxa(self) -> int:
        """Taxa of the alignment."""
        return self.alignment.n_taxa

    @property
    def betas(self) -> np.ndarray:
        """Inverse temperatures asked for, float64 (K,)."""
        return 1.0 / np.array(self.settings.temperature)

    def warn(self, message: str) -> None:
        """Tell the user now, and in the summary."""
        self.warnings.append(message)
        self.progress.warn(message)

    def rng(self, purpose: str, *more: int) -> np.random.Generator:
        """A generator of its own for each purpose."""
        return np.random.default_rng([self.settings.seed, SEEDS[purpose], *more])

    def seconds(self, state: ParsimonyState | None = None) -> float:
        """Wall-clock time of the run, earlier sessions included."""
        return self.watch.elapsed() + (state.seconds if state else 0.0)

    def fewer(self, number: int, fewest: int) -> int:
        """A number of draws for many taxa: each costs as the square of the taxa."""
        return max(fewest, min(number, round(number * (EASY_TAXA / self.n_taxa) ** 2)))


def run_parsimony(settings: ParsimonySettings, progress: Progress) -> None:
    """Run and write all files.

    Raises
    ------
    UserError
        The alignment or the device will not do, or a run cannot be resumed as asked.
    """
    torch.set_num_threads(1)  # intra-op threads would make sums depend on their number
    run = ParsimonyRun(settings, progress)
    if not settings.resume:
        clear_output(settings.output, PARSIMONY_OUTPUT_NAMES)
        write_atomic(settings.output / "run.toml", settings_toml(settings))
    state = _resumed(run) if settings.resume else None
    if state is None:
        state = _searched(run)
    environment = None
    with MetricsWriter(settings.output / "train.jsonl", _steps(state)) as metrics:
        if run.n_taxa > LARGEST_TRAINED:
            run.warn(
                f"no sampler of near-optimal trees was trained: {run.n_taxa} taxa are more than "
                f"the {LARGEST_TRAINED} for which it can be trained in reasonable time"
            )
        else:
            environment = _environment(run, state)
            _train(run, state, environment, metrics)
    _finish(run, state, environment)


def _steps(state: ParsimonyState) -> int:
    return state.trainer.step_number if state.trainer is not None else 0


def _device(name: str) -> str:
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("--device cuda: this machine has no CUDA device that PyTorch can use")
    return "cuda" if name == "cuda" or (name == "auto" and available) else "cpu"


def _resumed(run: ParsimonyRun) -> ParsimonyState | None:
    if not (run.checkpoint / "checkpoint.json").exists():
        run.progress.note("interrupted before its first checkpoint: starting again")
        return None
    saved = read_checkpoint(run.checkpoint)
    state = ParsimonyState.restore(saved, run.n_taxa)
    run.scorer.n_scores = state.n_scores
    low, high = state.range
    for temperature in run.settings.temperature:
        if not low * (1 - 1e-9) <= 1.0 / temperature <= high * (1 + 1e-9):
            raise UserError(
                f"--temperature {temperature:g}: the sampler of this run learned "
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

    result = search(
        run.scorer,
        int(run.rng("search").integers(2**31)),
        excess=settings.excess,
        cap=MOST_FOUND,
        seconds=SEARCH_SHARE * settings.budget_seconds,
        progress=report,
    )
    if result.out_of_time:
        run.warn(
            f"its share of the budget of {settings.budget} ended the search: with the same seed, "
            "files may differ between machines"
        )
    lowest, highest = float(run.betas.min()), float(run.betas.max())
    state = ParsimonyState(
        table=result.table,
        search=SearchFacts.of(result),
        n_scores=run.scorer.n_scores,
        range=(lowest / HEADROOM, highest * WIDENING),
    )
    if settings.environment == "insertion":
        weights = np.exp(lowest * (result.best_score - result.table.scores))
        state.order = taxon_order(result.table.parents, weights, result.table.codes)
    state.save(run.checkpoint, run.watch.elapsed())
    return state


def _environment(run: ParsimonyRun, state: ParsimonyState) -> TreeEnvironment:
    if state.trainer is not None:  # its own: the rates there must not have a twin
        trained: Any = state.trainer.environment
        return trained.inner
    limit = state.search.best_score + run.settings.excess + run.scorer.tolerance

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
    log_z = float(logsumexp(state.search.best_score - state.table.scores))
    pool = run.scorer.pool if run.settings.n_threads > 1 else None
    temperatures = TemperatureRange(*state.range)
    return make_trainer(environment, policy, log_z, run.rng("training"), pool, temperatures)


def _table_weights(run: ParsimonyRun, state: ParsimonyState) -> WeightedTrees:
    """The trees of the search at some temperatures: what the first cycle teaches."""
    betas = _cycle_betas(run, state)
    weights = np.exp(betas[:, None] * (state.search.best_score - state.table.scores))
    return WeightedTrees(state.table.parents.copy(), betas, weights)


def _cycle_betas(run: ParsimonyRun, state: ParsimonyState) -> np.ndarray:
    """Those asked for, first, and others of the range."""
    more = TemperatureRange(*state.range, number=MORE_TEMPERATURES).draw(
        run.rng("betas", state.cycles)
    )
    return np.concatenate([run.betas, more])


def _train(
    run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment, metrics: MetricsWriter
) -> None:
    """Cycles of training, until the answer is accurate or the time is up."""
    run.progress.phase("training the sampler of near-optimal trees")
    settings = run.settings
    if state.trainer is None:
        state.trainer = _new_trainer(run, state, environment)
        state.save(run.checkpoint, run.watch.elapsed())
    trainer = state.trainer
    curriculum = make_tempered_curriculum(environment, run.fewer(TRAJECTORIES, 8))
    every = OWN_DRAWS_EVERY[settings.environment]
    saved = time.monotonic()

    def late() -> bool:
        return run.seconds(state) > TRAIN_SHARE * settings.budget_seconds

    while not (state.accurate and state.judged == list(settings.temperature)):
        if not late():
            curriculum.refresh(state.taught or _table_weights(run, state))
            if state.cycles in RATES_AT_CYCLES:
                curriculum.set_rates()
                state.rates = environment.rates
            for step in range(CYCLE_STEPS):
                if late():
                    break
                metrics.write(curriculum.teach(trainer, state.cycles > 0 and step % every == 0))
        if late():
            run.warn(
                f"the budget of {settings.budget} ended the training before the accuracy aimed "
                "for was reached: with the same seed, files may differ between machines"
            )
            state.n_scores = run.scorer.n_scores
            state.save(run.checkpoint, run.watch.elapsed())  # to go on from with more time
            break
        _judge(run, state, environment, metrics)
        if state.accurate or time.monotonic() - saved > CHECKPOINT_SECONDS:
            state.save(run.checkpoint, run.watch.elapsed())
            saved = time.monotonic()


def _judge(
    run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment, metrics: MetricsWriter
) -> None:
    """Draw at all temperatures of the cycle: how accurate is it, and what does the next teach?"""
    trainer, table = state.trainer, state.table
    assert trainer is not None
    policy = trainer.averaged.policy
    betas = _cycle_betas(run, state)
    n = run.fewer(PILOT, 100)
    n_known = len(table)
    pilot = draw_trees(
        environment, policy, betas, n, run.rng("pilot", state.cycles), run.scorer.pool
    )
    asked = len(run.betas)
    known_parents, known_scores = table.parents[:n_known].copy(), table.scores[:n_known].copy()
    drawn = [_scored(run, table, draws) for draws in pilot]
    found = [
        estimate_partition(draws, scores, known, known_scores, state.search.best_score)
        for draws, (scores, known) in zip(pilot, drawn, strict=True)
    ]
    state.taught = _weighted(run, state, pilot, drawn, found, known_parents, known_scores)
    state.log_z = [one.log_z for one in found]
    for draws, (scores, _) in zip(pilot, drawn, strict=True):
        _remember(table, draws.parents, scores)
    state.cycles += 1
    if state.cycles == 1 and isinstance(trainer.objective, TrajectoryBalance):
        fit_log_partition(trainer.objective, betas, np.array(state.log_z))
    state.divergence = [
        known_divergence(
            environment,
            policy,
            float(beta),
            known_parents,
            known_scores,
            COMPARED,
            run.rng("divergence", state.cycles),
        )
        for beta in run.betas
    ]
    state.judged = list(run.settings.temperature)
    factor = math.sqrt(n / run.fewer(MOST_DRAWS, 200))
    state.accurate = state.cycles >= FEWEST_CYCLES and all(
        one.standard_error * factor < ACCURATE and one.ess > ACCURATE_SHARE * n
        for one in found[:asked]
    )
    state.accurate &= max(state.divergence) < MISSED
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
            "kl_known_to_sampler": max(state.divergence),
            "trees": len(table),
        }
    )
    run.progress.update(
        best_score=float(table.scores.min()),
        detail=f"cycle {state.cycles}, {found[worst].ess / n:.0%} of draws effective at "
        f"temperature {run.settings.temperature[worst]:g}, {len(table)} trees",
    )


def _scored(
    run: ParsimonyRun, table: ParsimonyTable, draws: TemperedDraws
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of draws, and which of them are in the table."""
    keys = topology_keys(np.ascontiguousarray(draws.parents, np.int16), table.codes)
    first, group = unique_keys(keys)
    known = np.ones(len(first), bool)
    known[table.unknown(keys[first])] = False
    return run.scorer.scores(draws.parents), known[group]


def _weighted(
    run: ParsimonyRun,
    state: ParsimonyState,
    pilot: list[TemperedDraws],
    drawn: list[tuple[np.ndarray, np.ndarray]],
    found: list[TemperedEstimate],
    known_parents: np.ndarray,
    known_scores: np.ndarray,
) -> WeightedTrees:
    """Known trees with their weights, and the others that were drawn with importance weights."""
    met = ParsimonyTable(run.n_taxa)
    outside = []
    for draws, (scores, known), one in zip(pilot, drawn, found, strict=True):
        rows = met.add(draws.parents[~known], scores[~known])
        outside.append((rows, np.exp(one.log_weights[~known]) / len(scores)))
    reference = state.search.best_score
    weights = np.zeros((len(pilot), len(known_scores) + len(met)))
    for k, (draws, (rows, values)) in enumerate(zip(pilot, outside, strict=True)):
        weights[k, : len(known_scores)] = np.exp(draws.beta * (reference - known_scores))
        lucky = np.bincount(rows, values, minlength=len(met))
        most = LARGEST_WEIGHT * (weights[k].sum() + lucky.sum())
        weights[k, len(known_scores) :] = np.minimum(lucky, most)
    betas = np.array([draws.beta for draws in pilot])
    return WeightedTrees(np.concatenate([known_parents, met.parents]), betas, weights)


def _finish(run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment | None) -> None:
    """Draws at the temperatures asked for, and files."""
    run.progress.phase("drawing near-optimal trees")
    settings = run.settings
    trained = environment is not None and state.cycles > 0
    if environment is not None and not trained:
        run.warn(
            f"the budget of {settings.budget} left no time to train the sampler of near-optimal "
            "trees: give a larger --budget"
        )
    n_known = len(state.table)
    proposals = [
        _proposals(run, state, environment, k, n_known) if trained and environment else None
        for k in range(len(settings.temperature))
    ]
    result = _result(run, state, proposals, n_known)
    run.progress.phase("writing files")
    use = run.watch.usage()
    facts = ParsimonyFacts(
        command=command_line(),
        seed=settings.seed,
        alignment=settings.alignment,
        data_type=run.alignment.alphabet.label,
        gaps=settings.gaps,
        environment=settings.environment,
        characters=run.characters,
        n_scores=run.scorer.n_scores,
        use=use,
        methods=methods_of_parsimony(run.characters.n_ordered > 0, trained),
        budget_seconds=settings.budget_seconds,
    )
    provenance = record_provenance(
        "phylogfn",
        parameters=settings.configured(),
        seed=settings.seed,
        threads=settings.n_threads,
        device=run.device,
        inputs=(settings.alignment,),
        use=use,
    )
    write_parsimony(settings.output, result, facts, provenance=provenance)
    run.progress.update(
        best_score=result.best_score,
        detail=f"{result.n_best} best trees, {len(result.scores)} in all",
    )


def _proposals(
    run: ParsimonyRun,
    state: ParsimonyState,
    environment: TreeEnvironment,
    k: int,
    n_known: int,
) -> tuple[TemperedDraws, np.ndarray, np.ndarray, TemperedEstimate]:
    """Draws of the sampler at a temperature: more where they are needed."""
    assert state.trainer is not None
    policy = state.trainer.averaged.policy
    rng = run.rng("draws", k)
    beta = run.betas[k : k + 1]
    fewest, most = run.fewer(FEWEST_DRAWS, 200), run.fewer(MOST_DRAWS, 200)
    known_scores = state.table.scores[:n_known]

    def judged(draws: TemperedDraws):
        scores, known = _scored(run, state.table, draws)
        found = estimate_partition(draws, scores, known, known_scores, state.search.best_score)
        return draws, scores, known, found

    (draws,) = draw_trees(environment, policy, beta, fewest, rng, run.scorer.pool)
    first = judged(draws)
    wanted = math.ceil(fewest * (first[3].standard_error / ACCURATE) ** 2)
    more = min(wanted, most) - fewest
    if more <= 0:
        return first
    run.progress.update(detail=f"{fewest + more} draws")
    (extra,) = draw_trees(environment, policy, beta, more, rng, run.scorer.pool)
    return judged(
        TemperedDraws(
            draws.beta,
            np.concatenate([draws.parents, extra.parents]),
            np.concatenate([draws.log_q, extra.log_q]),
        )
    )


def _result(
    run: ParsimonyRun, state: ParsimonyState, proposals: list[Any], n_known: int
) -> ParsimonyResult:
    """Everything found, best first, with the samples at the temperatures."""
    table, settings = state.table, run.settings
    reference = state.search.best_score
    known_scores = table.scores[:n_known].copy()
    chosen: list[np.ndarray] = []  # rows of the table that each sample holds
    for k, (beta, given) in enumerate(zip(run.betas, proposals, strict=True)):
        log_known = beta * (reference - known_scores)
        rows, log_outside = np.arange(n_known), np.zeros(0)
        if given is not None:
            draws, scores, known, found = given
            new = table.add(draws.parents[~known], scores[~known])
            rows = np.concatenate([rows, new])
            log_outside = found.log_weights[~known] - math.log(len(scores))
        places = resample(log_known, log_outside, settings.samples, run.rng("files", k))
        chosen.append(rows[places])
    counts = np.stack([np.bincount(rows, minlength=len(table)) for rows in chosen])
    best = float(table.scores.min())
    limit = best + settings.excess + run.scorer.tolerance
    listed = np.flatnonzero((table.scores <= limit) | (counts.sum(axis=0) > 0))
    order = np.lexsort((listed, -counts.sum(axis=0)[listed], table.scores[listed]))
    listed = listed[order]
    scores = table.scores[listed]
    optimal = best + run.scorer.tolerance
    samples = []
    for k, given in enumerate(proposals):
        samples.append(
            _sample(run, state, k, given, known_scores, best, optimal, counts[k][listed], scores)
        )
    return ParsimonyResult(
        names=run.alignment.names,
        parents=table.parents[listed].copy(),
        scores=scores,
        n_best=int((scores <= optimal).sum()),
        samples=tuple(samples),
        search=state.search,
        excess=settings.excess,
        warnings=tuple(run.warnings),
        extra={
            "search_runs": state.search.runs,
            "search_runs_at_best_score": state.search.hits,
            "trees_found_by_search": state.search.n_trees,
            "trees_known_before_last_draws": n_known,
            "temperature_learned_lowest": 1.0 / state.range[1],
            "temperature_learned_highest": 1.0 / state.range[0],
            "training_steps": _steps(state),
            "training_cycles": state.cycles,
        },
    )


def _sample(
    run: ParsimonyRun,
    state: ParsimonyState,
    k: int,
    given: Any,
    known_scores: np.ndarray,
    best: float,
    optimal: float,
    counts: np.ndarray,
    scores: np.ndarray,
) -> TemperatureSample:
    beta = float(run.betas[k])
    log_mass, of = beta * (best - known_scores), known_scores
    nothing = math.nan
    log_z, error, share = float(logsumexp(log_mass)), 0.0, 1.0
    ess, tail, n, own_mean, own_optimal = nothing, nothing, 0, nothing, nothing
    divergence = nothing
    if given is not None:
        draws, drawn, known, found = given
        n = len(drawn)
        shift = beta * (best - state.search.best_score)  # 0 but where a shorter tree was met
        outside = found.log_weights[~known] + shift - math.log(n)
        log_mass = np.concatenate([log_mass, outside])
        of = np.concatenate([known_scores, drawn[~known]])
        log_z, error, share = found.log_z + shift, found.standard_error, found.known_share
        ess, tail = found.ess, found.pareto_k
        own_mean, own_optimal = float(drawn.mean()), float((drawn <= optimal).mean())
        divergence = state.divergence[k] if state.divergence else nothing
    mass = np.exp(log_mass - logsumexp(log_mass))
    return TemperatureSample(
        temperature=run.settings.temperature[k],
        trained=given is not None,
        log_partition=log_z,
        standard_error=error,
        ess=ess,
        pareto_k=tail,
        n_proposals=n,
        known_share=share,
        mean_score=float(mass @ of),
        optimal_share=float(mass[of <= optimal].sum()),
        sampler_mean_score=own_mean,
        sampler_optimal_share=own_optimal,
        divergence=divergence,
        counts=counts,
        probabilities=np.exp(beta * (best - scores) - log_z),
    )
