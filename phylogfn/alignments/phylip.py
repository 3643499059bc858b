"""PHYLIP alignments: strict or relaxed names, sequential or interleaved.

The format does not declare the variant. Each interpretation is tried, relaxed ones (a name ends at
the first blank) before strict ones (a name is the first ten characters), and the first one that
gives the numbers of sequences and characters in the header is used. If there is none, digits are
treated as the numbering of molecular sequences, which PHYLIP ignores. A ``.`` represents the
character of the first sequence (Felsenstein, PHYLIP documentation).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gfncore.program.messages import Note
from gfncore.text.numbers import parse_int
from phylogfn.alignments.raw import RawAlignment
from phylogfn.errors import AlignmentError, shown

__all__ = ["parse_phylip"]

_STRICT_NAME = 10
_MOST = 10**9  # taxa or sites
_SEQUENCE = re.compile(r"(?:[A-Za-z?*.\-~]*|[0-9?.\-~]*)$")
_LETTER = re.compile(r"[A-Za-z?*.\-~]")

Line = tuple[int, str]  # number in the file, text
Reading = tuple[list[str], list[str]]  # names, sequences
Split = Callable[[Line], tuple[str, str]]

NUMBERED = Note("position-numbers", "digits inside the sequences were skipped as position numbers")
_NO_DIGITS = str.maketrans("", "", "0123456789")


class _Misfit(Exception):
    """An interpretation that does not fit; the message continues the name of the file."""


def parse_phylip(text: str, source: str) -> RawAlignment:
    """Return the names and sequences of PHYLIP text; AlignmentError when no reading fits."""
    lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    header = re.match(r"\s*(\d+)\s+(\d+)((?:\s+[A-Za-z]+)*)\s*$", lines[0][1]) if lines else None
    if header is None:
        raise AlignmentError(
            f"{source}: line 1: a PHYLIP file starts with the numbers of taxa and of sites, "
            f"found {shown(lines[0][1])}"
        )
    n_taxa, n_sites = (
        parse_int(number, 0, _MOST, place=f"{source}: line 1", error=AlignmentError)
        for number in header.groups()[:2]
    )
    if n_taxa == 0 or n_sites == 0:
        raise AlignmentError(
            f"{source}: line 1: the header says {n_taxa} sequences of {n_sites} sites; correct it"
        )
    body = lines[1:]
    if len(body) < n_taxa:
        raise AlignmentError(
            f"{source}: the header says {n_taxa} sequences, but only {len(body)} lines follow; "
            "correct the header or add the sequences"
        )
    orders = [_sequential, _interleaved]
    options = set("".join(header[3].upper().split()))
    if "I" in options:
        orders.reverse()
    problems = []
    for squeeze in (_squeeze, _without_digits):
        for split in (_relaxed_name, _strict_name):
            for order in orders:
                try:
                    names, sequences = order(body, n_taxa, n_sites, split, squeeze)
                    _check_sequences(names, sequences)
                except _Misfit as problem:
                    problems.append(str(problem))
                else:
                    notes = [NUMBERED] if squeeze is _without_digits else []
                    if options - {"I", "S"}:
                        notes.append(
                            Note(
                                "unused-options",
                                f"options on the first line were ignored: {header[3].strip()}",
                            )
                        )
                    return RawAlignment(names, _expand_dots(sequences), notes=tuple(notes))
    interleaved = len(body) > n_taxa and len(body) % n_taxa == 0
    likely = problems[1 if interleaved != (orders[0] is _interleaved) else 0]
    raise AlignmentError(f"{source}: {likely}")


def _relaxed_name(line: Line) -> tuple[str, str]:
    words = line[1].split(None, 1)
    return words[0], words[1] if len(words) > 1 else ""


def _strict_name(line: Line) -> tuple[str, str]:
    return line[1][:_STRICT_NAME].strip(), line[1][_STRICT_NAME:]


def _squeeze(text: str) -> str:
    return "".join(text.split())


def _without_digits(text: str) -> str:
    return "".join(text.translate(_NO_DIGITS).split())


def _sequential(
    body: list[Line], n_taxa: int, n_sites: int, split: Split, squeeze: Callable[[str], str]
) -> Reading:
    names: list[str] = []
    sequences: list[str] = []
    at = 0
    for taxon in range(n_taxa):
        if at == len(body):
            raise _Misfit(f"the header says {n_taxa} sequences, but the file has {taxon}")
        first = body[at][0]
        name, part = split(body[at])
        parts = [squeeze(part)]
        length = len(parts[0])
        at += 1
        while length < n_sites and at < len(body):
            parts.append(squeeze(body[at][1]))
            length += len(parts[-1])
            at += 1
        if length != n_sites:
            # Text from following lines is less informative than the taxon's own line.
            raise _wrong_length(name, len(parts[0]) or length, n_sites, first)
        names.append(name)
        sequences.append("".join(parts))
    if at < len(body):
        raise _Misfit(
            f"line {body[at][0]}: the header says {n_taxa} sequences, but the file goes on after "
            f"them; correct the header, or give one alignment a file"
        )
    return names, sequences


def _interleaved(
    body: list[Line], n_taxa: int, n_sites: int, split: Split, squeeze: Callable[[str], str]
) -> Reading:
    if len(body) % n_taxa:
        raise _Misfit(
            f"the header says {n_taxa} sequences, but there are {len(body)} lines of them, "
            "not the same number for each"
        )
    starts = [split(line) for line in body[:n_taxa]]
    names = [name for name, _ in starts]
    parts = [[squeeze(part)] for _, part in starts]
    for at, line in enumerate(body[n_taxa:]):
        taxon = at % n_taxa
        repeated, rest = split(line)  # some programs repeat the names in every block
        parts[taxon].append(squeeze(rest if rest and repeated == names[taxon] else line[1]))
    sequences = ["".join(part) for part in parts]
    for name, sequence, line in zip(names, sequences, body, strict=False):
        if len(sequence) != n_sites:
            raise _wrong_length(name, len(sequence), n_sites, line[0])
    return names, sequences


def _wrong_length(name: str, length: int, n_sites: int, line: int) -> _Misfit:
    return _Misfit(
        f"line {line}: taxon {name!r} has {length} characters, but the header says {n_sites} "
        "sites; correct the header or the sequence"
    )


def _check_sequences(names: list[str], sequences: list[str]) -> None:
    """Refuse a reading in which names or numbers have run into a sequence of the right length."""
    for name, sequence in zip(names, sequences, strict=True):
        if not name:
            raise _Misfit("a sequence has no name; give it one")
        if not _SEQUENCE.match(sequence):
            column, odd = next((i, c) for i, c in enumerate(sequence) if not _LETTER.match(c))
            raise _Misfit(
                f"taxon {name!r}, column {column + 1}: {odd!r} is not a character of DNA, RNA or "
                "protein; correct it (states are letters, or digits alone)"
            )


def _expand_dots(sequences: list[str]) -> list[str]:
    first = sequences[0] if sequences else ""
    return [first] + [
        "".join(a if c == "." else c for a, c in zip(first, sequence, strict=True))
        if "." in sequence
        else sequence
        for sequence in sequences[1:]
    ]
