"""Files of constraints: one clade per line, a tree of any degree, or a NEXUS file.

* Text: each line is a clade, its taxa separated by blanks or commas; names with blanks between
  quotes, or between commas. A name and a colon may precede the taxa. ``#`` starts a comment.
* Newick, or the trees block of a NEXUS file: one tree, whose clades are the constraints. Taxa that
  it lacks are free; its root, branch lengths and labels of inner nodes have no effect.
* The MRBAYES block of a NEXUS file: see `phylogfn.trees.constraints.mrbayes`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

from gfncore.program.messages import Note
from gfncore.text.hints import did_you_mean
from phylogfn.errors import TreeFileError, shown
from phylogfn.text.nexus import blocks
from phylogfn.text.quoting import unquote
from phylogfn.text.taxon_names import TaxonIndex
from phylogfn.text.text_files import read_text, source_name
from phylogfn.trees.constraints.mrbayes import Clade, mrbayes_clades
from phylogfn.trees.constraints.splits import Constraints, incompatible_pair
from phylogfn.trees.files import parse_tree_text, reading_notes
from phylogfn.trees.newick import ParsedTree

__all__ = ["read_constraints"]

_NEXUS = re.compile(r"\s*(\[[^\]]*\]\s*)*#NEXUS", re.IGNORECASE)
_NEWICK = re.compile(r"\s*(\[[^\]]*\]\s*)*\(")
_QUOTED = r"'(?:[^']|'')*'|\"[^\"]*\""
_BLANKS = re.compile(rf"{_QUOTED}|\S+")
_LABEL = re.compile(rf"(?:{_QUOTED}|[^\s',:]+):\s+")
_COMMAS = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(?:,|$)")


def read_constraints(path: str | os.PathLike[str], names: Sequence[str]) -> Constraints:
    """Read and return the constraints of a file.

    Parameters
    ----------
    path : path-like
        The file, plain or compressed; its form is found from its content.
    names : sequence of str, length n
        The taxa, in the order of their numbers.

    Raises
    ------
    TreeFileError
        The file cannot be read, a taxon is unknown, a clade is in every tree, or two clades cannot
        be in one tree; the message is one line.
    """
    source = source_name(path)
    notes: list[Note] = []
    text = read_text(path, TreeFileError, notes)
    index = TaxonIndex(names)
    if _NEXUS.match(text):
        found = list(blocks(text, source, TreeFileError, keep="&", unclosed=[]))
        clades, told = mrbayes_clades(found, source)
        if clades:
            constraints = _of_clades(clades, names, index, source)
            return replace(constraints, notes=(*notes, *told))
    if _NEXUS.match(text) or _NEWICK.match(text):
        trees = parse_tree_text(text, source, notes)
        if len(trees) > 1:
            raise TreeFileError(
                f"{source}: has {len(trees)} trees; give one, whose clades are the constraints"
            )
        splits, taxa = _tree_splits(trees[0], names, index, source)
        free = len(names) - taxa.bit_count()
        told = list(reading_notes(trees))
        if free:
            told.append(f"{free} of {len(names)} taxa are not in the constraint tree: free")
        constraints = Constraints.from_splits(len(names), splits, taxa, source)
        return replace(constraints, notes=tuple(told))
    constraints = _of_clades(_lines(text, source), names, index, source)
    return replace(constraints, notes=tuple(notes))


def _lines(text: str, source: str) -> list[Clade]:
    """Return the clades of lines of text."""
    clades = []
    for number, line in enumerate(text.split("\n"), 1):
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        line = line[match.end() :] if (match := _LABEL.match(line)) else line
        if not line:
            continue
        if "," in re.sub(_QUOTED, "", line):
            words = [match[1] for match in _COMMAS.finditer(line) if match[1]]
        else:
            words = _BLANKS.findall(line)
        names = tuple(word[1:-1] if word[:1] == '"' else unquote(word) for word in words)
        clades.append(Clade(names, f"line {number}"))
    if not clades:
        raise TreeFileError(f"{source}: has no clades; write one per line, or give a tree")
    return clades


def _of_clades(
    clades: Sequence[Clade], names: Sequence[str], index: TaxonIndex, source: str
) -> Constraints:
    """Return the constraints of clades of all taxa, after checking them."""
    n, everything = len(names), (1 << len(names)) - 1
    masks: list[int] = []
    for clade in clades:
        where = f"{source}: {clade.place}"
        mask = 0
        for name in clade.members:
            mask |= _bits(name, names, index, where, clade.by_number)
        size = mask.bit_count()
        if size < 2:
            raise TreeFileError(
                f"{where}: a clade of {size} {'taxon' if size == 1 else 'taxa'} is no constraint; "
                "give two taxa or more"
            )
        if size >= n - 1:
            many = f"all {n} taxa" if size == n else f"all but one of {n} taxa"
            raise TreeFileError(
                f"{where}: a clade of {many} is in every unrooted tree; leave it out"
            )
        masks.append(mask)
    pair = incompatible_pair(masks, everything)
    if pair is not None:
        one, other = (clades[k] for k in pair)
        both = masks[pair[0]] & masks[pair[1]]
        common = str(names[(both & -both).bit_length() - 1])
        raise TreeFileError(
            f"{source}: {one.place} and {other.place} cannot be in one tree: both clades have "
            f"{shown(common)}, and each has taxa that the other lacks; correct one"
        )
    return Constraints.from_splits(n, masks, None, source)


def _bits(word: str, names: Sequence[str], index: TaxonIndex, where: str, by_number: bool) -> int:
    """Return the taxon of a name, or the taxa of a number or range, as bits."""
    if word in index:
        return 1 << index[word]
    number = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}|\.))?", word) if by_number else None
    if number is not None:
        first = int(number[1])
        last = len(names) if number[2] == "." else int(number[2] or first)
        if 1 <= first <= last <= len(names):
            return sum(1 << taxon for taxon in range(first - 1, last))
    hint = did_you_mean(word, names) or f", such as {shown(names[0])}; correct the name"
    raise TreeFileError(f"{where}: {shown(word)} is not one of the {len(names)} taxa{hint}")


def _tree_splits(
    tree: ParsedTree, names: Sequence[str], index: TaxonIndex, source: str
) -> tuple[list[int], int]:
    """Return the splits of a tree of some of the taxa, and these taxa, as bits."""
    where = f"{source}: {tree.place}"
    masks = [0] * len(tree.parent)
    for node in range(len(masks) - 1, -1, -1):
        if tree.is_leaf[node]:
            masks[node] = _bits(tree.labels[node] or "", names, index, where, False)
        if node:
            above = tree.parent[node]
            if masks[above] & masks[node]:
                twice = masks[above] & masks[node]
                name = names[twice.bit_length() - 1]
                raise TreeFileError(f"{where}: {shown(name)} occurs twice; remove one")
            masks[above] |= masks[node]
    taxa = masks[0]
    splits = [m for m in masks[1:] if min(m.bit_count(), (taxa & ~m).bit_count()) >= 2]
    if not splits:
        raise TreeFileError(
            f"{where}: has no clade that constrains unrooted trees; group two taxa or more, and "
            "leave two or more outside"
        )
    return splits, taxa
