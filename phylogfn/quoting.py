"""Quoting of taxon names in Newick and NEXUS text.

A name is written as it is whenever every reader takes it as it is, otherwise between single
quotes with inner single quotes doubled (the Newick standard of 1986, and NEXUS: Maddison,
Swofford & Maddison, Syst. Biol. 46:590, 1997). An underscore is never a reason to quote: the
standards turn an unquoted one into a blank, but most programs, ours among them, do not, and many
do not understand quotes.
"""

from __future__ import annotations

import re

__all__ = ["quote_newick", "quote_nexus", "unquote"]

# Beyond what the standard says: = { } \ and ", which DendroPy takes for punctuation.
_NEWICK_SPECIAL = re.compile(r"[\s()\[\]{}:;,='\"\\]")
# NEXUS adds punctuation of its own; the hyphen is left alone, as every reader allows it in names.
_NEXUS_SPECIAL = re.compile(r"[\s()\[\]{}/\\,;:=*'\"`+<>]")


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def quote_newick(name: str) -> str:
    """Return `name` as a Newick label, between quotes only where needed."""
    return _quoted(name) if not name or _NEWICK_SPECIAL.search(name) else name


def quote_nexus(name: str) -> str:
    """Return `name` as a NEXUS token, between quotes only where needed."""
    return _quoted(name) if not name or _NEXUS_SPECIAL.search(name) else name


def unquote(token: str) -> str:
    """Return the name that a token stands for; a token without quotes is returned verbatim."""
    if len(token) >= 2 and token[0] == token[-1] == "'":
        return token[1:-1].replace("''", "'")
    return token
