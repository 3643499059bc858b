"""Parts shared by the reports of both programs: template, curves, tables of figures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gfncore.program.citations import Reference, plain_text
from gfncore.program.progress import format_duration
from gfncore.program.provenance import ResourceUse
from gfncore.report.line_chart import draw_line_chart
from gfncore.report.training import is_number, read_training

__all__ = [
    "Chart",
    "citation_rows",
    "curve_drawings",
    "extra_rows",
    "in_both_sizes",
    "percentage",
    "render_page",
    "resource_rows",
    "signed",
]

Chart = list[tuple[str, Markup]]
"""A drawing for wide and one for narrow screens, each with its CSS class."""

CURVE_SIZES = (("wide", 460, 230), ("narrow", 350, 220))
"""CSS class, width and height in pixels of a chart that shares its row."""


def render_page(template: Path, values: Mapping[str, Any]) -> str:
    """Render a report and return its HTML text.

    Parameters
    ----------
    template : Path
        Extends ``layout.html.jinja`` of this package; may include files of its own directory.
    values : mapping
        Values shown by the template; a missing name is an error. The layout needs ``program``,
        ``name``, ``cards``, ``warnings``, ``checks``, ``curves``, ``run``, ``extra`` and
        ``citations``.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = _sentence
    return environment.get_template(template.name).render(values)


def _sentence(words: str) -> str:
    """Return words with a capital and a full stop; file names and options remain unchanged."""
    if re.match(r"[a-z]+[ ,]", words):
        words = words[0].upper() + words[1:]
    return words if words.endswith((".", "!", "?")) else f"{words}."


def in_both_sizes(draw: Callable[..., str]) -> Chart:
    """Return a chart for wide and for narrow screens, each with its CSS class; [] if empty."""
    drawings = [
        (kind, Markup(draw(width=width, height=height))) for kind, width, height in CURVE_SIZES
    ]
    return drawings if all(svg for _, svg in drawings) else []


def curve_drawings(training: Path | None, labels: Mapping[str, str]) -> list[Chart]:
    """Return the curves of ``train.jsonl`` as charts.

    ``labels`` maps the figures to follow to their names, with units.
    """
    charts = []
    for curve in read_training(training, labels):
        unit, length = _time_unit(curve.seconds[-1])

        def draw(width: int, height: int, curve=curve, unit=unit, length=length) -> str:
            return draw_line_chart(
                [seconds / length for seconds in curve.seconds],
                curve.values,
                band=curve.errors,
                x_label=f"training time ({unit})",
                y_label=curve.label,
                width=width,
                height=height,
            )

        charts.append(in_both_sizes(draw))
    return [chart for chart in charts if chart]


def _time_unit(seconds: float) -> tuple[str, float]:
    """Return the most readable unit for a time, and its length in seconds."""
    if seconds <= 180.0:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds <= 10800.0 else ("hours", 3600.0)


def citation_rows(references: Iterable[Reference]) -> list[tuple[str, str, str]]:
    """Return for each reference the reason for citing it, its text, and its link or nothing."""
    return [(r.use, plain_text(r).removesuffix(r.link), r.link) for r in references]


def resource_rows(use: ResourceUse, budget_seconds: float | None) -> list[tuple[str, str]]:
    """Return the time and memory used as rows of text."""
    took = format_duration(use.wall_seconds)
    if budget_seconds is not None:
        took += f" (budget {format_duration(budget_seconds)})"
    if use.compile_seconds >= 1.0:
        took += f", {format_duration(use.compile_seconds)} of it compiling (first run only)"
    return [
        ("Run time", took),
        ("Processor time", format_duration(use.cpu_seconds)),
        ("Peak memory", f"{use.peak_memory_bytes / 2**20:,.0f} MiB"),
    ]


def extra_rows(extra: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return further entries of the summary as text, including those of nested tables."""
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


def percentage(share: float) -> str:
    """Format a share in per cent with two decimals; small positive shares are not shown as zero."""
    if 0.0 < share < 0.00005:
        return "<\u00a00.01\u00a0%"
    return f"{100 * share:.2f}\u00a0%"


def signed(value: float, decimals: int) -> str:
    """Format a number with a true minus sign, or ``n/a`` if it is not finite."""
    return f"{value:,.{decimals}f}".replace("-", "\u2212") if math.isfinite(value) else "n/a"
