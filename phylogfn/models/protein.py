"""Amino acid models: Poisson, LG, WAG, JTT and Dayhoff, in the state order of `AMINO_ACIDS`.

The sources of the matrices are given in `protein_matrices`. Poisson (equal rates and frequencies)
is the Jukes-Cantor model of twenty states (Bishop & Friday 1987).
"""

from __future__ import annotations

import numpy as np

from phylogfn.models import protein_matrices
from phylogfn.models.protein_matrices import AMINO_ACIDS

__all__ = ["AMINO_ACIDS", "PROTEIN_MODELS", "protein_matrix"]

_TEXTS = {
    "Poisson": None,
    "LG": protein_matrices.LG,
    "WAG": protein_matrices.WAG,
    "JTT": protein_matrices.JTT,
    "Dayhoff": protein_matrices.DAYHOFF,
}
PROTEIN_MODELS = tuple(_TEXTS)


def protein_matrix(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the published exchangeabilities and frequencies of a model.

    Parameters
    ----------
    name : str
        One of `PROTEIN_MODELS`.

    Returns
    -------
    exchangeabilities : ndarray, shape (20,20), float64
        Symmetric with a zero diagonal.
    frequencies : ndarray, shape (20,), float64
        Scaled to sum 1 (the published figures are rounded).
    """
    text = _TEXTS[name]
    matrix = np.zeros((20, 20))
    if text is None:
        matrix[np.tril_indices(20, -1)] = 1.0
        return matrix + matrix.T, np.full(20, 0.05)
    numbers = np.array(text.split(), dtype=float)
    matrix[np.tril_indices(20, -1)] = numbers[:190]
    return matrix + matrix.T, numbers[190:] / numbers[190:].sum()
