"""Diagnostics of repeated runs in one: sums of what they did, and the worst of what they suffered.

A warning on the combined posterior is then due if it is due for one of the runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gfncore.program.messages import Note
from phylogfn.results.facts import (
    BRANCH_LENGTH_METHODS,
    BranchLengthFacts,
    ClosedFormFacts,
    KnownTopologies,
    SearchFacts,
    TrainingFacts,
)
from phylogfn.results.posterior_data import PosteriorData
from phylogfn.trees.keys import keys_of

__all__ = ["combined_figures", "combined_warnings"]


def combined_figures(
    runs: Sequence[PosteriorData], known_share: float | None = None
) -> dict[str, Any]:
    """Return the diagnostics of the combined posterior by field.

    Parameters
    ----------
    runs : sequence of PosteriorData
        One or more.
    known_share : float, optional
        Share of the evidence of the topologies that some run knew before its draws. Default: the
        smallest of the runs.
    """
    return {
        "pareto_k": _largest(run.pareto_k for run in runs),
        "known": _known([run.known for run in runs], known_share),
        "searches": _searches(runs),
        "branch_length_weights": _weights([run.branch_length_weights for run in runs]),
        "training": _training([run.training for run in runs]),
    }


def combined_warnings(warnings: Sequence[Sequence[Note]]) -> tuple[Note, ...]:
    """Return the warnings of R runs: those of all runs once, others with the number of the run."""
    found = []
    for number, own in enumerate(warnings, 1):
        for note in own:
            everywhere = all(note in others for others in warnings)
            found.append(note if everywhere else Note(note.code, f"run {number}: {note}"))
    return tuple(dict.fromkeys(found))


def _largest(values: Iterable[float]) -> float:
    """Return the largest value; NaN (not defined) only if none is defined."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _known(parts: Sequence[KnownTopologies], share: float | None) -> KnownTopologies:
    worst = max(parts, key=lambda known: (math.isfinite(known.divergence), known.divergence))
    smallest = min(known.share for known in parts)
    return replace(worst, share=smallest if share is None else share)


def _searches(runs: Sequence[PosteriorData]) -> SearchFacts | None:
    """Return the searches that agree least.

    Walks that reached the best topology are counted together where it is the same of all runs.
    """
    parts = [run.searches for run in runs if run.searches is not None]
    if not parts:
        return None
    worst = min(
        parts,
        key=lambda s: (s.agreement.agree, min(s.agreement.first_share, s.agreement.second_share)),
    )
    best = {keys_of(run.topology_parents[:1]).tobytes() for run in runs}
    if len(best) > 1:
        least = min(parts, key=lambda s: s.n_hits)
        return replace(worst, n_scouts=least.n_scouts, n_hits=least.n_hits)
    return replace(
        worst, n_scouts=sum(s.n_scouts for s in parts), n_hits=sum(s.n_hits for s in parts)
    )


def _weights(parts: Sequence[BranchLengthFacts | None]) -> BranchLengthFacts | None:
    given = [part for part in parts if part is not None]
    if not given:
        return None
    return BranchLengthFacts(
        n_draws=sum(part.n_draws for part in given),
        ess=sum(part.ess for part in given),
        pareto_k=_largest(part.pareto_k for part in given),
        topology_pareto_k=_largest(part.topology_pareto_k for part in given),
        closed_form=_closed_form([part.closed_form for part in given]),
        method=max((part.method for part in given), key=BRANCH_LENGTH_METHODS.index),
        annealing_steps=max(part.annealing_steps for part in given),
    )


def _closed_form(parts: Sequence[ClosedFormFacts | None]) -> ClosedFormFacts | None:
    """Return means; their errors are those of means of independent values."""
    given = [part for part in parts if part is not None]
    if len(given) < len(parts):
        return None
    n = len(given)
    return ClosedFormFacts(
        log_evidence=sum(part.log_evidence for part in given) / n,
        standard_error=math.hypot(*(part.standard_error for part in given)) / n,
        correction=sum(part.correction for part in given) / n,
        correction_se=math.hypot(*(part.correction_se for part in given)) / n,
        share_with_own_draws=min(part.share_with_own_draws for part in given),
    )


def _training(parts: Sequence[TrainingFacts | None]) -> TrainingFacts | None:
    given = [part for part in parts if part is not None]
    if not given:
        return None
    correlations = [part.random_trees_correlation for part in given]
    seconds: dict[str, float] = {}
    for part in given:
        for name, value in part.seconds_by_part.items():
            seconds[name] = seconds.get(name, 0.0) + value
    return replace(
        given[0],
        sampler_temperature=max(part.sampler_temperature for part in given),
        walk_steps=sum(part.walk_steps for part in given),
        n_topologies=sum(part.n_topologies for part in given),
        steps=sum(part.steps for part in given),
        cycles=sum(part.cycles for part in given),
        seconds_by_part=seconds,
        random_trees_correlation=min((c for c in correlations if c is not None), default=None),
    )
