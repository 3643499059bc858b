"""The matrix of a NEXUS file: names and sequences, in one piece or in blocks of lines.

An unquoted underscore represents a blank in NEXUS, so ``'Aus bus'`` and ``Aus_bus`` are the same
taxon; its first spelling is kept.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from phylogfn.alignments.raw import RawAlignment
from phylogfn.errors import AlignmentError
from phylogfn.text.nexus import Command, tokens

__all__ = ["MatrixLayout", "read_matrix", "translate"]

_NAME = re.compile(r"""\s*('(?:[^']|'')*'|"[^"]*"|\S+)""")
# Sets contain no opening bracket, so that unclosed ones are skipped in linear time.
_CELL = re.compile(r"\{[^{}]*\}|\([^()]*\)|.", re.DOTALL)
_PIECE = re.compile(r"\s*(\{[^{}]*\}|\([^()]*\)|[{(]|[^\s{(]+)")
_FIRST_PRIVATE = 0xF0000  # Unicode's private planes, one character for each set like {AC}
_MOST_SETS = 100_000  # fewer than these planes have characters


@dataclass(frozen=True)
class MatrixLayout:
    """Layout of a matrix; None if not given by DIMENSIONS and FORMAT."""

    n_taxa: int | None
    n_sites: int | None
    missing: str = "?"
    gap: str = "-"
    match: str | None = None
    equate: dict[str, str] | None = None
    interleave: bool | None = None


class _Misfit(Exception):
    """An interpretation that does not fit; the message continues the name of the file."""


def _count(sequence: str) -> int:
    """Return the number of characters, sets such as {AC} counted once."""
    return len(_CELL.findall(sequence)) if "{" in sequence or "(" in sequence else len(sequence)


