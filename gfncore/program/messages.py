"""Lines for the user on standard error, whatever the names and texts in them."""

from __future__ import annotations

import sys
from contextlib import suppress

from gfncore.errors import one_line

__all__ = ["say"]

_LONGEST = 10_000  # characters


def say(line: str) -> None:
    """Print a line on standard error with control characters escaped.

    Nothing is printed if the stream has no reader any more, for example after the terminal was
    closed.
    """
    with suppress(OSError):
        print(one_line(line, _LONGEST), file=sys.stderr, flush=True)
