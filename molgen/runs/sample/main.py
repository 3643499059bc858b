"""``molgen sample``: from a score to a library of molecules with their probabilities.

    environment and score -> training in blocks, judged by draws -> draws -> probabilities -> files

All decisions but one depend on what was found and not on the clock, so that a seed reproduces the
files; the one is the end of the budget, and the user is told when it struck.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from gfncore.errors import UserError
from gfncore.files import clear_leftovers, write_atomic
from gfncore.program.configuration import settings_toml
from gfncore.program.metrics import MetricsWriter
from gfncore.program.output import clear_output, locked_output
from gfncore.program.progress import Progress
from gfncore.training.checkpoint import read_checkpoint
from gfncore.training.distributed import join_processes
from molgen.output_names import OUTPUT_NAMES
from molgen.results.files import write_results
from molgen.runs.sample.answer import answer, drawn_probabilities
from molgen.runs.sample.effort import SampleEffort
from molgen.runs.sample.parts import exponent_parts
from molgen.runs.sample.run import SEEDS, SampleRun
from molgen.runs.sample.train import draw_weighted, train
from molgen.settings import SampleSettings

__all__ = ["rehearse", "run_sample", "trained_run"]


def run_sample(
    settings: SampleSettings, progress: Progress, effort: SampleEffort | None = None
) -> None:
    """Run and write all files.

    Raises
    ------
    UserError
        The score, the fragments, the core or the device cannot be used.
    """
    with trained_run(settings, progress, effort=effort) as run:
        if run is None:
            return
        library = answer(run)
        progress.phase("writing files")
        write_results(settings.output, library, library.facts, scored=library.scored)
        shown = {"best_score": library.top_mean(1)}
        if library.samples:
            shown["effective_share"] = min(sample.effective_share for sample in library.samples)
        elif settings.proportional:
            shown["effective_share"] = library.effective_share
        progress.update(**shown, detail=f"{len(library):,} molecules", done=1.0)


@contextmanager
def trained_run(
    settings: SampleSettings,
    progress: Progress,
    command: str | None = None,
    effort: SampleEffort | None = None,
) -> Iterator[SampleRun | None]:
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
    run : SampleRun or None
        Argument of `molgen.runs.sample.answer.answer`; None in processes of torchrun that only
        train.

    Raises
    ------
    UserError
        The score, the fragments, the core or the device cannot be used.
    """
    _check_drawing()
    torch.set_num_threads(1)  # the pool's threads share the work; sums then do not depend on it
    processes = join_processes([settings.seed, SEEDS["training"]])
    with ThreadPoolExecutor(settings.n_threads) as pool:
        run = SampleRun(settings, progress, pool, processes, command, effort)
        try:
            if processes is not None and not processes.leads:
                run.trainer.follow()
                yield None
                return
            with locked_output(settings.output, "run.toml") as check:
                _train(run)
                check()
                yield run
        finally:
            run.scoring.close()


def rehearse(run: SampleRun) -> None:
    """Go once through the parts of a run, each as short as can be, so that all is compiled."""
    run.trainer.on_policy = run.trainer.from_replay = 2
    if run.walkers is not None:
        run.walkers.n = 2
    for _ in range(2):  # the second learns from replay as well
        run.trainer.step()
    part = next(exponent_parts(run))
    drawn, _ = draw_weighted(part, part.trainer.averaged.policy, 2, part.rng("pilot"))
    part.merged.smiles(drawn)
    drawn_probabilities(part, drawn)


def _check_drawing() -> None:
    """Fail before the training and not after it where RDKit's drawings lack a library."""
    try:
        importlib.import_module("molgen.results.report.drawing")
    except ImportError as problem:
        raise UserError(
            f"RDKit cannot draw molecules here ({problem}): install libXrender, libXext, libX11 "
            "and libexpat"
        ) from None


def _train(run: SampleRun) -> None:
    """Train the sampler, from its last checkpoint if the run is resumed."""
    settings = run.settings
    if settings.resume and (run.checkpoint / "checkpoint.json").exists():
        clear_leftovers(settings.output)
        run.restore(read_checkpoint(run.checkpoint, settings.origin()))
    else:
        if settings.resume:
            run.progress.note("interrupted before its first checkpoint: starting again")
        clear_output(settings.output, OUTPUT_NAMES)
    write_atomic(settings.output / "run.toml", settings_toml(settings))
    curves, done = settings.output / "train.jsonl", run.trainer.step_number
    with MetricsWriter(curves, done, settings.tensorboard_directory) as metrics:
        train(run, metrics)
    if run.processes is not None:
        run.processes.finish()
