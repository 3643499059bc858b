"""Text that a user hands in: a file, plain or compressed, or standard input."""

from __future__ import annotations

import os
import re

from gfncore.errors import UserError
from gfncore.program.messages import Note
from gfncore.text.input import read_input

__all__ = ["read_text", "source_name"]

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_FEW = 3  # accidental control characters tolerated in a text, in addition to one in a hundred
_STAND_IN = "\ufffd"  # Unicode's replacement character


def source_name(path: str | os.PathLike[str]) -> str:
    """Return the name of the input for messages: the path, or ``standard input`` for ``-``."""
    return "standard input" if os.fspath(path) == "-" else os.fspath(path)


def read_text(
    path: str | os.PathLike[str],
    error: type[UserError] = UserError,
    notes: list[Note] | None = None,
) -> str:
    r"""Return the text of a file, with ``\n`` line ends.

    It is UTF-8, or UTF-16 with a byte order mark, else Windows-1252 (Latin-1). A few control
    characters become U+FFFD, which all readers treat as part of a name or a comment.

    Parameters
    ----------
    path : path-like
        A file, plain or compressed (recognised by its first bytes, not its name); ``-`` is standard
        input.
    error : type, default UserError
        Class of the errors.
    notes : list of Note, optional
        Receives one-line notes for the user.

    Raises
    ------
    UserError
        If the file is missing, unreadable, empty, binary, too large or damaged.
    """
    name = source_name(path)
    told: list[Note] = []
    data = read_input(path, error=error)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as problem:
            raise error(
                f"{name}: begins as UTF-16 text, but is damaged at byte {problem.start + 1}; "
                "save it again"
            ) from None
    data = data.rstrip(b"\x1a")  # the end of a file in DOS
    if control := _CONTROL.search(data):
        count = len(_CONTROL.findall(data))
        if count > 0.1 * len(data) or count > max(_FEW, 0.01 * len(data)):
            zeros = data.count(0)
            wide = 0.4 * len(data) < zeros < 0.6 * len(data)
            hint = "; if it is UTF-16 without a byte order mark, save it as UTF-8" if wide else ""
            raise error(f"{name}: is a binary file (byte {control.start() + 1}), not text{hint}")
        told.append(
            Note(
                "replaced-characters",
                f"{count} control characters (the first is byte {control.start() + 1}) were "
                f"replaced by {_STAND_IN}",
            )
        )
        data = _CONTROL.sub(_STAND_IN.encode(), data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        text = data.decode("cp1252", errors="replace")
        told.append(
            Note(
                "not-utf8",
                f"the text is not UTF-8 (byte {problem.start + 1}), so it was read as Windows-1252 "
                "(Latin-1)",
            )
        )
    if not text.strip():
        raise error(f"{name}: is empty")
    if notes is not None:
        notes += told
    return text.replace("\r\n", "\n").replace("\r", "\n")
