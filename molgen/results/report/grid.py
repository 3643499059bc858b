"""Rows of molecules with their drawings, as reports and notebooks show them in a grid."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from gfncore.report.page import signed
from molgen.molecules.diversity import find_modes
from molgen.results.columns import LibraryColumns
from molgen.results.report.drawing import draw_molecule

__all__ = ["diverse_rows", "molecule_row"]

_SELECTED_FROM = 1000  # number of best molecules


def diverse_rows(library: LibraryColumns, shown: int) -> list[dict[str, Any]]:
    """Return the best molecules that differ from one another, at most `shown`, best first."""
    best = library.fingerprints[:_SELECTED_FROM]
    groups = find_modes(best, library.reward[:_SELECTED_FROM], least_score=-math.inf)
    return [molecule_row(library, row) for row in groups.leaders[:shown].tolist()]


def molecule_row(library: LibraryColumns, row: int) -> dict[str, Any]:
    """Return ``svg``, ``smiles``, ``score`` and ``log_probability`` of a molecule as text."""
    smiles = library.smiles[row]
    score = signed(float(library.reward[row]), 3)
    label = f"Molecule {smiles}, score {score}"
    return {
        "svg": Markup(draw_molecule(library.molecules[row], label)),
        "smiles": smiles,
        "score": score,
        "log_probability": signed(float(library.log_probability[row]), 2),
    }
