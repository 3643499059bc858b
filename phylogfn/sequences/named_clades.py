"""Clades that a user names: files with one clade per line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean
from phylogfn.errors import shown
from phylogfn.text.quoting import unquote
from phylogfn.text.taxon_names import TaxonIndex
from phylogfn.text.text_files import read_text, source_name

__all__ = ["CONSENSUS", "NamedClade", "chosen_clades", "parse_clades", "read_clades"]

CONSENSUS = "consensus"  # instead of a file: the clades of the consensus tree

MOST_CLADES = 10_000
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_LABEL = re.compile(rf"\s*({_QUOTED.pattern}|[^\s'\",:]+):\s+")
_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True)
class NamedClade:
    """A group of taxa with a name.

    Attributes
    ----------
    name : str
    taxa : tuple of int
        Their numbers, ascending: two or more, and not all.
    """

    name: str
    taxa: tuple[int, ...]


def chosen_clades(setting: str | None, names: Sequence[str]) -> tuple[NamedClade, ...] | None:
    """Return the clades of the setting ``ancestral``; None for those of the consensus, or for none.

    Raises
    ------
    UserError
        Its file cannot be read, or a line of it is not a clade.
    """
    if setting is None or setting == CONSENSUS:
        return None
    return read_clades(setting, names)


def read_clades(path: str | os.PathLike[str], names: Sequence[str]) -> tuple[NamedClade, ...]:
    """Read and return the clades of a file; see `parse_clades`.

    Raises
    ------
    UserError
        The file cannot be read, or a line is not a clade.
    """
    return parse_clades(read_text(path), names, source_name(path))


def parse_clades(text: str, names: Sequence[str], source: str) -> tuple[NamedClade, ...]:
    """Return the clades of a text.

    Each line is a clade: its taxa, separated by commas or by blanks, after a name and a colon if it
    has one. Names with blanks, commas, colons or quotes are written between quotes; between commas,
    names may have blanks. What follows ``#`` at the start of a word is a comment. A clade without a
    name is called ``cladeN`` for the N-th of the file.

    Parameters
    ----------
    text : str
    names : sequence of str, length n
        All taxa.
    source : str
        Name of the file for messages.

    Raises
    ------
    UserError
        A line is not a clade, a name occurs twice, or there is no clade.

    Examples
    --------
    >>> parse_clades("apes: Pan, Gorilla", ["Lemur", "Pan", "Gorilla", "Pongo"], "clades.txt")
    (NamedClade(name='apes', taxa=(1, 2)),)
    """
    index = TaxonIndex(names)
    found: dict[str, NamedClade] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = _COMMENT.sub("", line)
        if not line.strip():
            continue
        place = f"{source}: line {number}"
        label = _LABEL.match(line)
        name = " ".join(_plain(label[1]).split()) if label else ""
        name = name or f"clade{len(found) + 1}"
        taxa = _taxa(line[label.end() :] if label else line, index, names, place)
        if name in found:
            raise UserError(f"{place}: the name {shown(name)} occurs twice; give each clade one")
        if len(found) >= MOST_CLADES:
            raise UserError(f"{place}: the maximum is {MOST_CLADES:,} clades; give fewer")
        found[name] = NamedClade(name, taxa)
    if not found:
        raise UserError(f"{source}: contains no clade; write the taxa of one clade on each line")
    return tuple(found.values())


def _taxa(text: str, index: TaxonIndex, names: Sequence[str], place: str) -> tuple[int, ...]:
    taxa: list[int] = []
    by_commas = "," in _QUOTED.sub("", text)
    text = text.strip().removesuffix(",").rstrip()
    while text:
        quoted = _QUOTED.match(text)
        plain = text.partition(",")[0].rstrip() if by_commas else text.split(None, 1)[0]
        word = quoted[0] if quoted else plain
        rest = text[len(word) :]
        following = rest.lstrip()
        apart = following.startswith(",") if by_commas else rest != following
        if not word or (word[0] in "'\"" and not quoted) or (following and not apart):
            raise UserError(
                f"{place}: {shown(text)} is not a list of taxa; separate names by commas, and "
                "write names with commas or quotes between quotes"
            )
        name = _plain(word)
        if name not in index:
            hint = did_you_mean(name, names) or f", such as {shown(names[0])}; correct the name"
            raise UserError(f"{place}: {shown(name)} is not one of the {len(names)} taxa{hint}")
        taxa.append(index[name])
        text = following[1:].lstrip() if by_commas else following
    distinct = tuple(sorted(set(taxa)))
    if not 1 < len(distinct) < len(names):
        raise UserError(
            f"{place}: {len(distinct)} of {len(names)} taxa are given; give two or more, and not "
            "all of them"
        )
    return distinct


def _plain(word: str) -> str:
    """Return a word without the quotes around it."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] == '"' else unquote(word)
