"""Characters of DNA, RNA and protein as sets of states.

A set is a bitmask: bit i says that state i of `Alphabet.states` is possible. The letters are those
of IUPAC-IUB (Cornish-Bowden, Nucleic Acids Res. 13:3021, 1985; IUPAC-IUB JCBN, Eur. J. Biochem.
138:9, 1984); gaps, ``?``, ``N`` (nucleotides) and ``X`` are missing data, the set of all states.
Amino acids stand in the order of PAML's data files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHABETS", "DNA", "PROTEIN", "RNA", "Alphabet", "detect_alphabet"]

_NUCLEOTIDE_CODES = {
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "U": "T",
    "N": "ACGT",
    "X": "ACGT",
}
_AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
# Selenocysteine, pyrrolysine and stops have no place in 20-state models: anything is possible.
_AMINO_ACID_CODES = {"B": "DN", "Z": "EQ", "J": "IL"} | dict.fromkeys("XUO*", _AMINO_ACIDS)
# This share of A, C, G, T, U among the letters, though others are no nucleotides: a wrong letter.
_NUCLEOTIDE_SHARE = 0.9


@dataclass(frozen=True)
class Alphabet:
    """The characters of one kind of data.

    Parameters
    ----------
    name : str
        "dna", "rna" or "protein".
    states : str
        The 4 or 20 states; state i is ``states[i]``.
    masks : ndarray, shape(128,), dtype=uint32
        The set that each ASCII character stands for; 0 where it is no character of this alphabet.
    """

    name: str
    states: str
    masks: NDArray[np.uint32] = field(repr=False, compare=False)

    @property
    def n_states(self) -> int:
        """The number of states, 4 or 20."""
        return len(self.states)

    @property
    def missing(self) -> int:
        """The set of all states, which gaps stand for."""
        return (1 << len(self.states)) - 1

    @property
    def label(self) -> str:
        """The name as it stands in messages."""
        return self.name if self.name == "protein" else self.name.upper()

    def mask(self, characters: str) -> int:
        """Return the union of the sets of some characters; 0 when one of them is unknown."""
        values = [int(self.masks[ord(c)]) if ord(c) < 128 else 0 for c in characters]
        return int(np.bitwise_or.reduce(values)) if values and all(values) else 0


def _alphabet(name: str, states: str, codes: Mapping[str, str]) -> Alphabet:
    masks = np.zeros(128, np.uint32)
    sets = {state: state for state in states} | dict(codes) | dict.fromkeys("-?", states)
    for character, possible in sets.items():
        mask = sum(1 << states.index(state) for state in possible)
        masks[ord(character)] = masks[ord(character.lower())] = mask
    masks.flags.writeable = False
    return Alphabet(name, states, masks)


_RNA_CODES = {
    code.replace("U", "T"): states.replace("T", "U") for code, states in _NUCLEOTIDE_CODES.items()
}

DNA = _alphabet("dna", "ACGT", _NUCLEOTIDE_CODES)
RNA = _alphabet("rna", "ACGU", _RNA_CODES)
PROTEIN = _alphabet("protein", _AMINO_ACIDS, _AMINO_ACID_CODES)
ALPHABETS: Mapping[str, Alphabet] = {"dna": DNA, "rna": RNA, "protein": PROTEIN}


def detect_alphabet(sequences: Iterable[str]) -> Alphabet:
    """Return the alphabet that sequences are written in.

    Sequences in which every letter is an IUPAC code of nucleotides, or at least 90 % of the letters
    other than ``N`` and ``X`` are A, C, G, T or U, are RNA if there are U and no T, else DNA; all
    others are protein.
    """
    counts: Counter[str] = Counter()
    for sequence in sequences:
        counts.update(sequence)
    letters: Counter[str] = Counter()
    for character, count in counts.items():
        if character.isascii() and character.isalpha():
            letters[character.upper()] += count
    telling = sum(letters.values()) - letters["N"] - letters["X"]
    foreign = [c for c in letters if c not in "ACGT" and c not in _NUCLEOTIDE_CODES]
    if foreign and sum(letters[c] for c in "ACGTU") < _NUCLEOTIDE_SHARE * telling:
        return PROTEIN
    return RNA if letters["U"] and not letters["T"] else DNA
