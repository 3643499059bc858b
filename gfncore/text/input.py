"""Input from a file or standard input, decompressed, with a size limit.

Compressed data are recognised by their first bytes, not by the name of the file. They are
decompressed piece by piece, so that a small file that expands to gigabytes is refused before it is
stored.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gfncore.errors import UserError

__all__ = ["EXPANDED_LIMIT", "PLAIN_LIMIT", "compression", "expand", "read_bytes", "read_input"]

EXPANDED_LIMIT = 256 * 2**20
"""Largest size of compressed data once unpacked, bytes."""
PLAIN_LIMIT = 2**30
"""Largest size of a file that is not compressed, bytes."""
_PIECE = 2**20

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # one without members
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
}
_OPENERS: dict[str, Callable[[io.BytesIO], BinaryIO]] = {
    "gzip": lambda data: gzip.GzipFile(fileobj=data),  # type: ignore[dict-item,return-value]
    "bzip2": bz2.BZ2File,  # type: ignore[dict-item]
    "xz": lzma.LZMAFile,  # type: ignore[dict-item]
}
# Errors of the libraries for damaged data; zipfile: also for encryption and unknown methods.
_DAMAGE = (
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    KeyError,
    MemoryError,  # a damaged header that asks for gigabytes
    IndexError,  # an empty name in a damaged directory of a zip archive
)


def read_input(
    path: str | os.PathLike[str],
    *,
    error: type[UserError] = UserError,
    expanded_limit: int = EXPANDED_LIMIT,
    plain_limit: int = PLAIN_LIMIT,
) -> bytes:
    """Return the bytes of a file or of standard input, decompressed if necessary.

    Parameters
    ----------
    path : path-like
        The file; ``-`` is standard input.
    error : type
        Class of the errors.
    expanded_limit, plain_limit : int
        Maximum sizes in bytes of the decompressed data and of the file itself.

    Raises
    ------
    UserError
        The file is missing, unreadable, damaged or too large; the class is ``error``.
    """
    name = "standard input" if os.fspath(path) == "-" else os.fspath(path)
    data = read_bytes(path, error=error, limit=plain_limit)
    return expand(data, name, error=error, limit=expanded_limit)


def read_bytes(
    path: str | os.PathLike[str], *, error: type[UserError] = UserError, limit: int = PLAIN_LIMIT
) -> bytes:
    """Return the bytes of a file or of standard input (``-``) as they are.

    Raises
    ------
    UserError
        The file is missing, a directory, unreadable or larger than ``limit`` bytes; of class
        ``error``.
    """
    place = os.fspath(path)
    try:
        if place == "-":
            data, name = _read_up_to(sys.stdin.buffer, limit), "standard input"
        else:
            name = place
            with Path(place).open("rb") as file:
                told = os.fstat(file.fileno())  # in one piece where the size is known
                if not stat.S_ISREG(told.st_mode):
                    data = _read_up_to(file, limit)
                else:
                    data = file.read() if told.st_size <= limit else None
                    data = None if data is None or len(data) > limit else data
    except FileNotFoundError:
        raise error(f"{place}: no such file") from None
    except IsADirectoryError:
        raise error(f"{place}: is a folder; name a file in it") from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL byte in the path
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"{place}: cannot be read ({reason})") from None
    if data is None:
        raise error(f"{name}: is larger than {_size(limit)}, which is too much; split the file")
    return data


def compression(data: bytes) -> str | None:
    """Return the name of the program that compressed the data, None if none that is known did."""
    for magic, program in _MAGIC.items():
        if data.startswith(magic):
            return program
    return None


def expand(
    data: bytes,
    name: str,
    *,
    error: type[UserError] = UserError,
    limit: int = EXPANDED_LIMIT,
) -> bytes:
    """Return data unpacked: gzip, bzip2, xz, and zip archives of one file; others as they are.

    Parameters
    ----------
    data : bytes
        The content of a file.
    name : str
        The file, for messages.
    error : type
        Class of the errors.
    limit : int
        Largest size of the unpacked data, bytes.

    Raises
    ------
    UserError
        The data are damaged, expand beyond the limit, or are packed by another program; of class
        ``error``.
    """
    program = compression(data)
    if program is None:
        return data
    try:
        if program == "zip":
            expanded = _expand_zip(data, name, error, limit)
        elif program in _OPENERS:
            with _OPENERS[program](io.BytesIO(data)) as file:
                expanded = _read_up_to(file, limit)
        else:
            raise error(f"{name}: is compressed by {program}; unpack it first, or use gzip")
    except UserError:
        raise
    except _DAMAGE:
        raise error(
            f"{name}: the {program} file is cut short or damaged; copy or compress it again"
        ) from None
    if expanded is None:
        raise error(
            f"{name}: expands to more than {_size(limit)}; unpack it first if it is meant to"
        )
    return expanded


def _expand_zip(data: bytes, name: str, error: type[UserError], limit: int) -> bytes | None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir()
            # added by macOS for each file
            and not member.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            raise error(
                f"{name}: the zip archive holds {len(members)} files; "
                "unpack it, and name one of them"
            )
        if members[0].flag_bits & 1:
            raise error(f"{name}: the zip archive is encrypted; unpack it first")
        with archive.open(members[0]) as file:
            return _read_up_to(file, limit)  # type: ignore[arg-type]


def _read_up_to(file: BinaryIO, limit: int) -> bytes | None:
    """Return the content of a file; None if it has more than ``limit`` bytes."""
    pieces, total = [], 0
    while piece := file.read(_PIECE):
        total += len(piece)
        if total > limit:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _size(limit: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if limit >= unit and limit % unit == 0:
            return f"{limit // unit} {name}"
    return f"{limit} bytes"
