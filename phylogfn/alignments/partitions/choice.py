"""Which partition of the columns a run uses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gfncore.program.messages import Note
from phylogfn.alignments.nexus.partitions import FilePartitions
from phylogfn.alignments.partitions.codons import Groups
from phylogfn.alignments.partitions.files import read_partition_file
from phylogfn.alignments.partitions.subsets import Partition
from phylogfn.errors import AlignmentError, quoted_list, shown

__all__ = ["NO_PARTITIONS", "PartitionChoice", "partition_of_file", "partition_of_matrix"]

NO_PARTITIONS = "none"


@dataclass(frozen=True)
class PartitionChoice:
    """What the user says about partitions.

    Parameters
    ----------
    source : str or None
        A partition file; the name of a partition in the alignment's own file; "none" to ignore
        these; None: the one that the alignment's file puts to use, or its only one.
    codon_positions : tuple of tuple of int
        Codon positions that are together; empty: nucleotides are not divided by them.
    """

    source: str | None = None
    codon_positions: Groups = ()

    @property
    def is_file(self) -> bool:
        """Whether the partition is in a file of its own."""
        return self.source not in (None, NO_PARTITIONS) and os.path.isfile(self.source or "")


def partition_of_file(
    choice: PartitionChoice, n_sites: int, labels: Sequence[str]
) -> Partition | None:
    """Return the partition in a file of its own; None if there is no such file."""
    return read_partition_file(choice.source or "", n_sites, labels) if choice.is_file else None


def partition_of_matrix(
    choice: PartitionChoice, found: FilePartitions, source: str
) -> tuple[Partition | None, list[Note]]:
    """Return the partition that the alignment's own file defines, and notes for the user.

    Parameters
    ----------
    choice : PartitionChoice
    found : FilePartitions
    source : str
        Name of the alignment for messages.

    Raises
    ------
    AlignmentError
        The partition that was asked for is not there.
    """
    named = f" has {quoted_list(list(found.names))}" if found.names else " has none"
    if choice.source == NO_PARTITIONS:
        if not found.names:
            return None, []
        text = f"partitions of the file are ignored: {quoted_list(list(found.names))}"
        return None, [Note("partitions-ignored", text)]
    if choice.source is not None:
        partition = found.find(choice.source)
        if partition is None:
            raise AlignmentError(
                f"--partitions {shown(choice.source)[1:-1]}: is neither a file nor a partition of "
                f"{source}, which{named}; correct it"
            )
        return partition, []
    if found.chosen is not None:
        partition = found.find(found.chosen)
        if partition is None:
            raise AlignmentError(
                f"{source}: set partition={shown(found.chosen)[1:-1]}: there is no such partition; "
                f"the file{named}"
            )
        return partition, [_note(partition)]
    if len(found.names) == 1:
        partition = found.find(found.names[0])
        assert partition is not None
        return partition, [_note(partition)]
    if found.names:
        text = (
            f"the file defines several partitions and chooses none, so none is used: "
            f"{quoted_list(list(found.names))}; choose one by --partitions NAME"
        )
        return None, [Note("no-partition-chosen", text)]
    return None, []


def _note(partition: Partition) -> Note:
    names = quoted_list([subset.name for subset in partition.subsets])
    return Note(
        "partition-of-file",
        f"partition {partition.name!r} of the file is used: {len(partition.subsets)} parts "
        f"({names}); --partitions none ignores it",
    )
