"""Text that a user hands in: a file, plain or gzipped, or standard input."""

from __future__ import annotations

import gzip
import os
import re
import sys
import zlib
from pathlib import Path

from gfncore.errors import UserError

__all__ = ["read_text", "source_name"]

_MAGIC = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def source_name(path: str | os.PathLike[str]) -> str:
    """Return what messages call the input: the path, or ``standard input`` for ``-``."""
    return "standard input" if os.fspath(path) == "-" else os.fspath(path)


def _read_bytes(path: str, error: type[UserError]) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    if os.path.isdir(path):
        raise error(f"{path}: is a folder; name a file in it")
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"{path}: cannot be read ({reason})") from None


def read_text(path: str | os.PathLike[str], error: type[UserError] = UserError) -> str:
    r"""Return the text of a file, with ``\n`` line ends.

    Parameters
    ----------
    path : path-like
        A file, plain or gzipped (told by its first bytes, not its name); ``-`` is standard input.
    error : type, default UserError
        The class of the errors.

    Raises
    ------
    UserError
        When the file is missing, unreadable, empty, binary or a damaged gzip file.
    """
    name = source_name(path)
    data = _read_bytes(os.fspath(path), error)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error):
            raise error(
                f"{name}: the gzip file is cut short or damaged; copy or compress it again"
            ) from None
    for magic, program in _MAGIC.items():
        if data.startswith(magic):
            raise error(f"{name}: is compressed by {program}; unpack it first, or use gzip")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", errors="replace").encode()
    if control := _CONTROL.search(data):
        raise error(f"{name}: is a binary file (byte {control.start() + 1}), not text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if not text.strip():
        raise error(f"{name}: is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")
