"""A line with an error band as inline SVG."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import groupby

from gfncore.report.axes import Axes, format_value

__all__ = ["draw_line_chart"]

_FEW = 40  # points; up to this number, each is marked
_SHORT = 12  # points; up to this number, a line is always drawn completely
_SQUEEZED = 3.0  # times the later range; from here on, the early part is left out
_LEAST_SPAN = 1e-5  # of the values; smaller differences are rounding noise

_Point = tuple[float, float, float]  # x, y, error


def draw_line_chart(
    x: Sequence[float],
    y: Sequence[float],
    *,
    band: Sequence[float] | None = None,
    x_label: str,
    y_label: str,
    width: int = 760,
    height: int = 280,
) -> str:
    """Return a line chart as an SVG element; the line has a gap where a value is not finite.

    Parameters
    ----------
    x, y : sequence of float, equal lengths
        The points, in the order of x.
    band : sequence of float, optional
        Half the height of the band around each point.
    x_label, y_label : str
        Quantities shown by the axes, with units.
    width, height : int
        Size in pixels.

    Returns
    -------
    svg : str
        Empty if fewer than two points are finite.
    """
    errors = [0.0] * len(x) if band is None else [e if math.isfinite(e) else 0.0 for e in band]
    given = [(a, b, e) for a, b, e in zip(x, y, errors, strict=True) if math.isfinite(a)]
    known = [point for point in given if math.isfinite(point[1])]
    if len(known) < 2:
        return ""
    y_range = _range_of_interest(known)
    entered = next(a for a, b, _ in known if y_range[0] <= b <= y_range[1])
    given = [point for point in given if point[0] >= entered]
    known = [point for point in known if point[0] >= entered]
    x_range = (entered, max(known[-1][0], entered + 1e-9))
    axes = Axes(x_range, y_range, x_label, y_label, width, height)
    pieces = [
        list(piece)
        for finite, piece in groupby(given, key=lambda point: math.isfinite(point[1]))
        if finite
    ]
    shades = "".join(_shade(axes, piece) for piece in pieces) if band is not None else ""
    lines = "".join(_line(axes, piece) for piece in pieces if len(piece) > 1)
    marked = known if len(known) <= _FEW else [piece[0] for piece in pieces if len(piece) == 1]
    points = "".join(
        f'<circle class="point" cx="{axes.x(a):.1f}" cy="{axes.y(b):.1f}" r="2.6"/>'
        for a, b, _ in marked
    )
    return axes.draw(shades + lines + points, f"{y_label} against {x_label}", _words(known))


def _shade(axes: Axes, piece: list[_Point]) -> str:
    upper = [f"{axes.x(a):.1f},{axes.y(b + e):.1f}" for a, b, e in piece]
    lower = [f"{axes.x(a):.1f},{axes.y(b - e):.1f}" for a, b, e in reversed(piece)]
    return f'<polygon class="band" points="{" ".join(upper + lower)}"/>'


def _line(axes: Axes, piece: list[_Point]) -> str:
    points = " ".join(f"{axes.x(a):.1f},{axes.y(b):.1f}" for a, b, _ in piece)
    return f'<polyline class="line" points="{points}"/>'


def _words(points: list[_Point]) -> str:
    """Describe the line for readers who cannot see it."""
    values = [b for _, b, _ in points]
    (first_x, first, _), (last_x, last, error) = points[0], points[-1]
    spread = f" \u00b1 {format_value(error)}" if error else ""
    return (
        f"A line from {format_value(first)} at {format_value(first_x)} to "
        f"{format_value(last)}{spread} at {format_value(last_x)}; lowest "
        f"{format_value(min(values))}, highest {format_value(max(values))}."
    )


def _range_of_interest(points: list[_Point]) -> tuple[float, float]:
    """Return the range of all values, or of the later three quarters.

    The latter is used where the first of many steps would squeeze the rest; the part before the
    line enters that range is not drawn.
    """
    low, high = _extent(points)
    later = _extent(points[len(points) // 4 :])
    if len(points) > _SHORT and high - low > _SQUEEZED * (later[1] - later[0]):
        low, high = later
    size = max(abs(low), abs(high))
    if low == high:
        return low - (0.05 * size or 1.0), high + (0.05 * size or 1.0)
    margin = max(0.08 * (high - low), (_LEAST_SPAN * size - (high - low)) / 2)
    return low - margin, high + margin


def _extent(points: list[_Point]) -> tuple[float, float]:
    """Return the lowest and highest value, widened by the median error."""
    error = statistics.median(e for _, _, e in points)
    values = [b for _, b, _ in points]
    return min(values) - error, max(values) + error
