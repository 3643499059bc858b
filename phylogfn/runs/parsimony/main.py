"""``phylogfn parsimony``: from an alignment to its most parsimonious trees and near-optimal ones.

    search -> environment -> training at many temperatures, in cycles -> draws -> files

All decisions but the end of the budget depend on what was found and not on the clock, so that a
seed reproduces the files; the user is told when the clock struck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gfncore.errors import UserError
from gfncore.files import clear_leftovers, write_atomic
from gfncore.program.configuration import settings_toml
from gfncore.program.messages import Note
from gfncore.program.metrics import MetricsWriter
from gfncore.program.output import clear_output, locked_output
from gfncore.training.checkpoint import read_checkpoint, restore_trainer
from phylogfn.estimates.tempered import (
    draw_trees,
    in_table,
)
from phylogfn.output_names import PARSIMONY_OUTPUT_NAMES
from phylogfn.parsimony.search import SearchFacts, search
from phylogfn.runs.parsimony.answer import finish
from phylogfn.runs.parsimony.effort import ParsimonyEffort
from phylogfn.runs.parsimony.pilots import Pilots
from phylogfn.runs.parsimony.run import ParsimonyRun
from phylogfn.runs.parsimony.search import searched
from phylogfn.runs.parsimony.state import ParsimonyState
from phylogfn.runs.parsimony.train import (
    cycle_betas,
    divergence,
    environment_of,
    new_trainer,
    train,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gfncore.program.progress import Progress
    from phylogfn.settings import ParsimonySettings

__all__ = ["rehearse", "run_parsimony"]


def run_parsimony(
    settings: ParsimonySettings,
    progress: Progress,
    effort: ParsimonyEffort | None = None,
    prepare: Callable[[ParsimonySettings], None] | None = None,
) -> None:
    """Run and write all files.

    Parameters
    ----------
    settings : ParsimonySettings
    progress : Progress
    effort : ParsimonyEffort, optional
        How much is done. Default: that of the command line.
    prepare : callable, optional
        Called with the settings once all input has been read and found good, such as
        `phylogfn.warm_up.warm_up_parsimony`: errors of the user come before the kernels are loaded.

    Raises
    ------
    UserError
        The alignment or the device cannot be used, or a run cannot be resumed as asked.
    """
    torch.set_num_threads(1)  # intra-op threads would make sums depend on their number
    run = ParsimonyRun(settings, progress, effort)
    if prepare is not None:
        prepare(settings)
    with locked_output(settings.output, "run.toml") as check_output:
        if settings.resume:
            clear_leftovers(settings.output)
        else:
            clear_output(settings.output, PARSIMONY_OUTPUT_NAMES)
        state = _resumed(run) if settings.resume else None
        write_atomic(settings.output / "run.toml", settings_toml(settings))
        if state is None:
            state = searched(run)
        environment = None
        curves = settings.output / "train.jsonl"
        with MetricsWriter(curves, state.steps, settings.tensorboard_directory) as metrics:
            if not run.characters.n_characters:
                run.progress.note("no sampler is trained: all trees are equally probable")
            elif run.n_taxa > run.effort.largest_trained:
                run.warn(
                    Note(
                        "no-sampler",
                        f"no sampler of near-optimal trees was trained: {run.n_taxa} taxa are more "
                        f"than the {run.effort.largest_trained} for which it can be trained in "
                        "reasonable time",
                    )
                )
            else:
                environment = environment_of(run, state)
                train(run, state, environment, metrics)
        check_output()
        finish(run, state, environment)


def rehearse(run: ParsimonyRun) -> None:
    """Go once through the parts of a run, each as short as can be, so that all is compiled."""
    effort = run.effort
    found = search(run.scorer, 1, excess=1.0, hits=1)
    lowest, highest = float(run.betas.min()), float(run.betas.max())
    limits = (lowest / effort.headroom, highest * effort.widening)
    state = ParsimonyState(found.table, SearchFacts.of(found), 1.0, 0, limits)
    run.sampler.prepare(state, lowest)
    environment = environment_of(run, state)
    state.trainer = new_trainer(run, state, environment)
    curriculum = run.sampler.curriculum(environment, 4)
    pilots = Pilots.none(cycle_betas(run, state), run.n_taxa)
    curriculum.refresh(pilots.weigh(found.table, found.best_score))
    curriculum.set_rates()
    for own_draws in (False, True):
        curriculum.teach(state.trainer, own_draws)
    policy, rng = state.trainer.averaged.policy, run.rng("pilot")
    (drawn,) = draw_trees(environment, policy, run.betas[:1], 4, rng, run.scorer.pool)
    in_table(state.table, drawn.parents)
    divergence(run, state, environment, found.table.parents, found.table.scores)
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
        environment = environment_of(run, state)
        state.trainer = new_trainer(run, state, environment)
        restore_trainer(saved, state.trainer)
    return state
