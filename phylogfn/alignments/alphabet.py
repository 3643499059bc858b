"""Characters of DNA, RNA, protein and morphological matrices as sets of states.

A set is a bitmask: bit i means that state i of `Alphabet.states` is possible. The letters are those
of IUPAC-IUB (Cornish-Bowden, Nucleic Acids Res. 13:3021, 1985; IUPAC-IUB JCBN, Eur. J. Biochem.
138:9, 1984); gaps, ``?``, ``N`` (nucleotides) and ``X`` are missing data, the set of all states.
Amino acids are in the order of PAML's data files. "standard" is the name in NEXUS files of data
whose states are symbols without a general meaning, 0 to 9 unless the file lists others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ALPHABETS",
    "DNA",
    "MAX_STATES",
    "PROTEIN",
    "RNA",
    "STANDARD",
    "Alphabet",
    "detect_alphabet",
    "standard_alphabet",
]

MAX_STATES = 32  # bits of a mask

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
# With this share of A, C, G, T, U, other letters that are not nucleotides are considered errors.
_NUCLEOTIDE_SHARE = 0.9


@dataclass(frozen=True)
class Alphabet:
    """The characters of one kind of data.

    Parameters
    ----------
    name : str
        "dna", "rna", "protein" or "standard".
    states : str
        The states, 4, 20, or 2 to 32 symbols; state i is ``states[i]``.
    masks : ndarray, shape (128,), uint32
        The set of states of each ASCII character; 0 for characters not in this alphabet.
    """

    name: str
    states: str
    masks: NDArray[np.uint32] = field(repr=False, compare=False)

    @property
    def n_states(self) -> int:
        """The number of states, 2 to 32."""
        return len(self.states)

    @property
    def missing(self) -> int:
        """The set of all states, which represents gaps."""
        return (1 << len(self.states)) - 1

    @property
    def label(self) -> str:
        """The name for messages."""
        return self.name.upper() if self.name in ("dna", "rna") else self.name

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
STANDARD = _alphabet("standard", "0123456789", {})
ALPHABETS: Mapping[str, Alphabet] = {
    "dna": DNA,
    "rna": RNA,
    "protein": PROTEIN,
    "standard": STANDARD,
}


def standard_alphabet(symbols: str) -> Alphabet:
    """Return the alphabet of a morphological matrix.

    Parameters
    ----------
    symbols : str
        The states, 2 to 32 printing ASCII characters other than ``-`` and ``?``; their order is
        that of ordered characters. Upper and lower case are the same state, as in NEXUS.

    Raises
    ------
    ValueError
        If the symbols are invalid; the message continues the phrase "symbols ".
    """
    folded = symbols.upper()
    wrong = [c for c in folded if not "!" <= c <= "~" or c in "-?"]
    if wrong:
        raise ValueError(f"have {wrong[0]!r}, which is not a symbol of a state")
    twice = [c for c in folded if folded.count(c) > 1]
    if twice:
        raise ValueError(f"have {twice[0]!r} twice (upper and lower case are one)")
    if not 2 <= len(folded) <= MAX_STATES:
        raise ValueError(f"are {len(folded)}, but 2 to {MAX_STATES} states are supported")
    return _alphabet("standard", folded, {})


def detect_alphabet(sequences: Iterable[str]) -> Alphabet:
    """Return the alphabet of sequences.

    Sequences in which every letter is an IUPAC code of nucleotides, or at least 90 % of the letters
    other than ``N`` and ``X`` are A, C, G, T or U, are RNA if they contain U and no T, otherwise
    DNA; sequences with digits and no letter are standard; all others are protein.
    """
    counts: Counter[str] = Counter()
    for sequence in sequences:
        counts.update(sequence)
    letters: Counter[str] = Counter()
    for character, count in counts.items():
        if character.isascii() and character.isalpha():
            letters[character.upper()] += count
    if not letters and any(digit in counts for digit in STANDARD.states):
        return STANDARD
    telling = sum(letters.values()) - letters["N"] - letters["X"]
    foreign = [c for c in letters if c not in "ACGT" and c not in _NUCLEOTIDE_CODES]
    if foreign and sum(letters[c] for c in "ACGTU") < _NUCLEOTIDE_SHARE * telling:
        return PROTEIN
    return RNA if letters["U"] and not letters["T"] else DNA
