"""The stereoisomer that represents a molecule in scores that depend on 3D structure.

Molecules are built without stereochemistry. Docking always uses the same isomer: of the isomers
that agree with the stereochemistry given in the SMILES, sorted by canonical SMILES, the first that
RDKit can embed in 3D.
"""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rdkit.Chem.EnumerateStereoisomers import (
    EnumerateStereoisomers,
    StereoEnumerationOptions,
)
from rdkit.rdBase import BlockLogs

from molgen.molecules.smiles import mol_from_smiles

__all__ = ["chosen_isomer"]

MOST_ISOMERS = 256  # number compared; a molecule with more open centres gets one of these
EMBEDDING_SEED = 1


def chosen_isomer(smiles: str) -> str:
    """Return the isomer that represents a molecule, as canonical SMILES with full stereochemistry.

    Parameters
    ----------
    smiles : str
        Its specified stereochemistry is kept.

    Returns
    -------
    isomer : str
        The SMILES itself if no stereochemistry is undefined; the first of the sorted isomers if
        none can be embedded.

    Raises
    ------
    SmilesError
        The SMILES cannot be read.

    Examples
    --------
    >>> chosen_isomer("CC(O)N")
    'C[C@@H](N)O'
    >>> chosen_isomer("CCO")
    'CCO'
    """
    options = StereoEnumerationOptions(
        onlyUnassigned=True, unique=True, maxIsomers=MOST_ISOMERS, rand=EMBEDDING_SEED
    )
    # atoms in canonical order, by which RDKit draws isomers where there are more than MOST_ISOMERS
    mol = mol_from_smiles(Chem.MolToSmiles(mol_from_smiles(smiles)))
    with BlockLogs():
        isomers = sorted({Chem.MolToSmiles(m) for m in EnumerateStereoisomers(mol, options)})
        if len(isomers) == 1:
            return isomers[0]
        return next(filter(_can_be_embedded, isomers), isomers[0])


def _can_be_embedded(smiles: str) -> bool:
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed = EMBEDDING_SEED
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if rdDistGeom.EmbedMolecule(mol, settings) != 0:
        return False
    # a centre that was turned over in a strained ring system is another isomer
    Chem.AssignStereochemistryFrom3D(mol)
    return Chem.MolToSmiles(Chem.RemoveHs(mol)) == smiles
