"""Quoting of taxon names in Newick and NEXUS text.

A name is written unchanged if every reader accepts it, otherwise between single quotes with inner
single quotes doubled (the Newick standard of 1986, and NEXUS: Maddison, Swofford & Maddison, Syst.
Biol. 46:590, 1997). An underscore is not a reason to quote: the standards convert an unquoted one
to a blank, but most programs, including this one, do not, and many do not understand quotes. Only
names that differ in nothing else, such as ``a b`` and ``a_b``, are all quoted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["newick_labels", "nexus_labels", "quote_newick", "quote_nexus", "unquote"]

# In addition to the standard: = { } \ and ", which are punctuation for DendroPy.
_NEWICK_SPECIAL = re.compile(r"[\s()\[\]{}:;,='\"\\]")
# NEXUS has further punctuation; the hyphen is excluded, because all readers allow it in names.
_NEXUS_SPECIAL = re.compile(r"[\s()\[\]{}/\\,;:=*'\"`+<>]")


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def quote_newick(name: str) -> str:
    """Return `name` as a Newick label, between quotes only where needed."""
    return _quoted(name) if not name or _NEWICK_SPECIAL.search(name) else name


def quote_nexus(name: str) -> str:
    """Return `name` as a NEXUS token, between quotes only where needed."""
    return _quoted(name) if not name or _NEXUS_SPECIAL.search(name) else name


def newick_labels(names: Sequence[str]) -> tuple[str, ...]:
    """Return the Newick labels of the taxa of one file.

    Examples
    --------
    >>> newick_labels(["a b", "a_b", "c_d"])
    ("'a b'", "'a_b'", 'c_d')
    """
    return _labels(tuple(names), False)


def nexus_labels(names: Sequence[str]) -> tuple[str, ...]:
    """Return the NEXUS tokens of the taxa of one file; see `newick_labels`."""
    return _labels(tuple(names), True)


@lru_cache(maxsize=8)
def _labels(names: tuple[str, ...], nexus: bool) -> tuple[str, ...]:
    quote = quote_nexus if nexus else quote_newick
    counts = Counter(name.replace("_", " ") for name in names)
    return tuple(
        _quoted(name) if "_" in name and counts[name.replace("_", " ")] > 1 else quote(name)
        for name in names
    )


def unquote(token: str) -> str:
    """Return the name represented by a token; a token without quotes is returned verbatim."""
    if len(token) >= 2 and token[0] == token[-1] == "'":
        return token[1:-1].replace("''", "'")
    return token
