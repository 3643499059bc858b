"""Checks of an alignment as read from its file, and notes for the user."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.alignments.alphabet import PROTEIN, Alphabet
from phylogfn.alignments.column_types import EncodedCharacters, TypedColumns
from phylogfn.alignments.raw import RawAlignment
from phylogfn.errors import AlignmentError, quoted_list

__all__ = [
    "alignment_notes",
    "check_characters",
    "check_selection",
    "check_shape",
    "doubtful_type",
    "plain_names",
]

_LINE_ENDS_AND_TABS = "[\t\v\f\x85\u2028\u2029]"


def plain_names(raw: RawAlignment) -> RawAlignment:
    """Write tabs and line ends in names as blanks: tables of results are separated by these."""
    names = [
        " ".join(name.split()) if re.search(_LINE_ENDS_AND_TABS, name) else name
        for name in raw.names
    ]
    if names == raw.names:
        return raw
    note = Note("tabs-in-names", "tabs in names were replaced by blanks")
    return replace(raw, names=names, notes=(*raw.notes, note))


def check_shape(raw: RawAlignment, source: str) -> None:
    """Refuse names that are missing or not unique, fewer than 4 taxa, and unequal lengths."""
    for number, name in enumerate(raw.names, 1):
        if not name.strip():
            raise AlignmentError(f"{source}: sequence {number} has no name; give it one")
    twice = [name for name, count in Counter(raw.names).items() if count > 1]
    if twice:
        places = [str(i) for i, name in enumerate(raw.names, 1) if name == twice[0]]
        more = f" (and {len(twice) - 1} more names)" if len(twice) > 1 else ""
        raise AlignmentError(
            f"{source}: taxon {twice[0]!r} occurs {len(places)} times, as sequences "
            f"{', '.join(places[:5])}{more}; give each its own name"
        )
    if len(raw.names) < 4:
        raise AlignmentError(
            f"{source}: has {len(raw.names)} taxa ({quoted_list(raw.names)}); "
            "an unrooted tree needs at least 4"
        )
    spellings: dict[str, str] = {}
    for name in raw.names:
        other = spellings.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise AlignmentError(
                f"{source}: two taxa have the name {name!r}, in two Unicode spellings (NFC and "
                "NFD); give each its own name"
            )
    lengths = [len(sequence) for sequence in raw.sequences]
    usual, _ = Counter(lengths).most_common(1)[0]
    odd = [i for i, length in enumerate(lengths) if length != usual]
    if odd:
        other = raw.names[lengths.index(usual)]
        more = f" (and {len(odd) - 1} more taxa differ)" if len(odd) > 1 else ""
        raise AlignmentError(
            f"{source}: taxon {raw.names[odd[0]]!r} has {lengths[odd[0]]} columns, but "
            f"{other!r} has {usual}{more}; all sequences of an alignment have one length, so "
            "align them first"
        )
    if usual == 0:
        raise AlignmentError(f"{source}: the sequences are empty; an alignment needs sites")


def check_selection(
    raw: RawAlignment, taxa: NDArray[np.bool_], kept: NDArray[np.bool_], source: str
) -> None:
    """Refuse an alignment of which too few taxa, or no columns, are left."""
    if taxa.sum() < 4:
        left = [name for name, used in zip(raw.names, taxa, strict=True) if used]
        raise AlignmentError(
            f"{source}: has {len(left)} taxa ({quoted_list(left)}) after the {(~taxa).sum()} that "
            "it deletes; an unrooted tree needs at least 4"
        )
    if not kept.any():
        raise AlignmentError(
            f"{source}: all {len(kept)} characters are excluded by the file; include some"
        )


def check_characters(
    raw: RawAlignment,
    masks: NDArray[np.uint32],
    taxa: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    types: Sequence[TypedColumns],
    source: str,
) -> None:
    """Refuse characters that are not of the alphabet of their column, where they are used."""
    unknown = (masks == 0) & taxa[:, None] & kept
    if unknown.any():
        row, column = (int(i) for i in np.argwhere(unknown)[0])
        typed = next(part for part in types if column in part.columns)
        alphabet = typed.alphabet
        character = raw.sequences[row][column]
        shown = "{" + raw.state_sets[character] + "}" if character in raw.state_sets else character
        more = f" (and {unknown.sum() - 1} more such characters)" if unknown.sum() > 1 else ""
        why = "" if typed.declared else " (found out from the letters; --data-type sets it)"
        cure = "write gaps as '-' and unknown states as '?'" if shown in ".~ " else "correct it"
        states = f" (states {alphabet.states})" if alphabet.name == "standard" else ""
        raise AlignmentError(
            f"{source}: taxon {raw.names[row]!r}, column {column + 1}: {shown!r} is not a "
            f"{alphabet.label} character{states}{more}; {cure}, or choose another data type{why}"
        )


def alignment_notes(
    raw: RawAlignment,
    names: Sequence[str],
    alphabets: Sequence[Alphabet],
    characters: EncodedCharacters,
) -> list[Note]:
    """Return notes for the user about the characters of the taxa and columns in use."""
    notes = []
    codes, masks, missing = characters.codes, characters.masks, characters.missing
    empty = (masks == missing).all(axis=1)
    if empty.any():
        blank = [name for name, none in zip(names, empty, strict=True) if none]
        notes.append(
            Note(
                "taxa-without-data",
                f"{len(blank)} taxa have no data at all, so their position in the tree is "
                f"arbitrary: {quoted_list(blank)}",
            )
        )
    groups: dict[bytes, list[str]] = {}
    for name, row, none in zip(names, masks, empty, strict=True):
        if not none:
            groups.setdefault(row.tobytes(), []).append(name)
    same = [group for group in groups.values() if len(group) > 1]
    if same:
        shown = "; ".join(quoted_list(group) for group in same[:3])
        more = f"; and {len(same) - 3} more groups" if len(same) > 3 else ""
        notes.append(
            Note(
                "identical-sequences", f"identical sequences, kept as separate taxa: {shown}{more}"
            )
        )
    blank = int((masks == missing).all(axis=0).sum())
    if blank:
        notes.append(
            Note(
                "sites-without-data", f"{blank} of {masks.shape[1]} sites have no data in any taxon"
            )
        )
    mixed = [ord(c) for c, states in raw.state_sets.items() if "-" in states and states != "-"]
    count = int(np.isin(codes, mixed).sum()) if mixed else 0
    if count:
        notes.append(
            Note(
                "gaps-in-state-sets",
                f"{count} sets that contain a gap, such as {{A-}}, read as missing unless gaps "
                "are a state",
            )
        )
    if all(alphabet.name in ("dna", "rna") for alphabet in alphabets):
        notes += _notes_on_bases(raw, names)
    if any(alphabet.name == "protein" for alphabet in alphabets):
        protein = missing == np.uint32(PROTEIN.missing)
        odd = int(np.isin(codes[:, protein], [ord(c) for c in "UuOo*"]).sum())
        if odd:
            notes.append(
                Note(
                    "characters-read-as-missing",
                    f"{odd} characters U, O or * (20-state models lack them) read as missing",
                )
            )
    return notes


def doubtful_type(raw: RawAlignment, alphabet: Alphabet) -> list[Note]:
    """Return a note if detected nucleotides are mostly ambiguity codes."""
    if alphabet.name not in ("dna", "rna"):
        return []
    text = "".join(raw.sequences).upper()
    bases = sum(map(text.count, "ACGTU"))
    codes = sum(map(text.count, "RYSWKMBDHV"))
    if codes <= bases:
        return []
    share = codes / (bases + codes)
    return [
        Note(
            "doubtful-data-type",
            f"read as {alphabet.label}, found from the letters, though {share:.0%} of them are "
            "ambiguity codes such as R; if these are amino acids, give --data-type protein",
        )
    ]


def _notes_on_bases(raw: RawAlignment, names: Sequence[str]) -> list[Note]:
    """Return a note if a sequence contains both T and U."""
    used = set(names)
    odd = [
        name
        for name, row in zip(raw.names, raw.sequences, strict=True)
        if name in used and ("U" in row or "u" in row) and ("T" in row or "t" in row)
    ]
    return (
        [
            Note(
                "t-and-u",
                f"{len(odd)} sequences have both T and U, read as one base: {quoted_list(odd)}",
            )
        ]
        if odd
        else []
    )
