"""A run as it draws at one of its reward exponents, see `molgen.runs.sample.exponents`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

from molgen.environments.tempered import TemperedMolecules
from molgen.runs.sample.run import SampleRun

__all__ = ["at_exponent", "exponent_parts"]


def at_exponent(run: SampleRun, exponent: float) -> SampleRun:
    """Return a run as it draws at an exponent.

    Its `merged` environment has the reward of that exponent; all else is that of the run.

    Parameters
    ----------
    run : SampleRun
    exponent : float
        One that the sampler learns.
    """
    view = copy.copy(run)
    view.exponent = exponent
    if run.settings.conditioning is not None:
        inner = run.environment.with_symmetry("merged")
        view.merged = TemperedMolecules(inner, exponent / run.exponents.middle)
    return view


def exponent_parts(run: SampleRun) -> Iterator[SampleRun]:
    """Yield a run as it draws at each exponent asked for, ascending.

    What is left of the budget and of the oracle calls is divided among them, in this order.
    """
    exponents, effort = run.settings.exponents, run.effort
    begin, end = effort.train_share, effort.probabilities_share
    width = (end - begin) / len(exponents)
    for part, exponent in enumerate(exponents):
        view = at_exponent(run, exponent)
        view.part = part
        left = max(0, run.settings.oracle_calls - run.scoring.calls)
        view.calls_allowed = run.scoring.calls + left // (len(exponents) - part)
        own = begin + part * width
        view.effort = replace(
            effort,
            draws_share=own + (effort.draws_share - begin) / len(exponents),
            control_share=own + (effort.control_share - begin) / len(exponents),
            probabilities_share=own + width,
        )
        if len(exponents) > 1:
            view.place = f"at reward exponent {exponent:g}, "
        yield view
