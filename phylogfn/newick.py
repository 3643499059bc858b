"""Newick text: read exactly, and written so that it reads back the same.

Names are kept verbatim: an unquoted underscore stays an underscore, an unquoted blank inside a name
stays a blank, and inside single quotes everything counts, two quotes standing for one. Comments in
square brackets are skipped, but for the weight ``[&W 0.05]`` of a tree. Labels of internal nodes
(supports) are read over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from phylogfn.errors import TreeFileError, shown
from phylogfn.newick_plain import branch_length, plain_nodes
from phylogfn.quoting import unquote
from phylogfn.tree import Tree, canonical_newick

__all__ = [
    "ParsedTree",
    "newick_lines",
    "parse_newick",
]

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<comment>\[)
      | (?P<quoted>'(?:[^']|'')*'|"[^"]*")
      | (?P<mark>[(),:;])
      | (?P<label>[^\s()\[\],:;'"](?:[^\n()\[\],:;]*[^\s()\[\],:;])?)
      | (?P<other>.)""",
    re.VERBOSE,
)
# The parts of a tree without quotes, blanks and comments, as most programs write it.
_PLAIN_START = re.compile(r"\s*((?:\[[^\[\]]*\]\s*)*)\(")
_NOT_PLAIN = re.compile(r"[\s\[\]'\"]")
_BRACKET = re.compile(r"[\[\]]")
_WEIGHT = re.compile(r"\[&W\s+([0-9.eE+-]+)(?:/([0-9.eE+-]+))?\s*\]", re.IGNORECASE)


@dataclass(frozen=True)
class ParsedTree:
    """A tree as its text has it: rooted, of any degree.

    Parameters
    ----------
    parent : list of int, length n_nodes
        The node above each node, -1 for node 0, the root; parents come before their children.
    labels : list of str or None
        The label of each node.
    lengths : list of float or None
        The branch above each node.
    is_leaf : list of bool
        Which nodes are leaves.
    weight : float
        What ``[&W ...]`` says, else 1.
    place : str
        Where the tree starts, for messages.
    taxa : tuple of str
        The taxa in the order that the file declares, where it does.
    """

    parent: list[int]
    labels: list[str | None]
    lengths: list[float | None]
    is_leaf: list[bool]
    weight: float
    place: str
    taxa: tuple[str, ...] = ()


def parse_newick(text: str, source: str, first_line: int = 1) -> Iterator[ParsedTree]:
    """Yield the trees of Newick text.

    Parameters
    ----------
    text : str
        Any number of trees, each closed by a semicolon.
    source : str
        What messages call the file.
    first_line : int, default 1
        The line of the file on which the text starts.

    Raises
    ------
    TreeFileError
        One line with the line and column at which the text goes wrong.
    """
    return _Parser(text, source, first_line).trees()


