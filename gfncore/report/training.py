"""The course of a run, read from the lines that training wrote to ``train.jsonl``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeGuard

__all__ = ["TrainingCurve", "is_number", "read_training"]

_MOST_POINTS = 300
_RATES = 40  # points of a speed curve


@dataclass(frozen=True)
class TrainingCurve:
    """A quantity over the seconds of the run; NaN where it could not be computed."""

    label: str
    seconds: list[float]
    values: list[float]
    errors: list[float] | None


def read_training(path: Path | None, labels: Mapping[str, str]) -> list[TrainingCurve]:
    """Read the quantities in ``train.jsonl`` and return them as curves over time.

    Each line is a JSON object with ``seconds`` and figures; the standard error of a figure has
    its name with ``_se`` appended. Lines without a figure do not contribute to its curve; where its
    value is not a number, the curve has a gap. A truncated line, as left by a killed run, is
    skipped. Where lines name a ``run``, the curve of each further run begins after a gap, at the
    time at which that of the last one ended.

    Parameters
    ----------
    path : Path or None
        The file; if it is missing there are no curves.
    labels : mapping of str to str
        The figures to follow, and their names.
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
    rows = _one_after_the_other(rows, labels)
    curves = [_curve(rows, key, label) for key, label in labels.items()]
    return [curve for curve in curves if curve is not None]


def _one_after_the_other(
    rows: list[dict[str, Any]], labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return rows in the order of time; those of a further ``run`` follow after a gap."""
    runs: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        runs.setdefault(row.get("run"), []).append(row)
    joined: list[dict[str, Any]] = []
    for own in runs.values():
        own.sort(key=lambda row: row["seconds"])
        _add_rates(own)
        if joined:
            end = joined[-1]["seconds"]
            joined.append({"seconds": end, **dict.fromkeys(labels)})
            own = [row | {"seconds": row["seconds"] + end} for row in own]
        joined += own
    return joined


def _add_rates(rows: list[dict[str, Any]]) -> None:
    """Add ``steps_per_second`` and, where trajectories are counted, ``trajectories_per_second``.

    Each is a mean over a fortieth of the steps, relative to the time spent on training alone.
    """
    steps = [row for row in rows if is_number(row.get("step")) and "learning_rate" in row]
    window = max(1, len(steps) // _RATES)
    drawn = list(accumulate(row.get("trajectories", 0) for row in steps))
    for end in range(window, len(steps), window):
        start = end - window
        took = steps[end]["seconds"] - steps[start]["seconds"]
        if took <= 0.0:
            continue
        steps[end]["steps_per_second"] = (steps[end]["step"] - steps[start]["step"]) / took
        if drawn[-1]:
            steps[end]["trajectories_per_second"] = (drawn[end] - drawn[start]) / took


def _curve(rows: list[dict[str, Any]], key: str, label: str) -> TrainingCurve | None:
    """Return one curve; neighbours are averaged if there are many points."""
    named = [row for row in rows if key in row]
    if sum(is_number(row[key]) for row in named) < 2:
        return None
    size = math.ceil(len(named) / _MOST_POINTS)
    errors = _means([row.get(f"{key}_se") for row in named], size)
    return TrainingCurve(
        label,
        _means([row["seconds"] for row in named], size),
        _means([row[key] for row in named], size),
        errors if any(error > 0.0 for error in errors) else None,
    )


def _means(values: list[Any], size: int) -> list[float]:
    """Return the means of the numbers in groups of ``size`` neighbours; NaN if there are none."""
    groups = (values[start : start + size] for start in range(0, len(values), size))
    return [_mean([float(value) for value in group if is_number(value)]) for group in groups]


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value read from JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
