"""What the reports of both programs have in common: template, curves, tables of figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gfncore.progress import format_duration
from gfncore.provenance import ResourceUse
from gfncore.report.line_chart import draw_line_chart
from gfncore.report.training import is_number, read_training

__all__ = [
    "curve_drawings",
    "extra_rows",
    "in_both_sizes",
    "render_page",
    "resource_rows",
    "signed",
]

CURVE_SIZES = (("wide", 460, 230), ("narrow", 350, 220))
"""Class of CSS, width and height in pixels of a chart that shares its row."""


def render_page(directory: Path, values: Mapping[str, Any]) -> str:
    """Return a report as HTML text.

    Parameters
    ----------
    directory : Path
        Holds ``report.html.jinja``, which extends ``layout.html.jinja`` of this package.
    values : mapping
        What the template shows; a name that is missing is an error. The layout needs ``program``,
        ``name``, ``cards``, ``warnings``, ``curves``, ``run``, ``extra`` and ``citations``.
    """
    environment = Environment(
        loader=FileSystemLoader([directory, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(values)


def in_both_sizes(draw: Callable[..., str]) -> list[tuple[str, Markup]]:
    """Return a chart for wide and for narrow screens, each with its class of CSS; [] if empty."""
    drawings = [
        (kind, Markup(draw(width=width, height=height))) for kind, width, height in CURVE_SIZES
    ]
    return drawings if all(svg for _, svg in drawings) else []


def curve_drawings(training: Path | None, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the curves of ``train.jsonl``: ``label`` and ``drawings`` of each.

    ``labels`` are the figures to follow and what to call them.
    """
    curves = []
    for curve in read_training(training, labels):

        def draw(width: int, height: int, curve=curve) -> str:
            return draw_line_chart(
                curve.seconds,
                curve.values,
                band=curve.errors,
                x_label="seconds",
                y_label=curve.label,
                width=width,
                height=height,
            )

        drawings = in_both_sizes(draw)
        if drawings:
            curves.append({"label": curve.label, "drawings": drawings})
    return curves


def resource_rows(use: ResourceUse, budget_seconds: float | None) -> list[tuple[str, str]]:
    """Return time and memory in words."""
    took = format_duration(use.wall_seconds)
    if budget_seconds is not None:
        took += f" (budget {format_duration(budget_seconds)})"
    return [
        ("Run time", took),
        ("Processor time", format_duration(use.cpu_seconds)),
        ("Peak memory", f"{use.peak_memory_bytes / 2**20:,.0f} MiB"),
    ]


def extra_rows(extra: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return further entries of the summary as text, those of nested tables among them."""
    rows = []
    for key, value in extra.items():
        name = key.replace("_", " ")
        if isinstance(value, dict):
            rows += [(f"{name}: {inner}", text) for inner, text in extra_rows(value)]
        elif isinstance(value, str):
            rows.append((name, value))
        elif isinstance(value, int) and not isinstance(value, bool):
            rows.append((name, f"{value:,}"))
        elif is_number(value):
            rows.append((name, f"{value:,.4g}"))
    return rows


def signed(value: float, decimals: int) -> str:
    """Return a number with a true minus sign, or ``n/a`` when it is not finite."""
    return f"{value:,.{decimals}f}".replace("-", "\u2212") if math.isfinite(value) else "n/a"
