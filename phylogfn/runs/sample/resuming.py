"""Runs of ``phylogfn sample`` from their checkpoints."""

from __future__ import annotations

from gfncore.training.checkpoint import Checkpoint, restore_trainer
from phylogfn.runs.sample.run import SampleRun
from phylogfn.runs.sample.state import RunState, read_state
from phylogfn.runs.stored_arrays import check_parameters

__all__ = ["resumed_state", "saved_runs"]


def saved_runs(run: SampleRun, n: int) -> list[Checkpoint | None]:
    """Return the checkpoints of n runs; None for those that are to be started.

    The clock of the runs together is set to their time.

    Raises
    ------
    UserError
        A checkpoint is damaged, or of another alignment or other settings.
    """
    if not run.settings.resume:
        return [None] * n
    saved = [
        read_state(run.checkpoint_of(number), run.settings.origin()) for number in range(1, n + 1)
    ]
    if saved[0] is None:
        run.progress.note("the run was interrupted before its first checkpoint; starting again")
    spent: dict[str, float] = {}
    for one in saved:
        if one is not None:
            run.check_same_alignment(one.extra["checksum"])
            run.check_same_constraint(one.extra.get("constraint_checksum", ""))
            check_parameters(one.arrays, run.spec.n_free, str(one.directory))
            for name, seconds in one.extra["spent"].items():
                spent[name] = spent.get(name, 0.0) + seconds
    run.clock.resume(spent)
    return saved


def resumed_state(run: SampleRun, saved: Checkpoint) -> RunState:
    """Return the state in a checkpoint, with its trainer if it has one."""
    state = RunState.restore(saved, run.reward(saved.arrays["theta"]))
    if saved.has_trainer:
        environment = run.sampler.environment_of(run, state)
        state.trainer = run.sampler.trainer(run, state, environment)
        restore_trainer(saved, state.trainer)
    return state
