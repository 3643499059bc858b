"""``molgen exact``: enumerate, train by each correction, compare, write ``exact.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from gfncore.evaluation import total_variation
from gfncore.program.configuration import settings_toml
from gfncore.program.messages import Note
from gfncore.program.output import check_replaced, clear_output, json_text, staged_output
from gfncore.program.progress import Progress
from gfncore.program.provenance import (
    ResourceUse,
    command_line,
    record_provenance,
    software_version,
)
from molgen.environments.making import make_environment
from molgen.output_names import EXACT_OUTPUT_NAMES
from molgen.reward import Reward
from molgen.runs.exact.comparison import compare
from molgen.runs.exact.space import Space, enumerate_space
from molgen.runs.exact.theory import ideal_distribution
from molgen.runs.exact.training import Recipe, train_policy
from molgen.settings import ExactSettings

__all__ = ["recipe_for", "row_warnings", "run_exact"]

SMALL, LARGE = 1_000, 20_000  # molecules
FEWEST, MOST = 512, 32_768  # trajectories a step
SHARE_OF_BIAS = 0.25  # training error, from which a row does not show what it is meant to show
LARGEST_ERROR = 0.05


def recipe_for(space: Space) -> Recipe:
    """How a policy is trained on a space of this size.

    As many trajectories a step as there are molecules: they share their states, each of which is
    embedded once, so that a step costs little more than with a fraction of them. Not so where
    molecules are many: there the first steps have a quarter, and there are more of them.
    """
    m = len(space.molecules)
    batch = min(max(FEWEST, m), MOST)
    on_policy = max(128, batch // 16)
    hidden = 64 if m <= SMALL else 96 if m <= LARGE else 128
    recipe = Recipe(hidden=hidden, on_policy=on_policy, replay=batch - on_policy)
    return replace(recipe, steps=800, first_share=1 / 4) if m > LARGE else recipe


def run_exact(settings: ExactSettings, progress: Progress) -> dict[str, Any]:
    """Enumerate a space, train a sampler by each correction, and compare with the truth.

    Parameters
    ----------
    settings : ExactSettings
        `budget` is the time for the training of each correction; it ends earlier once the total
        variation from what the correction aims at is 0.01.
    progress : Progress

    Returns
    -------
    dict
        What ``exact.json`` holds.

    Raises
    ------
    UserError
        If the settings do not fit.
    """
    check_replaced(settings.output, EXACT_OUTPUT_NAMES)
    torch.set_num_threads(1)  # small graphs: more threads wait for one another
    scoring = settings.open_scoring(workers=settings.n_threads, warn=progress.warn)
    try:
        if settings.threads_note:
            progress.warn(settings.threads_note)
        reward = Reward(scoring)
        environment = make_environment(settings, reward)
        progress.phase("enumerating the space")
        space = enumerate_space(environment)
        progress.note(
            f"{len(space.molecules):,} molecules in {space.n_states:,} states, "
            f"log Z {space.log_partition:.4f}"
        )
        if reward.floored:
            progress.warn(
                Note(
                    "zero-scores",
                    f"{len(reward.floored):,} molecules have no score or a score of zero and "
                    f"count as exp({reward.least:g})",
                )
            )
        for reason, example in scoring.failure_examples.items():
            progress.warn(
                Note(
                    "failed-scores",
                    f"{scoring.failed[reason]:,} scores failed: {reason}; for example {example}",
                )
            )
        if reward.buried:
            progress.warn(
                Note(
                    "scores-below-floor",
                    f"{len(reward.buried):,} molecules have a score above zero but not above "
                    f"exp({reward.least:g}), which stands for zero; use a transform that gives "
                    "higher scores",
                )
            )
        clear_output(
            settings.output, EXACT_OUTPUT_NAMES
        )  # an earlier result, now that this one can start
        corrections = {}
        for regime in settings.symmetry:
            progress.phase(f"training, symmetry {regime}")
            corrections[regime] = _one(settings, space, regime, progress)
            found = corrections[regime]
            progress.note(
                f"{regime}: total variation {found['total_variation']:.4f}, log Z "
                f"{found['log_partition']:.4f} (true {space.log_partition:.4f}), "
                f"p {found['chi2_p_value']:.2g}"
            )
            if math.isnan(found["chi2_p_value"]):
                progress.warn(
                    Note(
                        "few-draws",
                        f"{regime}: {settings.draws:,} draws of {len(space.molecules):,} "
                        "molecules are too few for a test of goodness of fit: it needs two "
                        "molecules that are expected 5 times; raise --draws, or choose a larger "
                        "space",
                    )
                )
    finally:
        scoring.close()
    warnings = [*environment.notes, *row_warnings(corrections, _bias(space))]
    for warning in warnings:
        progress.warn(warning)
    return _write(settings, space, corrections, warnings, progress.clock.usage())


def _bias(space: Space) -> float:
    """Total variation from the truth of a perfect sampler without correction."""
    return total_variation(ideal_distribution(space, "none")[0], space.target)


def row_warnings(corrections: Mapping[str, Mapping[str, Any]], bias: float) -> list[Note]:
    """Return a sentence for each row of the comparison that does not show what it is meant to.

    A row shows its correction, and not its training, if the training error (total variation from
    the ideal of the correction) is at most a quarter of the bias that a sampler without correction
    has here, and at most 0.05.

    Parameters
    ----------
    corrections : mapping of str to mapping
        Of ``exact.json``.
    bias : float
        Total variation from the truth of a perfect sampler without correction.
    """
    warnings = []
    if len(corrections) > 1 and bias < 0.01:
        warnings.append(
            Note(
                "indistinct-corrections",
                f"without correction a perfect sampler is off by a total variation of {bias:.2g} "
                "only: this space hardly distinguishes the corrections; choose one with more "
                "symmetric molecules",
            )
        )
    for regime, row in corrections.items():
        error = row["total_variation_from_ideal"]
        limit = min(LARGEST_ERROR, max(SHARE_OF_BIAS * bias, 0.01))
        if error > limit:
            steps = row["training_steps"]
            warnings.append(
                Note(
                    "training-error",
                    f"{regime}: after {steps:,} training step{'' if steps == 1 else 's'} the "
                    f"sampler is still {error:.3f} (total variation) from the target of this "
                    f"correction, more than {limit:.3f}: its row reflects the training error, not "
                    "the correction; give a larger --budget",
                )
            )
    merged, none = corrections.get("merged"), corrections.get("none")
    if merged and none and merged["total_variation"] >= none["total_variation"]:
        warnings.append(
            Note(
                "no-effect-of-symmetry",
                "merged is as far from the target distribution (total variation "
                f"{merged['total_variation']:.3f}) as none ({none['total_variation']:.3f}): the "
                "rows do not show the effect of symmetry",
            )
        )
    return warnings


def _one(settings: ExactSettings, space: Space, regime: str, progress: Progress) -> dict[str, Any]:
    """Train and compare one correction."""

    def report(entry: dict[str, float]) -> None:
        progress.update(
            step=int(entry["step"]),
            loss=entry["loss"],
            total_variation_from_ideal=entry["total_variation"],
        )

    with ThreadPoolExecutor(settings.n_threads) as pool:
        trained = train_policy(
            space.environment,
            regime,
            space,
            recipe_for(space),
            seconds=settings.budget_seconds,
            enough=_accuracy(len(space.molecules), settings.draws),
            seed=settings.seed,
            pool=pool if settings.n_threads > 1 else None,
            report=report,
        )
    progress.phase(f"drawing {settings.draws:,} molecules, symmetry {regime}")
    generator = np.random.default_rng([settings.seed, 1])
    found = compare(space, space.environment, regime, trained.policy, settings.draws, generator)
    return asdict(found) | {
        "training_steps": trained.steps,
        "training_seconds": trained.seconds,
        "training": trained.history,
    }


def _accuracy(n_molecules: int, draws: int) -> float:
    """Total variation at which training ends.

    A fifth of what the draws themselves are off by, about 0.4 sqrt(molecules / draws), so that a
    test of goodness of fit on these draws hardly sees it; at most 0.01.
    """
    return min(0.01, 0.08 * math.sqrt(n_molecules / draws))


def _write(
    settings: ExactSettings,
    space: Space,
    corrections: dict[str, Any],
    warnings: list[Note],
    use: ResourceUse,
) -> dict[str, Any]:
    result = {
        "software": "molgen",
        "version": software_version(),
        "command": command_line(),
        "seed": settings.seed,
        "environment": settings.environment,
        "reward": settings.score_name,
        "n_molecules": len(space.molecules),
        "n_states": space.n_states,
        "n_objects_of_several_states": int((np.bincount(space.molecule) > 1).sum()),
        "log_partition_true": space.log_partition,
        "corrections": corrections,
        "warnings": warnings,
        "warning_codes": [warning.code for warning in warnings],
    } | asdict(use)
    provenance = record_provenance(
        "molgen",
        parameters=settings.configured(),
        seed=settings.seed,
        threads=1,
        inputs=settings.input_files,
        use=use,
    )
    with staged_output(settings.output, last="exact.json") as staging:
        (staging / "run.toml").write_text(settings_toml(settings), encoding="utf-8")
        (staging / "provenance.json").write_text(json_text(provenance.as_dict()), encoding="utf-8")
        (staging / "exact.json").write_text(json_text(result), encoding="utf-8")
    return result
