"""Trees of NEXUS files: read with TRANSLATE and TAXLABELS, and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from phylogfn.errors import TreeFileError, shown
from phylogfn.text.nexus import Command, blocks, tokens
from phylogfn.text.quoting import nexus_labels, quote_nexus, unquote
from phylogfn.trees.newick import ParsedTree, parse_newick
from phylogfn.trees.tree import Tree, canonical_newick

__all__ = ["nexus_trees", "nexus_trees_text"]

_TREE_HEAD = re.compile(r"\s*\*?\s*('(?:[^']|'')*'|\"[^\"]*\"|[^\s=\[]+)\s*(\[[^\]]*\]\s*)*=")
_WEIGHT = re.compile(r"\[&W[\s=\]][^\]]*\]?", re.IGNORECASE)
_PAIR = re.compile(r"""(?:'(?:[^'\n]|'')*'|"[^"\n]*"|[^,])+""")
_KEY_AND_NAME = re.compile(r"\s*('(?:[^']|'')*'|\S+)\s+(\S.*?)\s*", re.DOTALL)


def nexus_trees(text: str, source: str) -> Iterator[ParsedTree]:
    """Yield the trees of all trees blocks, their leaves named by TRANSLATE or TAXLABELS.

    Raises TreeFileError when the file is malformed.
    """
    labels: list[str] = []
    number = 0
    unclosed: list[str] = []
    for block, commands in blocks(text, source, TreeFileError, keep="&", unclosed=unclosed):
        labels = _tax_labels(block, commands) or labels
        known = set(labels)
        if block != "trees":
            continue
        translate: dict[str, str] = {}
        for command in commands:
            if command.name == "translate":
                _translate(command, source, translate)
            if command.name not in ("tree", "utree"):
                continue
            number += 1
            head = _TREE_HEAD.match(command.text)
            if head is None:
                found = shown(f"tree {command.text}")
                raise TreeFileError(
                    f"{source}: line {command.line}: {found} is not of the form "
                    "'tree NAME = (...);'"
                )
            line = command.line + head[0].count("\n")
            _, line_end, tail = head[0].rpartition("\n")
            column = 1 + len(tail) + (0 if line_end else command.column - 1)
            # A weight counts on either side of the equals sign.
            weights = "".join(_WEIGHT.findall(head[0]))
            column -= len(weights)
            newick = weights + command.text[head.end() :] + ";"
            for parsed in parse_newick(newick, source, line, column):
                names = [_full_name(label, translate, labels, known) for label in parsed.labels]
                kept = [
                    name if leaf else label
                    for name, label, leaf in zip(names, parsed.labels, parsed.is_leaf, strict=True)
                ]
                yield replace(
                    parsed,
                    labels=kept,
                    place=f"tree {number} (line {line})",
                    taxa=tuple(translate.values() or labels),
                    notes=(*parsed.notes, *unclosed),
                    name=unquote(head[1]),
                )


def _tax_labels(block: str, commands: list[Command]) -> list[str]:
    found = [c for c in commands if c.name == "taxlabels" and block in ("taxa", "data")]
    return tokens(found[0].text) if found else []


def _translate(command: Command, source: str, translate: dict[str, str]) -> None:
    """Add the pairs of a TRANSLATE command to a table."""
    for pair in _PAIR.findall(command.text):
        match = _KEY_AND_NAME.fullmatch(pair)
        if match is None:
            if not pair.strip():
                continue  # a comma after the last pair
            raise TreeFileError(
                f"{source}: line {command.line}: translate {shown(pair)} is not a pair "
                "'number name'"
            )
        key, name = unquote(match[1]), match[2]
        name = name[1:-1] if name[:1] == name[-1:] == '"' and len(name) > 1 else unquote(name)
        if translate.setdefault(key, name) != name:
            raise TreeFileError(
                f"{source}: line {command.line}: translate gives {shown(key)} twice, as "
                f"{shown(translate[key])} and {shown(name)}; each taxon needs a key of its own"
            )


def _full_name(
    label: str | None, translate: dict[str, str], labels: list[str], known: set[str]
) -> str | None:
    if label is None or label in translate:
        return label if label is None else translate[label]
    if label in known or not (label.isascii() and label.isdigit() and len(label) < 10):
        return label
    # NEXUS lets taxa go by their number without TRANSLATE, unless that is another's name.
    return labels[int(label) - 1] if 0 < int(label) <= len(labels) else label


def nexus_trees_text(
    trees: Iterable[tuple[str, Tree, float | None]],
    names: Sequence[str],
    lengths: bool = True,
) -> Iterator[str]:
    """Yield the lines of a NEXUS file with one trees block, line ends included.

    Parameters
    ----------
    trees : iterable of (str, Tree, float or None)
        Label, tree and weight (written as ``[&W ...]``) of each.
    names : sequence of str, length n
        The taxa; the block's TRANSLATE numbers them from 1.
    lengths : bool, default True
        Write branch lengths.
    """
    numbers = [str(i) for i in range(1, len(names) + 1)]
    yield "#NEXUS\n\nbegin trees;\n    translate\n"
    for number, label in zip(numbers, nexus_labels(names), strict=True):
        yield f"        {number} {label}{';' if number == numbers[-1] else ','}\n"
    for label, tree, weight in trees:
        comment = "" if weight is None else f"[&W {weight!r}] "
        newick = canonical_newick(tree, numbers, lengths)
        yield f"    tree {quote_nexus(label)} = [&U] {comment}{newick}\n"
    yield "end;\n"
