"""``phylogfn sample``: from an alignment to a posterior over trees that states its own accuracy.

    starts -> walks -> environment -> training beside more walks, in cycles -> draws -> files

All decisions but one depend on what was found and not on the clock, so that a seed reproduces the
files; the one is the end of the budget, and the user is told when it struck. By default, two runs
from other seeds are made and compared (`phylogfn.runs.sample.repeats`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from threadpoolctl import threadpool_limits

from gfncore.errors import UserError
from gfncore.files import clear_leftovers, write_atomic
from gfncore.program.configuration import settings_toml
from gfncore.program.output import clear_output, locked_output
from phylogfn.environments.base import TreeEnvironment
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.output_names import OUTPUT_NAMES
from phylogfn.runs.sample.answer import write_answer
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.runs.sample.model_choice import choose_model
from phylogfn.runs.sample.repeats import answer_of_all, number_of_runs
from phylogfn.runs.sample.resuming import resumed_state, saved_runs
from phylogfn.runs.sample.run import SampleRun, draw_from_sampler
from phylogfn.runs.sample.state import RunState
from phylogfn.runs.sample.train import divergence, new_curriculum
from phylogfn.runs.sample.walk import started
from phylogfn.settings import SampleSettings, resolve_settings
from phylogfn.trees.tree import Tree

if TYPE_CHECKING:
    from gfncore.program.progress import Progress
    from phylogfn.results.posterior import Posterior

__all__ = ["finished_run", "open_run", "rehearse", "run_sample"]


def run_sample(
    settings: SampleSettings,
    progress: Progress,
    effort: SampleEffort | None = None,
    prepare: Callable[[SampleSettings], None] | None = None,
) -> int:
    """Run and write all files; return the exit code (`phylogfn.runs.sample.answer.write_answer`).

    Parameters are those of `finished_run`.

    Raises
    ------
    UserError
        The alignment, the model or the device cannot be used.
    """
    with finished_run(settings, progress, None, effort, prepare) as (run, posterior):
        return write_answer(run, posterior)


@contextmanager
def finished_run(
    settings: SampleSettings,
    progress: Progress,
    command: str | None = None,
    effort: SampleEffort | None = None,
    prepare: Callable[[SampleSettings], None] | None = None,
) -> Iterator[tuple[SampleRun, Posterior]]:
    """Run, once or several times; the output directory is locked inside of the context.

    Parameters
    ----------
    settings : SampleSettings
    progress : Progress
    command : str, optional
        How the run was started. Default: the command line of this process.
    effort : SampleEffort, optional
        How much is done. Default: that of the command line.
    prepare : callable, optional
        Called with the settings once all input has been read and found good, such as
        `phylogfn.warm_up.warm_up_sampling`: errors of the user come before the kernels are loaded.

    Yields
    ------
    run, posterior
        The judged posterior, combined where there were several runs.

    Raises
    ------
    UserError
        The alignment, the model or the device cannot be used.
    """
    # the second core walks; threads within an operation would make sums depend on their number,
    # and wait for one another
    torch.set_num_threads(1)
    with threadpool_limits(1, user_api="blas"):
        run = SampleRun(settings, progress, command, effort)
        if prepare is not None:
            prepare(settings)
        with locked_output(settings.output, "run.toml") as check_output:
            if settings.resume:
                clear_leftovers(settings.output)
            else:
                clear_output(settings.output, OUTPUT_NAMES)
            choose_model(run)
            n = number_of_runs(run)
            run.settings = settings.model_copy(update={"runs": n})
            saved = saved_runs(run, n)
            write_atomic(settings.output / "run.toml", settings_toml(run.settings))
            yield run, answer_of_all(run, saved, check_output)


def open_run(output: Path, progress: Progress) -> tuple[CollapsedReward, TreeEnvironment, RunState]:
    """A run as its checkpoint has it, to ask its sampler for probabilities.

    Of several runs it is the first.

    Raises
    ------
    UserError
        There is no run that got as far as training, or its sampler draws trees with lengths.
    """
    run = SampleRun(resolve_settings({"output": output, "resume": True}), progress)
    choose_model(run)
    (saved,) = saved_runs(run, 1)
    state = None if saved is None else resumed_state(run, saved)
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
    tree = Tree.from_parents(parents[0], lengths[0].astype(float))
    walkers.reward.branch_prior.densities(lengths[0, 1:])
    likelihood = walkers.reward.likelihood
    likelihood.log_likelihood(tree)
    models = likelihood.model_arrays
    likelihood.log_likelihoods_of_models(
        tree,
        lengths[:1].astype(float),
        models._replace(numbers=models.numbers[None]),
        likelihood.data_arrays.invariant[None],
    )
    walkers.reward.pool.shutdown()
