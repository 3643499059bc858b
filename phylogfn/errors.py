"""Errors in the files that a user hands in; each message is one line."""

from __future__ import annotations

from gfncore.errors import UserError

__all__ = ["AlignmentError", "TreeFileError", "quoted_list", "shown"]


class AlignmentError(UserError):
    """An alignment that cannot be used: names the file, the taxon and the place."""


class TreeFileError(UserError):
    """A tree file that cannot be used: names the file, the line and the column."""


def quoted_list(names: list[str], limit: int = 5) -> str:
    """Return ``'a', 'b', 'c' and 4 more`` for a message."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def shown(text: str, limit: int = 40) -> str:
    """Return text that was found, between quotes, on one line and cut to `limit` characters."""
    text = " ".join(text.split())
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")
