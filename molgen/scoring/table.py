"""The table of scores that comes back for a list of molecules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["RESERVED", "ScoreTable", "column_names", "free_name", "score_text"]

RESERVED = (
    "smiles",
    "name",
    "reward",
    "score",
    "log_probability",
    "log_probability_se",
    "scaffold",
    "count",
    "oracle_call",
    "remark",
    "seed",
    "seeds",
    "n_seeds",
)
"""Columns that tables of molecules have themselves, those of workflows included."""


def column_names(
    components: Sequence[str], objectives: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Return the columns of components and of objectives, no two the same, in every table alike.

    A component called like one of the `RESERVED` columns is ``NAME_component``; an objective called
    like a component is ``NAME_objective``; where that is taken, a number is appended.

    Parameters
    ----------
    components, objectives : sequence of str
        Their names; no two components have the same, and no two objectives.

    Returns
    -------
    of_components, of_objectives : list of str

    Examples
    --------
    >>> column_names(["qed", "reward"], ["qed"])
    (['qed', 'reward_component'], ['qed_objective'])
    """
    # names that need no change keep them, whatever the others are called
    taken = {*RESERVED, *components}
    of_components = [
        free_name(f"{name}_component", taken) if name in RESERVED else name for name in components
    ]
    taken |= {*of_components, *objectives}
    known = {*RESERVED, *components, *of_components}
    of_objectives = [
        free_name(f"{name}_objective", taken) if name in known else name for name in objectives
    ]
    return of_components, of_objectives


def free_name(name: str, taken: set[str]) -> str:
    """Return a name that is not taken yet, and take it."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found


def score_text(value: float) -> str:
    """Return a number for a table: seven digits, empty when it is not known."""
    return "" if math.isnan(value) else f"{value:.7g}"


@dataclass(frozen=True)
class ScoreTable:
    """Scores of a list of molecules.

    Attributes
    ----------
    smiles : list of str
        Canonical, in the order asked for; as given where RDKit cannot read it.
    total : ndarray, shape (n,), dtype float64
        Between 0 and 1; 0 where a filter was not passed; NaN where a score failed.
    components : dict of str to ndarray, shape (n,)
        Raw values by component; NaN where it failed or was not asked.
    transformed : dict of str to ndarray, shape (n,)
        Scores between 0 and 1 by component.
    objectives : ndarray, shape (n, K), dtype float64
        The scores of all components but filters with ``aggregation = "pareto"``, else the total
        (K = 1).
    failures : dict of int to str
        Why a molecule has no total, by row.
    filtered : dict of int to str
        The filter that a molecule did not pass, by row.
    """

    smiles: list[str]
    total: np.ndarray
    components: dict[str, np.ndarray]
    transformed: dict[str, np.ndarray]
    objectives: np.ndarray
    failures: dict[int, str]
    filtered: dict[int, str]

    def __len__(self) -> int:
        return len(self.smiles)
