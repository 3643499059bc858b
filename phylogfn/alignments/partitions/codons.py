"""Codon positions as parts of an alignment."""

from __future__ import annotations

from phylogfn.alignments.partitions.subsets import Partition, Subset
from phylogfn.errors import AlignmentError

__all__ = ["parse_codon_positions", "split_by_codon_positions"]

_NUCLEOTIDES = ("dna", "rna")
_EXAMPLE = "write 1,2,3 for three parts, or 1+2,3 for two"

Groups = tuple[tuple[int, ...], ...]


def parse_codon_positions(text: str) -> Groups:
    """Return groups of codon positions from text such as ``1,2,3`` or ``1+2,3``.

    Raises
    ------
    ValueError
        The text does not have each of 1, 2 and 3 once, or has all of them in one group.

    Examples
    --------
    >>> parse_codon_positions("1+2,3")
    ((1, 2), (3,))
    """
    words = [[word.strip() for word in group.split("+")] for group in text.split(",")]
    listed = sorted(word for group in words for word in group)
    if listed != ["1", "2", "3"] or len(words) < 2:
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise ValueError(f"{shown!r} does not divide the codon positions 1, 2 and 3; {_EXAMPLE}")
    return tuple(tuple(sorted(int(word) for word in group)) for group in words)


def split_by_codon_positions(partition: Partition, groups: Groups) -> Partition:
    """Divide each subset of nucleotides by codon position, counted from its first column.

    Parameters
    ----------
    partition : Partition
        All of its subsets have a data type.
    groups : tuple of tuple of int
        Codon positions, 1 to 3, that are together.

    Raises
    ------
    AlignmentError
        There are no nucleotides.
    """
    subsets: list[Subset] = []
    for subset in partition.subsets:
        if subset.data_type not in _NUCLEOTIDES:
            subsets.append(subset)
            continue
        for group in groups:
            columns = tuple(column for i, column in enumerate(subset.columns) if i % 3 + 1 in group)
            name = f"{subset.name}_" if subset.name else "codon_position_"
            name += "+".join(str(position) for position in group)
            subsets.append(Subset(name, columns, subset.data_type, subset.model))
    if not any(subset.data_type in _NUCLEOTIDES for subset in subsets):
        raise AlignmentError(
            f"{partition.place}: --codon-positions needs nucleotides, which the data do not have; "
            "leave the option out"
        )
    return Partition(partition.name, partition.place, tuple(subsets))
