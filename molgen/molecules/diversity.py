"""How different the molecules of a library are: similarity, modes, scaffolds.

Similarity is that of Tanimoto on Morgan fingerprints (radius 2, 2048 bits), scaffolds are those of
Bemis & Murcko (1996), as RDKit computes them. Matrices of bits are multiplied whole, so that the
measures of a thousand molecules take a fraction of a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

__all__ = [
    "MODE_SCORE",
    "MODE_SIMILARITY",
    "Modes",
    "ScaffoldCap",
    "find_modes",
    "internal_diversity",
    "morgan_fingerprints",
    "murcko_scaffold",
    "tanimoto",
]

MODE_SCORE = 0.8
"""Least score of a molecule that counts as a mode."""
MODE_SIMILARITY = 0.7
"""Modes are less similar to one another than this."""

_RADIUS, _BITS = 2, 2048
_BLOCK = 1024  # rows of a matrix of similarities at a time
_MODE_BLOCK = 256  # molecules compared with the leaders at a time
_MOST_COMPARED = 5000  # molecules whose pairs are all compared


def morgan_fingerprints(molecules: Sequence[Chem.Mol]) -> NDArray[np.uint8]:
    """Return the fingerprints of molecules, radius 2.

    Returns
    -------
    bits : ndarray, shape(n, 2048), dtype=uint8
    """
    generator = GetMorganGenerator(radius=_RADIUS, fpSize=_BITS)
    bits = np.zeros((len(molecules), _BITS), np.uint8)
    for row, molecule in enumerate(molecules):
        bits[row] = generator.GetFingerprintAsNumPy(molecule)
    return bits


def tanimoto(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the similarity of each row of ``one`` to each row of ``other``.

    Parameters
    ----------
    one, other : ndarray, shape(n, bits) and (m, bits), dtype=uint8
        Bits, 0 or 1.

    Returns
    -------
    similarity : ndarray, shape(n, m), dtype=float32
        Shared bits over bits of either; 1 where both have none.
    """
    a, b = one.astype(np.float32), other.astype(np.float32)
    shared = a @ b.T  # whole numbers below 2^24, exact in float32
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - shared
    return np.divide(shared, either, out=np.ones_like(shared), where=either > 0)


def internal_diversity(fingerprints: NDArray[np.uint8]) -> float:
    """Return one minus the mean similarity of two different rows; nan for fewer than two rows.

    Of more than 5,000 rows, 5,000 evenly spaced ones stand for all.
    """
    n = len(fingerprints)
    if n > _MOST_COMPARED:
        rows = np.linspace(0, n - 1, _MOST_COMPARED).astype(np.int64)
        return internal_diversity(fingerprints[rows])
    if n < 2:
        return float("nan")
    total = 0.0
    for start in range(0, n, _BLOCK):
        block = fingerprints[start : start + _BLOCK]
        total += float(tanimoto(block, fingerprints).sum(dtype=np.float64))
    return 1.0 - (total - n) / (n * (n - 1))  # the diagonal is one throughout


@dataclass(frozen=True)
class Modes:
    """Groups of similar molecules with high scores.

    Parameters
    ----------
    leaders : ndarray, shape(n_modes,), dtype=int64
        The best molecule of each group, best first.
    members : ndarray, shape(n_modes,), dtype=int64
        Molecules of each group, the leader among them.
    """

    leaders: NDArray[np.int64]
    members: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of modes."""
        return len(self.leaders)


def find_modes(
    fingerprints: NDArray[np.uint8],
    score: NDArray[np.float64],
    *,
    least_score: float = MODE_SCORE,
    similarity: float = MODE_SIMILARITY,
) -> Modes:
    """Count molecules of high score that differ from one another.

    Molecules with at least the score asked for are taken from the best on (in the order of the
    rows where scores are equal). Each becomes the leader of a mode if its similarity to all
    leaders before it is below ``similarity``; else it is a member of the mode of the leader that
    it is most similar to.

    Parameters
    ----------
    fingerprints : ndarray, shape(n, bits), dtype=uint8
        Bits of each molecule.
    score : ndarray, shape(n,), dtype=float64
        Its score; nan is never high enough.
    """
    candidates = np.flatnonzero(score >= least_score)
    candidates = candidates[np.argsort(-score[candidates], kind="stable")]
    bits = fingerprints[candidates]
    leaders: list[int] = []
    members = np.zeros(len(candidates), np.int64)  # at the row of the leader
    for start in range(0, len(candidates), _MODE_BLOCK):
        block = np.arange(start, min(start + _MODE_BLOCK, len(candidates)))
        nearest = np.full(len(block), -1)
        highest = np.full(len(block), -1.0, np.float32)
        if leaders:
            near = tanimoto(bits[block], bits[leaders])
            nearest = np.array(leaders)[near.argmax(axis=1)]
            highest = near.max(axis=1)
        among = tanimoto(bits[block], bits[block])
        for place, row in enumerate(block.tolist()):
            if highest[place] >= similarity:
                members[nearest[place]] += 1
                continue
            leaders.append(row)
            members[row] = 1
            closer = among[place] > highest
            highest[closer], nearest[closer] = among[place, closer], row
    return Modes(candidates[leaders], members[leaders])


def murcko_scaffold(molecule: Chem.Mol) -> str:
    """Return the SMILES of the rings of a molecule and of what links them; empty without rings."""
    return Chem.MolToSmiles(GetScaffoldForMol(molecule))


class ScaffoldCap:
    """Lets in at most so many molecules of each scaffold: the first that come.

    Molecules without rings have no scaffold and are all let in.

    Parameters
    ----------
    most : int, optional
        Molecules of a scaffold. None: any number.

    Attributes
    ----------
    admitted : dict of str to None
        SMILES of those let in, in the order in which they came.
    refused : set of str
        SMILES of the others.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.admitted: dict[str, None] = {}
        self.refused: set[str] = set()
        self._taken: Counter[str] = Counter()

    def offer(self, smiles: str) -> None:
        """Let a molecule in, or refuse it; one that came before changes nothing."""
        if smiles in self.admitted or smiles in self.refused:
            return
        scaffold = "" if self.most is None else murcko_scaffold(Chem.MolFromSmiles(smiles))
        if scaffold and self._taken[scaffold] == self.most:
            self.refused.add(smiles)
            return
        self._taken[scaffold] += 1
        self.admitted[smiles] = None