class _Parser:
    """Reads token by token; `state` says what came last.

    start   nothing of this tree          label   a name, or the label after ")"
    open    "(" or ","                    length  ":", a number must follow
    closed  ")"                           after   a length
    """

    def __init__(self, text: str, source: str, first_line: int) -> None:
        self.text, self.source, self.first_line = text, source, first_line
        self.at, self.number = 0, 0
        self.line, self.counted = first_line, 0
        self._clear()

    def _clear(self) -> None:
        self.state, self.node, self.weight = "start", 0, 1.0
        self.parent: list[int] = [-1]
        self.labels: list[str | None] = [None]
        self.lengths: list[float | None] = [None]
        self.is_leaf = [False]

    def _fail(self, at: int, what: str) -> TreeFileError:
        line = self.first_line + self.text.count("\n", 0, at)
        column = at - self.text.rfind("\n", 0, at)
        return TreeFileError(f"{self.source}: line {line}, column {column}: {what}")

    def trees(self) -> Iterator[ParsedTree]:
        while self.at < len(self.text):
            tree = self._plain_tree() or self._next_tree()
            if tree is not None:
                yield tree
                self._clear()

    def _plain_tree(self) -> ParsedTree | None:
        """Return the next tree by a short cut, or None where it needs reading token by token."""
        match = _PLAIN_START.match(self.text, self.at)
        end = self.text.find(";", self.at)
        if match is None or end < match.end() or _NOT_PLAIN.search(self.text, match.end(), end):
            return None
        start = match.end() - 1
        draft = plain_nodes(self.text[start:end])
        if draft is None:
            return None
        self._count_tree(start)
        self.at = end + 1
        for comment in re.findall(r"\[[^\]]*\]", match[1]):
            self.weight = _weight(comment, self.weight)
        return ParsedTree(*draft, self.weight, f"tree {self.number} (line {self.line})")

    def _tokens(self) -> Iterator[tuple[str, str, int]]:
        """Yield kind, text and offset of each token but blanks and comments; keep weights."""
        while self.at < len(self.text):
            match = _TOKEN.match(self.text, self.at)
            assert match is not None  # the last alternative matches anything
            here, self.at = self.at, match.end()
            if match.lastgroup == "comment":
                self.at = _after_comment(self.text, here)
                if self.at < 0:
                    raise self._fail(here, "the comment '[' is never closed; add ']'")
                self.weight = _weight(self.text[here : self.at], self.weight)
            elif match.lastgroup != "blank":
                yield str(match.lastgroup), match[0], here

    def _next_tree(self) -> ParsedTree | None:
        for kind, token, at in self._tokens():
            if kind == "other":
                raise self._fail(at, f"the quote {token} is never closed; double quotes in names")
            if self.state == "start":
                self._start(token, at)
            elif kind in ("label", "quoted"):
                self._label(token, at)
            elif self.state == "length":
                raise self._fail(at, f"a branch length is missing before {shown(token)}")
            elif token == "(":
                if self.state != "open":
                    raise self._fail(at, "'(' must follow '(' or ','; a comma is missing")
                self.is_leaf[self.node] = False
                self._descend(self.node)
            elif token == ":":
                if self.state not in ("label", "closed"):
                    raise self._fail(at, "':' must follow a name or ')'")
                self.state = "length"
            elif token == ";":
                return self._finish(at)
            else:
                self._end_subtree(token, at)
        if self.state != "start":
            end = len(self.text.rstrip())
            raise self._fail(end, "the tree ends without ';'; the file may be cut short")
        return None

    def _start(self, token: str, at: int) -> None:
        if token != "(":
            raise self._fail(at, f"a tree starts with '(', found {shown(token)}")
        self._count_tree(at)
        self._descend(0)

    def _count_tree(self, at: int) -> None:
        self.number += 1
        self.line += self.text.count("\n", self.counted, at)
        self.counted = at

    def _descend(self, above: int) -> None:
        self.node = len(self.parent)
        self.parent.append(above)
        self.labels.append(None)
        self.lengths.append(None)
        self.is_leaf.append(True)
        self.state = "open"

    def _label(self, token: str, at: int) -> None:
        if self.state == "length":
            length = self.lengths[self.node] = branch_length(token)
            if length is None:
                raise self._fail(at, f"{shown(token)} is no branch length; give a number >= 0")
            self.state = "after"
        elif self.state in ("open", "closed"):
            self.labels[self.node] = token[1:-1] if token[0] == '"' else unquote(token)
            self.state = "label"
        else:
            raise self._fail(
                at, f"{shown(token)} must not stand here; ',' or ')' is missing before it"
            )

    def _end_subtree(self, token: str, at: int) -> None:
        if self.state == "open":
            raise self._fail(at, f"a name or '(' is missing before {shown(token)}")
        if self.node == 0:
            raise self._fail(at, f"{shown(token)} comes after the last ')'; '(' or ';' is missing")
        above = self.parent[self.node]
        if token == ",":
            self._descend(above)
        else:
            self.node, self.state = above, "closed"

    def _finish(self, at: int) -> ParsedTree:
        if self.state == "open":
            raise self._fail(at, "a name or '(' is missing before ';'")
        if self.node:
            raise self._fail(at, "the tree is not closed; a ')' is missing before ';'")
        return ParsedTree(
            self.parent,
            self.labels,
            self.lengths,
            self.is_leaf,
            self.weight,
            f"tree {self.number} (line {self.line})",
        )


def _after_comment(text: str, start: int) -> int:
    depth = 0
    for match in _BRACKET.finditer(text, start):
        depth += 1 if match[0] == "[" else -1
        if depth == 0:
            return match.end()
    return -1


def _weight(comment: str, default: float) -> float:
    match = _WEIGHT.match(comment)
    try:
        return float(match[1]) / float(match[2] or 1) if match else default
    except (ValueError, ZeroDivisionError):
        return default


def newick_lines(
    trees: Iterable[Tree], names: Sequence[str], lengths: bool = True
) -> Iterator[str]:
    """Yield one line of canonical Newick text a tree, line end included."""
    for tree in trees:
        yield canonical_newick(tree, names, lengths) + "\n"
