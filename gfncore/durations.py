"""Durations as people write them."""

from __future__ import annotations

import re

__all__ = ["parse_duration"]

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Return seconds from text such as ``30s``, ``5m``, ``1h``, ``1h30m``, ``90``.

    Raises
    ------
    ValueError
        The text is no duration, or not above zero.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"'{text}' is not a duration; write 30s, 5m or 1h")
    if len(parts) > 1 and any(not unit for _, unit in parts):
        raise ValueError(f"'{text}' is not a duration: a number lacks its unit; write 1h30m")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"'{text}' is not a duration above zero")
    return seconds
