"""Characters for parsimony: the part of an alignment whose steps differ between trees.

The score of a tree is ``constant_steps`` plus the weighted steps (Fitch, Syst. Zool. 20:406, 1971)
of unordered characters. These are obtained as follows.

* A set of states, such as ``{01}``, ``(01)``, ``R``, ``?`` or ``N``, means uncertainty: the tip has
  the state of the set with the lowest cost. With ``gaps="state"`` a gap is an additional state,
  ``?`` and ``N`` are any state except the gap, and ``{0-}`` is 0 or the gap.
* An ordered character with m states (Wagner: Farris, Syst. Zool. 19:83, 1970) becomes m - 1
  characters with two states, where character j tells whether the state is above j. Their steps add
  up to those of the ordered character if every set is an interval, so a set is extended to all
  states from its lowest to its highest: ``{02}`` becomes ``{012}``.
* A tip that can have every state is uninformative. A state is removed if all other tips that can
  have it can also have one common other state, which is equivalent. A tip with a unique state costs
  one step on every tree and is otherwise uninformative. A column whose tips can then all share a
  state costs no further step; all others are kept. For columns of single states and missing data,
  exactly the parsimony-informative columns are kept.
* States are renumbered in each column, which does not change steps, and equal columns are merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gfncore.errors import UserError
from gfncore.program.messages import Note
from phylogfn.alignments.alignment import Alignment
from phylogfn.alignments.alphabet import MAX_STATES
from phylogfn.alignments.nexus.assumptions import Assumptions
from phylogfn.alignments.patterns import distinct_columns
from phylogfn.errors import AlignmentError

__all__ = ["Characters", "parsimony_characters"]

Columns = NDArray[np.uint32]  # (n_taxa, columns), a set of states in each cell


@dataclass(frozen=True, eq=False)
class Characters:
    """The parsimony-informative characters of an alignment, all unordered and distinct.

    There may be none; all trees then have the same score.

    Parameters
    ----------
    masks : ndarray, shape (n_taxa, n_characters), uint32
        Possible states: bit i is set for state i; all `n_states` bits for uninformative tips.
    weights : ndarray, shape (n_characters,), float64
        Cost of a step, > 0; the sum over identical columns.
    n_states : int
        The largest number of states of a character, 2 to 32.
    constant_steps : float
        Steps that are the same on every tree, from columns and parts of columns left out.
    n_sites, n_informative, n_ordered, n_excluded : int
        Number of columns of the alignment; of columns represented in `masks`; of ordered columns;
        of columns excluded by the file or with weight 0. The second and third do not include
        excluded columns.
    notes : tuple of Note
        One-line notes for the user that are not errors.
    """

    masks: Columns
    weights: NDArray[np.float64]
    n_states: int
    constant_steps: float
    n_sites: int
    n_informative: int
    n_ordered: int
    n_excluded: int
    notes: tuple[Note, ...] = ()

    @property
    def n_taxa(self) -> int:
        """The number of tips."""
        return self.masks.shape[0]

    @property
    def n_characters(self) -> int:
        """The number of different characters."""
        return self.masks.shape[1]


def parsimony_characters(
    alignment: Alignment, gaps: Literal["missing", "state"] = "missing"
) -> Characters:
    """Return the characters that parsimony compares trees by.

    Parameters
    ----------
    alignment : Alignment
        DNA, RNA, protein or standard data, with the weights, types and exclusions that its file
        states.
    gaps : {"missing", "state"}
        Whether a gap is missing data or a state of its own.

    Raises
    ------
    UserError
        When the file's assumptions cannot be used.
    """
    if gaps not in ("missing", "state"):
        raise UserError(f"gaps {gaps!r} is unknown; choose missing or state")
    n_sites = alignment.n_sites
    given = alignment.assumptions or Assumptions()
    if given.problem:
        raise AlignmentError(given.problem)
    weights = np.ones(n_sites) if given.weights is None else given.weights
    ordered = np.zeros(n_sites, bool) if given.ordered is None else given.ordered
    used = weights > 0
    _check_ordered(alignment, used & ordered, gaps)

    loose, strict = np.flatnonzero(used & ~ordered), np.flatnonzero(used & ordered)
    binary, n_widened = _binary(alignment.masks[:, strict], alignment.alphabet.n_states)
    columns = np.concatenate([_unordered(alignment, gaps)[:, loose], binary], axis=1)
    sites = np.concatenate([loose, np.repeat(strict, alignment.alphabet.n_states - 1)])
    reduced, steps = _reduced(columns)
    # A column all tips of which can share a state costs nothing more.
    kept = np.bitwise_and.reduce(reduced, axis=0) == 0
    constant = float(steps @ weights[sites])
    notes: tuple[Note, ...] = ()
    if not kept.any():
        notes += (
            Note(
                "no-informative-characters",
                f"none of the {used.sum()} characters used is informative for parsimony, so every "
                f"tree has the score {constant:g} and all trees are equally probable",
            ),
        )
    masks, n_states = _renumbered(reduced[:, kept])
    masks, places = distinct_columns(masks)
    if n_widened:
        notes += (
            Note(
                "widened-state-sets",
                f"{n_widened} sets of ordered characters leave out states between their lowest and "
                "highest, which are read as possible too",
            ),
        )
    return Characters(
        masks=masks,
        weights=np.bincount(places, weights[sites[kept]]).astype(np.float64),
        n_states=n_states,
        constant_steps=constant,
        n_sites=n_sites + alignment.n_excluded,
        n_informative=len(np.unique(sites[kept])),
        n_ordered=len(strict),
        n_excluded=alignment.n_excluded + int(n_sites - used.sum()),
        notes=notes,
    )


def _check_ordered(alignment: Alignment, ordered: NDArray[np.bool_], gaps: str) -> None:
    if not ordered.any():
        return
    if alignment.alphabet.name != "standard":
        number = alignment.column_number(int(np.argmax(ordered)))
        raise AlignmentError(
            f"{alignment.source}: character {number} is ordered, but the states of "
            f"{alignment.alphabet.label} data have no order; make it unordered"
        )
    if gaps == "state" and alignment.gaps is not None:
        wrong = ordered & alignment.gaps.any(axis=0)
        if wrong.any():
            number = alignment.column_number(int(np.argmax(wrong)))
            raise AlignmentError(
                f"{alignment.source}: character {number} is ordered and has gaps, "
                "which are not ordered relative to its states; write them as '?', make it "
                "unordered, or take gaps as missing"
            )


def _unordered(alignment: Alignment, gaps: str) -> Columns:
    if gaps == "missing" or alignment.gaps is None:
        return alignment.masks
    gap_state = alignment.alphabet.n_states
    if gap_state >= MAX_STATES:
        raise AlignmentError(
            f"{alignment.source}: has {gap_state} states, so the gap cannot be added as another "
            f"state (at most {MAX_STATES}); take gaps as missing"
        )
    beside = np.uint32(0) if alignment.beside_gaps is None else alignment.beside_gaps
    return np.where(alignment.gaps, np.uint32(1 << gap_state) | beside, alignment.masks)


def _binary(masks: Columns, n_states: int) -> tuple[Columns, int]:
    """Return the two-state characters of ordered ones, and the number of non-interval sets.

    Characters of one ordered character are adjacent, (n_taxa, n_ordered * (n_states - 1)).
    """
    above = np.arange(n_states - 1, dtype=np.uint32)
    low = (masks[:, :, None] & ((np.uint32(2) << above) - np.uint32(1))) != 0  # at most state j
    high = (masks[:, :, None] >> (above + np.uint32(1))) != 0  # above state j
    lowest = masks & (~masks + np.uint32(1))
    filled = masks + lowest  # of an interval, one bit is left
    n_widened = int(((filled & masks) != 0).sum())
    cells = low.astype(np.uint32) | (high.astype(np.uint32) << np.uint32(1))
    return cells.reshape(len(masks), -1), n_widened


def _reduced(columns: Columns) -> tuple[Columns, NDArray[np.int64]]:
    """Remove parts with the same cost on every tree; return the rest and the removed steps."""
    masks = columns.copy()
    steps = np.zeros(masks.shape[1], np.int64)
    kept = np.bitwise_or.reduce(masks, axis=0)
    while True:
        silent = (masks & kept) == kept  # can have any state
        masks = _without_dominated(np.where(silent, np.uint32(0), masks))
        seen = _seen_twice(masks)
        rest = masks & seen
        alone = ~silent & (rest == 0)
        n_alone = alone.sum(axis=0)
        # If no other tip is informative, the last of these costs no step.
        steps += n_alone - ((n_alone > 0) & (seen == 0))
        masks = np.where(silent | alone, seen, rest)
        if np.array_equal(seen, kept):
            # Columns in which nothing is left: any one state for all.
            return np.where(kept == 0, np.uint32(1), masks), steps
        kept = seen


def _without_dominated(masks: Columns) -> Columns:
    """Take out each state whose tips can all have one other state."""
    masks = masks.copy()
    for bit in range(int(masks.max(initial=0)).bit_length()):
        state = np.uint32(1 << bit)
        has = (masks & state) != 0
        shared = np.bitwise_and.reduce(masks, axis=0, where=has)
        masks[has & ((shared & ~state) != 0)] &= ~state
    return masks


def _seen_twice(masks: Columns) -> NDArray[np.uint32]:
    once = np.zeros(masks.shape[1], np.uint32)
    twice = np.zeros(masks.shape[1], np.uint32)
    for row in masks:
        twice |= once & row
        once |= row
    return twice


def _renumbered(masks: Columns) -> tuple[Columns, int]:
    """Number the states of each column by the tip that has them first, so that equals are equal.

    Returns the columns and the largest number of states; silent tips get all of that number.
    """
    n_taxa, n_columns = masks.shape
    kept = np.bitwise_or.reduce(masks, axis=0)
    silent = masks == kept
    telling = np.where(silent, np.uint32(0), masks)
    bits = np.arange(int(kept.max(initial=0)).bit_length(), dtype=np.uint32)
    first = np.full((n_columns, len(bits)), n_taxa)
    for bit in bits:
        has = (telling >> bit) & np.uint32(1)
        first[:, bit] = np.where(has.any(axis=0), has.argmax(axis=0), n_taxa)
    rank = np.argsort(np.argsort(first, axis=1, kind="stable"), axis=1).astype(np.uint32)
    out = np.zeros_like(masks)
    for bit in bits:
        out |= ((telling >> bit) & np.uint32(1)) << rank[:, bit]
    n_states = max(2, int((first < n_taxa).sum(axis=1).max(initial=0)))
    everything = np.uint32((1 << n_states) - 1)
    return np.where(silent, everything, out), n_states
