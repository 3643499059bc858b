"""Mixtures over sites of amino acid models: LG4M, LG4X and the profiles C10 to C60.

LG4M and LG4X (Le, Dang & Gascuel 2012, Mol Biol Evol 29:2921-2936) have four categories of sites,
each with a rate and a matrix of its own: rates of a gamma distribution and equal weights in LG4M,
free rates and weights in LG4X. C10 to C60 (Le, Gascuel & Lartillot 2008, Bioinformatics
24:2317-2323) have 10 to 60 profiles of amino acid frequencies with published weights, and the
exchangeabilities of one matrix, such as LG or equal ones; with rates among sites, every profile
occurs in every rate category. The process of each category has one expected substitution per unit
time before its rate applies, as in IQ-TREE.
"""

from __future__ import annotations

import numpy as np

from phylogfn.models.protein import exchangeability_matrix, published_numbers

__all__ = [
    "FOUR_MATRICES",
    "PROFILES",
    "four_matrices",
    "profiles",
]

FOUR_MATRICES = ("LG4M", "LG4X")
PROFILES = ("C10", "C20", "C30", "C40", "C50", "C60")


def four_matrices(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the matrices of LG4M or LG4X, those of the slowest sites first.

    Returns
    -------
    matrices : list of (exchangeabilities, frequencies)
        Shapes (20, 20) and (20,), float64.
    """
    rows = published_numbers(f"mixtures/{name}").reshape(4, 210)
    return [(exchangeability_matrix(row[:190]), row[190:] / row[190:].sum()) for row in rows]


def profiles(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and frequencies of the profiles of a mixture.

    Parameters
    ----------
    name : str
        One of `PROFILES`.

    Returns
    -------
    weights : ndarray, shape (k,), float64
        Sum 1.
    frequencies : ndarray, shape (k, 20), float64
        Rows sum to 1.

    Examples
    --------
    >>> weights, frequencies = profiles("C10")
    >>> frequencies.shape
    (10, 20)
    """
    rows = published_numbers(f"mixtures/{name}").reshape(-1, 21)
    frequencies = rows[:, 1:] / rows[:, 1:].sum(axis=1, keepdims=True)
    return rows[:, 0] / rows[:, 0].sum(), frequencies