class _Taxa:
    """The names read so far; quoted and unquoted spellings may be the same taxon."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.names: dict[str, str] = {}  # interpretation of the name by NEXUS -> its first spelling

    def key(self, written: str) -> str:
        """Return the interpretation of a name by NEXUS."""
        quoted = written[0] in "'\"" and len(written) > 1
        name = tokens(written)[0] if quoted else written
        key = unicodedata.normalize("NFC", name if quoted else name.replace("_", " "))
        self.names.setdefault(key, name)
        return key

    def once(self, keys: list[str], written: list[str]) -> list[str]:
        """Return the names of a matrix that is not in blocks; a second spelling is refused."""
        first: dict[str, str] = {}
        for key, text in zip(keys, written, strict=True):
            if first.setdefault(key, text) != text:
                raise AlignmentError(
                    f"{self.source}: {first[key]} and {text} are one taxon in NEXUS (an underscore "
                    "without quotes is a blank, and Unicode forms do not count); give each its own "
                    "name"
                )
        return [self.names[key] for key in keys]


def read_matrix(matrix: Command, layout: MatrixLayout, source: str) -> tuple[list[str], list[str]]:
    """Return the names and the sequences, white space removed, as they are written.

    Raises
    ------
    AlignmentError
        A sequence has not the length that the dimensions give, or two names are one.
    """
    taxa = _Taxa(source)
    rows: list[tuple[str, str, str]] = []  # one a line: taxon, name, rest without blanks
    for line in matrix.text.split("\n"):
        match = _NAME.match(line)
        if match:
            rows.append((taxa.key(match[1]), match[1], "".join(line[match.end() :].split())))
    sequences: dict[str, list[str]] = {}
    for key, _, part in rows:
        sequences.setdefault(key, []).append(part)
    order = list(sequences)
    n_blocks = len(rows) // max(1, len(order))
    blocked = (
        all(part for _, _, part in rows)
        and [key for key, _, _ in rows] == order * n_blocks
        and layout.n_taxa in (None, len(order))
        and (n_blocks == 1 or layout.interleave is not False)
    )
    joined = ["".join(parts) for parts in sequences.values()]
    fits = layout.n_sites is None or all(_count(row) == layout.n_sites for row in joined)
    if not (blocked and fits) and layout.n_sites is not None:
        try:
            return _read_stream(matrix, layout.n_sites, source)
        except _Misfit as problem:
            if not blocked:
                raise AlignmentError(f"{source}: {problem}") from None
    if blocked:
        return [taxa.names[key] for key in order], joined
    names = taxa.once([key for key, _, _ in rows], [written for _, written, _ in rows])
    return names, [part for _, _, part in rows]


def _read_stream(matrix: Command, n_sites: int, source: str) -> tuple[list[str], list[str]]:
    """Read names and sequences that extend over several lines, each to its full length.

    Several taxa may be on one line. A taxon that begins within a line, after a taxon that began on
    another line, is an error: a sequence of wrong length has shifted the reading.
    """
    taxa = _Taxa(source)
    keys: list[str] = []
    written: list[str] = []
    sequences: list[str] = []
    parts: list[str] | None = None  # of the sequence that is being read
    length = began = own = 0  # its length, its line, its length on the first line that has some
    for number, line in enumerate(matrix.text.split("\n"), matrix.line):
        at, empty = 0, True
        while True:
            if parts is None:
                match = _NAME.match(line, at)
                if match is None:
                    break
                if not empty and began != number:
                    length = own or n_sites + _count(_packed(line[at:]))
                    raise _misfit(taxa.names[keys[-1]], began, length, n_sites)
                keys.append(taxa.key(match[1]))
                written.append(match[1])
                at, began, length, own, parts = match.end(), number, 0, 0, []
                empty = False
            else:
                match = _PIECE.match(line, at)
                if match is None:
                    own = own or length
                    break
                piece, empty = match[1], False
                parts.append(piece)
                at = match.end()
                length += 1 if piece[0] in "{(" else len(piece)
                if length > n_sites:
                    rest = _count(_packed(line[at:]))
                    raise _misfit(taxa.names[keys[-1]], began, own or length + rest, n_sites)
                if length == n_sites:
                    own = own or length
                    sequences.append("".join(parts))
                    parts = None
    if parts is not None:
        raise _misfit(taxa.names[keys[-1]], began, own or length, n_sites)
    return taxa.once(keys, written), sequences


def _packed(text: str) -> str:
    return "".join(text.split())


def _misfit(name: str, line: int, length: int, n_sites: int) -> _Misfit:
    return _Misfit(
        f"line {line}: taxon {name!r} has {length} characters, but nchar={n_sites}; "
        "correct nchar or the sequence"
    )


def translate(
    names: list[str], sequences: list[str], layout: MatrixLayout, source: str
) -> RawAlignment:
    """Write every cell as one character of ours, and check the declared dimensions."""
    if layout.n_taxa is not None and len(names) != layout.n_taxa:
        raise AlignmentError(
            f"{source}: ntax={layout.n_taxa}, but the matrix has {len(names)} sequences; "
            "correct ntax or the matrix"
        )
    sets: dict[str, str] = {}  # states -> private character
    table = dict(layout.equate or {}) | {layout.gap: "-"}
    table |= dict.fromkeys((layout.missing.lower(), layout.missing.upper()), "?")
    match = layout.match
    if match is None and "." not in table and sequences and "." not in sequences[0]:
        match = "."  # the meaning in nearly all programs, declared or not
    out: list[str] = []
    for name, sequence in zip(names, sequences, strict=True):
        cells = _CELL.findall(sequence) if "{" in sequence or "(" in sequence else list(sequence)
        if match in cells:
            above = out[0] if out else ""
            column = next((i for i, c in enumerate(cells) if c == match and i >= len(above)), None)
            if column is not None:
                raise AlignmentError(
                    f"{source}: taxon {name!r}, column {column + 1}: the match character "
                    f"{match!r} has no state in the first row to refer to; write the state"
                )
            cells = [above[i] if c == match else table.get(c, c) for i, c in enumerate(cells)]
        else:
            cells = [table.get(c, c) for c in cells]
        row = "".join(_single(cell, sets) if len(cell) > 1 else cell for cell in cells)
        if len(sets) > _MOST_SETS:
            raise AlignmentError(
                f"{source}: has more than {_MOST_SETS} different sets of states, such as {{AC}}, "
                "which is not supported; write them as '?'"
            )
        if layout.n_sites is not None and len(row) != layout.n_sites:
            raise AlignmentError(
                f"{source}: taxon {name!r} has {len(row)} characters, but nchar={layout.n_sites}; "
                "correct nchar or the sequence"
            )
        out.append(row)
    state_sets = {character: states for states, character in sets.items()}
    return RawAlignment(names, out, state_sets=state_sets)


def _single(cell: str, sets: dict[str, str]) -> str:
    """Return one character for a set of states such as ``{AC}``, the same for the same set."""
    states = "".join(sorted({c for c in cell if c not in "{}(), \t\n"})) or "?"
    return sets.setdefault(states, chr(_FIRST_PRIVATE + min(len(sets), _MOST_SETS)))
