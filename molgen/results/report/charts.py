"""Charts of the report on a library."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from gfncore.report.histogram import draw_histogram
from gfncore.report.page import Chart, in_both_sizes
from gfncore.report.scatter import draw_scatter
from molgen.results.columns import LibraryColumns, front_rows
from molgen.scoring.table import column_names

__all__ = ["draw_agreement", "draw_distributions", "draw_fronts"]

_POINTS_SHOWN = 1500
_PROPERTIES: dict[str, Callable[[Chem.Mol], float]] = {
    "molecular weight (g/mol)": rdMolDescriptors._CalcMolWt,
    "logP (Crippen)": lambda molecule: rdMolDescriptors.CalcCrippenDescriptors(molecule)[0],
    "topological polar surface (\u00c5\u00b2)": rdMolDescriptors.CalcTPSA,
}


def draw_distributions(library: LibraryColumns) -> list[Chart]:
    """Return histograms of the score, of common properties and of each component."""
    rows = [int(row) for row in _spread(np.arange(len(library)))]
    molecules = [molecule for row in rows if (molecule := library.molecules[row]) is not None]
    # pairs, since a component may have the same name as another figure
    figures = [("score", library.reward.tolist())]
    for label, of in _PROPERTIES.items():
        figures.append((label, [of(molecule) for molecule in molecules]))
    if len(library.components) > 1:
        names, _ = column_names(list(library.components))
        columns = library.components.values()
        figures += [(name, c.tolist()) for name, c in zip(names, columns, strict=True)]

    def draw(values: list[float], label: str) -> Callable[..., str]:
        return lambda width, height: draw_histogram(
            values, x_label=label, y_label="molecules", width=width, height=height
        )

    charts = [in_both_sizes(draw(values, label)) for label, values in figures]
    return [chart for chart in charts if chart]


class Drawn(Protocol):
    """A library, or what was drawn at one exponent."""

    @property
    def log_reward(self) -> NDArray[np.float64]:
        """Log of the target of each molecule."""
        ...

    @property
    def log_probability(self) -> NDArray[np.float64]:
        """Log of the sampling probability of each, nan if unknown."""
        ...


def draw_agreement(library: Drawn, log_partition: float) -> Chart:
    """Return a chart of log probabilities against log rewards; empty if these are unknown.

    For a perfect sampler all points lie on a line, which is drawn if ``log_partition`` is known.
    """
    rows = _spread(np.flatnonzero(np.isfinite(library.log_probability + library.log_reward)))
    intercept = -log_partition if math.isfinite(log_partition) else None
    return in_both_sizes(
        lambda width, height: draw_scatter(
            library.log_reward[rows].tolist(),
            library.log_probability[rows].tolist(),
            x_label="ln reward",
            y_label="ln sampling probability",
            intercept=intercept,
            width=width,
            height=height,
        )
    )


def draw_fronts(library: LibraryColumns) -> list[Chart]:
    """Return a chart for each of the first three pairs of objectives."""
    if library.n_objectives < 2:
        return []
    front = np.zeros(len(library), bool)
    front[front_rows(library)] = True
    inner = _spread(np.flatnonzero(~front))
    rows = np.concatenate([inner, np.flatnonzero(front)])

    def draw(one: int, other: int) -> Callable[..., str]:
        return lambda width, height: draw_scatter(
            library.objectives[rows, one].tolist(),
            library.objectives[rows, other].tolist(),
            x_label=library.objective_names[one],
            y_label=library.objective_names[other],
            marked=front[rows].tolist(),
            width=width,
            height=height,
        )

    pairs = list(combinations(range(library.n_objectives), 2))[:3]
    charts = [in_both_sizes(draw(one, other)) for one, other in pairs]
    return [chart for chart in charts if chart]


def _spread(rows: np.ndarray) -> np.ndarray:
    """Return the rows, or an evenly spaced subset if there are very many."""
    if len(rows) <= _POINTS_SHOWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _POINTS_SHOWN).astype(np.int64)]
