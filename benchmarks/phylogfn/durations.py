"""Budgets as people write them: ``90s``, ``5m``, ``1h``, or plain seconds."""

from __future__ import annotations

import argparse

__all__ = ["parse_duration"]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90``, ``90s``, ``5m`` or ``1.5h``.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is no positive duration.
    """
    number, unit = (text[:-1], text[-1]) if text and text[-1] in _SECONDS else (text, "s")
    try:
        seconds = float(number) * _SECONDS[unit]
    except ValueError:
        seconds = 0.0
    if seconds <= 0.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 5m or 1h")
    return seconds
