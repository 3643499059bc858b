"""The table of scores that comes back for a list of molecules."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["ScoreTable", "score_text"]


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
