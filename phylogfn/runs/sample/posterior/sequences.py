"""What is computed from sequences and final draws: posterior predictive checks, ancestors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gfncore.program.messages import Note
from phylogfn.alignments.patterns import CharacterPatterns, PartitionedPatterns, SitePatterns
from phylogfn.results.posterior_files import consensus_of
from phylogfn.results.warnings import failure
from phylogfn.sequences.ancestral import AncestralPart, reconstruct
from phylogfn.sequences.named_clades import NamedClade
from phylogfn.sequences.predictive import ENOUGH, DataPart, predictive_checks

if TYPE_CHECKING:
    from phylogfn.models import SiteModel
    from phylogfn.results.posterior import Posterior
    from phylogfn.runs.sample.run import SampleRun
    from phylogfn.runs.sample.state import RunState

__all__ = ["reserved_share", "with_sequences"]

SIMULATIONS = 1000  # of posterior predictive checks
UNKNOWN = {"protein": "X", "dna": "N", "rna": "N"}  # characters of unknown states; ? of other data

Models = Callable[[int], Sequence["SiteModel"]]


def reserved_share(run: SampleRun) -> float:
    """Return the share of the budget that these parts need after the draws."""
    settings = run.settings
    return run.effort.sequences_share * (settings.predictive + (settings.ancestral is not None))


def with_sequences(run: SampleRun, state: RunState, posterior: Posterior) -> Posterior:
    """Return the posterior with what the settings ask for, unless the run has failed."""
    settings = run.settings
    wanted = settings.predictive or settings.ancestral is not None
    if not wanted or failure(posterior) is not None or not posterior.n_draws:
        return posterior
    # a part of the draws is then one of all runs
    order = run.rng("predictive", 1).permutation(posterior.n_draws)
    models = _models_of_draw(run, state, posterior)
    if settings.predictive:
        posterior = _with_checks(run, posterior, models, order)
    if settings.ancestral is not None:
        posterior = _with_ancestors(run, posterior, models, order)
    return replace(posterior, warnings=tuple(run.warnings))


def _models_of_draw(run: SampleRun, state: RunState, posterior: Posterior) -> Models:
    """Return a function that gives the model of each part of the data in a draw."""
    thetas = posterior.draw_thetas
    if thetas is None:
        model = run.spec.build(state.theta)
        return lambda draw: model.parts
    specs = [run.spec, *(run.spec_of(name) for name in run.models[1:])]
    of_draw = posterior.draw_models

    def build(draw: int) -> Sequence[SiteModel]:
        spec = specs[0 if of_draw is None else int(of_draw[draw])]
        return spec.build(thetas[draw, : spec.n_free]).parts

    return build


def _with_checks(
    run: SampleRun, posterior: Posterior, models: Models, order: np.ndarray
) -> Posterior:
    run.phase("simulating alignments (posterior predictive checks)")
    share = 1.0 - run.effort.writing_share
    if run.settings.ancestral is not None:
        share -= run.effort.sequences_share

    def late(done: int) -> bool:
        run.progress.update(done=done / SIMULATIONS, detail=f"{done:,} of {SIMULATIONS:,}")
        return run.past(share)

    found = predictive_checks(
        [DataPart(x.masks[:, x.site_to_pattern], x.n_states) for x in run.patterns.parts],
        lambda i: posterior.draw(order[i]),
        lambda i: models(order[i]),
        posterior.n_draws,
        SIMULATIONS,
        run.rng("predictive"),
        late,
    )
    if found.n_simulations < SIMULATIONS:
        run.warn(
            Note(
                "few-simulations",
                f"the budget of {run.settings.budget} allowed {found.n_simulations:,} of "
                f"{SIMULATIONS:,} simulations for posterior predictive checks"
                + (
                    f"; with fewer than {ENOUGH} no misfit can be established"
                    if found.n_simulations < ENOUGH
                    else ""
                ),
            )
        )
    return replace(posterior, predictive=found)


def _with_ancestors(
    run: SampleRun, posterior: Posterior, models: Models, order: np.ndarray
) -> Posterior:
    clades = run.ancestral_clades
    if clades is None:
        clades = _consensus_clades(posterior)
    if not clades:
        run.warn(
            Note(
                "no-clades",
                "no ancestral sequences: the consensus tree has no clade of probability above 0.5; "
                "name clades in a file (--ancestral FILE)",
            )
        )
        return posterior
    run.phase("reconstructing ancestral sequences")
    share = 1.0 - run.effort.writing_share
    n = posterior.n_draws

    def late(done: int) -> bool:
        run.progress.update(done=done / n, detail=f"{done:,} of {n:,} draws")
        return run.past(share)

    found = reconstruct(
        clades,
        _ancestral_parts(run),
        lambda i: posterior.draw(order[i]),
        lambda i: models(order[i]),
        n,
        late,
    )
    if found.n_used < n:
        run.warn(
            Note(
                "few-ancestral-draws",
                f"the budget of {run.settings.budget} allowed ancestral sequences to be averaged "
                f"over {found.n_used:,} of {n:,} draws",
            )
        )
    absent = [one.clade.name for one in found.sequences if not one.n_draws]
    if absent:
        names = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if absent[5:] else "")
        run.warn(
            Note(
                "absent-clades",
                f"none of the {found.n_used:,} draws contains {len(absent)} of the clades of "
                f"--ancestral ({names}): they have no ancestral sequence",
            )
        )
    return replace(posterior, ancestral=found)


def _ancestral_parts(run: SampleRun) -> list[AncestralPart]:
    alignment, patterns = run.alignment, run.patterns
    alignments = [alignment.of_part(part) for part in alignment.parts] or [alignment]
    groups: tuple[SitePatterns, ...] = (patterns,)
    if alignment.parts and isinstance(patterns, PartitionedPatterns):
        groups = patterns.groups
    found = []
    for own, group in zip(alignments, groups, strict=True):
        columns: tuple[np.ndarray, ...] = (np.arange(own.n_sites),)
        if isinstance(group, CharacterPatterns):
            columns = group.columns
        found += [
            AncestralPart(
                part.masks,
                part.site_to_pattern,
                np.array([own.column_number(int(column)) for column in sites]),
                own.alphabet.states[: part.n_states],
                UNKNOWN.get(own.alphabet.name, "?"),
            )
            for part, sites in zip(group.parts, columns, strict=True)
        ]
    return found


def _consensus_clades(posterior: Posterior) -> tuple[NamedClade, ...]:
    """Return the clades of the consensus tree, in the order in which it is written.

    They are those below its nodes if the run has an outgroup, else the smaller sides of its splits.
    """
    tree, n = consensus_of(posterior).tree, posterior.n_taxa
    below: list[set[int]] = [set() for _ in range(len(tree))]
    for node in range(len(tree) - 1, 0, -1):
        taxon = tree.taxon[node]
        below[node] |= set() if taxon is None else {taxon}
        below[tree.parent[node]] |= below[node]
    found = []
    for node in range(1, len(tree)):
        side = below[node]
        if posterior.outgroup is None and 2 * len(side) > n:
            side = set(range(n)) - side
        if tree.taxon[node] is None and 1 < len(side) < n:
            found.append(NamedClade(f"clade{len(found) + 1}", tuple(sorted(side))))
    return tuple(found)
