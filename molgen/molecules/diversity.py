"""Diversity of a library: similarity, modes, scaffolds, all as RDKit computes them.

Similarity is that of Tanimoto on Morgan fingerprints (radius 2, 2048 bits), modes are the leaders
of sphere exclusion, scaffolds are those of Bemis & Murcko (1996).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol
from rdkit.DataStructs import BulkTanimotoSimilarity, ExplicitBitVect
from rdkit.SimDivFilters.rdSimDivPickers import LeaderPicker

__all__ = [
    "MODE_SCORE",
    "MODE_SIMILARITY",
    "Modes",
    "ScaffoldCap",
    "find_modes",
    "internal_diversity",
    "morgan_fingerprints",
    "murcko_scaffold",
]

MODE_SCORE = 0.8
"""Least score of a molecule that counts as a mode."""
MODE_SIMILARITY = 0.7
"""Modes are less similar to one another than this."""

_RADIUS, _BITS = 2, 2048


def morgan_fingerprints(molecules: Sequence[Chem.Mol]) -> list[ExplicitBitVect]:
    """Return the Morgan fingerprints of molecules: radius 2, 2048 bits (set or not, no counts)."""
    generator = GetMorganGenerator(radius=_RADIUS, fpSize=_BITS)
    return [generator.GetFingerprint(molecule) for molecule in molecules]


def _similarities(one: ExplicitBitVect, others: Sequence[ExplicitBitVect]) -> list[float]:
    # RDKit's type stubs only have sparse vectors
    return list(BulkTanimotoSimilarity(one, others))  # pyright: ignore


def internal_diversity(fingerprints: Sequence[ExplicitBitVect], most_compared: int = 5000) -> float:
    """Return one minus the mean pairwise similarity of molecules; nan for fewer than two.

    If there are more than `most_compared` molecules, an evenly spaced subset of so many is used.

    Examples
    --------
    >>> molecules = [Chem.MolFromSmiles(text) for text in ("CCO", "CCCO", "c1ccccc1")]
    >>> round(internal_diversity(morgan_fingerprints(molecules)), 1)
    0.8
    """
    n = len(fingerprints)
    if n > most_compared:
        rows = np.linspace(0, n - 1, most_compared).astype(np.int64).tolist()
        return internal_diversity([fingerprints[int(row)] for row in rows])
    if n < 2:
        return float("nan")
    total = sum(
        math.fsum(_similarities(fingerprints[row], fingerprints[:row])) for row in range(1, n)
    )
    return 1.0 - total / (n * (n - 1) / 2)


@dataclass(frozen=True)
class Modes:
    """Groups of similar molecules with high scores.

    Parameters
    ----------
    leaders : ndarray, shape (n_modes,), int64
        The best molecule of each group, best first.
    members : ndarray, shape (n_modes,), int64
        Molecules of each group, the leader among them.
    """

    leaders: NDArray[np.int64]
    members: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of modes."""
        return len(self.leaders)


def find_modes(
    fingerprints: Sequence[ExplicitBitVect],
    score: NDArray[np.float64],
    *,
    least_score: float = MODE_SCORE,
    similarity: float = MODE_SIMILARITY,
) -> Modes:
    """Find dissimilar molecules of high score and return them as modes.

    Molecules with at least the requested score are visited in order of score (equal scores in the
    order of rows). A molecule becomes the leader of a mode if its similarity to all earlier leaders
    is below ``similarity``; otherwise it belongs to the mode of the most similar leader.

    Parameters
    ----------
    fingerprints : list of ExplicitBitVect, length n
        Bits of each molecule; a molecule without bits (unreadable) is never a mode.
    score : ndarray, shape (n,), float64
        Score of each molecule; nan is never high enough.
    """
    candidates = np.flatnonzero(score >= least_score)
    has_bits = [fingerprints[row].GetNumOnBits() > 0 for row in candidates.tolist()]
    candidates = candidates[np.array(has_bits, bool)]
    candidates = candidates[np.argsort(-score[candidates], kind="stable")]
    if not len(candidates):
        return Modes(candidates, np.zeros(0, np.int64))
    bits = [fingerprints[int(row)] for row in candidates]
    picked = LeaderPicker().LazyBitVectorPick(bits, len(bits), 1.0 - similarity)
    leaders = np.array(picked, np.int64)
    leader_bits = [bits[row] for row in picked]
    members = np.ones(len(leaders), np.int64)
    for row in sorted(set(range(len(bits))) - set(picked)):
        before = int(np.searchsorted(leaders, row))
        members[np.argmax(_similarities(bits[row], leader_bits[:before]))] += 1
    return Modes(candidates[leaders], members)


def murcko_scaffold(molecule: Chem.Mol) -> str:
    """Return the SMILES of the ring systems and linkers of a molecule; empty without rings.

    Examples
    --------
    >>> murcko_scaffold(Chem.MolFromSmiles("CCc1ccccc1"))
    'c1ccccc1'
    """
    return Chem.MolToSmiles(GetScaffoldForMol(molecule))


class ScaffoldCap:
    """Filter that admits a limited number of molecules per scaffold, in order of arrival.

    Molecules without rings have no scaffold and are all admitted.

    Parameters
    ----------
    most : int, optional
        Maximum number of molecules per scaffold. None: no limit.

    Attributes
    ----------
    admitted : dict of str to None
        SMILES of admitted molecules, in order of arrival.
    refused : set of str
        SMILES of all other molecules.
    scaffolds : dict of str to str
        Scaffold of each molecule offered, in order of arrival; empty without rings or limit.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.admitted: dict[str, None] = {}
        self.refused: set[str] = set()
        self.scaffolds: dict[str, str] = {}
        self._taken: Counter[str] = Counter()

    def offer(self, smiles: str) -> None:
        """Let a molecule in, or refuse it; one that came before changes nothing."""
        if smiles in self.scaffolds:
            return
        scaffold = "" if self.most is None else murcko_scaffold(Chem.MolFromSmiles(smiles))
        self.scaffolds[smiles] = scaffold
        if scaffold and self._taken[scaffold] == self.most:
            self.refused.add(smiles)
            return
        self._taken[scaffold] += 1
        self.admitted[smiles] = None
