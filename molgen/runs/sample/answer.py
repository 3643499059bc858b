"""From a trained run of ``molgen sample`` to its library."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.errors import UserError
from gfncore.evaluation import PartitionEstimate, WeightedDraws
from gfncore.evaluation.pareto_k import PARETO_K_LIMIT
from gfncore.program.configuration import settings_toml
from gfncore.program.messages import Note
from gfncore.program.provenance import record_provenance
from molgen.citations import ALWAYS_CITED, methods_of_settings
from molgen.fragments.cores import r_groups
from molgen.probabilities import TRAJECTORIES, molecule_probabilities
from molgen.results.columns import LEAST_EFFECTIVE_SHARE, LibraryColumns, share_valid
from molgen.results.facts import LocalControl, RunFacts, ScoringFacts, TrainingFacts
from molgen.results.files import failure_warning
from molgen.results.library import Library
from molgen.results.merging import merge_parts
from molgen.results.scored import ScoredMolecules
from molgen.runs.sample.control import control_by_local_changes
from molgen.runs.sample.draw import Draws, draw_molecules, select_molecules
from molgen.runs.sample.parts import exponent_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from molgen.runs.sample.run import SampleRun

__all__ = ["answer", "commonest", "drawn_probabilities"]

BEST_SHOWN = 10  # molecules of all scored that summary and report show


def answer(run: SampleRun) -> Library:
    """Draw molecules and compute their probabilities; return the library with its facts.

    Where there are several reward exponents, this is done at each, and the library has the
    molecules of all.

    Raises
    ------
    UserError
        No molecule was drawn whose score is above zero.
    """
    steps = run.trainer.step_number
    if steps < run.effort.hardly_trained:
        run.warn(
            Note(
                "untrained-sampler",
                f"the sampler was trained for {steps:,} steps only: its molecules are hardly "
                "better than those of random choices; train longer, or allow more oracle calls",
            ),
            passing=True,
        )
    parts: list[tuple[LibraryColumns, RunFacts]] = []
    counts: Counter[str] = Counter()
    for part in exponent_parts(run):
        columns, facts, drawn = _draw_part(part)
        parts.append((columns, facts))
        counts.update(drawn)
    columns, facts = parts[0] if len(parts) == 1 else merge_parts(parts)
    if any(facts.failures.values()):
        run.progress.warn(
            failure_warning(facts.failures, facts.failure_examples, facts.oracle_calls)
        )
    return Library.from_columns(columns, facts, ScoredMolecules.collect(run.scoring, counts))


def _draw_part(run: SampleRun) -> tuple[LibraryColumns, RunFacts, dict[str, int]]:
    """The library of one exponent, its facts, and how often each molecule was drawn."""
    run.progress.phase(f"{run.place}drawing molecules")
    draws = draw_molecules(run)
    selected = select_molecules(run, draws)
    keep = selected.rows
    _check_selection(run, draws, len(keep))
    smiles, count, first = draws.distinct
    control = None
    if run.settings.proportional:
        run.progress.phase(f"{run.place}checking the library by local changes")
        states = draws.states.take(first[keep])
        control = control_by_local_changes(run, states, selected.log_weights)
    run.progress.phase(f"{run.place}computing probabilities")
    log_p, error = drawn_probabilities(run, draws.states.take(first[keep]))
    chosen = [smiles[i] for i in keep]
    columns = LibraryColumns.build(
        chosen,
        run.scoring.evaluate(chosen, canonical=True),
        log_reward=run.log_reward(chosen),
        objective_names=run.scoring.objective_names,
        log_probability=log_p,
        log_probability_se=error,
        count=count[keep],
        log_weight=selected.log_weights if run.settings.proportional else None,
    )
    columns = replace(columns, labels=_labels(run, columns.smiles))
    facts = _facts(run, draws, columns, control)
    return columns, facts, dict(zip(smiles, count.tolist(), strict=True))


def _check_selection(run: SampleRun, draws: Draws, found: int) -> None:
    """Tell of molecules left out and of draws without a score; warn of too few molecules."""
    settings = run.settings
    if draws.unscored:
        run.warn(
            Note(
                "unscored-draws",
                f"{draws.unscored:,} of the last draws were discarded, as the oracle calls for "
                "them were used up; --oracle-calls allows more",
            ),
            passing=True,
        )
    beyond = len(draws.cap.refused)
    if beyond:
        run.progress.note(
            f"{beyond:,} molecules were left out of the library: it has "
            f"{settings.max_per_scaffold:,} of their scaffold (--max-per-scaffold)"
        )
    if found < settings.samples:
        beside = f", apart from the {beyond:,} left out," if beyond else ""
        run.warn(
            Note(
                "few-molecules",
                f"{found:,} of the {settings.samples:,} requested molecules with a score above "
                f"zero were found{beside} in {len(draws.smiles):,} draws",
            )
        )
    if not found:
        raise UserError(_why_nothing(run))


def _estimate(run: SampleRun, draws: Draws) -> PartitionEstimate | None:
    """Log Z, its standard error and the effective sample size; None if draws follow an order."""
    if not run.settings.proportional:
        return None
    estimate = WeightedDraws(draws.log_weights).estimate()
    if estimate.n_draws == 1:
        run.warn(
            Note(
                "single-draw",
                "1 draw gives log Z without a standard error; --oracle-calls allows more draws",
            ),
            passing=True,
        )
    return estimate


def _facts(
    run: SampleRun, draws: Draws, library: LibraryColumns, control: LocalControl | None
) -> RunFacts:
    """Facts of the run for its files, all warnings included."""
    effort = run.effort
    settings = run.settings
    smiles, count, _ = draws.distinct
    table = run.scoring.evaluate(smiles, canonical=True)
    estimate = _estimate(run, draws)
    if estimate is not None:
        _judge(run, estimate, library, control)
    if run.reward.buried:
        run.warn(
            Note(
                "scores-below-floor",
                f"{len(run.reward.buried):,} of {run.scoring.calls:,} molecules scored have a "
                f"score above zero whose log reward is {run.reward.least:,.0f} or less, which "
                "stands for a score of zero in training: the sampler cannot distinguish them; "
                "lower --reward-exponent, or use a transform that gives higher scores",
            )
        )
    use = run.clock.usage()
    return RunFacts(
        command=run.command,
        seed=settings.seed,
        score=settings.score_name,
        environment=settings.environment,
        symmetry=settings.symmetry,
        objective=settings.objective,
        n_proposals=len(draws.smiles),
        oracle_calls=run.scoring.calls,
        use=use,
        validity=share_valid(smiles, count),
        log_partition=math.nan if estimate is None else estimate.log_z,
        log_partition_se=math.nan if estimate is None else estimate.standard_error,
        ess=math.nan if estimate is None else estimate.ess,
        pareto_k=math.nan if estimate is None else estimate.pareto_k,
        control=control,
        reward_exponent=run.exponent,
        conditioning=settings.conditioning,
        order_temperature=settings.order_temperature,
        sub_trajectory_lambda=settings.sub_trajectory_lambda,
        backward_policy=settings.backward_policy,
        failures=run.scoring.failed,
        failure_examples=run.scoring.failure_examples,
        best_scored=_best_scored(run),
        methods=(*ALWAYS_CITED, *methods_of_settings(settings.model_dump())),
        budget_seconds=settings.budget_seconds,
        provenance=record_provenance(
            "molgen",
            parameters=settings.configured(),
            seed=settings.seed,
            threads=settings.n_threads,
            device=run.device,
            inputs=settings.input_files,
            command=run.command,
            use=use,
        ),
        run_toml=settings_toml(settings),
        train_jsonl=(settings.output / "train.jsonl").read_text(encoding="utf-8"),
        warnings=(*run.state.warnings, *run.passing),
        scoring=ScoringFacts(
            zero_draws=int(count[table.total == 0.0].sum()),
            left_out_by_scaffold=len(draws.cap.refused),
            at_reward_floor=len(run.reward.floored),
            below_reward_floor=len(run.reward.buried),
            filtered=run.scoring.filtered,
            retried=run.scoring.retried,
        ),
        training=TrainingFacts(
            steps=run.trainer.step_number,
            trajectories=run.trainer.step_number
            * (effort.on_policy + effort.walkers + effort.replayed)
            * run.n_processes,
            processes=run.n_processes,
            seconds_by_part=dict(run.trainer.seconds_by_part),
            log_partition=run.trainer.learned_log_partition(),
        ),
    )


def _best_scored(run: SampleRun) -> tuple[tuple[str, float], ...]:
    """The best molecules of all that were scored, and their scores."""
    smiles, scores = run.scoring.best(BEST_SHOWN)
    return tuple(zip(smiles, scores.tolist(), strict=True))


def _labels(run: SampleRun, smiles: Sequence[str]) -> dict[str, list[str]]:
    """Groups at the numbers of the core, and isomers that were scored, by column."""
    core = run.settings.core
    labels = {} if core is None else r_groups(core, smiles)
    for name, isomers in run.scoring.isomers(smiles).items():
        labels[f"{name}_isomer"] = isomers
        chosen = sum(isomer != text for isomer, text in zip(isomers, smiles, strict=True))
        if chosen:
            run.warn(
                Note(
                    "open-stereocentres",
                    f"{chosen:,} of {len(smiles):,} molecules of the library have open "
                    f"stereocentres: {name} scored one isomer of each, named in the column "
                    f"{name}_isomer",
                ),
                passing=True,
            )
    return labels


def commonest(
    counts: Mapping[str, int], most: int = 3, examples: Mapping[str, str] | None = None
) -> str:
    """The commonest reasons, each with its number, and an example of the first."""
    shown = [f"{reason}: {n:,}" for reason, n in sorted(counts.items(), key=lambda x: -x[1])]
    told = "; ".join(shown[:most]) + ("; ..." if len(shown) > most else "")
    example = (examples or {}).get(max(counts, key=lambda reason: counts[reason]))
    return f"{told}; for example {example}" if example else told


def _why_nothing(run: SampleRun) -> str:
    """What is known of a run in which no molecule with a score above zero was drawn."""
    why = "no molecule with a score above zero was drawn"
    if failed := run.scoring.failed:
        why += f"; scores that failed: {commonest(failed, examples=run.scoring.failure_examples)}"
    if filtered := run.scoring.filtered:
        why += f"; molecules rejected by a filter: {commonest(filtered)}"
    return f"{why}. Check the scoring file; molgen score applies it to molecules that you know"


def _judge(
    run: SampleRun,
    estimate: PartitionEstimate,
    library: LibraryColumns,
    control: LocalControl | None,
) -> None:
    """Warn where the library, or the estimate of log Z, is not to be relied on."""
    if library.effective_share < LEAST_EFFECTIVE_SHARE:
        run.warn(
            Note(
                "low-ess",
                f"the library of {len(library):,} molecules is worth "
                f"{library.effective_size:,.0f} molecules drawn from the target: scores are not "
                "affected, but means and shares over the library are uncertain, and need its "
                "column weight. Train for longer, or lower --reward-exponent",
            )
        )
    if estimate.pareto_k > PARETO_K_LIMIT:
        run.warn(
            Note(
                "heavy-weights",
                f"the weights of the {estimate.n_draws:,} draws have a heavy tail (Pareto k-hat "
                f"{estimate.pareto_k:.2f}): the standard error of log Z may be too small",
            )
        )
    if control is not None and control.sampler_misses:
        run.warn(
            Note(
                "sampler-misses-molecules",
                "local changes lead from molecules of the library to others that the sampler "
                f"draws too rarely, in {control.rising:.0%} \u00b1 {control.standard_error:.0%} of "
                "the cases instead of half of them: log Z is too low by more than its error, and "
                "kinds of molecules are missing. Train for longer, or lower --reward-exponent",
            )
        )


def drawn_probabilities(run: SampleRun, states: Any) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability of each drawn state's molecule, with its standard error."""
    merged = run.merged
    several = merged.multiplicity(states) > 1
    alone, rows = np.flatnonzero(~several), np.flatnonzero(several)
    molecule, found = merged.same_molecule(states.take(rows))
    log_p, error, fewest = molecule_probabilities(
        merged,
        run.trainer.averaged.policy,
        type(states).concat([states.take(alone), found]),
        np.concatenate([alone, rows[molecule]]),
        run.rng("probabilities"),
        left=lambda: run.left(run.effort.probabilities_share),
        tell=lambda done: run.progress.update(done=done),
        backward_policy=run.trainer.backward_policy,
    )
    if fewest < TRAJECTORIES:
        run.warn(
            Note(
                "few-trajectories",
                f"the budget of {run.settings.budget} allowed {fewest} instead of {TRAJECTORIES} "
                "trajectories for some of the probabilities; their standard errors are larger",
            ),
            passing=True,
        )
    return log_p, error
