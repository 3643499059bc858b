"""Alignments: read, checked, and compressed into site patterns."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.alignments.alphabet import ALPHABETS, Alphabet
from phylogfn.alignments.checks import (
    alignment_notes,
    check_characters,
    check_selection,
    check_shape,
    doubtful_type,
    plain_names,
)
from phylogfn.alignments.column_types import column_types, encode
from phylogfn.alignments.formats import FORMATS, parse_alignment
from phylogfn.alignments.nexus.assumptions import Assumptions
from phylogfn.alignments.nexus.partitions import FilePartitions
from phylogfn.alignments.nexus.statements import carry_out
from phylogfn.alignments.partitions.choice import PartitionChoice, partition_of_file
from phylogfn.alignments.partitions.parts import AlignmentPart, parts_of_alignment
from phylogfn.errors import AlignmentError
from phylogfn.text.text_files import read_text, source_name

__all__ = [
    "FORMATS",
    "Alignment",
    "AlignmentError",
    "likelihood_notes",
    "read_alignment",
    "variable_sites",
]

SITES_TO_JUDGE = 30  # where none is constant, fewer than 10 % of sites are (95 % confidence)


@dataclass(frozen=True, eq=False)
class Alignment:
    """A checked alignment.

    Parameters
    ----------
    names : tuple of str, length n
        The taxa, exactly as in the file.
    alphabet : Alphabet
        DNA, RNA, protein or standard; with parts, that of the first data type.
    masks : ndarray, shape (n, n_sites), uint32
        Possible states: bit i is set for state i; gaps and missing data have all bits set.
    source : str
        Name of the input for messages.
    notes : tuple of Note
        One-line notes for the user that are not errors.
    gaps : ndarray, shape (n, n_sites), bool, optional
        Whether a cell is or may be a gap, in contrast to other missing data; None: no known gaps.
    assumptions : Assumptions, optional
        Weights and types of characters, for parsimony.
    beside_gaps : ndarray, shape (n, n_sites), uint32, optional
        Possible states of a cell instead of its gap, as in ``{A-}``; None if there are none.
    headers : tuple of str
        Alternative names of the taxa for matching trees: complete FASTA headers; empty if none.
    columns : ndarray, shape (n_sites,), int64, optional
        Positions of the columns in the file, from 0; None if none was left out.
    n_excluded : int
        Number of columns left out by statements of the file.
    outgroup : tuple of str
        The taxa of the outgroup that the file declares; empty if there is none.
    parts : tuple of AlignmentPart
        Columns with models of their own, each of one data type; empty if all columns share one.
    """

    names: tuple[str, ...]
    alphabet: Alphabet
    masks: NDArray[np.uint32]
    source: str
    notes: tuple[Note, ...] = ()
    gaps: NDArray[np.bool_] | None = None
    assumptions: Assumptions | None = None
    beside_gaps: NDArray[np.uint32] | None = None
    headers: tuple[str, ...] = ()
    columns: NDArray[np.int64] | None = None
    n_excluded: int = 0
    outgroup: tuple[str, ...] = ()
    parts: tuple[AlignmentPart, ...] = ()

    def column_number(self, column: int) -> int:
        """Return the place in the file, from 1, of a column."""
        return column + 1 if self.columns is None else int(self.columns[column]) + 1

    @property
    def n_taxa(self) -> int:
        """The number of sequences."""
        return self.masks.shape[0]

    @property
    def n_sites(self) -> int:
        """The number of columns."""
        return self.masks.shape[1]

    def of_part(self, part: AlignmentPart) -> Alignment:
        """Return the alignment of one part alone, without notes."""
        kept = np.zeros(self.n_sites, bool)
        kept[part.columns] = True
        columns = np.arange(self.n_sites) if self.columns is None else self.columns
        return Alignment(
            self.names,
            part.alphabet,
            self.masks[:, kept],
            self.source,
            gaps=None if self.gaps is None else self.gaps[:, kept],
            assumptions=self.assumptions and self.assumptions.of_columns(kept),
            beside_gaps=None if self.beside_gaps is None else self.beside_gaps[:, kept],
            headers=self.headers,
            columns=columns[kept],
            outgroup=self.outgroup,
        )

    def sha256(self) -> str:
        """Return a checksum, hexadecimal, of all that a run reads of it, not of how it was written.

        Two files in different formats with the same names and characters have the same one.
        """
        digest = hashlib.sha256(repr((self.names, self.alphabet.states, self.masks.shape)).encode())
        digest.update(self.masks.tobytes())
        said = self.assumptions or Assumptions()
        for part in (self.gaps, said.weights, said.ordered, self.beside_gaps):
            digest.update(b"-" if part is None else part.tobytes())
        for one in self.parts:
            digest.update(repr((one.name, one.alphabet.states, one.model)).encode())
            digest.update(one.columns.tobytes())
        return digest.hexdigest()


def variable_sites(masks: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return whether each site is certainly variable, bool (n_sites,).

    A site is variable if no state is possible in all taxa, so ambiguous characters and missing
    data alone do not make a site variable.
    """
    return np.bitwise_and.reduce(masks, axis=0) == 0


