"""SMILES to RDKit molecules and to the canonical SMILES by which scores are kept."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from rdkit.rdBase import BlockLogs

from molgen.molecules.smiles import SmilesError, mol_from_smiles

__all__ = ["canonical_smiles", "logp", "parse", "peculiarities", "read_molecule", "read_pattern"]


def parse(smiles: str) -> Chem.Mol | None:
    """Return the sanitised molecule, or None where RDKit refuses it or it has no atoms."""
    try:
        return mol_from_smiles(smiles)
    except SmilesError:
        return None


def canonical_smiles(smiles: str) -> str | None:
    """Return RDKit's canonical SMILES, or None where the molecule cannot be read.

    Examples
    --------
    >>> canonical_smiles("OCC"), canonical_smiles("C1CC")
    ('CCO', None)
    """
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
    """Return the SMARTS query of a setting.

    Raises
    ------
    ValueError
        It is not a valid SMARTS.
    """
    with BlockLogs():
        try:
            pattern = Chem.MolFromSmarts(smarts)
        except (ValueError, RuntimeError):
            pattern = None
    if pattern is None or not pattern.GetNumAtoms():
        raise ValueError(f"the SMARTS '{smarts}' cannot be read")
    return pattern


def peculiarities(mol: Chem.Mol, smiles: str) -> list[str]:
    """Return remarks on unusual features of a molecule that may make its scores meaningless.

    Parameters
    ----------
    mol : Mol
    smiles : str
        Its canonical SMILES, from which most molecules are quickly recognised as normal.
    """
    if not any(sign in smiles for sign in "[.*"):
        return []
    found = []
    atoms = list(mol.GetAtoms())
    dummies = sum(atom.GetAtomicNum() == 0 for atom in atoms)
    if dummies:
        found.append(f"{dummies} dummy atom{'' if dummies == 1 else 's'}")
    if any(atom.GetAtomMapNum() for atom in atoms):
        found.append("atom map numbers")
    if any(atom.GetIsotope() for atom in atoms if atom.GetAtomicNum() > 0):
        found.append("isotopes")
    radicals = sum(atom.GetNumRadicalElectrons() for atom in atoms)
    if radicals:
        found.append(f"{radicals} radical electron{'' if radicals == 1 else 's'}")
    parts = Chem.GetMolFrags(mol)
    if len(parts) > 1:
        charged = any(atom.GetFormalCharge() for atom in atoms)
        found.append(f"{len(parts)} components ({'salt' if charged else 'mixture or solvate'})")
    if found:
        found[0] = f"has {found[0]}"
    return found
