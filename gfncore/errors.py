"""Errors that a user can mend: one line, exit code 2, never a traceback."""

from __future__ import annotations

__all__ = ["UserError"]


class UserError(Exception):
    """A wrong input or setting.

    The message is one line that states the file or option, the place, what was found, and what
    would do instead. The command lines print it on stderr and exit with code 2.
    """
