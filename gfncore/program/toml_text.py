"""Values as TOML text: what the standard library reads but does not write."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

__all__ = ["toml_text"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(values: Mapping[str, Any]) -> str:
    """Return nested values as a TOML document that ``tomllib`` reads back as the same.

    Parameters
    ----------
    values : mapping of str to object
        Strings, numbers, truth values, dates, and sequences and mappings of these. Entries that
        are None are left out, as TOML has no null.

    Raises
    ------
    TypeError
        A value of another type, or None within a sequence.
    """
    lines: list[str] = []
    _table((), values, lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(path: tuple[str, ...], values: Mapping[str, Any], lines: list[str]) -> None:
    tables = {}
    for key, value in values.items():
        if isinstance(value, Mapping) or _is_tables(value):
            tables[key] = value  # after the plain values, which would else belong to the table
        elif value is not None:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in tables.items():
        name = ".".join(_key(part) for part in (*path, key))
        for entry in [value] if isinstance(value, Mapping) else value:
            lines += ["", f"[{name}]" if isinstance(value, Mapping) else f"[[{name}]]"]
            _table((*path, key), entry, lines)


def _is_tables(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(entry, Mapping) for entry in value)
    )


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # JSON's strings are TOML's as well, but for the one control character that JSON leaves as it is
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        return repr(value)  # inf and -inf are TOML's too
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{{inner}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    raise TypeError(f"{value!r} cannot be written as TOML")
