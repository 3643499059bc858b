"""A line with an error band as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gfncore.report.axes import Axes

__all__ = ["draw_line_chart"]


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
    """Return a line chart as an SVG element; points that are not finite are left out.

    Parameters
    ----------
    x, y : sequence of float, equal lengths
        The points, in the order of x.
    band : sequence of float, optional
        Half the height of the band about each point.
    x_label, y_label : str
        What the axes show.
    width, height : int
        Size in pixels.

    Returns
    -------
    svg : str
        Empty when fewer than two points are finite.
    """
    errors = [0.0] * len(x) if band is None else [e if math.isfinite(e) else 0.0 for e in band]
    points = [
        (a, b, e)
        for a, b, e in zip(x, y, errors, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]
    if len(points) < 2:
        return ""
    low_y, high_y = _range_of_interest([b for _, b, _ in points])
    started = next(i for i, (_, b, _) in enumerate(points) if low_y <= b <= high_y)
    points = points[started:]
    low_x, high_x = points[0][0], max(points[-1][0], points[0][0] + 1e-9)
    axes = Axes((low_x, high_x), (low_y, high_y), x_label, y_label, width, height)
    upper = [f"{axes.x(a):.1f},{axes.y(b + e):.1f}" for a, b, e in points]
    lower = [f"{axes.x(a):.1f},{axes.y(b - e):.1f}" for a, b, e in reversed(points)]
    shade = f'<polygon class="band" points="{" ".join(upper + lower)}"/>' if band else ""
    line = " ".join(f"{axes.x(a):.1f},{axes.y(b):.1f}" for a, b, _ in points)
    content = f'{shade}<polyline class="line" points="{line}"/>'
    return axes.draw(content, f"{y_label} against {x_label}")


def _range_of_interest(values: list[float]) -> tuple[float, float]:
    """Return the range of the later three quarters, as the first steps would squeeze the rest.

    What comes before the line enters that range is not drawn.
    """
    later = values[len(values) // 4 :]
    low, high = min(later), max(later)
    margin = 0.08 * (high - low) or max(abs(high) * 1e-4, 1e-3)
    return low - margin, high + margin
