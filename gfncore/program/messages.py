"""Lines for the user on standard error, whatever the names and texts in them."""

from __future__ import annotations

import sys
from contextlib import suppress

from gfncore.errors import one_line

__all__ = ["say"]

_LONGEST = 10_000  # characters


def say(line: str) -> None:
    """Print a line on standard error, control characters escaped.

    Where nobody reads any more, as when the terminal was closed, nothing is said.
    """
    with suppress(OSError):
        print(one_line(line, _LONGEST), file=sys.stderr, flush=True)
