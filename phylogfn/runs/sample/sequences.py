"""What a run adds to its posterior from sequences: posterior predictive checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from phylogfn.results.warnings import failure
from phylogfn.sequences.predictive import DataPart, predictive_checks

if TYPE_CHECKING:
    from phylogfn.models import SubstitutionModel
    from phylogfn.results.posterior import Posterior
    from phylogfn.runs.sample.run import SampleRun
    from phylogfn.runs.sample.state import RunState

__all__ = ["reserved_share", "with_sequences"]

SIMULATIONS = 1000  # of posterior predictive checks


def reserved_share(run: SampleRun) -> float:
    """Return the share of the budget that these parts need after the draws."""
    return run.effort.sequences_share if run.settings.predictive else 0.0


def with_sequences(run: SampleRun, state: RunState, posterior: Posterior) -> Posterior:
    """Return the posterior with what the settings ask for, unless the run has failed."""
    if failure(posterior) is not None or not posterior.n_draws:
        return posterior
    if run.settings.predictive:
        posterior = _with_checks(run, state, posterior)
    return posterior


def _models_of_draw(
    run: SampleRun, state: RunState
) -> Callable[[int], Sequence[SubstitutionModel]]:
    """Return a function that gives the model of each part of the data in a draw."""
    model = run.spec.build(state.theta)
    return lambda draw: [model]


def _with_checks(run: SampleRun, state: RunState, posterior: Posterior) -> Posterior:
    run.progress.phase("simulating alignments (posterior predictive checks)")
    share = 1.0 - run.effort.writing_share
    found = predictive_checks(
        [DataPart(run.alignment.masks, run.alignment.alphabet.n_states)],
        posterior.draw,
        _models_of_draw(run, state),
        posterior.n_draws,
        SIMULATIONS,
        run.rng("predictive"),
        lambda: run.past(share, state),
    )
    if found.n_simulations < SIMULATIONS:
        run.warn(
            f"the budget of {run.settings.budget} allowed {found.n_simulations:,} of "
            f"{SIMULATIONS:,} simulations for posterior predictive checks"
        )
    return replace(posterior, predictive=found, warnings=tuple(run.warnings))
