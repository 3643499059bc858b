"""Count fingerprints by the names that practitioners use, and Tanimoto similarity to a molecule."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator as generators
from rdkit.DataStructs import TanimotoSimilarity

from molgen.molecules.reading import read_molecule

__all__ = ["FINGERPRINTS", "fingerprint", "similarity_to"]

FINGERPRINTS = ("ECFP4", "ECFP6", "FCFP4", "FCFP6", "AP", "TT", "PATH", "PHCO")
_PAIR_DISTANCE = 10  # bonds; the longest pair of AP


@functools.cache
def _generator(name: str) -> Any:
    if name in ("ECFP4", "ECFP6", "FCFP4", "FCFP6"):
        features = generators.GetMorganFeatureAtomInvGen() if name[0] == "F" else None
        return generators.GetMorganGenerator(
            radius=int(name[-1]) // 2, atomInvariantsGenerator=features
        )
    if name == "AP":
        return generators.GetAtomPairGenerator(maxDistance=_PAIR_DISTANCE)
    if name == "TT":
        return generators.GetTopologicalTorsionGenerator()
    return generators.GetRDKitFPGenerator()


def fingerprint(mol: Chem.Mol, name: str) -> Any:
    """Return a fingerprint of RDKit.

    Parameters
    ----------
    mol : Mol
    name : str
        ``ECFP4``, ``ECFP6`` (circular, radius 2 and 3), ``FCFP4``, ``FCFP6`` (the same over
        pharmacophoric classes of atoms), ``AP`` (pairs of atoms up to 10 bonds apart), ``TT``
        (topological torsions): sparse counts. ``PATH`` (RDKit's paths, 2048 bits), ``PHCO``
        (Gobbi's 2D pharmacophores): bits.
    """
    if name == "PHCO":
        from rdkit.Chem.Pharm2D import Generate, Gobbi_Pharm2D

        return Generate.Gen2DFingerprint(mol, Gobbi_Pharm2D.factory)
    if name == "PATH":
        return _generator(name).GetFingerprint(mol)
    return _generator(name).GetSparseCountFingerprint(mol)


def similarity_to(smiles: str, name: str) -> Callable[[Chem.Mol], float]:
    """Return the function that gives the Tanimoto similarity of a molecule to ``smiles``.

    Raises
    ------
    ValueError
        The SMILES cannot be read.
    """
    reference = fingerprint(read_molecule(smiles), name)
    return lambda mol: TanimotoSimilarity(reference, fingerprint(mol, name))
