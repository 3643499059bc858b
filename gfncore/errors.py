"""Errors that a user can mend: one line, exit code 2, never a traceback."""

from __future__ import annotations

import re

__all__ = ["UserError", "one_line"]

_LINE_ENDS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_LONGEST = 1000  # characters of a message


class UserError(Exception):
    """A wrong input or setting.

    The message is one line that states the file or option, the place, what was found, and what
    would do instead. The command lines print it on stderr and exit with code 2. Text of the user in
    it cannot break the line, nor write to the terminal: see `one_line`.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


def one_line(text: str, longest: int = _LONGEST) -> str:
    r"""Return text on one line, in characters that a terminal shows.

    Line ends become blanks, other control characters and what is not a character are escaped, and
    the middle of text longer than `longest` is left out.

    Examples
    --------
    >>> print(one_line("a\nb \x1b[31m"))
    a b \x1b[31m
    """
    text = _LINE_ENDS.sub(" ", _shortened(text, longest))
    if text.isprintable():
        return text
    # an escaped character is longer
    return _shortened("".join(c if c.isprintable() else repr(c)[1:-1] for c in text), longest)


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return f"{text[: longest - 300]} ... ({len(text)} characters) ... {text[-200:]}"
