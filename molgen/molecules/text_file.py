"""The text of an input file: unpacked and decoded, with a note where it is not plain UTF-8."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from gfncore.errors import UserError
from gfncore.text.input import compression, expand, read_bytes

__all__ = ["read_text", "source_name"]

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 100_000  # characters in which control characters are counted


def source_name(path: Path | str) -> str:
    """Return how messages call a file; ``-`` is standard input."""
    return "standard input" if str(path) == "-" else str(path)


def read_text(path: Path | str, note: Callable[[str], None]) -> str:
    """Return the text of a file, decompressed and decoded.

    Text is UTF-8, or UTF-16 or UTF-32 (with a byte order mark, or recognised by its zero bytes), or
    else Windows-1252 or Latin-1. Any encoding other than UTF-8 is reported.

    Parameters
    ----------
    path : Path or str
        ``-`` for standard input.
    note : callable
        Called with one-line messages for the user.

    Raises
    ------
    UserError
        The file cannot be read or decompressed (see `gfncore.text.input`), or is not text.
    """
    source = source_name(path)
    data = read_bytes(path)
    for _ in range(2):  # an archive may contain a compressed file
        _refuse_spreadsheets(data, source)
        data = expand(data, source)
    if data[257:262] == b"ustar":
        raise UserError(f"{source}: is a tar archive; unpack it, and give one of its files")
    return _decode(data, source, note)


def _refuse_spreadsheets(data: bytes, source: str) -> None:
    if compression(data) != "zip":
        return
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except Exception:  # reported on decompression
        return
    if "xl/workbook.xml" in names or "content.xml" in names:
        raise UserError(f"{source}: is a spreadsheet; save the table as CSV")


def _decode(data: bytes, source: str, note: Callable[[str], None]) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    encoding = encoding or _unmarked(data)
    for candidate in [encoding] if encoding else ["utf-8", "cp1252", "latin-1"]:
        try:
            text = data.decode(candidate)
        except UnicodeDecodeError:
            continue
        sample = text[:_SAMPLE]
        if "\x00" in text or len(_CONTROL.findall(sample)) > len(sample) / 20:
            break
        if not candidate.startswith("utf-8"):
            words = {"cp1252": "Windows-1252 (Latin-1)", "latin-1": "Latin-1"}
            note(f"{source}: is not UTF-8; read as {words.get(candidate, candidate.upper())}")
        return text
    raise UserError(f"{source}: is not text; give a file of SMILES, one per line")


def _unmarked(data: bytes) -> str | None:
    """Return the encoding of text of two-byte units without a byte order mark, or None."""
    sample = data[: 2 * (min(len(data), 4096) // 2)]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if len(data) % 2 or not sample or max(even, odd) < len(sample) / 3 or min(even, odd) > 0:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
