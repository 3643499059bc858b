"""Durations as people write them."""

from __future__ import annotations

import re

from gfncore.text.numbers import parse_float, shortened

__all__ = ["parse_duration"]

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 3650 * 86400.0  # seconds


def parse_duration(text: str) -> float:
    """Return seconds from text such as ``30s``, ``5m``, ``1h``, ``1h30m``, ``90``.

    Raises
    ------
    ValueError
        The text is not a duration, not above zero, or longer than ten years.

    Examples
    --------
    >>> parse_duration("1h30m"), parse_duration("90")
    (5400.0, 90.0)
    """
    compact = text.strip().lower().replace(" ", "")
    parts = re.findall(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"'{shortened(text)}' is not a duration; write 30s, 5m or 1h")
    if len(parts) > 1 and any(not unit for _, unit in parts):
        raise ValueError(
            f"'{shortened(text)}' is not a duration: a number has no unit; write 1h30m"
        )
    seconds = sum(parse_float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"'{shortened(text)}' is not a duration above zero")
    if seconds > _LONGEST:
        raise ValueError(f"'{shortened(text)}' is too long; give at most 3650d")
    return seconds
