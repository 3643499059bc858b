"""From a searched and trained run of ``phylogfn parsimony`` to its answer and its files."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.program.messages import Note
from gfncore.program.provenance import command_line
from phylogfn.citations import methods_of_parsimony
from phylogfn.estimates.tempered import (
    TemperedDraws,
    draw_trees,
    estimate_partition,
    in_table,
    resample,
    weigh,
)
from phylogfn.results.facts import ParsimonyFacts
from phylogfn.results.outgroup import rooted_parsimony
from phylogfn.results.parsimony import ParsimonyResult, ParsimonyTraining, TemperatureSample
from phylogfn.results.parsimony_files import write_parsimony
from phylogfn.trees.tree import random_topology

if TYPE_CHECKING:
    from gfncore.evaluation import PartitionEstimate
    from phylogfn.environments.base import TreeEnvironment
    from phylogfn.runs.parsimony.run import ParsimonyRun
    from phylogfn.runs.parsimony.state import ParsimonyState

__all__ = ["finish"]


def finish(run: ParsimonyRun, state: ParsimonyState, environment: TreeEnvironment | None) -> None:
    """Draws at the temperatures asked for, and files."""
    run.progress.phase("drawing near-optimal trees")
    settings = run.settings
    trained = environment is not None and state.cycles > 0
    if environment is not None and not trained:
        run.warn(
            Note(
                "untrained-sampler",
                f"the sampler of near-optimal trees was not trained, as the budget of "
                f"{settings.budget} was used up; give a larger --budget",
            )
        )
    n_known = len(state.table)
    proposals: list[Any] = [
        _proposals(run, state, environment, k, n_known) if trained and environment else None
        for k in range(len(settings.temperature))
    ]
    if not run.characters.n_characters:  # all trees are equally probable: no sampler is needed
        proposals = [
            _uniform_proposals(run, state, k, n_known) for k in range(len(settings.temperature))
        ]
    result, warning = rooted_parsimony(_result(run, state, proposals, n_known), run.outgroup)
    if warning:
        run.warn(warning)
        result = replace(result, warnings=tuple(run.warnings))
    run.progress.phase("writing files")
    use = run.clock.usage()
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
    write_parsimony(settings.output, result, facts, provenance=run.provenance(use))
    run.progress.update(
        done=1.0,
        best_score=result.best_score,
        detail=f"{result.n_best} best trees, {len(result.scores)} in all",
    )


def _proposals(
    run: ParsimonyRun,
    state: ParsimonyState,
    environment: TreeEnvironment,
    k: int,
    n_known: int,
) -> tuple[TemperedDraws, np.ndarray, np.ndarray, PartitionEstimate]:
    """Draws of the sampler at a temperature: more where they are needed."""
    effort = run.effort
    assert state.trainer is not None
    policy = state.trainer.averaged.policy
    rng = run.rng("draws", k)
    beta = run.betas[k : k + 1]
    fewest, most = (
        run.fewer(number, effort.fewest_of_many_taxa)
        for number in (effort.fewest_draws, effort.most_draws)
    )
    known_scores = state.table.scores[:n_known]
    # each temperature has its share of the time that is left
    began = run.seconds(state)
    end = began + run.left(effort.draws_share, state) / (len(run.betas) - k)

    def late() -> bool:
        return run.seconds(state) > end

    def judged(draws: TemperedDraws):
        scores = run.scorer.scores(draws.parents)
        known = in_table(state.table, draws.parents)
        found = estimate_partition(draws, scores, known, known_scores, state.search.best_score)
        return draws, scores, known, found

    at = f"temperature {run.settings.temperature[k]:g}"
    run.progress.update(detail=at)
    (draws,) = draw_trees(environment, policy, beta, fewest, rng, run.scorer.pool, late)
    found, n = judged(draws), len(draws.log_q)
    wanted = math.ceil(n * (found[3].standard_error / effort.accurate) ** 2)
    wanted = min(max(wanted, fewest), most)
    speed = n / max(run.seconds(state) - began, 1e-3)
    more = min(wanted - n, int(speed * (end - run.seconds(state))))
    if more > 0:
        run.progress.update(detail=f"{at}, {n + more} draws")
        (extra,) = draw_trees(environment, policy, beta, more, rng, run.scorer.pool, late)
        draws = TemperedDraws(
            draws.beta,
            np.concatenate([draws.parents, extra.parents]),
            np.concatenate([draws.log_q, extra.log_q]),
        )
        found = judged(draws)
    if len(draws.log_q) < wanted:
        run.warn(
            Note(
                "few-draws",
                f"the budget of {run.settings.budget} allowed {len(draws.log_q):,} of {wanted:,} "
                f"draws at {at}; standard errors are above their target",
            )
        )
    return found


def _uniform_proposals(
    run: ParsimonyRun, state: ParsimonyState, k: int, n_known: int
) -> tuple[TemperedDraws, np.ndarray, np.ndarray, PartitionEstimate]:
    """Draw topologies uniformly, for data that tell no tree from another."""
    effort = run.effort
    n, rng = run.fewer(effort.most_draws, effort.fewest_of_many_taxa), run.rng("draws", k)
    parents = np.stack([random_topology(run.n_taxa, rng).parent for _ in range(n)])
    log_q = -sum(math.log(2 * taxa - 5) for taxa in range(4, run.n_taxa + 1))
    draws = TemperedDraws(float(run.betas[k]), parents.astype(np.int16), np.full(n, log_q))
    scores = run.scorer.scores(draws.parents)
    known = in_table(state.table, draws.parents)
    known_scores = state.table.scores[:n_known]
    found = estimate_partition(draws, scores, known, known_scores, state.search.best_score)
    return draws, scores, known, found


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
            draws, scores, known, _ = given
            new = table.add(draws.parents[~known], scores[~known])
            rows = np.concatenate([rows, new])
            weighted = weigh(draws, scores, known, reference)
            log_outside = weighted.log_weights[~known] - math.log(len(scores))
        places = resample(log_known, log_outside, settings.samples, run.rng("files", k))
        chosen.append(rows[places])
    counts = np.stack([np.bincount(rows, minlength=len(table)) for rows in chosen])
    best = float(table.scores.min())
    limit = best + state.excess + run.scorer.tolerance
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
        excess=state.excess,
        warnings=tuple(run.warnings),
        training=ParsimonyTraining(
            n_known=n_known,
            lowest_temperature=1.0 / state.range[1],
            highest_temperature=1.0 / state.range[0],
            steps=state.steps,
            cycles=state.cycles,
        ),
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
    log_z, error, share = float(np.logaddexp.reduce(log_mass)), 0.0, 1.0
    ess, tail, n, own_mean, own_optimal = nothing, nothing, 0, nothing, nothing
    divergence = nothing
    if given is not None:
        draws, drawn, known, found = given
        n = len(drawn)
        shift = beta * (best - state.search.best_score)  # 0 but where a shorter tree was met
        weighted = weigh(draws, drawn, known, state.search.best_score)
        outside = weighted.log_weights[~known] + shift - math.log(n)
        log_mass = np.concatenate([log_mass, outside])
        of = np.concatenate([known_scores, drawn[~known]])
        log_z, error, share = found.log_z + shift, found.standard_error, found.known_share
        ess, tail = found.ess, found.pareto_k
        own_mean, own_optimal = float(drawn.mean()), float((drawn <= optimal).mean())
        if state.divergence:
            divergence = state.divergence[k] + math.log(share)
    mass = np.exp(log_mass - np.logaddexp.reduce(log_mass))
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
