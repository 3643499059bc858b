"""Alignment formats: detected by content, read into names and strings.

FASTA is read by Biopython. The other formats have their own readers, because Biopython's readers
neither name the invalid taxon nor keep all names and characters (lower-case symbols, ``{AC}``,
names that are not unique in ten characters).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from gfncore.program.messages import Note
from phylogfn.alignments.blocks import CLUSTAL_HEADS, parse_clustal, parse_stockholm
from phylogfn.alignments.nexus.block import parse_nexus_alignment
from phylogfn.alignments.phylip import parse_phylip
from phylogfn.alignments.raw import RawAlignment
from phylogfn.errors import AlignmentError, shown

__all__ = ["FORMATS", "detect_format", "parse_alignment"]

FORMATS = ("fasta", "phylip", "nexus", "clustal", "stockholm")


def detect_format(text: str, source: str) -> str:
    """Return the format of an alignment's text, one of `FORMATS`.

    Raises AlignmentError for any other text; the message says what it looks like.
    """
    head = text.lstrip()
    line = head.split("\n", 1)[0].rstrip()
    if head.startswith(">"):
        return "fasta"
    if re.match(r"#\s*STOCKHOLM\b", head, re.IGNORECASE):
        return "stockholm"
    if re.match(r"(?:(?:\[[^\]]*\]|#(?!NEXUS)[^\n]*\n)\s*)*#NEXUS", head, re.IGNORECASE):
        return "nexus"
    if line.upper().startswith(CLUSTAL_HEADS):
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
        Name of the file for messages.
    file_format : one of `FORMATS`, optional
        Default: detected from the content.
    """
    parsers: dict[str, Callable[[str, str], RawAlignment]] = {
        "fasta": _parse_fasta,
        "phylip": parse_phylip,
        "nexus": parse_nexus_alignment,
        "clustal": parse_clustal,
        "stockholm": parse_stockholm,
    }
    file_format = file_format or detect_format(text, source)
    if file_format not in parsers:
        raise AlignmentError(f"format {file_format!r} is unknown; choose {', '.join(FORMATS)}")
    raw = parsers[file_format](text, source)
    if not raw.names:
        raise AlignmentError(f"{source}: has no sequences")
    return raw


def _parse_fasta(text: str, source: str) -> RawAlignment:
    """Parse FASTA; names are the first words of headers, or complete headers if not unique."""
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
        note = Note(
            "first-words-as-names",
            f"the names are the first words of the headers: {longer[0].split()[0]!r} of "
            f"{shown(longer[0])} and so on; files of trees may have either",
        )
        return RawAlignment(words, sequences, notes=(note,), headers=tuple(titles))
    if len(set(titles)) == len(titles):
        note = Note(
            "headers-as-names",
            "the first words of the headers are not unique, so whole headers are the names",
        )
        return RawAlignment(titles, sequences, notes=(note,))
    return RawAlignment(words if titles == words else titles, sequences)
