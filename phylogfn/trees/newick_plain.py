"""Fast path for plain Newick text without quotes, blanks and comments.

Files of many trees are nearly always of this kind, and are read in half the time. Text that cannot
be read here is read again, token by token, by `phylogfn.trees.newick`, which also produces the
error messages.
"""

from __future__ import annotations

import re

from gfncore.text.numbers import NumberError, parse_float

__all__ = ["branch_length", "plain_nodes"]

_PLAIN_NODE = re.compile(r"([(,)])([^(),:;]*)(?::([0-9.eE+-]{1,400}))?")


# Squares and sums of lengths must be finite numbers too.
_LONGEST_BRANCH = 1e100


def branch_length(token: str) -> float | None:
    """Return a number from 0 to 1e100, or None for any other text."""
    try:
        return abs(parse_float(token, 0.0, _LONGEST_BRANCH))  # abs: -0 is 0
    except NumberError:
        return None


def plain_nodes(
    text: str,
) -> tuple[list[int], list[str | None], list[float | None], list[bool]] | None:
    """Return parents, labels, lengths and leaves of text without blanks; None if malformed."""
    parent, node, used = [-1], 0, 0
    labels: list[str | None] = [None]
    lengths: list[float | None] = [None]
    is_leaf = [False]
    after = "("  # the mark before this one: "(" and "," must have a name or "(" after them
    for mark, label, length in _PLAIN_NODE.findall(text):
        used += 1 + len(label) + (len(length) + 1 if length else 0)
        opened = after != ")" and labels[node] is None and len(parent) > 1
        after = mark
        if mark == ")":
            if opened or node == 0:
                return None
            node = parent[node]
        else:
            if mark == "(":
                if not opened and len(parent) > 1:
                    return None
                is_leaf[node] = False
                parent.append(node)
            elif opened or node == 0:
                return None
            else:
                parent.append(parent[node])
            node = len(parent) - 1
            labels.append(None)
            lengths.append(None)
            is_leaf.append(True)
        if label:
            labels[node] = label
        if length:
            try:
                value = float(length)  # only digits, points, signs and e: strict enough
            except ValueError:
                return None
            if not 0 <= value <= _LONGEST_BRANCH or (mark != ")" and not label):
                return None
            lengths[node] = abs(value)
    return (parent, labels, lengths, is_leaf) if node == 0 and used == len(text) else None
