"""Nucleotide models, each a code of equal rates: JC69 to GTR, and any other six digits.

States are in the order A, C, G, T, and the six exchangeabilities in the order of `GTR_PAIRS`. The
code of a model has one digit per pair; pairs of the same digit share a rate, and form a class.

The free rates of a model with k classes are the rates of the classes as proportions of their sum,
with a Dirichlet(1, ..., 1) prior. For six classes this is the prior of MrBayes with ``nst=6``; for
the two classes of K80 and HKY85 it is that with ``nst=2``, where the transition rate as a share of
transition plus transversion rate is Beta(1, 1); the parameter is then their ratio kappa.

Jukes & Cantor 1969; Kimura 1980, J Mol Evol 16:111-120; Felsenstein 1981, J Mol Evol 17:368-376;
Kimura 1981, Proc Natl Acad Sci USA 78:454-458; Hasegawa, Kishino & Yano 1985, J Mol Evol
22:160-174; Tavare 1986, Lect Math Life Sci 17:57-86; Tamura & Nei 1993, Mol Biol Evol 10:512-526;
Zharkikh 1994, J Mol Evol 39:315-329 (SYM); Posada 2003, Curr Protoc Bioinform 00:6.5.1-6.5.14 (TIM
and TVM).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from phylogfn.models.parameters import Parameter, Prior

__all__ = [
    "DNA_ALIASES",
    "DNA_MODELS",
    "GTR_PAIRS",
    "NUCLEOTIDES",
    "DnaFamily",
    "dna_exchangeabilities",
    "dna_family",
]

NUCLEOTIDES = "ACGT"
GTR_PAIRS = ("AC", "AG", "AT", "CG", "CT", "GT")
_TRANSITIONS = ("AG", "CT")

_KAPPA = Parameter("kappa", "positive", ("kappa",), (2.0,), (-7.0, 7.0), Prior("beta", (1.0, 1.0)))


@dataclass(frozen=True)
class DnaFamily:
    """A nucleotide model: which exchangeabilities are equal, and whether its frequencies are.

    Attributes
    ----------
    name : str
        Name as in `DNA_MODELS`, or the code.
    code : str
        Six digits in the order of `GTR_PAIRS`; pairs of the same digit share a rate.
    equal_frequencies : bool
        Whether all frequencies are 1/4.
    """

    name: str
    code: str
    equal_frequencies: bool

    @property
    def class_of_pair(self) -> tuple[int, ...]:
        """Class of each pair, shape (6,): numbered by first appearance, that of GT last."""
        digits = [digit for digit in dict.fromkeys(self.code) if digit != self.code[-1]]
        digits.append(self.code[-1])
        return tuple(digits.index(digit) for digit in self.code)

    @property
    def n_classes(self) -> int:
        """Number of different rates k, 1 to 6."""
        return len(set(self.code))

    @property
    def labels(self) -> tuple[str, ...]:
        """Pairs of each class, such as ("AG", "AT,CG", "CT", "AC,GT") of TIM."""
        classes: list[list[str]] = [[] for _ in range(self.n_classes)]
        for pair, number in zip(GTR_PAIRS, self.class_of_pair, strict=True):
            classes[number].append(pair)
        return tuple(",".join(pairs) for pairs in classes)

    @property
    def has_kappa(self) -> bool:
        """Whether the two classes are transitions and transversions."""
        return self.class_of_pair == (1, 0, 1, 1, 0, 1)

    @property
    def rates(self) -> Parameter | None:
        """The free rates; None if all are equal."""
        if self.n_classes == 1:
            return None
        if self.has_kappa:
            return _KAPPA
        start = [1.0 + any(pair in label for pair in _TRANSITIONS) for label in self.labels]
        return Parameter(
            "exchangeabilities",
            "simplex",
            self.labels,
            tuple(value / sum(start) for value in start),
            (-9.0, 9.0),
            Prior("dirichlet", (1.0,)),
        )


# name, code, equal frequencies
_TABLE = (
    ("JC69", "000000", True),
    ("F81", "000000", False),
    ("K80", "010010", True),
    ("HKY85", "010010", False),
    ("TNe", "010020", True),
    ("TN93", "010020", False),
    ("K81", "012210", True),
    ("K81uf", "012210", False),
    ("TPM2", "010212", True),
    ("TPM2uf", "010212", False),
    ("TPM3", "012012", True),
    ("TPM3uf", "012012", False),
    ("TIMe", "012230", True),
    ("TIM", "012230", False),
    ("TIM2e", "010232", True),
    ("TIM2", "010232", False),
    ("TIM3e", "012032", True),
    ("TIM3", "012032", False),
    ("TVMe", "012314", True),
    ("TVM", "012314", False),
    ("SYM", "012345", True),
    ("GTR", "012345", False),
)
DNA_MODELS = {name: DnaFamily(name, code, equal) for name, code, equal in _TABLE}
DNA_ALIASES = {
    "JC": "JC69",
    "K2P": "K80",
    "HKY": "HKY85",
    "TN": "TN93",
    "TRN": "TN93",
    "TNEF": "TNe",
    "TRNE": "TNe",
    "TRNEF": "TNe",
    "K3P": "K81",
    "TPM1": "K81",
    "K81U": "K81uf",
    "K3PU": "K81uf",
    "K3PUF": "K81uf",
    "TPM1U": "K81uf",
    "TPM1UF": "K81uf",
    "TPM2U": "TPM2uf",
    "TPM3U": "TPM3uf",
    "TIM1": "TIM",
    "TIM1E": "TIMe",
    "TIMEF": "TIMe",
    "TIM1EF": "TIMe",
    "TIM2EF": "TIM2e",
    "TIM3EF": "TIM3e",
    "TVMEF": "TVMe",
    "REV": "GTR",
}
"""Other names in use, in capital letters, with the names in `DNA_MODELS`."""


def dna_family(name: str) -> DnaFamily:
    """Return the nucleotide model of a name in `DNA_MODELS` or of a code.

    Parameters
    ----------
    name : str
        Such as "TN93" or "010212"; models that are given by their code have unequal frequencies.

    Raises
    ------
    KeyError
        The name is neither.

    Examples
    --------
    >>> dna_family("TN93").labels
    ('AG', 'CT', 'AC,AT,CG,GT')
    >>> dna_family("010212").n_classes
    3
    """
    if re.fullmatch(r"[0-9]{6}", name):
        return DnaFamily(name, name, False)
    return DNA_MODELS[name]


def dna_exchangeabilities(family: DnaFamily, values: np.ndarray) -> np.ndarray:
    """Return the symmetric exchangeabilities of a nucleotide model.

    Parameters
    ----------
    family : DnaFamily
        The model.
    values : ndarray, shape (0,) or (1,) or (k,), float64
        Nothing (all rates are equal), kappa (transition rate over transversion rate, if the model
        `has_kappa`), or the rates of the k classes in the order of `DnaFamily.labels`.

    Returns
    -------
    exchangeabilities : ndarray, shape (4, 4), float64
        Zero diagonal.

    Examples
    --------
    >>> dna_exchangeabilities(dna_family("K80"), [4.0])[0]
    array([0., 1., 4., 1.])
    """
    rates = np.asarray(values, dtype=float)
    if rates.size == 0:
        rates = np.ones(1)
    elif rates.size == 1 and family.has_kappa:
        rates = np.array([rates[0], 1.0])
    matrix = np.zeros((4, 4))
    matrix[np.triu_indices(4, 1)] = rates[list(family.class_of_pair)]
    return matrix + matrix.T
