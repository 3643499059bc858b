"""Names that a user may have meant: those at a small edit distance, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest", "without_far_hints"]

_HINT = re.compile(
    r'Unknown (?:option|command):? "?(?P<name>[^\s".]+)"?\. (?P<hint>Did you mean '
    r'"?(?P<near>[^\s"?]+)"?\? ?)'
)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name of which `name` is most likely a misspelling, or None.

    Case, ``-`` and ``_`` are ignored. At most one edit (an insertion, deletion, substitution, or
    transposition of neighbours) per three letters is accepted, so that a name of another program
    gives no hint. A name of at least four letters that is contained in a known one, or contains it,
    is also accepted if it is at least half as long.

    Examples
    --------
    >>> nearest("wieght", ["type", "weight"])
    'weight'
    >>> nearest("run_type", ["ring_sizes", "max_rings"]) is None
    True
    """
    plain = _plain(name)
    ranked = []
    for place, entry in enumerate(known):
        other = _plain(entry)
        short, long = sorted((plain, other), key=len)
        inside = len(short) >= 4 and short in long and 2 * len(short) >= len(long)
        limit = max(1, len(plain) // 3)
        if abs(len(plain) - len(other)) > limit and not inside:
            continue
        distance = _edits(plain, other)
        if (distance <= limit and distance < len(plain)) or inside:
            ranked.append((distance, place, entry))
    return min(ranked)[2] if ranked else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean '...'?"`` for the nearest known name, or nothing.

    Examples
    --------
    >>> did_you_mean("buget", ["budget", "seed"])
    "; did you mean 'budget'?"
    """
    near = nearest(name, known)
    return f"; did you mean '{near}'?" if near else ""


def without_far_hints(message: str) -> str:
    """Return a message of the command-line library without a hint at a name that is not near."""
    found = _HINT.search(message)
    if found is None or nearest(found["name"].lstrip("-"), [found["near"].lstrip("-")]):
        return message
    return message.replace(found["hint"], "").rstrip()


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _edits(one: str, other: str) -> int:
    """Return the distance of Damerau and Levenshtein, neighbours transposed once."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            edits = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                edits = min(edits, earlier[j - 2] + 1)
            row.append(edits)
    return row[-1]
