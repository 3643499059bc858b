"""The alignment in a NEXUS file: its first DATA or CHARACTERS block, and what is assumed of it.

Further blocks of these kinds are told of and not read; sets that name them are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from gfncore.text_numbers import parse_int
from phylogfn.alignment_assumptions import matrix_title, read_assumptions
from phylogfn.alignment_formats import RawAlignment
from phylogfn.alphabet import standard_alphabet
from phylogfn.errors import AlignmentError
from phylogfn.nexus import Command, blocks, tokens

__all__ = ["parse_nexus_alignment"]

_DATA_TYPES = {
    "dna": "dna",
    "rna": "rna",
    "nucleotide": None,
    "protein": "protein",
    "standard": "standard",
}
_NAME = re.compile(r"""\s*('(?:[^']|'')*'|"[^"]*"|\S+)""")
_CELL = re.compile(r"\{[^}]*\}|\([^)]*\)|.", re.DOTALL)
_EQUATION = re.compile(r"(\S)\s*=\s*(\([^)]*\)|\{[^}]*\}|\S+)")
_Block = tuple[str, list[Command]]  # a name and what is in it
_FIRST_PRIVATE = 0xF0000  # Unicode's private plane 15, one character for each set like {AC}


@dataclass(frozen=True)
class _Format:
    """What DIMENSIONS and FORMAT say; None where they do not."""

    n_taxa: int | None
    n_sites: int | None
    data_type: str | None
    missing: str
    gap: str
    match: str | None
    equate: dict[str, str]
    symbols: str | None


def parse_nexus_alignment(text: str, source: str) -> RawAlignment:
    """Return the names and sequences of NEXUS text; AlignmentError when there are none."""
    n_taxa = None
    found = blocks(text, source, AlignmentError)
    before: list[_Block] = []
    for block, commands in found:
        before.append((block, commands))
        dimensions = " ".join(c.text for c in commands if c.name == "dimensions")
        declared = re.search(r"\bntax\s*=\s*(\d+)", dimensions, re.IGNORECASE)
        n_taxa = _dimension(declared[1], "ntax", source) if declared else n_taxa
        if block not in ("data", "characters"):
            continue
        matrix = [c for c in commands if c.name == "matrix"]
        if not matrix:
            raise AlignmentError(f"{source}: the {block} block has no matrix; add one")
        layout = _read_format(commands, dimensions, n_taxa, source)
        names, sequences = _read_matrix(matrix[0], layout, source)
        raw = _translate(names, sequences, layout, source)
        n_sites = max(map(len, raw.sequences), default=0)
        after: list[_Block] = []
        every = chain(before, _kept(found, after))
        assumptions = read_assumptions(every, n_sites, source, matrix_title(commands))
        return replace(raw, assumptions=assumptions, notes=_other_matrices(after))
    raise AlignmentError(f"{source}: this NEXUS file has no data or characters block; add one")


def _kept(found: Iterable[_Block], kept: list[_Block]) -> Iterator[_Block]:
    """Pass blocks on, as far as they can be read, and keep them."""
    for block in found:
        kept.append(block)
        yield block


def _other_matrices(found: list[_Block]) -> tuple[str, ...]:
    """Tell of the matrices that are not read."""
    further = sum(
        block in ("data", "characters") and any(c.name == "matrix" for c in commands)
        for block, commands in found
    )
    if not further:
        return ()
    one = "a second matrix, which is" if further == 1 else f"{further} further matrices, which are"
    return (f"the file has {one} not read: put each in a file of its own",)


def _read_format(
    commands: list[Command], dimensions: str, n_taxa: int | None, source: str
) -> _Format:
    text = " ".join(c.text for c in commands if c.name == "format")

    def value(pattern: str, default: str | None = None) -> str | None:
        found = re.search(rf"(?<!\w){pattern}", text, re.IGNORECASE)
        return found[1] if found else default

    declared = value(r"symbols\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s;]+)")
    unsaid = "nucleotide" if declared is None else "standard"
    kind = (value(r"datatype\s*=\s*(\w+)") or unsaid).lower()
    if kind not in _DATA_TYPES:
        raise AlignmentError(
            f"{source}: datatype={kind} is not supported; DNA, RNA, protein and standard data are"
        )
    if re.search(r"(?<!\w)transpose\b|\blabels\s*=\s*(no|right)\b|\bnolabels\b", text, re.I):
        raise AlignmentError(
            f"{source}: transposed matrices and matrices without names on the left are not "
            "supported; export one sequence a line, after its name"
        )
    if re.search(r"(?<![\w=])tokens\b(?!\s*=\s*no)", text, re.I):
        raise AlignmentError(
            f"{source}: states that are words (tokens) are not supported; export one symbol a state"
        )
    n_sites = re.search(r"\bnchar\s*=\s*(\d+)", dimensions, re.IGNORECASE)
    equate = value(r"equate\s*=\s*\"([^\"]*)\"", "") or ""
    return _Format(
        n_taxa=n_taxa,
        n_sites=_dimension(n_sites[1], "nchar", source) if n_sites else None,
        data_type=_DATA_TYPES[kind],
        missing=value(r"missing\s*=\s*'?(\S)", "?") or "?",
        gap=value(r"gap\s*=\s*'?(\S)", "-") or "-",
        match=value(r"matchchar\s*=\s*'?(\S)"),
        equate={a: b.strip("(){}") for a, b in _EQUATION.findall(equate)},
        symbols=_symbols(declared, source) if kind == "standard" and declared else None,
    )


