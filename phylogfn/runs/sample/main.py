"""``phylogfn sample``: from an alignment to a posterior over trees that states its own accuracy.

    starts -> walks -> environment -> training beside more walks, in cycles -> draws -> files

All decisions but one depend on what was found and not on the clock, so that a seed reproduces the
files; the one is the end of the budget, and the user is told when it struck.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gfncore.errors import UserError
from gfncore.files import clear_leftovers, write_atomic
from gfncore.program.configuration import settings_toml
from gfncore.program.metrics import MetricsWriter
from gfncore.program.output import clear_output, locked_output
from gfncore.training.checkpoint import restore_trainer
from phylogfn.environments.base import TreeEnvironment
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.output_names import OUTPUT_NAMES
from phylogfn.runs.sample.answer import answer, write_answer
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.runs.sample.run import (
    SampleRun,
    draw_from_sampler,
)
from phylogfn.runs.sample.state import RunState, read_state
from phylogfn.runs.sample.train import divergence, leave_untrained, new_curriculum, train
from phylogfn.runs.sample.walk import started, walk
from phylogfn.runs.stored_arrays import check_parameters
from phylogfn.settings import SampleSettings, resolve_settings

if TYPE_CHECKING:
    from gfncore.program.progress import Progress

__all__ = ["open_run", "rehearse", "run_sample", "trained_run"]


def run_sample(
    settings: SampleSettings, progress: Progress, effort: SampleEffort | None = None
) -> int:
    """Run and write all files; return the exit code (`phylogfn.runs.sample.answer.write_answer`).

    Raises
    ------
    UserError
        The alignment, the model or the device cannot be used.
    """
    with trained_run(settings, progress, effort=effort) as parts:
        return write_answer(parts[0], answer(*parts))


@contextmanager
def trained_run(
    settings: SampleSettings,
    progress: Progress,
    command: str | None = None,
    effort: SampleEffort | None = None,
) -> Iterator[tuple[SampleRun, RunState, TreeEnvironment]]:
    """Run until the sampler is trained; its output directory is locked inside of the context.

    Parameters
    ----------
    settings : SampleSettings
    progress : Progress
    command : str, optional
        How the run was started. Default: the command line of this process.
    effort : SampleEffort, optional
        How much is done. Default: that of the command line.

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
    run = SampleRun(settings, progress, command, effort)
    with locked_output(settings.output, "run.toml") as check_output:
        if settings.resume:
            clear_leftovers(settings.output)
        else:
            clear_output(settings.output, OUTPUT_NAMES)
        state = _resumed(run) if settings.resume else None
        write_atomic(settings.output / "run.toml", settings_toml(settings))
        if state is None:
            state = started(run)
        state.draws_from_prior = run.draws_from_prior
        walk(run, state)
        environment = run.sampler.environment_of(run, state)
        curves = settings.output / "train.jsonl"
        with MetricsWriter(curves, state.steps, settings.tensorboard_directory) as metrics:
            if state.draws_from_prior:
                leave_untrained(run, state, environment)
            else:
                train(run, state, environment, metrics)
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
    state = started(run)
    walkers, rng = state.walkers, run.rng("walk")
    walkers.block = 2
    walkers.absorb(walkers.run(1), state.table, True)
    run.sampler.prepare(run, state)
    environment = run.sampler.environment_of(run, state)
    state.trainer = run.sampler.trainer(run, state, environment)
    curriculum = new_curriculum(run, state, environment, None)
    curriculum.refresh(None)
    curriculum.set_rates()
    for own_draws in (False, True):
        curriculum.teach(state.trainer, own_draws)
    drawn = draw_from_sampler(run, state, environment, 4, rng)
    divergence(run, state, environment, run.sampler.estimate(state, drawn, 1))
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
