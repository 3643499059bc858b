"""Partitions of the columns of a file, and what they have to obey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phylogfn.errors import AlignmentError

__all__ = ["Partition", "Subset", "check_partition"]


@dataclass(frozen=True)
class Subset:
    """Columns that have a model of their own.

    Parameters
    ----------
    name : str
    columns : tuple of int
        Positions in the file, from 0, ascending.
    data_type : {"dna", "protein", "standard"} or None
        The type that the partition gives them, if any.
    model : str
        The model that the partition gives them; empty if none.
    """

    name: str
    columns: tuple[int, ...]
    data_type: str | None = None
    model: str = ""


@dataclass(frozen=True)
class Partition:
    """A division of columns into subsets.

    Parameters
    ----------
    name : str
    place : str
        Where it is defined, for messages.
    subsets : tuple of Subset
    """

    name: str
    place: str
    subsets: tuple[Subset, ...]


def check_partition(partition: Partition, used: NDArray[np.bool_]) -> None:
    """Refuse a partition that does not put each used column into exactly one subset.

    Parameters
    ----------
    partition : Partition
    used : ndarray, shape (n_sites,), bool
        The columns that the run reads.

    Raises
    ------
    AlignmentError
        Two subsets have one name or share a column, a subset is empty, or a column is in none.
    """
    place = partition.place
    names = [subset.name for subset in partition.subsets]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise AlignmentError(f"{place}: two parts are named {twice[0]!r}; rename one")
    owner = np.full(used.size, -1)
    for number, subset in enumerate(partition.subsets):
        if not subset.columns:
            raise AlignmentError(f"{place}: part {subset.name!r} has no columns; give it some")
        columns = np.array(subset.columns)
        shared = columns[owner[columns] >= 0]
        if shared.size:
            other = names[owner[shared[0]]]
            raise AlignmentError(
                f"{place}: column {shared[0] + 1} is in part {other!r} and in part "
                f"{subset.name!r}{_more(shared)}; put each column into one part"
            )
        owner[columns] = number
    lost = np.flatnonzero(used & (owner < 0))
    if lost.size:
        raise AlignmentError(
            f"{place}: column {lost[0] + 1} is in no part{_more(lost)}; put each column into one "
            "part, or exclude those that no part should have"
        )


def _more(columns: Sequence[int] | NDArray[np.int64]) -> str:
    return f" (and {len(columns) - 1} more columns)" if len(columns) > 1 else ""
