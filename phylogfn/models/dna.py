"""Nucleotide models: JC69, K80, F81, HKY85 and GTR. States are in the order A, C, G, T.

Jukes & Cantor 1969; Kimura 1980, J Mol Evol 16:111-120; Felsenstein 1981, J Mol Evol 17:368-376;
Hasegawa, Kishino & Yano 1985, J Mol Evol 22:160-174; Tavare 1986, Lect Math Life Sci 17:57-86.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phylogfn.models.parameters import Parameter, Prior

__all__ = ["DNA_MODELS", "GTR_PAIRS", "NUCLEOTIDES", "DnaFamily", "dna_exchangeabilities"]

NUCLEOTIDES = "ACGT"
GTR_PAIRS = ("AC", "AG", "AT", "CG", "CT", "GT")

_KAPPA = Parameter("kappa", "positive", ("kappa",), (2.0,), (-7.0, 7.0), Prior("beta", (1.0, 1.0)))
_RATES = Parameter(
    "exchangeabilities",
    "simplex",
    GTR_PAIRS,
    (0.125, 0.25, 0.125, 0.125, 0.25, 0.125),
    (-9.0, 9.0),
    Prior("dirichlet", (1.0,)),
)


@dataclass(frozen=True)
class DnaFamily:
    """Free parameters of a nucleotide model: its rates, and whether its frequencies are equal."""

    name: str
    rates: Parameter | None
    equal_frequencies: bool


DNA_MODELS = {
    "JC69": DnaFamily("JC69", None, True),
    "K80": DnaFamily("K80", _KAPPA, True),
    "F81": DnaFamily("F81", None, False),
    "HKY85": DnaFamily("HKY85", _KAPPA, False),
    "GTR": DnaFamily("GTR", _RATES, False),
}


def dna_exchangeabilities(values: np.ndarray) -> np.ndarray:
    """Return the symmetric exchangeabilities of a nucleotide model.

    Parameters
    ----------
    values : ndarray, shape (0,) or shape (1,) or shape (6,), float64
        Nothing (all equal), kappa (transitions over transversions), or the six rates in the
        order of `GTR_PAIRS`.

    Returns
    -------
    exchangeabilities : ndarray, shape (4,4), float64
        Zero diagonal.
    """
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        rates = np.ones(6)
    elif values.size == 1:
        rates = np.array([1.0, values[0], 1.0, 1.0, values[0], 1.0])
    else:
        rates = values
    matrix = np.zeros((4, 4))
    matrix[np.triu_indices(4, 1)] = rates
    return matrix + matrix.T
