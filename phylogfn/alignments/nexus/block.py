"""The alignment in a NEXUS file: its first DATA or CHARACTERS block, and statements about it.

Further blocks of these kinds are reported and not read; sets that refer to them are skipped.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gfncore.program.messages import Note
from gfncore.text.numbers import parse_int
from phylogfn.alignments.alphabet import standard_alphabet
from phylogfn.alignments.nexus.assumptions import Statements
from phylogfn.alignments.nexus.lists import MemberLists
from phylogfn.alignments.nexus.matrix import MatrixLayout, read_matrix, translate
from phylogfn.alignments.raw import RawAlignment
from phylogfn.errors import AlignmentError, shown
from phylogfn.text.nexus import Command, blocks

__all__ = ["parse_nexus_alignment"]

_DATA_TYPES = {
    "dna": "dna",
    "rna": "rna",
    "nucleotide": None,
    "protein": "protein",
    "standard": "standard",
    "restriction": "standard",
}
_EQUATION = re.compile(r"(\S)\s*=\s*(\([^()]*\)|\{[^{}]*\}|\S+)")
_SUBCOMMAND = re.compile(
    r"\b(?:(?P<sign>missing|gap|matchchar)\s*=\s*['\"]?(?P<character>\S)['\"]?"
    r"|(?P<name>\w+)(?:\s*=\s*(?P<value>\"[^\"]*\"|'[^']*'|\w+\s*\([^()]*\)|\([^()]*\)|[^\s;,]+))?)",
    re.IGNORECASE,
)
_USED = (  # subcommands of FORMAT that are read, or that state the default
    *("datatype", "missing", "gap", "matchchar", "symbols", "equate", "interleave", "transpose"),
    *("labels", "nolabels", "tokens", "notokens", "respectcase"),
)
_LARGEST = 10**9  # for numbers of taxa and characters


def parse_nexus_alignment(text: str, source: str) -> RawAlignment:
    """Return the names and sequences of NEXUS text; AlignmentError when there are none."""
    # A trees block that is still being written does not matter here.
    found = list(blocks(text, source, AlignmentError, unclosed=[]))
    n_taxa = None
    for number, (block, commands) in enumerate(found):
        dimensions = " ".join(c.text for c in commands if c.name == "dimensions")
        n_taxa = _dimension(dimensions, "ntax", source) or n_taxa
        if block not in ("data", "characters"):
            continue
        matrix = [c for c in commands if c.name == "matrix"]
        if not matrix:
            raise AlignmentError(f"{source}: the {block} block has no matrix; add one")
        form = _subcommands(commands)
        kind, parts = _data_type(form, source)
        layout = _layout(form, dimensions, n_taxa, source)
        names, sequences = read_matrix(matrix[0], layout, source)
        raw = translate(names, sequences, layout, source)
        n_sites = max(map(len, raw.sequences), default=0)
        strange = [f"format {name}" for name in form if name not in _USED]
        if (
            kind in ("standard", "mixed")
            and _is_on(form, "respectcase")
            and _has_both_cases(raw.sequences)
        ):
            strange.append("format respectcase")
        return replace(
            raw,
            data_type=_DATA_TYPES.get(kind),
            parts=_parts(parts, n_sites, source),
            symbols=_symbols(form["symbols"], source)
            if kind in ("standard", "mixed") and form.get("symbols")
            else None,
            statements=Statements.from_blocks(found, commands, source, strange),
            notes=_other_matrices(found[number + 1 :]),
        )
    raise AlignmentError(f"{source}: this NEXUS file has no data or characters block; add one")


def _has_both_cases(sequences: list[str]) -> bool:
    letters = {letter for sequence in sequences for letter in set(sequence)}
    return any(letter.islower() and letter.upper() in letters for letter in letters)


def _dimension(dimensions: str, name: str, source: str) -> int | None:
    declared = re.search(rf"\b{name}\s*=\s*([^\s=,]+)", dimensions, re.IGNORECASE)
    if declared is None:
        return None
    return parse_int(declared[1], 1, _LARGEST, place=f"{source}: {name}", error=AlignmentError)


def _other_matrices(found: list[tuple[str, list[Command]]]) -> tuple[Note, ...]:
    """Return notes about matrices that are not read."""
    further = sum(
        block in ("data", "characters") and any(c.name == "matrix" for c in commands)
        for block, commands in found
    )
    if not further:
        return ()
    one = "a second matrix, which is" if further == 1 else f"{further} further matrices, which are"
    return (
        Note("further-matrices", f"the file has {one} not read: put each in a file of its own"),
    )


def _subcommands(commands: list[Command]) -> dict[str, str | None]:
    """Return the words of FORMAT, in lower case, with their values; None where they have none."""
    text = " ".join(c.text for c in commands if c.name == "format")
    return {
        (match["sign"] or match["name"]).lower(): match["character"] or match["value"]
        for match in _SUBCOMMAND.finditer(text)
    }


def _is_on(form: dict[str, str | None], name: str) -> bool:
    """Return whether a word occurs in FORMAT, except as ``word=no``."""
    return name in form and (form[name] or "").lower() not in ("no", "false", "off")


def _data_type(form: dict[str, str | None], source: str) -> tuple[str, str]:
    """Return the data type in lower case, and the content of the parentheses of ``mixed``."""
    unsaid = "standard" if form.get("symbols") else "nucleotide"
    kind, opened, parts = (form.get("datatype") or unsaid).partition("(")
    kind = kind.strip("'\" ").lower()
    if kind == "mixed":
        if not opened:
            raise AlignmentError(
                f"{source}: datatype=mixed does not say which characters are of which type; write "
                "datatype=mixed(DNA:1-500,Standard:501-600)"
            )
        return kind, parts.rstrip(")")
    if kind not in _DATA_TYPES:
        raise AlignmentError(
            f"{source}: datatype={kind} is not supported; DNA, RNA, protein and standard data are"
        )
    return kind, ""


def _parts(text: str, n_sites: int, source: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the data type and the characters of each part of a mixed matrix."""
    lists = MemberLists("character", n_sites, ())
    parts: list[tuple[str, tuple[int, ...]]] = []
    given: set[int] = set()
    for part in text.split(",") if text.strip() else ():
        kind, colon, members = part.partition(":")
        place = f"{source}: datatype=mixed"
        if not colon:
            raise AlignmentError(f"{place}: {shown(part)} is not of the form 'type: characters'")
        listed = lists.members(place, members)
        if given.intersection(listed):
            raise AlignmentError(
                f"{place}: character {min(given.intersection(listed)) + 1} has two data types; "
                "give it one"
            )
        given.update(listed)
        parts.append((shown(kind)[1:-1].lower(), tuple(listed)))
    if parts and len(given) < n_sites:
        lost = min(set(range(n_sites)) - given) + 1
        raise AlignmentError(f"{source}: datatype=mixed: character {lost} has no data type; add it")
    return tuple(
        ((_DATA_TYPES[kind] or "dna") if kind in _DATA_TYPES else kind, listed)
        for kind, listed in parts
    )


