"""A histogram as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gfncore.report.axes import Axes, format_value, nice_step

__all__ = ["draw_histogram"]


def draw_histogram(
    values: Sequence[float],
    *,
    x_label: str,
    y_label: str,
    bins: int = 24,
    unit: float | None = None,
    width: int = 460,
    height: int = 230,
) -> str:
    """Return a histogram as an SVG element; non-finite values are left out.

    Parameters
    ----------
    values : sequence of float
        The values to count.
    x_label, y_label : str
        Quantities shown by the axes.
    bins : int
        Approximate number of bars; their borders are round numbers.
    unit : float, optional
        Smallest width of a bar, in units of the values.
    width, height : int
        Size in pixels.

    Returns
    -------
    svg : str
        Empty if no value is finite.
    """
    finite = [float(value) for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    alone = max(abs(high), 1.0) / 10 if unit is None else unit
    step = max(nice_step(high - low, bins), unit or 0.0) if high > low else alone
    first = math.floor(low / step + 1e-9)
    number = max(1, math.floor(high / step + 1e-9) - first + 1)
    counts = [0] * number
    for value in finite:
        counts[min(max(math.floor(value / step + 1e-9) - first, 0), number - 1)] += 1
    x_range = (first * step, (first + number) * step)
    axes = Axes(x_range, (0.0, 1.06 * max(counts)), x_label, y_label, width, height, True)
    bars = "".join(
        f'<rect class="column" x="{axes.x(left) + 0.5:.1f}" y="{axes.y(count):.1f}" '
        f'width="{axes.x(left + step) - axes.x(left) - 1:.1f}" '
        f'height="{axes.bottom - axes.y(count):.1f}"/>'
        for left, count in (((first + i) * step, c) for i, c in enumerate(counts))
        if count
    )
    highest = max(range(number), key=counts.__getitem__)
    words = (
        f"{len(finite):,} values from {format_value(low)} to {format_value(high)}; most of "
        f"them, {counts[highest]:,}, from {format_value((first + highest) * step)} to "
        f"{format_value((first + highest + 1) * step)}."
    )
    return axes.draw(bars, f"Distribution of {x_label}: {y_label}", words)