def _dimension(text: str, name: str, source: str) -> int:
    """Return the number of taxa or of characters that a file declares."""
    return parse_int(text, 1, 10**9, place=f"{source}: {name}", error=AlignmentError)


def _symbols(declared: str, source: str) -> str:
    """Return the symbols of a list such as ``"0~4 A"``, checked."""
    listed = re.sub(r"\s*~\s*", "~", declared.strip("'\""))
    out = ""
    for first, _, last in re.findall(r"(\S)(~(\S))?", listed):
        if last and first >= last:
            raise AlignmentError(f"{source}: symbols {first}~{last} is no range; correct it")
        out += "".join(map(chr, range(ord(first), ord(last or first) + 1)))
    try:
        return standard_alphabet(out).states
    except ValueError as problem:
        raise AlignmentError(f"{source}: symbols {problem}; correct the format command") from None


def _count(sequence: str) -> int:
    """Return the number of characters, sets such as {AC} counted once."""
    return len(_CELL.findall(sequence)) if "{" in sequence or "(" in sequence else len(sequence)


def _read_matrix(matrix: Command, layout: _Format, source: str) -> tuple[list[str], list[str]]:
    rows: list[tuple[str, str]] = []  # one a line: name, rest without blanks
    for line in matrix.text.split("\n"):
        match = _NAME.match(line)
        if match:
            name = tokens(match[1])[0] if match[1][0] in "'\"" else match[1]
            rows.append((name, "".join(line[match.end() :].split())))
    names = list(dict.fromkeys(name for name, _ in rows))
    n_blocks = len(rows) // max(1, len(names))
    blocked = all(part for _, part in rows) and [name for name, _ in rows] == names * n_blocks
    if blocked and layout.n_taxa in (None, len(names)):
        sequences = ["".join(part for other, part in rows if other == name) for name in names]
        return names, sequences
    if layout.n_sites is not None:
        return _read_stream(matrix, layout, layout.n_sites, source)
    return [name for name, _ in rows], [part for _, part in rows]


def _read_stream(
    matrix: Command, layout: _Format, n_sites: int, source: str
) -> tuple[list[str], list[str]]:
    """Read names and sequences that run over several lines, each to its full length."""
    names: list[str] = []
    sequences: list[str] = []
    text, at = matrix.text, 0
    while text[at:].strip():
        match = _NAME.match(text, at)
        assert match is not None
        line = matrix.line + text.count("\n", 0, match.start(1))
        names.append(tokens(match[1])[0] if match[1][0] in "'\"" else match[1])
        at = match.end()
        parts: list[str] = []
        length = 0
        while length < n_sites and text[at:].strip():
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            parts.append("".join(text[at:end].split()))
            length += _count(parts[-1])
            at = end + 1
        if length != n_sites:
            first = _count(next((part for part in parts if part), ""))
            raise AlignmentError(
                f"{source}: line {line}: taxon {names[-1]!r} has {first or length} characters, "
                f"but nchar={n_sites}; correct nchar or the sequence"
            )
        sequences.append("".join(parts))
    return names, sequences


def _translate(
    names: list[str], sequences: list[str], layout: _Format, source: str
) -> RawAlignment:
    """Write every cell as one character of ours, and check the declared dimensions."""
    if layout.n_taxa is not None and len(names) != layout.n_taxa:
        raise AlignmentError(
            f"{source}: ntax={layout.n_taxa}, but the matrix has {len(names)} sequences; "
            "correct ntax or the matrix"
        )
    sets: dict[str, str] = {}  # states -> private character
    table = dict(layout.equate) | {layout.gap: "-"}
    table |= dict.fromkeys((layout.missing.lower(), layout.missing.upper()), "?")
    match = layout.match
    if match is None and "." not in table and sequences and "." not in sequences[0]:
        match = "."  # what nearly all programs mean by it, declared or not
    out: list[str] = []
    for name, sequence in zip(names, sequences, strict=True):
        cells = _CELL.findall(sequence) if "{" in sequence or "(" in sequence else list(sequence)
        if match in cells:
            above = out[0] if out else ""
            column = next((i for i, c in enumerate(cells) if c == match and i >= len(above)), None)
            if column is not None:
                raise AlignmentError(
                    f"{source}: taxon {name!r}, column {column + 1}: the match character "
                    f"{match!r} has nothing above it; write the state"
                )
            cells = [above[i] if c == match else table.get(c, c) for i, c in enumerate(cells)]
        else:
            cells = [table.get(c, c) for c in cells]
        row = "".join(_single(cell, sets) if len(cell) > 1 else cell for cell in cells)
        if layout.n_sites is not None and len(row) != layout.n_sites:
            raise AlignmentError(
                f"{source}: taxon {name!r} has {len(row)} characters, but nchar={layout.n_sites}; "
                "correct nchar or the sequence"
            )
        out.append(row)
    state_sets = {character: states for states, character in sets.items()}
    return RawAlignment(names, out, layout.data_type, state_sets, symbols=layout.symbols)


def _single(cell: str, sets: dict[str, str]) -> str:
    """Return one character for a set of states such as ``{AC}``, the same for the same set."""
    states = "".join(c for c in cell if c not in "{}(), ") or "?"
    return sets.setdefault(states, chr(_FIRST_PRIVATE + len(sets)))
