"""The isomer that stands for a molecule in space."""

import time

import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molgen.molecules.smiles import SmilesError
from molgen.scoring.components.isomers import chosen_isomer


@pytest.mark.parametrize(
    "smiles",
    [
        "CC(O)N",
        "CC=CC(F)Cl",
        "C[C@H](O)C(F)Cl",
        "OC1CCC(O)CC1",
        "C1CC2CCC1N2",
        "CC1CC2CC1C2",
        "CC(F)C(Cl)C(Br)C(O)C(N)C(S)C(O)C(F)C(C)(F)O",
    ],
)
def test_one_isomer_is_chosen_whatever_the_order_of_atoms(smiles):
    found = chosen_isomer(smiles)
    assert Chem.MolToSmiles(Chem.MolFromSmiles(found), isomericSmiles=False) == Chem.MolToSmiles(
        Chem.MolFromSmiles(smiles), isomericSmiles=False
    )
    assert chosen_isomer(found) == found == Chem.CanonSmiles(found)
    shuffled = Chem.MolToSmiles(Chem.MolFromSmiles(smiles), doRandom=True)
    assert chosen_isomer(shuffled) == found


def test_marks_are_kept_and_impossible_isomers_are_not_chosen():
    molecule = Chem.MolFromSmiles(chosen_isomer("C[C@H](O)C(F)Cl"))
    assert molecule.HasSubstructMatch(Chem.MolFromSmarts("C[C@H](O)C"), useChirality=True)
    # isomers of norbornane with a trans bridge come first in the alphabet and cannot be embedded
    molecule = Chem.MolFromSmiles(chosen_isomer("CC1CC2CCC1C2"))
    tags = [tag for _, tag in Chem.FindMolChiralCenters(molecule, includeUnassigned=True)]
    assert len(tags) == 3 and "?" not in tags
    assert rdDistGeom.EmbedMolecule(Chem.AddHs(molecule), randomSeed=7) == 0


def test_molecules_without_stereo_stay_as_they_are():
    start = time.process_time()
    for smiles in ("CCO", "c1ccccc1", "C[C@H](N)O", "CC(=O)[O-].[Na+]"):
        assert chosen_isomer(smiles) == Chem.CanonSmiles(smiles)
    assert time.process_time() - start < 1.0
    with pytest.raises(SmilesError):
        chosen_isomer("C(")
