"""One run of ``phylogfn sample``, or several from other seeds whose results are compared.

Each of n runs repeats all that was searched for and learned: starting trees, walks, order of taxa,
training, draws. It has an n-th of the budget, and what it does not use is left to the next. The
data are read once, and free parameters are fitted once, by the first run: the evidences of others
would be those of another model. The first run is that of the same seed alone, but for its budget
and its number of draws; its checkpoint is in ``checkpoint/``, that of run k in ``checkpoint/runk``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gfncore.program.clock import RunClock
from gfncore.program.messages import Note
from phylogfn.results.repeats.combining import combine_runs
from phylogfn.results.repeats.comparing import compare_runs, list_together
from phylogfn.results.repeats.figures import combined_warnings
from phylogfn.results.warnings import failure
from phylogfn.runs.sample.answer import answer, judged, without_errors_if_failed
from phylogfn.runs.sample.pooling import FinishedRun, gains_by_pooling, pooled_estimate
from phylogfn.runs.sample.resuming import resumed_state
from phylogfn.runs.sample.run import SampleRun
from phylogfn.runs.sample.train import leave_untrained, train
from phylogfn.runs.sample.walk import started, walk

if TYPE_CHECKING:
    from gfncore.evaluation import PartitionEstimate
    from gfncore.training.checkpoint import Checkpoint
    from phylogfn.results.posterior import Posterior

__all__ = ["answer_of_all", "number_of_runs"]

SHORTEST = 1.0  # seconds that a run has where the earlier ones have used up the budget


def number_of_runs(run: SampleRun) -> int:
    """Return the number of runs: one, with a warning, where the budget is too small for more."""
    n = run.settings.runs
    if n == 1 or run.checkpoint_of(2).is_dir():
        return n
    least = run.least_seconds(run.reward(run.spec.start(run.patterns)))
    if least <= run.settings.budget_seconds / n:
        return n
    run.warn(
        Note(
            "single-run",
            f"the budget of {run.settings.budget} is too small for {n} independent runs on these "
            "data: one run is made, which no other confirms; give a budget several times larger",
        )
    )
    return 1


def answer_of_all(
    run: SampleRun, saved: Sequence[Checkpoint | None], check_output: Callable[[], None]
) -> Posterior:
    """Carry out one run or several, one after the other; return the judged posterior.

    Parameters
    ----------
    run : SampleRun
        The settings and data of all.
    saved : sequence of Checkpoint or None
        Where each run is to be resumed from; None for those that are to be started.
    check_output : callable
        Checks that the output directory still exists.
    """
    n = len(saved)
    if n == 1:
        only = _carry_out(run, saved[0], check_output)
        return _shown(run, judged(run, [only.state], only.posterior))
    done: list[FinishedRun] = []
    for number, checkpoint in enumerate(saved, 1):
        part = _part(run, number, n, done)
        if checkpoint is not None:
            part.clock.resume(checkpoint.extra["spent"])
        if done:
            part.theta = done[0].state.theta
        done.append(_carry_out(part, checkpoint, check_output))
    run.warnings[:] = combined_warnings([one.run.warnings for one in done])
    pooled = pooled_estimate(run, done)
    run.phase("comparing the runs")
    posteriors = [without_errors_if_failed(one.posterior) for one in done]
    posterior = judged(run, [one.state for one in done], _combined(run, posteriors, pooled))
    return _shown(run, posterior)


def _shown(run: SampleRun, posterior: Posterior) -> Posterior:
    """Show the figures of a result: those of the phases before are first estimates."""
    se = posterior.log_evidence_se
    run.progress.update(
        log_evidence=posterior.log_evidence,
        se=se if math.isfinite(se) else None,
        ess=posterior.ess,
        done=1.0,
    )
    return posterior


def _part(run: SampleRun, number: int, n: int, done: Sequence[FinishedRun]) -> SampleRun:
    """Return one of n runs, with its share of the budget that the earlier ones have left."""
    settings = run.settings
    left = settings.budget_seconds - sum(one.run.seconds() for one in done)
    if any(gains_by_pooling(one.posterior) for one in done):
        left -= run.effort.pooling_share * settings.budget_seconds
    draws = settings.samples // n + (number <= settings.samples % n)
    clock = run.clock.copy() if number == 1 else RunClock.from_now()
    return run.part(number, max(left / (n - number + 1), SHORTEST), max(draws, 1), clock)


def _carry_out(
    run: SampleRun, saved: Checkpoint | None, check_output: Callable[[], None]
) -> FinishedRun:
    """Search, train and draw, from the start or from a checkpoint."""
    state = started(run) if saved is None else resumed_state(run, saved)
    state.draws_from_prior = run.draws_from_prior
    walk(run, state)
    environment = run.sampler.environment_of(run, state)
    with run.metrics(state.steps) as metrics:
        if state.draws_from_prior:
            leave_untrained(run, state, environment)
        else:
            train(run, state, environment, metrics)
    check_output()
    found = answer(run, state, environment)
    _shown(run, found.posterior)
    return FinishedRun(run, state, environment, found)


def _combined(
    run: SampleRun, posteriors: Sequence[Posterior], pooled: PartitionEstimate | None
) -> Posterior:
    """Compare the runs and combine their posteriors."""
    listed = list_together(posteriors)
    failed = [failure(posterior) is not None for posterior in posteriors]
    comparison = compare_runs(posteriors, failed, listed)
    return combine_runs(
        posteriors,
        comparison,
        listed,
        run.settings.samples,
        run.effort.listed,
        run.rng("runs"),
        pooled,
    )
