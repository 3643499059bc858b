"""A phylogram as inline SVG: names aligned, supports labelled, a scale bar.

Colours are CSS classes, so that the page defines them for its light and dark themes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from markupsafe import Markup

from gfncore.report.axes import nice_step
from phylogfn.trees.consensus import ConsensusTree
from phylogfn.trees.rooting import root_at_midpoint

__all__ = ["draw_tree", "support_class", "tree_in_both_sizes"]

_SIZES = (("wide", 940), ("narrow", 350))  # CSS class, width in pixels
_ROW, _CLOSE_ROW = 21.0, 17.0
_CLOSE_FROM = 60  # taxa from which rows are closer
_FONT, _CLOSE_FONT = 13.0, 12.0
_CHARACTER = 0.6  # width of a letter in the widest common font, relative to the font size
_MARGIN = 14.0
_SUPPORT_HEIGHT = 9.0
_DIGIT = 6.6

_Box = tuple[float, float, float, float]  # left, top, right, bottom


def draw_tree(
    tree: ConsensusTree,
    names: Sequence[str],
    *,
    width: int = 960,
    title: str = "Consensus tree",
    support: str = "clade probability",
    scale_bar: bool = True,
    rooted: bool = False,
) -> str:
    """Return the tree as an SVG element.

    Parameters
    ----------
    tree : ConsensusTree
        A tree; an unrooted one is drawn rooted at its midpoint.
    names : sequence of str
        The taxa.
    width : int
        Width in pixels; the height follows from the number of taxa.
    title : str
        Name of the drawing for assistive programs.
    support : str
        Name of the numbers at clades.
    scale_bar : bool
        Whether to draw a scale bar; a tree without branch lengths needs none.
    rooted : bool
        Whether the base of the tree is its root.
    """
    described = _words(tree, len(names), support)
    if not rooted:
        tree = root_at_midpoint(tree)
    row, font = (_CLOSE_ROW, _CLOSE_FONT) if len(names) >= _CLOSE_FROM else (_ROW, _FONT)
    letter = _CHARACTER * font
    longest = max(8, int(width * 0.44 / letter))
    name_width = min(max(len(name) for name in names), longest) * letter + 12
    depths = _depths(tree)
    depth = max(depths) or 1.0
    scale = max(width - name_width - 2 * _MARGIN, 60.0) / depth
    x = [_MARGIN + scale * value for value in depths]
    y = _heights(tree, row)
    name_x = _MARGIN + scale * depth + 12.0
    leaves = [(node, taxon) for node, taxon in enumerate(tree.taxon) if taxon is not None]
    leaders = "".join(
        f"M{x[node] + 3:.1f} {y[node]:.1f}H{name_x - 4:.1f}"
        for node, _ in leaves
        if name_x - x[node] > 10
    )
    labels = [_name(names[taxon], longest, name_x, y[node]) for node, taxon in leaves]
    marks = _marks(_shown_supports(tree), x, y, support, name_x - 3)
    bottom = (len(names) + 1) * row
    height = bottom + (36 if scale_bar else 0)
    return "".join(
        [
            f'<svg class="tree{" tall" if len(names) > _CLOSE_FROM else ""}" role="img" '
            f'aria-label="{escape(title)}" width="{width}" '
            f'height="{height:.0f}" viewBox="0 0 {width} {height:.0f}" '
            f'xmlns="http://www.w3.org/2000/svg" font-size="{font:g}">',
            f"<title>{escape(title)}</title><desc>{escape(described)}</desc>",
            f'<path class="leader" d="{leaders}"/>' if leaders else "",
            f'<path class="branch" d="{_branches(tree, x, y)}"/>',
            "".join(marks),
            f'<g class="taxon">{"".join(labels)}</g>',
            _scale_bar(depth, scale, bottom + 8) if scale_bar else "",
            "</svg>",
        ]
    )


def tree_in_both_sizes(tree: ConsensusTree, names: Sequence[str], **more: Any) -> dict[str, Any]:
    """Return the drawings for wide and narrow screens as ``chart``; see :func:`draw_tree`.

    The entry ``crowded`` tells whether some clade has no room for its number.
    """
    drawings = [(kind, draw_tree(tree, names, width=width, **more)) for kind, width in _SIZES]
    return {
        "chart": [(kind, Markup(svg)) for kind, svg in drawings],
        "crowded": any('class="open ' in svg for _, svg in drawings),
    }


def _words(tree: ConsensusTree, n_taxa: int, support: str) -> str:
    """Describe the drawing for readers who cannot see it."""
    supports = [support for _, support in _shown_supports(tree)]
    words = f"{n_taxa} taxa; {len(supports)} of {max(n_taxa - 3, 0)} inner branches are resolved"
    if not supports:
        return f"{words}."
    strong = sum(support_class(value) == "s3" for value in supports)
    return (
        f"{words}, {strong} of them with a {support} of 0.95 or more; the lowest is "
        f"{min(supports):.2f}."
    )


def support_class(support: float) -> str:
    """Return the CSS class of a clade probability: ``s3`` from .95, ``s2`` from .80, ``s1``."""
    shown = round(support, 2)  # the colour must match the printed number
    return "s3" if shown >= 0.95 else "s2" if shown >= 0.80 else "s1"


def _depths(tree: ConsensusTree) -> list[float]:
    """Return the distance of each node from the base; branches of unknown length count as one."""
    depths = [0.0]
    for above, length in zip(tree.parent[1:], tree.lengths[1:], strict=True):
        depths.append(depths[above] + (1.0 if length is None else max(length, 0.0)))
    return depths


def _heights(tree: ConsensusTree, row: float) -> list[float]:
    """Return y of each node in pixels: leaves in rows, others centred on their children."""
    children = tree.children()
    heights, leaves = [0.0] * len(tree), 0
    for node, taxon in enumerate(tree.taxon):
        if taxon is not None:
            leaves += 1
            heights[node] = leaves * row
    for node in range(len(tree) - 1, -1, -1):
        if children[node]:
            heights[node] = (heights[children[node][0]] + heights[children[node][-1]]) / 2
    return heights


def _branches(tree: ConsensusTree, x: list[float], y: list[float]) -> str:
    """Return all branches as one path, which browsers draw faster than hundreds."""
    pieces = [
        f"M{x[above]:.1f} {y[node]:.1f}H{x[node]:.1f}"
        for node, above in enumerate(tree.parent[1:], 1)
    ]
    pieces += [
        f"M{x[node]:.1f} {y[children[0]]:.1f}V{y[children[-1]]:.1f}"
        for node, children in enumerate(tree.children())
        if children
    ]
    return "".join(pieces)


def _shown_supports(tree: ConsensusTree) -> list[tuple[int, float]]:
    """Return the supports to draw; the two parts of the branch with the root share one."""
    shown = [(node, support) for node, support in enumerate(tree.supports) if support is not None]
    top = tree.children()[0]
    if len(top) == 2 and all(tree.supports[node] is not None for node in top):
        shown = [(node, support) for node, support in shown if node != top[0]]
    return shown


def _marks(
    supports: list[tuple[int, float]], x: list[float], y: list[float], called: str, right: float
) -> list[str]:
    """Return the dots and the numbers of clades; certain clades have only the dot.

    A number is placed above its branch or elsewhere near its dot, where it hides no other dot. If
    every place is taken by another number or lies beyond `right`, the dot is drawn open instead.
    """
    dots: _Boxes = {}
    numbers: _Boxes = {}
    for node, _ in supports:
        _take(dots, (x[node] - 4, y[node] - 4, x[node] + 4, y[node] + 4))
    pieces = []
    for node, support in supports:
        kind, number = support_class(support), ""
        if support < 0.9995:
            text = (f"{support:.3f}" if support >= 0.995 else f"{support:.2f}").removeprefix("0")
            places = _places(x[node], y[node], _DIGIT * len(text) - 2)
            free = [box for box in places if box[2] <= right and not _hidden(numbers, box)]
            if free:
                box = min(free, key=lambda box: _hidden(dots, box))
                _take(numbers, box)
                number = (
                    f'<text class="support {kind}" x="{box[0]:.1f}" y="{box[3] - 0.5:.1f}">'
                    f"{text}</text>"
                )
            else:
                kind = f"open {kind}"
        pieces.append(
            f'<circle class="{kind}" cx="{x[node]:.1f}" cy="{y[node]:.1f}" r="3.6">'
            f"<title>{called} {support:.4f}</title></circle>{number}"
        )
    return pieces


def _places(x: float, y: float, width: float) -> list[_Box]:
    """Return the possible places for the number of a node: left or right of it, above or below."""
    left = max(x - 6 - width, 0.0)
    return [
        (u, v - _SUPPORT_HEIGHT + 0.5, u + width, v + 0.5)
        for u in (left, x + 6)
        for v in (y - 4, y + 12)
    ]


_Boxes = dict[int, list[_Box]]  # keyed by the pixel row of their centre


def _row(box: _Box) -> int:
    return int((box[1] + box[3]) / 2 // _CLOSE_ROW)


def _take(taken: _Boxes, box: _Box) -> None:
    taken.setdefault(_row(box), []).append(box)


def _hidden(taken: _Boxes, box: _Box) -> float:
    """Return the overlap of a box with the taken ones; boxes are less than a row high."""
    rows = range(_row(box) - 1, _row(box) + 2)
    return sum(_overlap(box, other) for row in rows for other in taken.get(row, ()))


def _overlap(one: _Box, other: _Box) -> float:
    """Return the area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _name(name: str, longest: int, x: float, y: float) -> str:
    """Return a name; long ones lose their middle, since ends distinguish them from others."""
    shown, title = name, ""
    if len(name) > longest:
        tail = longest // 3
        shown = f"{name[: longest - tail - 1]}\u2026{name[-tail:]}"
        title = f"<title>{escape(name)}</title>"
    return f'<text x="{x:.1f}" y="{y + 4.4:.1f}">{title}{escape(shown)}</text>'


def _scale_bar(depth: float, scale: float, y: float) -> str:
    step = nice_step(depth, 5)
    x = _MARGIN
    x_end = x + step * scale
    return (
        f'<g class="scale"><path d="M{x:.1f} {y - 4:.1f}v8M{x:.1f} {y:.1f}H{x_end:.1f}M{x_end:.1f} '
        f'{y - 4:.1f}v8"/><text x="{x:.1f}" y="{y + 20:.1f}">{step:g} substitutions per site'
        "</text></g>"
    )
