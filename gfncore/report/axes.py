"""The frame of a chart as inline SVG: scales, grid lines, numbers and labels.

Colours are CSS classes, so that the page defines them for its light and dark themes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

__all__ = ["Axes", "format_tick", "format_value", "nice_step", "ticks"]

_RIGHT, _TOP, _BOTTOM = 14.0, 26.0, 42.0
_DIGIT = 7.2


def nice_step(span: float, parts: int) -> float:
    """Return a round number (1, 2 or 5 times a power of ten) near ``span / parts``."""
    if not span > 0:
        return 1.0
    raw = span / parts
    power = 10.0 ** math.floor(math.log10(raw))
    return min((power * m for m in (1, 2, 5, 10)), key=lambda step: abs(step - raw))


def ticks(low: float, high: float, parts: int) -> list[float]:
    """Return round values from ``low`` to ``high``, about ``parts`` steps apart."""
    step = nice_step(high - low, parts)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def format_tick(value: float, low: float, high: float) -> str:
    """Format a value of an axis from ``low`` to ``high`` with as many decimals as necessary."""
    step = nice_step(high - low, 4)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}".replace("-", "\u2212")


def format_value(value: float) -> str:
    """Format a number for a description, with at most seven digits and a true minus sign."""
    return f"{value:.7g}".replace("-", "\u2212")


@dataclass(frozen=True)
class Axes:
    """Positions of values in a chart.

    Parameters
    ----------
    x_range, y_range : tuple of float
        Lowest and highest value shown; the second is larger than the first.
    x_label, y_label : str
        Quantities shown by the axes.
    width, height : int
        Size in pixels.
    counts : bool
        Whether the vertical axis shows counts; its labels are then integers.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_label: str
    y_label: str
    width: int
    height: int
    counts: bool = False

    @property
    def left(self) -> float:
        """Left end of the horizontal axis in pixels, right of the widest number."""
        return 14 + _DIGIT * max(len(format_tick(value, *self.y_range)) for value in self.y_range)

    @property
    def right(self) -> float:
        """Right end of the horizontal axis in pixels."""
        return self.width - _RIGHT

    @property
    def top(self) -> float:
        """Upper end of the vertical axis in pixels."""
        return _TOP

    @property
    def bottom(self) -> float:
        """Lower end of the vertical axis in pixels."""
        return self.height - _BOTTOM

    def x(self, value: float) -> float:
        """Return the horizontal position of a value in pixels."""
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the vertical position of a value in pixels; values out of range are clipped."""
        low, high = self.y_range
        clipped = min(max(value, low), high)
        return self.top + (high - clipped) / (high - low) * (self.bottom - self.top)

    def draw(self, content: str, label: str, description: str) -> str:
        """Return the chart as an SVG element.

        Parameters
        ----------
        content : str
            Marks drawn over the grid, as SVG.
        label : str
            Name of the chart for assistive programs.
        description : str
            Description of its content for assistive programs.
        """
        lines = []
        for tick in ticks(*self.y_range, 4):
            if self.counts and not tick.is_integer():
                continue
            shown = f"{tick:.0f}" if self.counts else format_tick(tick, *self.y_range)
            lines.append(
                f'<path class="grid" d="M{self.left:.1f} {self.y(tick):.1f}H{self.right:.1f}"/>'
                f'<text x="{self.left - 7:.1f}" y="{self.y(tick) + 4:.1f}" text-anchor="end">'
                f"{shown}</text>"
            )
        for tick in ticks(*self.x_range, max(3, self.width // 130)):
            lines.append(
                f'<text x="{self.x(tick):.1f}" y="{self.bottom + 18:.1f}" text-anchor="middle">'
                f"{format_tick(tick, *self.x_range)}</text>"
            )
        return (
            f'<svg class="chart" role="img" aria-label="{escape(label)}" width="{self.width}" '
            f'height="{self.height}" viewBox="0 0 {self.width} {self.height}" '
            f'xmlns="http://www.w3.org/2000/svg" font-size="12.5"><title>{escape(label)}</title>'
            f"<desc>{escape(description)}</desc>"
            f"{''.join(lines)}{content}"
            f'<text x="{self.left:.1f}" y="14">{escape(self.y_label)}</text>'
            f'<text x="{self.right:.1f}" y="{self.height - 6}" text-anchor="end">'
            f"{escape(self.x_label)}</text></svg>"
        )
