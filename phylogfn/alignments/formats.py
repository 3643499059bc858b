"""Alignment formats: told apart by content, read into names and strings.

FASTA goes through Biopython. The others have readers of their own, because Biopython's neither
name the taxon that is wrong nor keep all names and characters (lower case symbols, ``{AC}``,
names that are not unique in ten characters).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from phylogfn.alignments.nexus.assumptions import Statements
from phylogfn.errors import AlignmentError, shown

__all__ = ["FORMATS", "RawAlignment", "detect_format", "parse_alignment"]

FORMATS = ("fasta", "phylip", "nexus", "clustal", "stockholm")
_CLUSTAL_HEADS = ("CLUSTAL", "MUSCLE", "PROBCONS", "MSAPROBS", "KALIGN", "BIOPYTHON", "T-COFFEE")


@dataclass(frozen=True)
class RawAlignment:
    """An alignment as its file has it, not yet checked.

    Parameters
    ----------
    names, sequences : list of str
        Taxa and their characters, white space removed.
    data_type : {"dna", "rna", "protein", "standard"} or None
        What the file declares.
    state_sets : dict of str to str
        For characters of Unicode's private area: the states that one such character stands for,
        as in ``{AC}`` of NEXUS.
    notes : tuple of str
        What a user should know.
    symbols : str or None
        The states of standard data, where the file lists them.
    statements : Statements or None
        What the file says of its characters and taxa, to be carried out on the matrix.
    parts : tuple of (str, tuple of int)
        The data type and the characters of each part of a mixed matrix; empty: all are of one.
    headers : tuple of str
        Whole headers, where names are shorter than these.
    """

    names: list[str]
    sequences: list[str]
    data_type: str | None = None
    state_sets: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    symbols: str | None = None
    statements: Statements | None = None
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    headers: tuple[str, ...] = ()


def detect_format(text: str, source: str) -> str:
    """Return the format of an alignment's text, one of `FORMATS`.

    Raises AlignmentError for anything else, and says what the text looks like.
    """
    head = text.lstrip()
    line = head.split("\n", 1)[0].rstrip()
    if head.startswith(">"):
        return "fasta"
    if re.match(r"#\s*STOCKHOLM\b", head, re.IGNORECASE):
        return "stockholm"
    if re.match(r"(?:(?:\[[^\]]*\]|#(?!NEXUS)[^\n]*\n)\s*)*#NEXUS", head, re.IGNORECASE):
        return "nexus"
    if line.upper().startswith(_CLUSTAL_HEADS):
        return "clustal"
    if re.match(r"[0-9]+\s+[0-9]+(\s+[A-Za-z]+)*$", line):
        return "phylip"
    looks = "its first line is " + shown(line)
    for start, kind in (
        ("(", "a Newick tree"),
        ("<", "XML or HTML"),
        ("@", "FASTQ"),
        ("LOCUS", "GenBank"),
        ("{", "JSON"),
    ):
        if head.startswith(start):
            looks = f"it looks like {kind}"
    raise AlignmentError(
        f"{source}: not an alignment in a format known here ({looks}); "
        "give FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm"
    )


def parse_alignment(text: str, source: str, file_format: str | None = None) -> RawAlignment:
    """Return the names and sequences in an alignment's text.

    Parameters
    ----------
    text : str
        The content of the file.
    source : str
        What messages call it.
    file_format : one of `FORMATS`, optional
        Found out from the content when not given.
    """
    from phylogfn.alignments.nexus.block import parse_nexus_alignment
    from phylogfn.alignments.phylip import parse_phylip

    parsers: dict[str, Callable[[str, str], RawAlignment]] = {
        "fasta": _parse_fasta,
        "phylip": parse_phylip,
        "nexus": parse_nexus_alignment,
        "clustal": _parse_clustal,
        "stockholm": _parse_stockholm,
    }
    file_format = file_format or detect_format(text, source)
    if file_format not in parsers:
        raise AlignmentError(f"format {file_format!r} is unknown; choose {', '.join(FORMATS)}")
    raw = parsers[file_format](text, source)
    if not raw.names:
        raise AlignmentError(f"{source}: has no sequences")
    return raw


def _parse_fasta(text: str, source: str) -> RawAlignment:
    """Names are the first words of the headers; whole headers where those are not unique."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    text = text.lstrip()
    if not text.startswith(">"):
        raise AlignmentError(f"{source}: a FASTA file starts with '>', not {text[:1]!r}")
    records = [
        (title.strip(), "".join(sequence.split()))
        for title, sequence in SimpleFastaParser(io.StringIO(text))
    ]
    titles = [title for title, _ in records]
    words = [(title.split() or [""])[0] for title in titles]
    sequences = [sequence for _, sequence in records]
    if len(set(words)) == len(words):
        longer = [title for title, word in zip(titles, words, strict=True) if title != word]
        if not longer:
            return RawAlignment(words, sequences)
        note = (
            f"the names are the first words of the headers: {longer[0].split()[0]!r} of "
            f"{shown(longer[0])} and so on; files of trees may have either"
        )
        return RawAlignment(words, sequences, notes=(note,), headers=tuple(titles))
    if len(set(titles)) == len(titles):
        note = "the first words of the headers are not unique, so whole headers are the names"
        return RawAlignment(titles, sequences, notes=(note,))
    return RawAlignment(words if titles == words else titles, sequences)


class _Blocks:
    """Sequences that come in blocks; a name that comes twice in one block is a name twice."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.parts: dict[str, list[str]] = {}
        self.in_block: set[str] = set()

    def end_block(self) -> None:
        self.in_block.clear()

    def add(self, name: str, part: str) -> None:
        if name in self.in_block:
            raise AlignmentError(
                f"{self.source}: taxon {name!r} occurs twice; give each its own name"
            )
        self.in_block.add(name)
        self.parts.setdefault(name, []).append(part)

    def alignment(self, notes: tuple[str, ...] = ()) -> RawAlignment:
        sequences = ["".join(parts) for parts in self.parts.values()]
        return RawAlignment(list(self.parts), sequences, notes=notes)


def _parse_clustal(text: str, source: str) -> RawAlignment:
    blocks = _Blocks(source)
    title = text.lstrip().upper().startswith(_CLUSTAL_HEADS)
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line[0].isspace():  # a blank line, or the line of * : .
            blocks.end_block()
            continue
        if title:
            title = False
            continue
        words = line.split()
        # A number behind letters is the count of residues so far.
        if len(words) > 2 and words[-1].isdigit() and not "".join(words[1:]).isdigit():
            words.pop()
        if len(words) < 2:
            raise AlignmentError(
                f"{source}: line {number}: a CLUSTAL line is a name and its sequence, "
                f"found {shown(line)}"
            )
        blocks.add(words[0], "".join(words[1:]))
    return blocks.alignment()


def _parse_stockholm(text: str, source: str) -> RawAlignment:
    blocks = _Blocks(source)
    lines = text.lstrip().split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip() == "//":
            rest = "\n".join(lines[number:]).strip()
            notes = ("only the first alignment of the file is read",) if rest else ()
            return blocks.alignment(notes)
        if not line.strip():
            blocks.end_block()
        elif not line.startswith("#"):
            words = line.split()
            if len(words) < 2:
                raise AlignmentError(
                    f"{source}: line {number}: a Stockholm line is a name and its sequence, "
                    f"found {shown(line)}"
                )
            blocks.add(words[0], "".join(words[1:]).replace(".", "-").replace("~", "-"))
    raise AlignmentError(f"{source}: the closing '//' is missing; the file may be cut short")
