"""The parts of an alignment: columns of one data type that have a model of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.alignments.alphabet import Alphabet
from phylogfn.alignments.column_types import TypedColumns
from phylogfn.alignments.nexus.partitions import FilePartitions
from phylogfn.alignments.partitions.choice import PartitionChoice, partition_of_matrix
from phylogfn.alignments.partitions.codons import split_by_codon_positions
from phylogfn.alignments.partitions.subsets import Partition, Subset, check_partition
from phylogfn.errors import AlignmentError, quoted_list

__all__ = ["AlignmentPart", "parts_of_alignment"]


@dataclass(frozen=True, eq=False)
class AlignmentPart:
    """Columns of one data type that have a model of their own.

    Parameters
    ----------
    name : str
    alphabet : Alphabet
    columns : ndarray, shape (k,), int64
        Their positions among the columns of the alignment, ascending.
    model : str
        The model that a partition file gives them; empty if none.
    """

    name: str
    alphabet: Alphabet
    columns: NDArray[np.int64]
    model: str = ""


def parts_of_alignment(
    choice: PartitionChoice,
    partition: Partition | None,
    found: FilePartitions,
    types: Sequence[TypedColumns],
    kept: NDArray[np.bool_],
    source: str,
) -> tuple[tuple[AlignmentPart, ...], list[Note]]:
    """Return the parts of an alignment, and notes for the user.

    Parameters
    ----------
    choice : PartitionChoice
    partition : Partition or None
        From a file of its own.
    found : FilePartitions
        Those of the alignment's file.
    types : sequence of TypedColumns
    kept : ndarray, shape (n_sites,), bool
        The columns of the file that the alignment has.
    source : str
        Name of the alignment for messages.

    Returns
    -------
    parts : tuple of AlignmentPart
        Empty if all columns share one model that no partition names.
    notes : list of Note

    Raises
    ------
    AlignmentError
        The partition cannot be used.
    """
    notes: list[Note] = []
    if partition is None:
        partition, notes = partition_of_matrix(choice, found, source)
    if partition is None:
        partition = _by_type(types, source)
        if len(types) == 1 and not choice.codon_positions:
            return (), notes
    check_partition(partition, kept)
    kinds = np.full(kept.size, -1)
    for number, typed in enumerate(types):
        kinds[typed.columns] = number
    subsets = [_with_type(subset, kinds, kept, types, partition) for subset in partition.subsets]
    empty = [subset.name for subset in subsets if subset.data_type is None]
    if empty:
        text = f"parts without columns, as all of theirs are excluded: {quoted_list(empty)}"
        notes.append(Note("empty-parts", text))
        subsets = [subset for subset in subsets if subset.data_type is not None]
    partition = Partition(partition.name, partition.place, tuple(subsets))
    if choice.codon_positions:
        partition = split_by_codon_positions(partition, choice.codon_positions)
    place = np.cumsum(kept) - 1
    parts = []
    for subset in partition.subsets:
        columns = np.array([column for column in subset.columns if kept[column]], np.int64)
        if columns.size == 0:
            continue
        alphabet = types[int(kinds[int(columns[0])])].alphabet
        parts.append(AlignmentPart(subset.name, alphabet, place[columns], subset.model))
    if len(parts) == 1 and not parts[0].model:
        return (), notes
    return tuple(parts), notes


def _by_type(types: Sequence[TypedColumns], source: str) -> Partition:
    """Return the partition by data type; a single part has no name."""
    subsets = tuple(
        Subset(typed.alphabet.name if len(types) > 1 else "", tuple(typed.columns.tolist()))
        for typed in types
    )
    return Partition("data types", source, subsets)


def _with_type(
    subset: Subset,
    kinds: NDArray[np.int64],
    kept: NDArray[np.bool_],
    types: Sequence[TypedColumns],
    partition: Partition,
) -> Subset:
    """Return a subset with the type of its used columns; None if it has no used columns."""
    columns = [column for column in subset.columns if kept[column]]
    found = np.unique(kinds[columns]) if columns else np.zeros(0, int)
    names = [types[number].alphabet.name for number in found]
    if len(names) > 1:
        raise AlignmentError(
            f"{partition.place}: part {subset.name!r} has {' and '.join(names)} columns; divide it "
            "by data type"
        )
    return Subset(subset.name, subset.columns, names[0] if names else None, subset.model)
