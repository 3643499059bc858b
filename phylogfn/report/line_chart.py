"""A line with an error band as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from phylogfn.report.tree_figure import nice_step

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
    left, right, top, bottom = 14 + 7.2 * _widest(low_y, high_y), 14.0, 26.0, 42.0

    def px(value: float) -> float:
        return left + (value - low_x) / (high_x - low_x) * (width - left - right)

    def py(value: float) -> float:
        clipped = min(max(value, low_y), high_y)
        return top + (high_y - clipped) / (high_y - low_y) * (height - top - bottom)

    upper = [f"{px(a):.1f},{py(b + e):.1f}" for a, b, e in points]
    lower = [f"{px(a):.1f},{py(b - e):.1f}" for a, b, e in reversed(points)]
    grid = []
    for tick in _ticks(low_y, high_y, 4):
        grid.append(
            f'<path class="grid" d="M{left:.1f} {py(tick):.1f}H{width - right:.1f}"/>'
            f'<text x="{left - 7:.1f}" y="{py(tick) + 4:.1f}" text-anchor="end">'
            f"{_number(tick, low_y, high_y)}</text>"
        )
    for tick in _ticks(low_x, high_x, max(3, width // 130)):
        grid.append(
            f'<text x="{px(tick):.1f}" y="{height - bottom + 18:.1f}" text-anchor="middle">'
            f"{_number(tick, low_x, high_x)}</text>"
        )
    label = f"{y_label} against {x_label}"
    shade = f'<polygon class="band" points="{" ".join(upper + lower)}"/>' if band else ""
    line = " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b, _ in points)
    return (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" '
        f'font-size="12.5"><title>{escape(label)}</title>{"".join(grid)}{shade}'
        f'<polyline class="line" points="{line}"/>'
        f'<text x="{left:.1f}" y="14">{escape(y_label)}</text>'
        f'<text x="{width - right:.1f}" y="{height - 6}" text-anchor="end">'
        f"{escape(x_label)}</text></svg>"
    )


def _range_of_interest(values: list[float]) -> tuple[float, float]:
    """Return the range of the later three quarters, as the first steps would squeeze the rest.

    What comes before the line enters that range is not drawn.
    """
    later = values[len(values) // 4 :]
    low, high = min(later), max(later)
    margin = 0.08 * (high - low) or max(abs(high) * 1e-4, 1e-3)
    return low - margin, high + margin


def _ticks(low: float, high: float, parts: int) -> list[float]:
    step = nice_step(high - low, parts)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _number(value: float, low: float, high: float) -> str:
    step = nice_step(high - low, 4)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}".replace("-", "\u2212")


def _widest(low: float, high: float) -> int:
    return max(len(_number(value, low, high)) for value in (low, high))
