"""Amino acid models of published exchangeabilities, in the state order of `AMINO_ACIDS`.

Nuclear proteins: LG (Le & Gascuel 2008), WAG (Whelan & Goldman 2001), JTT (Jones, Taylor & Thornton
1992), Dayhoff (Dayhoff, Schwartz & Orcutt 1978), VT (Mueller & Vingron 2000), Blosum62 (Henikoff &
Henikoff 1992) and Q.pfam (Minh et al. 2021). Mitochondria: mtREV (Adachi & Hasegawa 1996) and mtMAM
of mammals (Yang, Nielsen & Hasegawa 1998). Chloroplasts: cpREV (Adachi et al. 2000). Poisson (equal
rates and frequencies) is the Jukes-Cantor model of twenty states (Bishop & Friday 1987).

Each matrix is a file of ``matrices/``, which names its publication and the program that it was
distributed with: the lower triangle of the symmetric exchangeabilities row by row (19 rows), and
the 20 equilibrium frequencies. The units of the exchangeabilities are arbitrary: a model scales
them to one expected substitution per unit time.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

__all__ = [
    "AMINO_ACIDS",
    "PROTEIN_MODELS",
    "exchangeability_matrix",
    "protein_matrix",
    "published_numbers",
]

AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
PROTEIN_MODELS = (
    "Poisson",
    "LG",
    "WAG",
    "JTT",
    "Dayhoff",
    "VT",
    "Blosum62",
    "mtREV",
    "mtMAM",
    "cpREV",
    "Q.pfam",
)
_FOLDER = Path(__file__).with_name("matrices")


def protein_matrix(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the published exchangeabilities and frequencies of a model.

    Parameters
    ----------
    name : str
        One of `PROTEIN_MODELS`.

    Returns
    -------
    exchangeabilities : ndarray, shape (20, 20), float64
        Symmetric with a zero diagonal.
    frequencies : ndarray, shape (20,), float64
        Scaled to sum 1 (the published figures are rounded).

    Raises
    ------
    KeyError
        The model is unknown.
    """
    if name not in PROTEIN_MODELS:
        raise KeyError(name)
    if name == "Poisson":
        return exchangeability_matrix(np.ones(190)), np.full(20, 0.05)
    numbers = published_numbers(name)
    return exchangeability_matrix(numbers[:190]), numbers[190:] / numbers[190:].sum()


def exchangeability_matrix(lower: np.ndarray) -> np.ndarray:
    """Return the symmetric matrix with a lower triangle, shape (190,), given row by row."""
    matrix = np.zeros((20, 20))
    matrix[np.tril_indices(20, -1)] = lower
    return matrix + matrix.T


@cache
def published_numbers(name: str) -> np.ndarray:
    """Return all numbers of a file in ``matrices/``, such as the 210 of "LG"."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="ascii").splitlines()
    words = [word for line in lines if not line.startswith("#") for word in line.split()]
    numbers = np.array(words, dtype=float)
    numbers.flags.writeable = False  # it is shared by all models of this name
    return numbers
