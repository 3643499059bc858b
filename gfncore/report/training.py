"""The course of a run, from the lines that training left in ``train.jsonl``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

__all__ = ["TrainingCurve", "is_number", "read_training"]

_MOST_POINTS = 300


@dataclass(frozen=True)
class TrainingCurve:
    """A figure followed during the run, against seconds."""

    label: str
    seconds: list[float]
    values: list[float]
    errors: list[float] | None


def read_training(path: Path | None, labels: Mapping[str, str]) -> list[TrainingCurve]:
    """Return what ``train.jsonl`` tells over time.

    Each line is a JSON object with ``seconds`` and figures; the standard error of a figure is
    called as the figure with ``_se`` appended. A line cut short, as a killed run leaves it, is
    passed over.

    Parameters
    ----------
    path : Path or None
        The file; without it there are no curves.
    labels : mapping of str to str
        The figures to follow, and what to call them.
    """
    if path is None or not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and is_number(row.get("seconds")):
            rows.append(row)
    rows.sort(key=lambda row: row["seconds"])
    curves = [_curve(rows, key, label) for key, label in labels.items()]
    return [curve for curve in curves if curve is not None]


def _curve(rows: list[dict[str, Any]], key: str, label: str) -> TrainingCurve | None:
    """Return one curve; of many points, means of neighbours."""
    kept = [row for row in rows if is_number(row.get(key))]
    if len(kept) < 2:
        return None
    given = [row.get(f"{key}_se") for row in kept]
    errors = [float(error) if is_number(error) else 0.0 for error in given]
    size = math.ceil(len(kept) / _MOST_POINTS)
    return TrainingCurve(
        label,
        _means([float(row["seconds"]) for row in kept], size),
        _means([float(row[key]) for row in kept], size),
        _means(errors, size) if any(errors) else None,
    )


def _means(values: list[float], size: int) -> list[float]:
    """Return the means of groups of ``size`` neighbours, the last group perhaps smaller."""
    groups = (values[start : start + size] for start in range(0, len(values), size))
    return [math.fsum(group) / len(group) for group in groups]


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value read from JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
