"""Notes and warnings for the user, and lines on standard error, whatever the texts in them."""

from __future__ import annotations

import sys
from contextlib import suppress

from gfncore.errors import one_line

__all__ = ["Note", "say"]

_LONGEST = 10_000  # characters


class Note(str):
    """A note or warning for the user: a text, and a short code that does not depend on its wording.

    Programs ask for the code, people read the text. A note is equal to its text.

    Parameters
    ----------
    code : str
        Lower-case words joined by hyphens, such as ``low-ess``.
    text : str
        One line.

    Examples
    --------
    >>> note = Note("low-ess", "The effective sample size is low (12).")
    >>> note.code
    'low-ess'
    >>> print(note)
    The effective sample size is low (12).
    """

    code: str

    def __new__(cls, code: str, text: str) -> Note:  # noqa: D102
        note = super().__new__(cls, text)
        note.code = code
        return note

    def __getnewargs__(self) -> tuple[str, str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.code, str(self)


def say(line: str) -> None:
    """Print a line on standard error with control characters escaped.

    Nothing is printed if the stream has no reader any more, for example after the terminal was
    closed.
    """
    with suppress(OSError):
        print(one_line(line, _LONGEST), file=sys.stderr, flush=True)
