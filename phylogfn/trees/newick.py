"""Newick text: exact reading, and writing that can be read back exactly.

Names are kept verbatim: an unquoted underscore remains an underscore, an unquoted blank inside a
name remains a blank, and inside single quotes everything is literal, with two quotes representing
one. Comments in square brackets are skipped, except for the weight ``[&W 0.05]`` of a tree, and so
are Mesquite's ``<color = 5 >``. Labels of internal nodes (supports) are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gfncore.text.numbers import NumberError, parse_float
from phylogfn.errors import TreeFileError, shown
from phylogfn.text.quoting import unquote
from phylogfn.trees.newick_plain import branch_length, plain_nodes
from phylogfn.trees.tree import Tree, canonical_newick

__all__ = [
    "ParsedTree",
    "newick_lines",
    "parse_newick",
]

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<comment>\[)
      | (?P<note><\s*\w+\s*=[^<>;]*>)
      | (?P<quoted>'(?:[^'\n]|'')*'|"[^"\n]*")
      | (?P<mark>[(),:;])
      | (?P<label>[^\s()\[\],:;'"]
          (?:(?:[^\n()\[\],:;<]|<(?!\s*\w+\s*=[^<>;]*>))*
             (?:[^\s()\[\],:;<]|<(?!\s*\w+\s*=[^<>;]*>)))?)
      | (?P<other>.)""",
    re.VERBOSE,
)
# The parts of a tree without quotes, blanks and comments, as most programs write it.
_PLAIN_START = re.compile(r"\s*((?:\[[^\[\]]*\]\s*)*)\(")
_NOT_PLAIN = re.compile(r"[\s\[\]'\"<]")
_BRACKET = re.compile(r"[\[\]]")
_WEIGHT = re.compile(r"\[&W(?=[\s=\]])(.*)\]", re.IGNORECASE | re.DOTALL)
_LARGEST_WEIGHT = 1e100  # sums of weights must be finite numbers too
_BLANK = re.compile(r"\s")
_OTHER = {
    "'": "the quote ' is never closed on its line; double quotes in names",
    '"': 'the quote " is never closed on its line',
    "]": "']' without '[' before it; remove it",
}
# The fractional part of a number with a decimal comma.
_FRACTION = re.compile(r"[0-9]+(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class ParsedTree:
    """A tree as in its text: rooted, of any degree.

    Parameters
    ----------
    parent : list of int, length n_nodes
        The node above each node, -1 for node 0, the root; parents come before their children.
    labels : list of str or None
        The label of each node.
    lengths : list of float or None
        The branch above each node.
    is_leaf : list of bool
        Whether each node is a leaf.
    weight : float
        Value of ``[&W ...]``, otherwise 1.
    place : str
        Position of the tree, for messages.
    taxa : tuple of str
        The taxa in the order declared in the file, if any.
    notes : tuple of str
        Notes for the user about reading the text.
    name : str
        Name of the tree in a NEXUS file.
    """

    parent: list[int]
    labels: list[str | None]
    lengths: list[float | None]
    is_leaf: list[bool]
    weight: float
    place: str
    taxa: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""


def parse_newick(
    text: str, source: str, first_line: int = 1, first_column: int = 1
) -> Iterator[ParsedTree]:
    """Yield the trees of Newick text.

    Parameters
    ----------
    text : str
        Any number of trees, each closed by a semicolon.
    source : str
        Name of the file for messages.
    first_line, first_column : int, default 1
        Line and column of the file at which the text starts.

    Raises
    ------
    TreeFileError
        The text is invalid; the message is one line with line and column of the error.
    """
    return _Parser(text, source, first_line, first_column).trees()


class _Parser:
    """Parser of tokens; `state` is the kind of the last token.

    start   nothing of this tree          label   a name, or the label after ")"
    open    "(" or ","                    length  ":", a number must follow
    closed  ")"                           after   a length
    """

    def __init__(self, text: str, source: str, first_line: int, first_column: int) -> None:
        self.text, self.source = text, source
        self.first_line, self.first_column = first_line, first_column
        self.at, self.number = 0, 0
        self.line, self.counted = first_line, 0
        self._clear()

    def _clear(self) -> None:
        self.state, self.node = "start", 0
        self.weight: float | None = None
        self.blank_name: str | None = None
        self.parent: list[int] = [-1]
        self.labels: list[str | None] = [None]
        self.lengths: list[float | None] = [None]
        self.is_leaf = [False]

    def _fail(self, at: int, what: str) -> TreeFileError:
        line = self.first_line + self.text.count("\n", 0, at)
        column = at - self.text.rfind("\n", 0, at)
        if "\n" not in self.text[:at]:
            column += self.first_column - 1
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
        for comment in re.finditer(r"\[[^\]]*\]", match[1]):
            self._read_weight(comment[0], match.start(1) + comment.start())
        self.at = end + 1
        self.parent, self.labels, self.lengths, self.is_leaf = draft
        return self._tree()

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
                self._read_weight(self.text[here : self.at], here)
            elif match.lastgroup not in ("blank", "note"):
                yield str(match.lastgroup), match[0], here

    def _next_tree(self) -> ParsedTree | None:
        for kind, token, at in self._tokens():
            if kind == "other":
                raise self._fail(at, _OTHER.get(token, f"{shown(token)} is not allowed here"))
            if self.state == "start":
                self._start(token, at)
            elif kind in ("label", "quoted"):
                self._label(token, at)
            elif self.state == "length":
                raise self._fail(at, f"a branch length is missing before {shown(token)}")
            elif token == "(":
                if self.state != "open":
                    mark = "comma" if self.node else "';' at the end of the tree before it"
                    raise self._fail(at, f"'(' must follow '(' or ','; a {mark} is missing")
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
                raise self._fail(at, _length_problem(token))
            self.state = "after"
        elif self.state in ("open", "closed"):
            if token[0] not in "'\"" and token[-1] in "'\"":
                raise self._fail(at, f"the quote at the end of {shown(token)} has no opening quote")
            self.labels[self.node] = token[1:-1] if token[0] == '"' else unquote(token)
            if token[0] not in "'\"" and _BLANK.search(token) and self.blank_name is None:
                self.blank_name = token
            self.state = "label"
        else:
            raise self._fail(
                at, f"{shown(token)} is not allowed here; ',' or ')' is missing before it"
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
            raise self._fail(at, "a ')' is missing before ';'")
        return self._tree()

    def _tree(self) -> ParsedTree:
        """Return the tree, after a check for misinterpreted numbers."""
        place = f"tree {self.number} (line {self.line})"
        if problem := _decimal_comma(self.parent, self.labels, self.lengths, self.is_leaf):
            raise TreeFileError(f"{self.source}: {place}: {problem}")
        notes = ()
        if self.blank_name is not None:
            notes = (
                f"names with blanks and without quotes, such as {shown(self.blank_name)}, are read "
                "with their blanks; a comma may be missing",
            )
        weight = 1.0 if self.weight is None else self.weight
        return ParsedTree(
            self.parent, self.labels, self.lengths, self.is_leaf, weight, place, notes=notes
        )

    def _read_weight(self, comment: str, at: int) -> None:
        """Read ``[&W 0.05]`` or ``[&W 1/20]`` before a tree; skip other comments."""
        match = _WEIGHT.fullmatch(comment)
        if match is None:
            return
        if self.state != "start" or self.weight is not None:
            raise self._fail(at, f"{shown(comment)}: a weight stands before its tree, and once")
        above, slash, below = match[1].partition("/")
        try:
            weight = parse_float(above.strip(), 0.0, _LARGEST_WEIGHT)
            if slash:
                weight /= parse_float(below.strip(), above=0.0, high=_LARGEST_WEIGHT)
            if not weight <= _LARGEST_WEIGHT:
                raise NumberError(f"larger than {_LARGEST_WEIGHT:g}")
        except NumberError as problem:
            raise self._fail(at, f"{shown(comment)} as the weight of a tree: {problem}") from None
        self.weight = weight


def _length_problem(token: str) -> str:
    """Return the problem of a branch length."""
    try:
        parse_float(token, 0.0)
    except NumberError as problem:
        if "out of range" in str(problem) or token.lower().strip("+-") in ("nan", "inf"):
            return f"{shown(token)} is not a branch length; give a finite number >= 0"
        return f"{shown(token)} is not a branch length; a comma or ')' may be missing after one"
    return f"the branch length {token} is too large"


def _decimal_comma(
    parent: list[int],
    labels: list[str | None],
    lengths: list[float | None],
    is_leaf: list[bool],
) -> str | None:
    """Return the problem if leaves look like fractional parts of numbers with decimal commas.

    ``(A:0,1,B:0,2)`` parses as four leaves, of which '1' and '2' have no length; and
    ``((A,B)0,95,C)`` has a leaf '95' after an internal node called '0'.
    """
    cure = "write numbers with a decimal point, as in 0.1"
    missing = [node for node in range(1, len(parent)) if lengths[node] is None]
    for node in missing if len(missing) < len(parent) - 1 else ():
        label = labels[node]
        if is_leaf[node] and label and _FRACTION.fullmatch(label):
            return (
                f"the leaf {shown(label)} has no branch length although others have one, which "
                f"looks like decimal commas; {cure}, and all branch lengths or none"
            )
    names = [label for label, leaf in zip(labels, is_leaf, strict=True) if leaf and label]
    numeric = [bool(_FRACTION.fullmatch(name)) for name in names]
    if not any(numeric) or all(numeric):
        return None
    before: dict[int, int] = {}
    for node in range(1, len(parent)):
        sister = before.get(parent[node])
        before[parent[node]] = node
        if sister is None or is_leaf[sister] or not is_leaf[node] or lengths[sister] is not None:
            continue
        label, support = labels[node] or "", labels[sister] or ""
        # A support of 1 or 100 before a taxon called 5 is sound, and this program writes it.
        if _FRACTION.fullmatch(label) and (
            support == "0" or (support.isdigit() and label[0] == "0" and len(label) > 1)
        ):
            return (
                f"the leaf {shown(label)} after the support {shown(support)} looks like a decimal "
                f"comma; {cure}"
            )
    return None


def _after_comment(text: str, start: int) -> int:
    depth = 0
    for match in _BRACKET.finditer(text, start):
        depth += 1 if match[0] == "[" else -1
        if depth == 0:
            return match.end()
    return -1


def newick_lines(
    trees: Iterable[Tree], names: Sequence[str], lengths: bool = True
) -> Iterator[str]:
    """Yield one line of canonical Newick text a tree, line end included."""
    for tree in trees:
        yield canonical_newick(tree, names, lengths) + "\n"