def read_alignment(
    path: str | os.PathLike[str],
    *,
    data_type: str | None = None,
    file_format: str | None = None,
    choice: PartitionChoice | None = None,
) -> Alignment:
    """Read, check and return an alignment.

    Parameters
    ----------
    path : path-like
        A FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm file, plain or gzipped; ``-`` is standard
        input.
    data_type : {"dna", "rna", "protein", "standard"}, optional
        The kind of data. Default: as declared in the file, or detected from the characters.
    file_format : one of `FORMATS`, optional
        The format. Default: detected from the content.
    choice : PartitionChoice, optional
        Read columns of several data types, and divide them by a partition. Default: read one type,
        without partitions.

    Raises
    ------
    AlignmentError
        The alignment cannot be used; the message is one line with place, problem and remedy.
    """
    source = source_name(path)
    if data_type is not None and data_type not in ALPHABETS:
        raise AlignmentError(f"data type {data_type!r} is unknown; choose {', '.join(ALPHABETS)}")
    notes: list[Note] = []
    text = read_text(path, AlignmentError, notes)
    raw = plain_names(parse_alignment(text, source, file_format))
    check_shape(raw, source)
    n_sites, labels = len(raw.sequences[0]), raw.statements.labels if raw.statements else ()
    divided = choice is not None
    partition = None if choice is None else partition_of_file(choice, n_sites, labels)
    types, unread, told = column_types(raw, data_type, partition, divided, source)
    characters = encode(raw, types)
    notes += [*raw.notes, *told]
    taxa, kept, assumptions = np.ones(len(raw.names), bool), ~unread, None
    outgroup: tuple[str, ...] = ()
    found = FilePartitions()
    if raw.statements is not None:
        selection = carry_out(raw.statements, raw.names, characters.masks, characters.gaps, divided)
        taxa, kept = ~selection.deleted, kept & ~selection.excluded
        assumptions = selection.assumptions and selection.assumptions.of_columns(kept)
        if raw.parts and not any(part.alphabet.name == "standard" for part in types):
            assumptions = assumptions and replace(assumptions, ordered=None).of_columns(
                np.ones(int(kept.sum()), bool)
            )
        notes += selection.notes
        outgroup = tuple(raw.names[row] for row in selection.outgroup if taxa[row])
        found = selection.partitions
    check_selection(raw, taxa, kept, source)
    check_characters(raw, characters.masks, taxa, kept, types, source)
    parts: tuple[AlignmentPart, ...] = ()
    if choice is not None:
        parts, told = parts_of_alignment(choice, partition, found, types, kept, source)
        notes += told
    used = characters.used(taxa, kept)
    names = tuple(name for name, used in zip(raw.names, taxa, strict=True) if used)
    alphabets = [part.alphabet for part in types]
    notes += alignment_notes(raw, names, alphabets, used)
    if not any(part.declared for part in types):
        notes += doubtful_type(raw, alphabets[0])
    return Alignment(
        names,
        alphabets[0],
        used.masks,
        source,
        tuple(notes),
        used.gaps,
        assumptions,
        used.beside_gaps,
        tuple(h for h, used in zip(raw.headers, taxa, strict=False) if used),
        None if kept.all() else np.flatnonzero(kept),
        int((~kept).sum()),
        outgroup if len(outgroup) < len(names) else (),
        parts,
    )


def likelihood_notes(
    alignment: Alignment, conditioned: NDArray[np.bool_] | None = None
) -> list[Note]:
    """Return one-line notes on an alignment for users of likelihoods.

    Parameters
    ----------
    alignment : Alignment
    conditioned : ndarray, shape (n_sites,), bool, optional
        Sites whose model is one of variable sites alone. Default: none.
    """
    notes = []
    said = alignment.assumptions
    if said is not None:
        kinds = {part.alphabet.name for part in alignment.parts} or {alignment.alphabet.name}
        unused = "weights" if "standard" in kinds else "weights and types"
        if said.weights is not None or unused != "weights":
            notes.append(
                Note(
                    "parsimony-settings-unused",
                    f"{unused} of characters in the file are used in parsimony only",
                )
            )
    varies = variable_sites(alignment.masks)
    if not varies.any():
        notes.append(
            Note(
                "no-variable-sites",
                f"none of the {alignment.n_sites} sites varies among the {alignment.n_taxa} taxa: "
                "the data contain no information on the topology, whose posterior is nearly the "
                "uniform prior",
            )
        )
    free = varies if conditioned is None else varies[~conditioned]
    if free.size >= SITES_TO_JUDGE and free.all():
        standard = alignment.alphabet.name == "standard" and not alignment.parts
        notes.append(
            Note(
                "no-constant-sites",
                "no constant character: branch lengths and evidence are biased unless the model is "
                f"MKV, for variable characters (each of the {free.size} characters varies)"
                if standard
                else "no constant column: looks like SNP data; branch lengths and evidence are "
                "biased unless the model has +ASC, for variable sites (each of the "
                f"{free.size} columns varies)",
            )
        )
    return notes
