"""From a trained run of ``phylogfn sample`` to its answer, and from this to its files."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from gfncore.backward.registry import find_backward_policy
from gfncore.objectives.registry import find_objective
from gfncore.program.configuration import settings_toml
from gfncore.program.messages import Note
from phylogfn.citations import (
    ALWAYS_CITED,
    ANCESTRAL_METHODS,
    PREDICTIVE_METHODS,
    REPEATED_RUNS_METHODS,
    methods_of_branch_lengths,
    methods_of_branch_prior,
    methods_of_environment,
    methods_of_model,
)
from phylogfn.estimates.clades import TopologyShares
from phylogfn.estimates.collapsed import BATCH, weigh
from phylogfn.estimates.lengths.corrections import probability_errors
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.estimates.with_lengths import DrawnTrees
from phylogfn.likelihood.model_fit import bounds_note
from phylogfn.results.facts import (
    BranchLengthFacts,
    ClosedFormFacts,
    ConstraintFacts,
    RunFacts,
    TrainingFacts,
)
from phylogfn.results.outgroup import rooted_posterior
from phylogfn.results.posterior import Posterior
from phylogfn.results.posterior_files import write_results
from phylogfn.results.warnings import failure, posterior_warnings, weights_matter
from phylogfn.runs.sample.posterior.integration import Integrated, integrate
from phylogfn.runs.sample.posterior.sequences import with_sequences
from phylogfn.runs.sample.posterior.with_lengths import lengths_posterior
from phylogfn.runs.sample.run import (
    draw_from_sampler,
    known_topologies,
    random_trees_of,
    search_facts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gfncore.evaluation import PartitionEstimate
    from phylogfn.environments.base import TreeEnvironment
    from phylogfn.estimates.collapsed import Drawn
    from phylogfn.runs.sample.run import SampleRun
    from phylogfn.runs.sample.state import RunState

__all__ = ["Answer", "answer", "judged", "without_errors_if_failed", "write_answer"]

FAILED = 3  # exit code of a run with hardly any effective draws


@dataclass(frozen=True)
class Answer:
    """The answer of a run, and the draws of topologies that it is made from.

    Attributes
    ----------
    posterior : Posterior
        With the warnings of the run alone.
    drawn : Drawn
    n_known : int
        Number of topologies, the first of the table, that were known before the draws.
    """

    posterior: Posterior
    drawn: Drawn
    n_known: int


def answer(run: SampleRun, state: RunState, environment: TreeEnvironment) -> Answer:
    """Draw, estimate the evidence, and return the answer of a run.

    The sampler is softened first where that gives better draws.
    """
    effort = run.effort
    run.phase("drawing from the sampler")
    settings, table, reward = run.settings, state.table, state.walkers.reward
    prior = reward.log_topology_prior
    rng = run.rng("draws")
    _soften(run, state, environment)
    n_known = len(table)

    def late() -> bool:
        return run.past_for_topologies(effort.draws_share, state)

    began = run.seconds(state)
    first = effort.fewest_in_haste if late() else effort.fewest_draws
    drawn = draw_from_sampler(run, state, environment, first, rng, late)
    n_drawn = len(drawn.rows)
    speed = n_drawn / max(run.seconds(state) - began, 1e-3)
    found = run.sampler.estimate(state, drawn, n_known)
    # more draws where they are needed; their number is set by the first ones
    aims = run.aims
    short = (found.standard_error / aims.standard_error) ** 2
    wanted = max(effort.fewest_draws, math.ceil(n_drawn * short / BATCH) * BATCH)
    wanted = min(wanted, aims.most_draws)
    more = min(wanted - n_drawn, int(speed * run.left_for_topologies(effort.draws_share, state)))
    if more > 0 and n_drawn >= effort.fewest_draws:
        run.progress.update(detail=f"{more + n_drawn} draws")
        extra = draw_from_sampler(run, state, environment, more, rng, late)
        drawn = type(drawn).concat([drawn, extra])
        found = run.sampler.estimate(state, drawn, n_known)
    if len(drawn.rows) < wanted:
        run.warn(
            Note(
                "few-draws",
                f"the budget of {settings.budget} allowed {len(drawn.rows):,} of {wanted:,} draws; "
                "standard errors are above their target",
            )
        )
    if isinstance(drawn, DrawnTrees):
        return Answer(_posterior_with_lengths(run, state, drawn, found), drawn, n_known)
    masses = TopologyMasses.from_draws(drawn, table, n_known, prior)
    integrated = integrate(run, state, masses)
    lengths = integrated.samples
    weighted = weigh(drawn, table, n_known, prior)
    shares = TopologyShares.from_collapsed(masses, weighted, drawn.rows, lengths.shares)
    posterior = _posterior(run, state, drawn, found, integrated, shares)
    random_trees = random_trees_of(run, state, environment)
    if random_trees is not None:
        assert state.trainer is not None and posterior.training is not None
        ranked = random_trees.judge(state.trainer.averaged.policy, state.steps)
        training = replace(posterior.training, random_trees_correlation=ranked)
        posterior = replace(posterior, training=training)
    return Answer(posterior, drawn, n_known)


def write_answer(run: SampleRun, posterior: Posterior) -> int:
    """Write the result files; return the exit code.

    It is 0, or `FAILED` when hardly any draws are effective (`phylogfn.results.warnings.failure`).
    """
    run.phase("writing files")
    write_results(run.settings.output, posterior)
    run.progress.update(done=1.0, detail=f"{posterior.n_topologies} topologies listed")
    # reasons to doubt have been told as warnings
    reason = f": {posterior.verdict_reasons[0]}" if posterior.verdict == "trusted" else ""
    run.progress.note(f"phylogfn: verdict: {posterior.verdict}{reason}")
    return 0 if failure(posterior) is None else FAILED


def judged(run: SampleRun, states: Sequence[RunState], posterior: Posterior) -> Posterior:
    """Return the posterior with all that is added to it once it is final.

    These are the root, what is computed from the draws, warnings and verdict, which the user is
    told, and the facts of the run.

    Parameters
    ----------
    run : SampleRun
        With the settings, the clock and the warnings of all runs together.
    states : sequence of RunState
        Of each run.
    posterior : Posterior
    """
    posterior = without_errors_if_failed(posterior)
    posterior, elsewhere = rooted_posterior(posterior, run.outgroup)
    if elsewhere:
        run.warn(elsewhere)
    posterior = replace(posterior, warnings=tuple(run.warnings))
    posterior = with_sequences(run, states[0], posterior)
    doubts = posterior_warnings(replace(posterior, warnings=()))
    for doubt in doubts:
        if doubt not in posterior.warnings:  # the run has told those
            run.progress.warn(doubt)
    if len(states) > 1:  # what one of the runs has told is judged for all of them
        judged_codes = {doubt.code for doubt in doubts}
        told = tuple(note for note in posterior.warnings if note.code not in judged_codes)
        posterior = replace(posterior, warnings=told)
    run.progress.update(
        log_evidence=posterior.log_evidence, se=posterior.log_evidence_se, ess=posterior.ess
    )
    warnings = posterior_warnings(posterior)
    return replace(posterior, warnings=warnings, facts=_facts(run, states, posterior))


def without_errors_if_failed(posterior: Posterior) -> Posterior:
    """Return the posterior without standard errors, which few weights state too small."""
    if failure(posterior) is None:
        return posterior
    return replace(
        posterior,
        log_evidence_se=math.inf,
        topology_errors=np.full(posterior.n_topologies, math.nan),
        split_probabilities=posterior.split_probabilities
        and posterior.split_probabilities.without_errors(),
    )


def _facts(run: SampleRun, states: Sequence[RunState], posterior: Posterior) -> RunFacts:
    """Return what the files say of a run, or of several together.

    Parameters
    ----------
    run, states, posterior
        As in `judged`.
    """
    settings = run.settings
    use = run.clock.usage()
    curves = settings.output / "train.jsonl"
    return RunFacts(
        command=run.command,
        seed=settings.seed,
        alignment=settings.alignment,
        n_sites=run.alignment.n_sites,
        n_patterns=run.patterns.n_patterns,
        model=_model_text(run, states[0], posterior),
        branch_prior=settings.branch_prior,
        likelihood_evaluations=sum(state.walkers.reward.evaluations for state in states),
        use=use,
        methods=(
            *ALWAYS_CITED,
            *methods_of_environment(settings.environment, settings.branch_lengths),
            *find_objective(settings.objective).citations,
            *find_backward_policy(settings.backward_policy).citations,
            *dict.fromkeys(
                m for model in run.part_models or run.models for m in methods_of_model(model)
            ),
            *methods_of_branch_prior(settings.branch_prior),
            *_methods_of_lengths(posterior),
            *(REPEATED_RUNS_METHODS if len(states) > 1 else ()),
            *(PREDICTIVE_METHODS if settings.predictive else ()),
            *(ANCESTRAL_METHODS if settings.ancestral else ()),
        ),
        budget_seconds=settings.budget_seconds,
        files_seed=(settings.seed, run.SEEDS["files"]),
        provenance=run.provenance(use),
        run_toml=settings_toml(settings),
        train_jsonl=curves.read_text(encoding="utf-8"),
        constraint=_constraint_facts(run),
    )


def _methods_of_lengths(posterior: Posterior) -> tuple[str, ...]:
    weights = posterior.branch_length_weights
    return () if weights is None else methods_of_branch_lengths(weights.method)


def _constraint_facts(run: SampleRun) -> ConstraintFacts | None:
    """Return what the files say of the constraint."""
    held = run.constraints
    if held is None:
        return None
    return ConstraintFacts(held.source, len(held), held.n_free, held.log_n_topologies)


def _soften(run: SampleRun, state: RunState, environment: TreeEnvironment) -> None:
    """Set the temperature of the sampler that gives most effective draws, by draws of its own."""
    effort = run.effort
    assert state.trainer is not None
    policy = state.trainer.averaged.policy
    table = state.table
    best = 0.0
    chosen = 1.0

    def late() -> bool:
        return run.past_for_topologies(effort.soften_share, state)

    for i, temperature in enumerate(effort.temperatures):
        if late():
            run.warn(
                Note(
                    "untried-temperatures",
                    f"the budget of {run.settings.budget} ended before sampler temperatures above "
                    f"{effort.temperatures[max(i - 1, 0)]:g} were tried",
                )
            )
            break
        policy.temperature = temperature
        n_known = len(table)
        rng = run.rng("temperature", i)
        drawn = draw_from_sampler(run, state, environment, run.aims.pilot, rng, late)
        share = run.sampler.estimate(state, drawn, n_known).ess / len(drawn.rows)
        if share > best:
            best, chosen = share, temperature
        if share > effort.sharp_enough:
            break
    policy.temperature = chosen


def _model_text(run: SampleRun, state: RunState, posterior: Posterior) -> str:
    """Return the model, with parameters that were fixed; of several the most probable."""
    if posterior.models:
        return max(posterior.models, key=lambda model: model.probability).name
    values = run.spec.describe(state.theta)
    if not values or not run.with_lengths:  # else they are fixed, not integrated out
        return run.spec.name
    return run.spec.name + " (" + ", ".join(f"{k}={v:.5g}" for k, v in values.items()) + ")"


def _posterior(
    run: SampleRun,
    state: RunState,
    drawn: Drawn,
    found: PartitionEstimate,
    integrated: Integrated,
    shares: TopologyShares,
) -> Posterior:
    """The answer with what the user should know of it."""
    lengths = integrated.samples
    table, walkers = state.table, state.walkers
    prior = walkers.reward.log_topology_prior
    corrections = lengths.corrections
    log_mass = table.log_evidence + prior + corrections.log_ratios
    log_z = found.log_z + lengths.log_correction
    # topologies that the draws found may weigh more together than their number suggested
    log_total = max(log_z, float(np.asarray(logsumexp(log_mass))))
    best = np.argsort(-log_mass, kind="stable")[: run.effort.listed]
    probabilities = np.exp(log_mass[best] - log_total)
    listed = probabilities > 1e-12
    best, probabilities = best[listed], probabilities[listed]
    relative_error = math.hypot(found.standard_error, lengths.standard_error)
    drawn_for = float(probabilities[corrections.drawn_for[best]].sum())
    names, values = integrated.parameters()
    known = known_topologies(run, state, found)
    matters = weights_matter(found.ess, len(drawn.rows), known.summed_share)
    return Posterior(
        names=run.alignment.names,
        draw_parents=table.parents[lengths.rows].astype(np.int32),
        draw_lengths=lengths.lengths,
        draw_log_likelihoods=lengths.log_likelihoods,
        draw_log_priors=walkers.reward.log_priors(lengths.lengths, table.parents[lengths.rows])
        + integrated.log_parameter_priors(),
        topology_parents=table.parents[best].astype(np.int32),
        topology_probabilities=probabilities,
        topology_log_evidences=log_mass[best],
        log_evidence=log_z,
        log_evidence_se=relative_error,
        ess=found.ess,
        n_proposals=len(drawn.rows),
        pareto_k=_worse(found.pareto_k if matters else math.nan, lengths.pareto_k),
        topology_errors=probability_errors(
            probabilities, corrections.variances[best], relative_error**2
        ),
        split_probabilities=shares.clades(table.parents),
        warnings=tuple(run.warnings),
        known=known,
        searches=search_facts(state),
        branch_length_weights=BranchLengthFacts(
            n_draws=lengths.n_draws,
            ess=lengths.ess,
            pareto_k=lengths.pareto_k,
            topology_pareto_k=found.pareto_k,
            closed_form=ClosedFormFacts(
                log_evidence=found.log_z,
                standard_error=found.standard_error,
                correction=lengths.log_correction,
                correction_se=lengths.standard_error,
                share_with_own_draws=drawn_for,
            ),
            method=lengths.method,
            annealing_steps=lengths.rungs if lengths.method == "annealed" else 0,
        ),
        training=_training_facts(run, state),
        parameter_names=names,
        draw_parameters=values,
        draw_models=integrated.models,
        models=integrated.evidences(found),
        draw_thetas=lengths.thetas,
    )


def _worse(first: float, second: float) -> float:
    """The larger Pareto k, NaN (not defined) left out where the other is defined."""
    defined = [k for k in (first, second) if not math.isnan(k)]
    return max(defined, default=math.nan)


def _posterior_with_lengths(
    run: SampleRun, state: RunState, drawn: DrawnTrees, found: PartitionEstimate
) -> Posterior:
    """The answer where trees were drawn with their lengths."""
    _warn_of_parameters(run, state)
    posterior = lengths_posterior(
        run.alignment.names,
        drawn,
        found,
        state.walkers.reward,
        state.table,
        run.settings.samples,
        run.effort.listed,
        run.rng("draws", 1),
    )
    return replace(
        posterior,
        warnings=tuple(run.warnings),
        known=known_topologies(run, state, found),
        searches=search_facts(state),
        # the weights are those of topologies and lengths together
        branch_length_weights=BranchLengthFacts(len(drawn.rows), found.ess, found.pareto_k),
        training=_training_facts(run, state),
    )


def _warn_of_parameters(run: SampleRun, state: RunState) -> None:
    if run.spec.n_free:
        run.warn(
            Note(
                "fixed-parameters",
                f"the parameters of {run.spec.name} are fixed at their posterior mode on the best "
                "starting tree; the evidence is conditional on them (--branch-lengths collapsed "
                "integrates them out)",
            )
        )
    note = bounds_note(run.spec, state.theta)
    if note:
        run.warn(note)


def _training_facts(run: SampleRun, state: RunState) -> TrainingFacts:
    """Return the facts of search and training, without the correlation over random trees."""
    trainer = state.trainer
    assert trainer is not None
    return TrainingFacts(
        environment=run.settings.environment,
        branch_lengths=run.settings.branch_lengths,
        sampler_temperature=trainer.averaged.policy.temperature,
        walk_steps=state.walkers.steps,
        n_topologies=len(state.table),
        steps=state.steps,
        cycles=state.cycles,
        seconds_by_part=dict(trainer.seconds_by_part),
        objective=run.settings.objective,
        backward_policy=run.settings.backward_policy,
    )
