"""Errors that a user can mend: one line, exit code 2, never a traceback."""

from __future__ import annotations

import re

__all__ = ["UserError", "one_line"]

_LINE_ENDS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_LONGEST = 1000  # characters of a message


class UserError(Exception):
    """An invalid input or setting.

    The message is one line with the file or option, the place, the value found, and the remedy. The
    command-line programs print it on stderr and exit with code 2. User text in the message cannot
    break the line or control the terminal: see `one_line`.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


def one_line(text: str, longest: int = _LONGEST) -> str:
    r"""Return text on one line, with printable characters only.

    Line ends become blanks, control characters and invalid characters are escaped, and text longer
    than `longest` loses its middle.

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