def _layout(
    form: dict[str, str | None], dimensions: str, n_taxa: int | None, source: str
) -> MatrixLayout:
    labels = (form.get("labels") or "left").lower()
    if _is_on(form, "transpose") or labels in ("no", "right") or _is_on(form, "nolabels"):
        raise AlignmentError(
            f"{source}: transposed matrices and matrices without names on the left are not "
            "supported; export one sequence a line, after its name"
        )
    if _is_on(form, "tokens"):
        raise AlignmentError(
            f"{source}: states that are words (tokens) are not supported; export one symbol a state"
        )
    equate = (form.get("equate") or "").strip("\"'")
    return MatrixLayout(
        n_taxa=n_taxa,
        n_sites=_dimension(dimensions, "nchar", source),
        missing=form.get("missing") or "?",
        gap=form.get("gap") or "-",
        match=form.get("matchchar"),
        equate={a: b.strip("(){}") for a, b in _EQUATION.findall(equate)},
        interleave=_is_on(form, "interleave") if "interleave" in form else None,
    )


def _symbols(declared: str | None, source: str) -> str:
    """Return the symbols of a list such as ``"0~4 A"``, checked."""
    listed = re.sub(r"\s*~\s*", "~", (declared or "").strip("'\""))
    out = ""
    for first, _, last in re.findall(r"(\S)(~(\S))?", listed):
        if last and first >= last:
            raise AlignmentError(f"{source}: symbols {first}~{last} is not a range; correct it")
        out += "".join(map(chr, range(ord(first), ord(last or first) + 1)))
    try:
        return standard_alphabet(out).states
    except ValueError as problem:
        raise AlignmentError(f"{source}: symbols {problem}; correct the format command") from None
