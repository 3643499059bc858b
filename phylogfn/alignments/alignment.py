"""Alignments: read, checked, and compressed into site patterns."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.alignments.alphabet import ALPHABETS, Alphabet, detect_alphabet, standard_alphabet
from phylogfn.alignments.checks import (
    alignment_notes,
    check_characters,
    check_selection,
    check_shape,
    doubtful_type,
    one_data_type,
    plain_names,
)
from phylogfn.alignments.formats import FORMATS, parse_alignment
from phylogfn.alignments.nexus.assumptions import Assumptions
from phylogfn.alignments.nexus.statements import carry_out
from phylogfn.alignments.raw import RawAlignment
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
        DNA, RNA, protein or standard.
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

    def sha256(self) -> str:
        """Return a checksum, hexadecimal, of all that a run reads of it, not of how it was written.

        Two files in different formats with the same names and characters have the same one.
        """
        digest = hashlib.sha256(repr((self.names, self.alphabet.states, self.masks.shape)).encode())
        digest.update(self.masks.tobytes())
        said = self.assumptions or Assumptions()
        for part in (self.gaps, said.weights, said.ordered, self.beside_gaps):
            digest.update(b"-" if part is None else part.tobytes())
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
    raw, unread = one_data_type(raw, data_type, source)
    declared = data_type or raw.data_type
    alphabet = ALPHABETS[declared] if declared else detect_alphabet(raw.sequences)
    if alphabet.name == "standard" and raw.symbols:
        alphabet = standard_alphabet(raw.symbols)
    codes = _codes(raw)
    masks, gaps, beside_gaps = _encode(raw, codes, alphabet)
    notes += raw.notes
    taxa, kept, assumptions = np.ones(len(raw.names), bool), ~unread, None
    outgroup: tuple[str, ...] = ()
    if raw.statements is not None:
        selection = carry_out(raw.statements, raw.names, masks, gaps)
        taxa, kept = ~selection.deleted, kept & ~selection.excluded
        assumptions = selection.assumptions and selection.assumptions.of_columns(kept)
        if raw.parts and alphabet.name != "standard":  # types are those of the standard part
            assumptions = assumptions and replace(assumptions, ordered=None).of_columns(
                np.ones(int(kept.sum()), bool)
            )
        notes += selection.notes
        outgroup = tuple(raw.names[row] for row in selection.outgroup if taxa[row])
    check_selection(raw, taxa, kept, source)
    check_characters(raw, masks, taxa, kept, alphabet, source, chosen=declared is not None)
    if not (taxa.all() and kept.all()):
        used = np.ix_(taxa, kept)
        codes, masks, gaps = codes[used], masks[used], gaps[used]
        beside_gaps = None if beside_gaps is None else beside_gaps[used]
    names = tuple(name for name, used in zip(raw.names, taxa, strict=True) if used)
    notes += alignment_notes(raw, names, alphabet, codes, masks)
    if declared is None:
        notes += doubtful_type(raw, alphabet)
    return Alignment(
        names,
        alphabet,
        masks,
        source,
        tuple(notes),
        gaps,
        assumptions,
        beside_gaps,
        tuple(h for h, used in zip(raw.headers, taxa, strict=False) if used),
        None if kept.all() else np.flatnonzero(kept),
        int((~kept).sum()),
        outgroup if len(outgroup) < len(names) else (),
    )


def likelihood_notes(alignment: Alignment) -> list[Note]:
    """Return one-line notes on an alignment for users of likelihoods."""
    notes = []
    if alignment.assumptions is not None:
        notes.append(
            Note(
                "parsimony-settings-unused",
                "weights and types of characters in the file are used in parsimony only",
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
    elif (
        alignment.alphabet.name != "standard"
        and alignment.n_sites >= SITES_TO_JUDGE
        and varies.all()
    ):
        notes.append(
            Note(
                "no-constant-sites",
                "no constant column: looks like SNP data; branch lengths and evidence are biased "
                f"(each of the {alignment.n_sites} columns varies)",
            )
        )
    return notes


def _codes(raw: RawAlignment) -> NDArray[np.uint32]:
    """Return the code points of the characters."""
    encoded = (sequence.encode("utf-32-le", "surrogatepass") for sequence in raw.sequences)
    return np.array([np.frombuffer(row, np.uint32) for row in encoded])


def _encode(
    raw: RawAlignment, codes: NDArray[np.uint32], alphabet: Alphabet
) -> tuple[NDArray[np.uint32], NDArray[np.bool_], NDArray[np.uint32] | None]:
    """Return possible states (0: not a character), possible gaps, and states instead of gaps."""
    masks = np.where(codes < 128, alphabet.masks[np.minimum(codes, 127)], np.uint32(0))
    gaps = codes == ord("-")
    beside = None
    for character, states in raw.state_sets.items():
        cells = codes == ord(character)
        masks[cells] = alphabet.mask(states)
        if "-" in states:
            gaps |= cells
        if "-" in states and states != "-":
            beside = np.zeros_like(masks) if beside is None else beside
            beside[cells] = alphabet.mask(states.replace("-", ""))
    return masks, gaps, beside
