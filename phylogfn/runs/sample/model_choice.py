"""The choice of the model by ``--model auto``: screening on a starting tree, before a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from gfncore.errors import UserError
from gfncore.files import write_atomic
from gfncore.program.messages import Note
from phylogfn.alignments.patterns import PartitionedPatterns
from phylogfn.exploration.starting_trees import overdispersed_starts
from phylogfn.likelihood.screening import (
    ScreenedModel,
    contenders,
    is_auto,
    screen_models,
)
from phylogfn.models import parse_model
from phylogfn.runs.sample.part_models import candidates_of, choose_part_models
from phylogfn.trees.tree import Tree

if TYPE_CHECKING:
    from phylogfn.runs.sample.run import SampleRun

__all__ = ["choose_model"]

SCREENING_SHARE = 0.1  # of the budget
FILE = "models.json"  # in the checkpoint


def choose_model(run: SampleRun) -> None:
    """Set the models of a run that leaves their choice to the program.

    A resumed run has those that it started with. Search and training use the best by BIC.

    Raises
    ------
    UserError
        The list in the checkpoint is damaged.
    """
    if run.part_models:
        _choose_for_parts(run)
        return
    if not is_auto(run.settings.model):
        return
    path = run.checkpoint / FILE
    if run.settings.resume and path.is_file():
        screened = _read(run)
    else:
        screened = _screen(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps([asdict(model) for model in screened]) + "\n")
    run.screened = tuple(screened)
    models = contenders(screened)
    best = models[0]
    if run.with_lengths and len(models) > 1:
        run.warn(
            Note(
                "models-not-averaged",
                f"{best} was chosen by BIC alone: trees drawn with their lengths do not "
                "average over models",
            )
        )
        models = (best,)
    run.models, run.spec = models, run.spec_of(best)
    run.progress.note(f"models compared by their evidence: {', '.join(run.models)}")


def _choose_for_parts(run: SampleRun) -> None:
    """Set the models of the parts that leave their choice to the program, by BIC."""
    if not any(is_auto(model) for model in run.part_models):
        return
    path = run.checkpoint / FILE
    if run.settings.resume and path.is_file():
        run.part_models = _read_parts(run)
    else:
        run.phase("screening models of the parts on a starting tree")
        late = _late(run)
        assert isinstance(run.patterns, PartitionedPatterns)
        run.part_models, notes = choose_part_models(
            run.alignment, run.patterns, run.part_models, _start(run, late), late
        )
        for note in notes:
            run.warn(note)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(run.part_models) + "\n")
    run.spec = run.spec_of(run.models[0])
    run.progress.note(f"models chosen by BIC for each part: {run.spec.name}")


def _read_parts(run: SampleRun) -> tuple[str, ...]:
    path = run.checkpoint / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        models = tuple(str(name) for name in found)
        for part, model in zip(run.alignment.parts, models, strict=True):
            parse_model(model, part.alphabet)
    except (OSError, ValueError, TypeError, UserError) as error:
        raise UserError(f"{path}: damaged; start a new run ({error})") from None
    return models


def _late(run: SampleRun) -> Callable[[], bool]:
    """Return a function that tells whether the time for the screening is up."""
    share = SCREENING_SHARE * run.settings.budget_seconds
    began = run.seconds()
    return lambda: run.seconds() - began > share


def _start(run: SampleRun, late: Callable[[], bool]) -> Tree:
    """Return a starting tree with branch lengths."""
    reward = run.reward(run.spec.start(run.patterns))
    start = overdispersed_starts(run.patterns, 1, run.rng("models"), late, run.constraints)
    lengths = reward.closed_form(start).lengths[0]
    reward.pool.shutdown()
    return Tree.from_parents(start[0].astype(np.int32), lengths)


def _screen(run: SampleRun) -> list[ScreenedModel]:
    run.phase("screening models on a starting tree")
    names = candidates_of(run.alignment)
    late = _late(run)
    tree = _start(run, late)
    screened = screen_models(names, run.alignment.alphabet.name, run.patterns, tree, late)
    if len(screened) < len(names):
        run.warn(
            Note(
                "few-models-screened",
                f"the budget of {run.settings.budget} allowed {len(screened)} of {len(names)} "
                f"models to be screened; best so far: {screened[0].name}",
            )
        )
    return screened


def _read(run: SampleRun) -> list[ScreenedModel]:
    path = run.checkpoint / FILE
    known = candidates_of(run.alignment)
    try:
        found = [
            ScreenedModel(
                str(entry["name"]),
                int(entry["n_parameters"]),
                float(entry["log_likelihood"]),
                float(entry["bic"]),
            )
            for entry in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged; start a new run ({error})") from None
    if not found or any(model.name not in known for model in found):
        raise UserError(f"{path}: does not list models of this program; start a new run")
    return sorted(found, key=lambda model: model.bic)
