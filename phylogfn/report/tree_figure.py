"""A phylogram as inline SVG: names aligned, supports labelled, a scale bar.

Colours are CSS classes, so that the page decides them for light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gfncore.report.axes import nice_step
from phylogfn.consensus import ConsensusTree
from phylogfn.midpoint import root_at_midpoint

__all__ = ["draw_tree", "support_class"]

_ROW = 21.0
_FONT = 13.0
_CHARACTER = 6.9
_MARGIN = 14.0

_Box = tuple[float, float, float, float]  # left, top, right, bottom


def draw_tree(
    tree: ConsensusTree,
    names: Sequence[str],
    *,
    width: int = 960,
    title: str = "Consensus tree",
    support: str = "clade probability",
    scale_bar: bool = True,
) -> str:
    """Return the tree as an SVG element.

    Parameters
    ----------
    tree : ConsensusTree
        The unrooted tree; it is drawn rooted at its midpoint.
    names : sequence of str
        The taxa.
    width : int
        Width in pixels; the height follows from the number of taxa.
    title : str
        What assistive programs read.
    support : str
        What the numbers at clades are called.
    scale_bar : bool
        Draw one; a tree without branch lengths needs none.
    """
    tree = root_at_midpoint(tree)
    longest = max(8, int(width * 0.42 / _CHARACTER))
    name_width = min(max(len(name) for name in names), longest) * _CHARACTER + 12
    depths = _depths(tree)
    depth = max(depths) or 1.0
    scale = max(width - name_width - 2 * _MARGIN, 60.0) / depth
    x = [_MARGIN + scale * value for value in depths]
    y = _heights(tree)
    name_x = _MARGIN + scale * depth + 12.0
    leaves = [(node, taxon) for node, taxon in enumerate(tree.taxon) if taxon is not None]
    leaders = [
        f'<path d="M{x[node] + 3:.1f} {y[node]:.1f}H{name_x - 4:.1f}"/>'
        for node, _ in leaves
        if name_x - x[node] > 10
    ]
    labels = [_name(names[taxon], longest, name_x, y[node]) for node, taxon in leaves]
    marks = _marks(_shown_supports(tree), x, y, support)
    height = (len(names) + 1) * _ROW + 36
    return "".join(
        [
            f'<svg class="tree" role="img" aria-label="{escape(title)}" width="{width}" '
            f'height="{height:.0f}" viewBox="0 0 {width} {height:.0f}" '
            f'xmlns="http://www.w3.org/2000/svg" font-size="{_FONT:g}">',
            f"<title>{escape(title)}</title>",
            f'<g class="leader">{"".join(leaders)}</g>',
            f'<g class="branch">{"".join(_branches(tree, x, y))}</g>',
            "".join(marks),
            f'<g class="taxon">{"".join(labels)}</g>',
            _scale_bar(depth, scale, len(names)) if scale_bar else "",
            "</svg>",
        ]
    )


def support_class(support: float) -> str:
    """Return the CSS class of a clade probability: ``s3`` from .95, ``s2`` from .80, ``s1``."""
    shown = round(support, 2)  # the colour goes with the number printed
    return "s3" if shown >= 0.95 else "s2" if shown >= 0.80 else "s1"


def _depths(tree: ConsensusTree) -> list[float]:
    """Return the distance of each node from the base; branches of unknown length count as one."""
    depths = [0.0]
    for above, length in zip(tree.parent[1:], tree.lengths[1:], strict=True):
        depths.append(depths[above] + (1.0 if length is None else max(length, 0.0)))
    return depths


def _heights(tree: ConsensusTree) -> list[float]:
    """Return y of each node in pixels: leaves in rows, others amid their outer children."""
    children = tree.children()
    heights, row = [0.0] * len(tree), 0
    for node, taxon in enumerate(tree.taxon):
        if taxon is not None:
            row += 1
            heights[node] = row * _ROW
    for node in range(len(tree) - 1, -1, -1):
        if children[node]:
            heights[node] = (heights[children[node][0]] + heights[children[node][-1]]) / 2
    return heights


def _branches(tree: ConsensusTree, x: list[float], y: list[float]) -> list[str]:
    paths = [
        f'<path d="M{x[above]:.1f} {y[node]:.1f}H{x[node]:.1f}"/>'
        for node, above in enumerate(tree.parent[1:], 1)
    ]
    for node, children in enumerate(tree.children()):
        if children:
            low, high = y[children[0]], y[children[-1]]
            paths.append(f'<path d="M{x[node]:.1f} {low:.1f}V{high:.1f}"/>')
    return paths


def _shown_supports(tree: ConsensusTree) -> list[tuple[int, float]]:
    """Return the supports to draw; of the two parts of the branch with the root, one."""
    shown = [(node, support) for node, support in enumerate(tree.supports) if support is not None]
    top = tree.children()[0]
    if len(top) == 2 and all(tree.supports[node] is not None for node in top):
        shown = [(node, support) for node, support in shown if node != top[0]]
    return shown


def _marks(
    supports: list[tuple[int, float]], x: list[float], y: list[float], called: str
) -> list[str]:
    """Return the dots and the numbers of clades; certain clades have the dot alone.

    A number stands above its branch, or where else near its dot it hides no other.
    """
    taken: dict[int, list[_Box]] = {}  # by the row in which the middle of a box lies
    for node, _ in supports:
        _take(taken, (x[node] - 4, y[node] - 4, x[node] + 4, y[node] + 4))
    pieces = []
    for node, support in supports:
        kind = support_class(support)
        pieces.append(
            f'<circle class="{kind}" cx="{x[node]:.1f}" cy="{y[node]:.1f}" r="3.6">'
            f"<title>{called} {support:.4f}</title></circle>"
        )
        if support >= 0.9995:
            continue
        text = (f"{support:.3f}" if support >= 0.995 else f"{support:.2f}").removeprefix("0")
        width = 6.6 * len(text) - 2
        left = max(x[node] - 6 - width, 0.0)
        places = [
            (left, y[node] - 4),
            (left, y[node] + 12),
            (x[node] + 6, y[node] - 4),
            (x[node] + 6, y[node] + 12),
        ]
        boxes = [(u, v - 8.5, u + width, v + 0.5) for u, v in places]
        chosen = min(range(4), key=[_hidden(taken, box) for box in boxes].__getitem__)
        _take(taken, boxes[chosen])
        u, v = places[chosen]
        pieces.append(f'<text class="support {kind}" x="{u:.1f}" y="{v:.1f}">{text}</text>')
    return pieces


def _row(box: _Box) -> int:
    return int((box[1] + box[3]) / 2 // _ROW)


def _take(taken: dict[int, list[_Box]], box: _Box) -> None:
    taken.setdefault(_row(box), []).append(box)


def _hidden(taken: dict[int, list[_Box]], box: _Box) -> float:
    """Return the area that a box would hide of those there; boxes are less than a row high."""
    rows = range(_row(box) - 1, _row(box) + 2)
    return sum(_overlap(box, other) for row in rows for other in taken.get(row, ()))


def _overlap(one: _Box, other: _Box) -> float:
    """Return the area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _name(name: str, longest: int, x: float, y: float) -> str:
    shown, title = name, ""
    if len(name) > longest:
        shown, title = name[: longest - 1] + "\u2026", f"<title>{escape(name)}</title>"
    return f'<text x="{x:.1f}" y="{y + 4.4:.1f}">{title}{escape(shown)}</text>'


def _scale_bar(depth: float, scale: float, n_taxa: int) -> str:
    step = nice_step(depth, 5)
    x, y = _MARGIN, (n_taxa + 1) * _ROW + 8
    x_end = x + step * scale
    return (
        f'<g class="scale"><path d="M{x:.1f} {y - 4:.1f}v8M{x:.1f} {y:.1f}H{x_end:.1f}M{x_end:.1f} '
        f'{y - 4:.1f}v8"/><text x="{x:.1f}" y="{y + 20:.1f}">{step:g} substitutions per site'
        "</text></g>"
    )
