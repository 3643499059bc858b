"""From a trained run of ``molgen sample`` to its library and its files."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.errors import UserError
from gfncore.evaluation import WeightedDraws
from gfncore.exploration import sample_trajectories
from gfncore.program.provenance import command_line, record_provenance
from gfncore.trajectories.scoring import score_backward
from molgen.citations import ALWAYS_CITED, methods_of_settings
from molgen.fragments.cores import r_groups
from molgen.molecules.diversity import ScaffoldCap
from molgen.probabilities import TRAJECTORIES, molecule_probabilities
from molgen.results.facts import RunFacts
from molgen.results.files import failure_warning, write_results
from molgen.results.library import Library, count_draws, share_valid
from molgen.results.scored import write_scored
from molgen.runs.sample.run import ON_POLICY, REPLAYED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from molgen.runs.sample.run import SampleRun

__all__ = ["commonest", "drawn_probabilities", "finish"]

DRAW_BATCH = 500
BEST_SHOWN = 10  # molecules of all scored that summary and report show
MOST_DRAWS_AT_ONCE = 10  # draws a molecule of the library, at most, in a batch
HARDLY_TRAINED = 20  # steps of training below which the user is told
FEWEST_IN_BATCH = 16
BATCH_SHARE = 0.1  # of the budget, the most that a batch of draws takes
# shares of the budget, after which a phase ends
DRAWS_SHARE = 0.95  # draws of molecules
PROBABILITIES_SHARE = 1.02  # their probabilities
MOST_DRAWS = 20  # draws a molecule of the library, at most


@dataclass
class _Drawn:
    """What was drawn for the library."""

    smiles: list[str]
    states: Any
    log_weights: np.ndarray
    unscored: int
    cap: ScaffoldCap


def _draw(run: SampleRun) -> _Drawn:
    """Draw until the library has as many molecules as were asked for."""
    settings, generator = run.settings, run.rng("draws")
    policy = run.trainer.averaged.policy
    smiles: list[str] = []
    parts, weights = [], []
    cap = ScaffoldCap(settings.max_per_scaffold)
    unscored = drawn = 0
    size = min(DRAW_BATCH, MOST_DRAWS_AT_ONCE * settings.samples)
    # a score may take long
    fitting = BATCH_SHARE * settings.budget_seconds / max(run.seconds_a_draw(), 1e-9)
    if fitting < size:
        size = max(int(fitting), min(size, FEWEST_IN_BATCH))
        run.warn(
            f"molecules are drawn {size:,} at a time, as scores are slow for the budget of "
            f"{settings.budget}: with the same seed, files may differ between machines",
            passing=True,
        )
    while len(cap.admitted) < settings.samples and drawn < MOST_DRAWS * settings.samples:
        batch = sample_trajectories(run.merged, policy, size, generator)
        log_pb = score_backward(run.merged, None, batch).sum(dim=1).cpu().numpy()
        assert batch.log_pf is not None
        names = run.merged.smiles(batch.terminals)
        drawn += len(names)
        known = np.arange(_scored_draws(run, names))
        unscored += len(names) - len(known)
        states = batch.terminals.take(known)
        here = [names[i] for i in known]
        smiles += here
        total = run.scoring.evaluate(here, canonical=True).total
        log_weights = run.merged.log_reward(states) + (log_pb - batch.log_pf)[known]
        # what stands for the log of a score of zero in training is no part of Z
        weights.append(np.where(total > 0.0, log_weights, -np.inf))
        parts.append(states)
        for name, score in zip(here, total, strict=True):
            if score > 0.0:
                cap.offer(name)
        run.progress.update(
            detail=f"{len(cap.admitted):,} molecules from {drawn:,} draws",
            done=len(cap.admitted) / settings.samples,
        )
        run.save_if_due()  # with the scores: the same draws are made again when it is resumed
        if unscored:
            break
        if len(cap.admitted) < settings.samples and run.past(DRAWS_SHARE):
            run.warn(
                f"the budget of {settings.budget} ended the draws after {drawn:,}: the library has "
                f"{len(cap.admitted):,} molecules of the {settings.samples:,} asked for",
                passing=True,
            )
            break
    states = type(parts[0]).concat(parts)
    return _Drawn(smiles, states, np.concatenate(weights), unscored, cap)


def _scored_draws(run: SampleRun, names: list[str]) -> int:
    """How many draws, from the first on, have a score once the calls that are left were spent.

    Later draws are left out even if their molecule is known: known ones are not like the others.
    """
    left = run.settings.oracle_calls - run.scoring.calls
    allowed: set[str] = set()
    for draw, name in enumerate(names):
        if name not in allowed and not run.scoring.is_known(name):
            if left <= 0:
                return draw
            left -= 1
        allowed.add(name)
    return len(names)


def finish(run: SampleRun) -> None:
    """Draws, probabilities, files.

    Raises
    ------
    UserError
        No molecule was drawn whose score is above zero.
    """
    settings = run.settings
    run.progress.phase("drawing molecules")
    drawn = _draw(run)
    if drawn.unscored:
        run.warn(
            f"{drawn.unscored:,} of the last draws were left out: all {settings.oracle_calls:,} "
            "oracle calls were used up; --oracle-calls allows more",
            passing=True,
        )
    smiles, count, first = count_draws(drawn.smiles)
    table = run.scoring.evaluate(smiles, canonical=True)
    admitted = [row for row, name in enumerate(smiles) if name in drawn.cap.admitted]
    keep = np.array(admitted[: settings.samples], np.int64)
    beyond = len(drawn.cap.refused)
    if beyond:
        run.progress.note(
            f"{beyond:,} molecules were left out of the library: it has "
            f"{settings.max_per_scaffold:,} of their scaffold (--max-per-scaffold)"
        )
    if len(keep) < settings.samples:
        beside = f" beside the {beyond:,} left out" if beyond else ""
        run.warn(
            f"{len(keep):,} different molecules with a score above zero were found{beside} in "
            f"{len(drawn.smiles):,} draws, and {settings.samples:,} were asked for"
        )
    if not len(keep):
        raise UserError(_why_nothing(run))
    run.progress.phase("computing probabilities")
    log_p, error = drawn_probabilities(run, drawn.states.take(first[keep]))
    chosen = [smiles[i] for i in keep]
    library = Library.build(
        chosen,
        run.scoring.evaluate(chosen, canonical=True),
        log_reward=run.reward(chosen),
        objective_names=run.scoring.objective_names,
        log_probability=log_p,
        log_probability_se=error,
        count=count[keep],
    )
    library = replace(library, labels=_labels(run, library.smiles))
    run.progress.phase("writing files")
    log_z, log_z_se, ess = math.nan, math.nan, math.nan
    steps = run.trainer.step_number
    if steps < HARDLY_TRAINED:
        run.warn(
            f"the sampler was trained for {steps:,} steps only: its molecules are little better "
            "than those of random choices; train longer, or allow more oracle calls",
            passing=True,
        )
    if settings.proportional:
        estimate = WeightedDraws(drawn.log_weights).estimate()
        log_z, log_z_se, ess = estimate.log_z, estimate.standard_error, estimate.ess
        if estimate.n_draws == 1:
            run.warn(
                "1 draw gives log Z without a standard error; --oracle-calls allows more draws",
                passing=True,
            )
        _judge(run, ess, len(drawn.smiles))
    if run.reward.buried:
        run.warn(
            f"{len(run.reward.buried):,} of {run.scoring.calls:,} molecules scored have a score "
            f"above zero whose log reward is {run.reward.least:,.0f} or less, which stands for a "
            "score of zero in training: the sampler cannot distinguish them; lower "
            "--reward-exponent, or use a transform that gives higher scores"
        )
    use = run.clock.usage()
    facts = RunFacts(
        command=command_line(),
        seed=settings.seed,
        score=settings.score_name,
        environment=settings.environment,
        symmetry=settings.symmetry,
        objective=settings.objective,
        n_proposals=len(drawn.smiles),
        oracle_calls=run.scoring.calls,
        use=use,
        validity=share_valid(smiles, count),
        log_partition=log_z,
        log_partition_se=log_z_se,
        ess=ess,
        reward_exponent=settings.reward_exponent,
        order_temperature=settings.order_temperature,
        failures=run.scoring.failed,
        failure_examples=run.scoring.failure_examples,
        best_scored=_best_scored(run),
        methods=(*ALWAYS_CITED, *methods_of_settings(settings.model_dump())),
        budget_seconds=settings.budget_seconds,
        warnings=(*run.state.warnings, *run.passing),
        extra={
            "draws_with_score_zero": int(count[table.total == 0.0].sum()),
            "molecules_left_out_by_scaffold": beyond,
            "molecules_at_the_reward_floor": len(run.reward.floored),
            "molecules_below_the_reward_floor": len(run.reward.buried),
            "filtered": run.scoring.filtered,
            "training_steps": run.trainer.step_number,
            "trajectories_trained": (
                run.trainer.step_number * (ON_POLICY + REPLAYED) * run.n_processes
            ),
            "processes": run.n_processes,
            "oracle_calls_retried": run.scoring.retried,
            "training_seconds_by_part": {
                part: round(seconds, 3) for part, seconds in run.trainer.seconds_by_part.items()
            },
            "trained_log_partition": _learned_log_z(run),
        },
    )
    provenance = record_provenance(
        "molgen",
        parameters=settings.configured(),
        seed=settings.seed,
        threads=settings.n_threads,
        device=run.device,
        inputs=settings.input_files,
        use=use,
    )
    if any(facts.failures.values()):
        run.progress.warn(
            failure_warning(facts.failures, facts.failure_examples, facts.oracle_calls)
        )
    drawn_count = dict(zip(smiles, count.tolist(), strict=True))
    write_results(
        settings.output,
        library,
        facts,
        provenance=provenance,
        scored=lambda path: write_scored(path, run.scoring, drawn_count),
    )
    shown = {"best_score": float(np.nanmax(library.reward))}
    if settings.proportional:
        shown["effective_share"] = ess / len(drawn.smiles)
    run.progress.update(**shown, detail=f"{len(library):,} molecules", done=1.0)


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
                f"{chosen:,} of {len(smiles):,} molecules of the library have open stereocentres: "
                f"{name} scored one isomer of each, named in the column {name}_isomer",
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
        why += f"; molecules that a filter left out: {commonest(filtered)}"
    return (
        f"{why}. Look at the scoring file; molgen score shows what it makes of molecules you know"
    )


def _learned_log_z(run: SampleRun) -> float | None:
    log_z = run.trainer.objective.log_z
    return None if log_z is None else float(log_z.detach())


def _judge(run: SampleRun, ess: float, draws: int) -> None:
    """Warn where the draws are far from the target distribution."""
    if ess < 0.1 * draws:
        run.warn(
            f"effective sample size {ess:,.0f} of {draws:,}: the listed probabilities are "
            "unreliable; molecules and scores are not affected. Train for longer, or lower "
            "--reward-exponent"
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
        left=lambda: run.left(PROBABILITIES_SHARE),
        tell=lambda done: run.progress.update(done=done),
    )
    if fewest < TRAJECTORIES:
        run.warn(
            f"the budget of {run.settings.budget} allowed {fewest} trajectories for some of the "
            f"probabilities in place of {TRAJECTORIES}: their errors are larger",
            passing=True,
        )
    return log_p, error
