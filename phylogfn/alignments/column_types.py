"""Data types of the columns of an alignment, and the characters as sets of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.alignments.alphabet import ALPHABETS, Alphabet, detect_alphabet, standard_alphabet
from phylogfn.alignments.partitions.subsets import Partition
from phylogfn.alignments.raw import RawAlignment
from phylogfn.errors import AlignmentError

__all__ = ["EncodedCharacters", "TypedColumns", "column_types", "encode"]


@dataclass(frozen=True, eq=False)
class TypedColumns:
    """Columns of one data type.

    Parameters
    ----------
    alphabet : Alphabet
    columns : ndarray, shape (k,), int64
        Their positions in the file, ascending.
    declared : bool
        Whether the file or the user states the type, in contrast to one found from the characters.
    """

    alphabet: Alphabet
    columns: NDArray[np.int64]
    declared: bool


class EncodedCharacters(NamedTuple):
    """The characters of an alignment.

    Parameters
    ----------
    codes : ndarray, shape (n, n_sites), uint32
        Code points.
    masks : ndarray, shape (n, n_sites), uint32
        Sets of states: bit i is set if state i is possible; 0 if it is not a character.
    gaps : ndarray, shape (n, n_sites), bool
        Whether a cell is or may be a gap.
    beside_gaps : ndarray, shape (n, n_sites), uint32, or None
        Possible states of a cell instead of its gap; None if there are none.
    missing : ndarray, shape (n_sites,), uint32
        The set of all states in each column.
    """

    codes: NDArray[np.uint32]
    masks: NDArray[np.uint32]
    gaps: NDArray[np.bool_]
    beside_gaps: NDArray[np.uint32] | None
    missing: NDArray[np.uint32]

    def used(self, taxa: NDArray[np.bool_], kept: NDArray[np.bool_]) -> EncodedCharacters:
        """Return the characters of some taxa, bool (n,), and columns, bool (n_sites,)."""
        if taxa.all() and kept.all():
            return self
        cells = np.ix_(taxa, kept)
        beside = None if self.beside_gaps is None else self.beside_gaps[cells]
        return EncodedCharacters(
            self.codes[cells], self.masks[cells], self.gaps[cells], beside, self.missing[kept]
        )


def column_types(
    raw: RawAlignment,
    data_type: str | None,
    partition: Partition | None,
    several: bool,
    source: str,
) -> tuple[list[TypedColumns], NDArray[np.bool_], list[Note]]:
    """Return the data types of an alignment's columns.

    Parameters
    ----------
    raw : RawAlignment
    data_type : str or None
        The only type to read, if the user states one.
    partition : Partition or None
        From a file of its own, which may state types.
    several : bool
        Whether the caller takes columns of several types; if not, one is chosen of a mixed matrix:
        the first that is not standard data.
    source : str
        Name of the alignment for messages.

    Returns
    -------
    types : list of TypedColumns
    unread : ndarray, shape (n_sites,), bool
        Columns of other types, which are not read.
    notes : list of Note

    Raises
    ------
    AlignmentError
        No column has a type that is supported, or a column has two types.
    """
    n_sites = len(raw.sequences[0])
    if raw.parts:
        kinds, unread, notes = _of_mixed(raw, data_type, several, source)
    else:
        kinds, unread, notes = np.full(n_sites, ""), np.zeros(n_sites, bool), []
        declared = data_type or raw.data_type
        if declared:
            kinds = np.full(n_sites, declared)
    if partition is not None:
        kinds = _of_partition(kinds, partition, data_type, source)
    types = []
    for kind in dict.fromkeys(kinds[~unread].tolist()):
        columns = np.flatnonzero((kinds == kind) & ~unread)
        if kind:
            alphabet = ALPHABETS[kind]
        else:
            rest = ("".join(sequence[i] for i in columns) for sequence in raw.sequences)
            alphabet = detect_alphabet(raw.sequences if columns.size == n_sites else rest)
        if alphabet.name == "standard" and raw.symbols:
            alphabet = standard_alphabet(raw.symbols)
        types.append(TypedColumns(alphabet, columns, bool(kind)))
    return types, unread, notes


def _of_mixed(
    raw: RawAlignment, data_type: str | None, several: bool, source: str
) -> tuple[NDArray[np.str_], NDArray[np.bool_], list[Note]]:
    n_sites = len(raw.sequences[0])
    kinds = np.full(n_sites, "", dtype=f"<U{max(len(kind) for kind, _ in raw.parts)}")
    for kind, listed in raw.parts:
        kinds[list(listed)] = kind
    order = list(dict.fromkeys(kind for kind, _ in raw.parts))
    known = [kind for kind in order if kind in ALPHABETS]
    if not known:
        raise AlignmentError(
            f"{source}: datatype=mixed({', '.join(order)}): none of these is supported; "
            "DNA, RNA, protein and standard data are"
        )
    chosen = [data_type or next((kind for kind in known if kind != "standard"), known[0])]
    if several and data_type is None:
        chosen = known
    if chosen[0] not in order:
        raise AlignmentError(
            f"{source}: datatype=mixed has no {ALPHABETS[chosen[0]].label} characters; choose "
            f"--data-type {' or '.join(known)}"
        )
    notes = []
    unread = ~np.isin(kinds, chosen)
    for kind in order:
        if kind in chosen:
            continue
        cure = f"--data-type {kind} reads them" if kind in known else "not supported"
        why = "" if several else ", as one run takes one type of data"
        notes.append(
            Note(
                "data-types-not-read",
                f"datatype=mixed: {(kinds == kind).sum()} {kind} characters are not read{why} "
                f"({cure}, or put them in a file of their own)",
            )
        )
    return kinds, unread, notes


def _of_partition(
    kinds: NDArray[np.str_], partition: Partition, data_type: str | None, source: str
) -> NDArray[np.str_]:
    """Return the types with those that a partition states, which must agree with the others."""
    out = kinds.astype("<U16")
    for subset in partition.subsets:
        if subset.data_type is None:
            continue
        columns = list(subset.columns)
        for kind in dict.fromkeys(kinds[columns].tolist()):
            if kind and not _alike(kind, subset.data_type):
                said = "--data-type" if data_type else source
                raise AlignmentError(
                    f"{partition.place}: part {subset.name!r} is "
                    f"{ALPHABETS[subset.data_type].label} data, but {said} says {kind}; correct one"
                )
        out[columns] = [kind or subset.data_type for kind in kinds[columns].tolist()]
    return out


def _alike(kind: str, other: str) -> bool:
    nucleotides = ("dna", "rna")
    return kind == other or (kind in nucleotides and other in nucleotides)


def encode(raw: RawAlignment, types: Sequence[TypedColumns]) -> EncodedCharacters:
    """Return the characters of an alignment; those of columns without a type are 0."""
    rows = (sequence.encode("utf-32-le", "surrogatepass") for sequence in raw.sequences)
    codes = np.array([np.frombuffer(row, np.uint32) for row in rows])
    masks = np.zeros_like(codes)
    missing = np.zeros(codes.shape[1], np.uint32)
    gaps = codes == ord("-")
    beside: NDArray[np.uint32] | None = None
    for part in types:
        alphabet, own = part.alphabet, codes[:, part.columns]
        sets = np.where(own < 128, alphabet.masks[np.minimum(own, 127)], np.uint32(0))
        missing[part.columns] = alphabet.missing
        for character, states in raw.state_sets.items():
            cells = own == ord(character)
            sets[cells] = alphabet.mask(states)
            if "-" in states:
                gaps[:, part.columns] |= cells
            if "-" in states and states != "-":
                beside = np.zeros_like(masks) if beside is None else beside
                rows_of, columns_of = np.nonzero(cells)
                beside[rows_of, part.columns[columns_of]] = alphabet.mask(states.replace("-", ""))
        masks[:, part.columns] = sets
    return EncodedCharacters(codes, masks, gaps, beside, missing)
