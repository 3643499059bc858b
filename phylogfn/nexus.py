"""NEXUS files: comments, blocks and commands (Maddison et al., Syst. Biol. 46:590, 1997).

Reading is lenient where programs differ: case does not matter, quotes may be single or double, an
unquoted underscore stays an underscore, and blocks that nobody asked for are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gfncore.errors import UserError
from phylogfn.errors import TreeFileError, shown
from phylogfn.newick import ParsedTree, parse_newick
from phylogfn.quoting import quote_nexus, unquote
from phylogfn.tree import Tree, canonical_newick

__all__ = ["Command", "blank_comments", "blocks", "nexus_trees", "nexus_trees_text", "tokens"]

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|[,;=(){}/]|[^\s,;=(){}/'"]+|['"]""")

_TREE_HEAD = re.compile(r"\s*\*?\s*('(?:[^']|'')*'|\"[^\"]*\"|[^\s=\[]+)\s*(\[[^\]]*\]\s*)*=")


@dataclass(frozen=True)
class Command:
    """One command of a block.

    Parameters
    ----------
    name : str
        The first word, in lower case.
    text : str
        What follows it, up to the semicolon.
    line, column : int
        Where in the file the text starts, from 1.
    """

    name: str
    text: str
    line: int
    column: int


def blank_comments(text: str, source: str, error: type[UserError], keep: str = "") -> str:
    """Return the text with comments replaced by blanks, line ends kept.

    Parameters
    ----------
    text : str
        The content of a file.
    source : str
        What messages call it.
    error : type
        The class of the error for a comment that is never closed.
    keep : str
        Comments that start with ``[`` and one of these characters stay.
    """
    if "[" not in text:
        return text
    out: list[str] = []
    at = passed = 0  # the end of what is in `out`, and of what was looked at: quotes of comments
    start_or_quote = re.compile(r"\[|'(?:[^'\n]|'')*'")
    while match := start_or_quote.search(text, passed):
        start, passed = match.span()
        if match[0] != "[":
            continue
        end = passed = _comment_end(text, start)
        if end < 0:
            line = text.count("\n", 0, start) + 1
            raise error(f"{source}: line {line}: a comment '[' is never closed; add ']'")
        comment = text[start:end]
        if not (keep and comment[1:2] in keep):
            comment = re.sub(r"[^\n]", " ", comment)
        out += [text[at:start], comment]
        at = end
    return "".join(out) + text[at:]


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"[\[\]]").finditer(text, start):
        depth += 1 if match[0] == "[" else -1
        if depth == 0:
            return match.end()
    return -1


def tokens(text: str) -> list[str]:
    """Return the tokens of a command, quotes removed."""
    return [
        token[1:-1] if token[0] == token[-1] == '"' and len(token) > 1 else unquote(token)
        for token in _TOKEN.findall(text)
    ]


def _commands(text: str) -> Iterator[tuple[int, str]]:
    """Yield the offset and text of each command; a semicolon between quotes ends none."""
    start = 0
    for match in re.finditer(r"'(?:[^'\n]|'')*'|\"[^\"\n]*\"|;", text):
        if match[0] == ";":
            yield start, text[start : match.start()]
            start = match.end()
    if text[start:].strip():
        yield start, text[start:]


def blocks(
    text: str, source: str, error: type[UserError], keep: str = ""
) -> Iterator[tuple[str, list[Command]]]:
    """Yield the name (lower case) and the commands of each block of a NEXUS file.

    Parameters
    ----------
    text, source, error, keep
        As in `blank_comments`.

    Raises
    ------
    error
        When a comment or a block is not closed.
    """
    text = blank_comments(text, source, error, keep)
    head = re.match(r"\s*#nexus", text, re.IGNORECASE)
    offset = head.end() if head else 0
    current: str | None = None
    commands: list[Command] = []
    line, counted, opened = 1, 0, 0
    for start, body in _commands(text[offset:]):
        match = re.match(r"\s*(\[[^\]]*\]\s*)*([^\s=]*)\s*", body)
        if match is None or not body.strip():
            continue
        name, rest = match[2].lower(), body[match.end() :].rstrip()
        at = offset + start + match.start(2)
        line += text.count("\n", counted, at)
        counted = at
        if name == "begin":
            current, commands, opened = " ".join(rest.lower().split()), [], line
        elif name in ("end", "endblock"):
            if current is not None:
                yield current, commands
            current = None
        elif current is not None:
            begin = offset + start + match.end()
            column = begin - text.rfind("\n", 0, begin)
            commands.append(Command(name, rest, line + text.count("\n", at, begin), column))
    if current is not None:
        raise error(
            f"{source}: line {opened}: the {current} block has no 'end;'; the file may be cut short"
        )


def nexus_trees(text: str, source: str) -> Iterator[ParsedTree]:
    """Yield the trees of all trees blocks, their leaves named by TRANSLATE or TAXLABELS.

    Raises TreeFileError when the file is malformed.
    """
    labels: list[str] = []
    number = 0
    for block, commands in blocks(text, source, TreeFileError, keep="&"):
        labels = _tax_labels(block, commands) or labels
        if block != "trees":
            continue
        translate: dict[str, str] = {}
        for command in commands:
            if command.name == "translate":
                translate |= _translations(command, source)
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
            # Blanks in place of what stood before it on its line, so that columns are the file's.
            before = len((" " * (command.column - 1) + head[0]).rpartition("\n")[2])
            newick = " " * before + command.text[head.end() :]
            for parsed in parse_newick(newick + ";", source, line):
                names = [_full_name(label, translate, labels) for label in parsed.labels]
                kept = [
                    name if leaf else label
                    for name, label, leaf in zip(names, parsed.labels, parsed.is_leaf, strict=True)
                ]
                yield replace(
                    parsed,
                    labels=kept,
                    place=f"tree {number} (line {line})",
                    taxa=tuple(translate.values() or labels),
                )


def _tax_labels(block: str, commands: list[Command]) -> list[str]:
    found = [c for c in commands if c.name == "taxlabels" and block in ("taxa", "data")]
    return tokens(found[0].text) if found else []


def _translations(command: Command, source: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for pair in re.findall(r"(?:'(?:[^']|'')*'|[^,'])+", command.text):
        match = re.match(r"\s*('(?:[^']|'')*'|\S+)\s+(.*?)\s*$", pair, re.DOTALL)
        if match is None:
            if not pair.strip():
                continue  # a comma after the last pair
            raise TreeFileError(
                f"{source}: line {command.line}: translate {shown(pair)} is not a pair "
                "'number name'"
            )
        name = match[2]
        out[unquote(match[1])] = name[1:-1] if name[:1] == name[-1:] == '"' else unquote(name)
    return out


def _full_name(label: str | None, translate: dict[str, str], labels: list[str]) -> str | None:
    if label is None or label in translate:
        return label if label is None else translate[label]
    if label.isascii() and label.isdigit() and 0 < int(label) <= len(labels):
        # NEXUS lets taxa go by their number without TRANSLATE, unless that is another's name.
        return label if label in labels else labels[int(label) - 1]
    return label


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
    for number, name in zip(numbers, names, strict=True):
        yield f"        {number} {quote_nexus(name)}{';' if number == numbers[-1] else ','}\n"
    for label, tree, weight in trees:
        comment = "" if weight is None else f"[&W {weight!r}] "
        newick = canonical_newick(tree, numbers, lengths)
        yield f"    tree {quote_nexus(label)} = [&U] {comment}{newick}\n"
    yield "end;\n"
