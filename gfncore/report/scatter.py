"""Points in a plane as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gfncore.report.axes import Axes, format_value

__all__ = ["draw_scatter"]


def draw_scatter(
    x: Sequence[float],
    y: Sequence[float],
    *,
    x_label: str,
    y_label: str,
    marked: Sequence[bool] | None = None,
    intercept: float | None = None,
    width: int = 460,
    height: int = 230,
) -> str:
    """Return points as an SVG element; non-finite points are left out.

    Parameters
    ----------
    x, y : sequence of float, equal lengths
        The points.
    x_label, y_label : str
        Quantities shown by the axes.
    marked : sequence of bool, optional
        Points to highlight, drawn over the others.
    intercept : float, optional
        Draw the line of slope one through this value of y at x = 0.
    width, height : int
        Size in pixels.

    Returns
    -------
    svg : str
        Empty if fewer than two points are finite.
    """
    flags = [False] * len(x) if marked is None else [bool(flag) for flag in marked]
    points = [
        (float(a), float(b), flag)
        for a, b, flag in zip(x, y, flags, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]
    if len(points) < 2:
        return ""
    x_range = _with_margin([a for a, _, _ in points])
    y_range = _with_margin([b for _, b, _ in points])
    axes = Axes(x_range, y_range, x_label, y_label, width, height)
    line = "" if intercept is None else _line(axes, intercept)
    radius = 2.0 if len(points) > 300 else 2.8
    dots = "".join(
        f'<circle class="{"marked" if flag else "dot"}" cx="{axes.x(a):.1f}" '
        f'cy="{axes.y(b):.1f}" r="{radius + 1.2 if flag else radius:.1f}"/>'
        for a, b, flag in sorted(points, key=lambda point: point[2])
    )
    return axes.draw(line + dots, f"{y_label} against {x_label}", _words(points, x_label, y_label))


def _words(points: list[tuple[float, float, bool]], x_label: str, y_label: str) -> str:
    """Describe the chart for readers who cannot see it."""
    ranges = (
        f"{label} from {format_value(min(values))} to {format_value(max(values))}"
        for label, values in (
            (x_label, [a for a, _, _ in points]),
            (y_label, [b for _, b, _ in points]),
        )
    )
    marked = sum(flag for _, _, flag in points)
    large = f", {marked:,} of them large" if marked else ""
    return f"{len(points):,} dots{large}; {' and '.join(ranges)}."


def _with_margin(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or max(abs(high) * 1e-3, 1e-3)
    return low - margin, high + margin


def _line(axes: Axes, intercept: float) -> str:
    """Return the line y = x + intercept within the axes, or nothing if it does not cross them."""
    start = max(axes.x_range[0], axes.y_range[0] - intercept)
    end = min(axes.x_range[1], axes.y_range[1] - intercept)
    if start >= end or not math.isfinite(intercept):
        return ""
    return (
        f'<path class="guide" d="M{axes.x(start):.1f} {axes.y(start + intercept):.1f}'
        f'L{axes.x(end):.1f} {axes.y(end + intercept):.1f}"/>'
    )
