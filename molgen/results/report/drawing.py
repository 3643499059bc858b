"""A molecule as compact inline SVG, drawn by RDKit.

RDKit writes a styled path for each half of a bond. Here the paths of one colour are joined, and
colours become CSS classes, so that the page defines them for its light and dark themes.
"""

from __future__ import annotations

import re
from html import escape

from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

__all__ = ["draw_molecule"]

_CLASS = {
    "#000000": "a-c",
    "#0000FF": "a-n",
    "#3333FF": "a-n",
    "#FF0000": "a-o",
    "#CCCC00": "a-s",
    "#33CCCC": "a-f",
    "#00CC00": "a-cl",
    "#FF7F00": "a-p",
    "#7F7F7F": "a-r",
    "#7F4C19": "a-br",
    "#A01EEF": "a-i",
}
_PATH = re.compile(r"<path[^>]* d='([^']*)' style='([^']*)'")
_TEXT = re.compile(r"<text x='([^']*)' y='([^']*)'[^>]*style='([^']*)'[^>]*>([^<]*)</text>")
_PROPERTY = re.compile(r"(fill|stroke|font-size):([^;]+)")
_MINUS = "\u2212"
_FONT = 12  # pixels, the smallest size of letters


def draw_molecule(
    molecule: Chem.Mol | None, label: str, *, width: int = 220, height: int = 150
) -> str:
    """Return a drawing of a molecule as an SVG element.

    Parameters
    ----------
    molecule : Mol or None
        None gives an empty drawing.
    label : str
        Text for assistive programs.
    width, height : int
        Size in pixels.
    """
    shapes = "" if molecule is None else _shapes(molecule, width, height)
    return (
        f'<svg class="molecule" role="img" aria-label="{escape(label)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(label)}</title>{shapes}</svg>"
    )


def _shapes(molecule: Chem.Mol, width: int, height: int) -> str:
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height, -1, -1, True)
    options = drawer.drawOptions()
    options.clearBackground = False
    options.bondLineWidth = 1.6
    options.minFontSize = _FONT
    options.maxFontSize = _FONT + 3
    options.fixedBondLength = 26.0  # otherwise a small molecule fills the frame
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    return _compact(drawer.GetDrawingText())


def _compact(text: str) -> str:
    """Return the shapes of RDKit's drawing without its frame, joined by colour."""
    lines: dict[str, list[str]] = {}
    areas: dict[str, list[str]] = {}
    for path, style in _PATH.findall(text):
        properties = dict(_PROPERTY.findall(style))
        filled = properties.get("fill", "none")
        target = lines if filled == "none" else areas
        colour = properties.get("stroke", "#000000") if filled == "none" else filled
        target.setdefault(_class(colour), []).append(path.replace(" L ", "L").replace("M ", "M"))
    letters = []
    for x, y, style, word in _TEXT.findall(text):
        properties = dict(_PROPERTY.findall(style))
        size = properties.get("font-size", f"{_FONT}px").removesuffix("px")
        letters.append(
            f'<text class="{_class(properties.get("fill", "#000000"))}" x="{x}" y="{y}" '
            f'font-size="{size}">{word.replace("-", _MINUS)}</text>'
        )
    drawn = [f'<path class="{name}" d="{"".join(parts)}"/>' for name, parts in lines.items()]
    drawn += [f'<path class="{name} area" d="{"".join(p)}"/>' for name, p in areas.items()]
    return "".join(drawn + letters)


def _class(colour: str) -> str:
    return _CLASS.get(colour.upper(), "a-c")
