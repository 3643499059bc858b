"""Results rooted at an outgroup, with the share of them in which the outgroup is a clade."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gfncore.program.messages import Note
from phylogfn.errors import quoted_list
from phylogfn.results.facts import OutgroupFacts
from phylogfn.results.posterior_data import PosteriorData, split_table
from phylogfn.trees.rooting import outgroup_split
from phylogfn.trees.splits import split_supports

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phylogfn.results.parsimony import ParsimonyResult

__all__ = ["rooted_parsimony", "rooted_posterior"]

AnyPosterior = TypeVar("AnyPosterior", bound=PosteriorData)


def rooted_posterior(
    posterior: AnyPosterior, outgroup: tuple[str, ...]
) -> tuple[AnyPosterior, Note | None]:
    """Return a posterior rooted at an outgroup, and a warning if some draws lack it as a clade.

    Parameters
    ----------
    posterior : PosteriorData
    outgroup : tuple of str
        Its taxa; empty: the posterior is returned as it is.
    """
    if not outgroup:
        return posterior, None
    split = _split(outgroup, posterior.names)
    share, error, lacking = 1.0, 0.0, 0
    if split is not None:
        table = split_table(posterior)
        share, error = table.supports.get(split, 0.0), table.errors.get(split, math.nan)
        lacking = _without(posterior.draw_parents, split)
    warning = None
    if lacking:
        warning = Note(
            "outgroup-not-a-clade",
            f"the outgroup ({quoted_list(list(outgroup))}) is not a clade in {lacking:,} of "
            f"{posterior.n_draws:,} draws (posterior probability that it is: {share:.3g}); these "
            "are rooted on the branch that separates most of it",
        )
    return replace(posterior, outgroup=OutgroupFacts(outgroup, share, lacking, error)), warning


def rooted_parsimony(
    result: ParsimonyResult, outgroup: tuple[str, ...]
) -> tuple[ParsimonyResult, Note | None]:
    """Return a result rooted at an outgroup, and a warning if some best trees lack it as a clade.

    See `rooted_posterior`.
    """
    if not outgroup:
        return result, None
    split, lacking = _split(outgroup, result.names), 0
    if split is not None:
        lacking = _without(result.parents[: result.n_best].astype(np.int32), split)
    warning = None
    if lacking:
        warning = Note(
            "outgroup-not-a-clade",
            f"the outgroup ({quoted_list(list(outgroup))}) is not a clade in {lacking:,} of "
            f"{result.n_best:,} best trees; these are rooted on the branch that separates most of "
            "it",
        )
    facts = OutgroupFacts(outgroup, 1.0 - lacking / result.n_best, lacking)
    return replace(result, outgroup=facts), warning


def _split(outgroup: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    """Return the split of an outgroup; None if every tree has it."""
    split = outgroup_split([names.index(name) for name in outgroup], len(names))
    return split if 2 <= split.bit_count() <= len(names) - 2 else None


def _without(parents: NDArray[np.int32], split: int) -> int:
    """Return the number of topologies without a split."""
    if not len(parents):
        return 0
    return round((1.0 - split_supports(parents).get(split, 0.0)) * len(parents))
