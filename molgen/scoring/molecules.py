"""SMILES to RDKit molecules and to the canonical SMILES by which scores are kept."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from rdkit.rdBase import BlockLogs

__all__ = ["canonical_smiles", "logp", "parse", "read_molecule", "read_pattern"]


def parse(smiles: str) -> Chem.Mol | None:
    """Return the sanitised molecule, or None where RDKit refuses it or it has no atoms."""
    with BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    return mol if mol is not None and mol.GetNumAtoms() else None


def canonical_smiles(smiles: str) -> str | None:
    """Return RDKit's canonical SMILES, or None where the molecule cannot be read."""
    mol = parse(smiles)
    return None if mol is None else Chem.MolToSmiles(mol)


def logp(mol: Chem.Mol) -> float:
    """Return log P after Wildman and Crippen (1999), as RDKit has it."""
    return rdMolDescriptors.CalcCrippenDescriptors(mol)[0]


def read_molecule(smiles: str) -> Chem.Mol:
    """Return a molecule that a setting names.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    mol = parse(smiles)
    if mol is None:
        raise ValueError(f"the SMILES '{smiles}' cannot be read")
    return mol


def read_pattern(smarts: str) -> Chem.Mol:
    """Return a query that a setting names.

    Raises
    ------
    ValueError
        It is no SMARTS.
    """
    with BlockLogs():
        pattern = Chem.MolFromSmarts(smarts)
    if pattern is None or not pattern.GetNumAtoms():
        raise ValueError(f"the SMARTS '{smarts}' cannot be read")
    return pattern
