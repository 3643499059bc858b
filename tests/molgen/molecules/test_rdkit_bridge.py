from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from gfncore.errors import UserError
from molgen.molecules import rdkit_bridge as bridge
from molgen.molecules.graph import AtomTable

TABLE = AtomTable.of(["C", "N", "O", "F", "S", "P", "Cl", "Br", "N+", "O-", "S4", "S6", "P5"])
MOLECULES = [
    "C",
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "c1ccc2c(c1)[nH]c1ccccc12",
    "CS(=O)(=O)c1ccc(cc1)N1CCN(CC1)C(=O)C#N",
    "CS(=O)Cc1ncc(C)c(OC)c1C",
    "O=[N+]([O-])c1ccc(Br)cc1Cl",
    "C[N+](C)(C)CC(=O)[O-]",
    "COP(=O)(OC)OC",
    "c1ccc2cc3ccccc3cc2c1",
    "O=c1cc[nH]c(=O)[nH]1",
    "c1ccoc1-c1cccs1",
    "c1cc[n+]([O-])cc1",
    "FC(F)(F)C1CC12CC2",
]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_smiles_to_graph_and_back(smiles):
    kinds, bonds = bridge.graph_of_smiles(smiles, TABLE)
    assert (bonds[:, 0] < bonds[:, 1]).all()
    mol = bridge.mol_of_graph(kinds, bonds, TABLE)
    assert bridge.smiles_of_mol(mol) == Chem.CanonSmiles(smiles)


def test_numbering_of_atoms_and_bonds_is_kept():
    mol = bridge.mol_of([8, 6, 7], [0, 0, 0], [0, 1, 2], [(2, 1, 1), (0, 1, 2)])
    assert [atom.GetSymbol() for atom in mol.GetAtoms()] == ["O", "C", "N"]
    assert [bond.GetBondTypeAsDouble() for bond in mol.GetBonds()] == [1.0, 2.0]
    assert bridge.smiles_of_mol(mol) == "NC=O"


def test_aromatic_bonds_may_be_given_as_such():
    ring = [(i, (i + 1) % 5, bridge.AROMATIC) for i in range(5)]
    mol = bridge.mol_of([7, 6, 6, 6, 6], [0] * 5, [1, 1, 1, 1, 1], ring)
    assert bridge.smiles_of_mol(mol) == "c1cc[nH]c1"


def test_what_is_no_molecule_is_refused():
    with pytest.raises(ValueError):
        bridge.mol_of([6, 9], [0, 0], [1, 0], [(0, 1, 3)])


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("CC.C", "several molecules"),
        ("C1CC", "not a valid SMILES"),
        ("", "no atom"),
        ("C[SiH3]", "Si of valence 4"),
        ("C[NH-]", "charge -1"),
        ("[CH3]", "valence 3"),
    ],
)
def test_what_cannot_be_a_graph_is_told(smiles, said):
    with pytest.raises(ValueError, match=said):
        bridge.graph_of_smiles(smiles, TABLE)


def test_bonds_beyond_the_table_are_told():
    with pytest.raises(ValueError, match="bond of order 3"):
        bridge.graph_of_smiles("CC#N", AtomTable.of(["C", "N"], max_bond_order=2))


@pytest.mark.parametrize("smiles", MOLECULES)
def test_kekule_forms_are_those_that_rdkit_finds(smiles):
    kinds, bonds = bridge.graph_of_smiles(smiles, TABLE)
    mol = bridge.mol_of_graph(kinds, bonds, TABLE)
    forms = bridge.kekule_forms(mol, bonds)
    assert len(np.unique(forms, axis=0)) == len(forms)
    assert (forms == bonds[:, 2]).all(axis=1).any()
    aromatic = np.array([bond.GetIsAromatic() for bond in mol.GetBonds()], bool)
    supplier = Chem.ResonanceMolSupplier(mol, Chem.KEKULE_ALL)
    theirs = {
        tuple(int(bond.GetBondTypeAsDouble()) for bond in form.GetBonds())
        for form in supplier
        if form is not None
    }
    # theirs shift double bonds outside aromatic systems as well, ours do not
    same = {t for t in theirs if (np.array(t)[~aromatic] == bonds[~aromatic, 2]).all()}
    if aromatic.any():
        assert same == {tuple(form) for form in forms.tolist()}
    for form in forms:
        other = np.column_stack([bonds[:, :2], form])
        again = bridge.mol_of_graph(kinds, other, TABLE)
        assert bridge.smiles_of_mol(again) == bridge.smiles_of_mol(mol)


def test_numbers_of_matchings():
    names = {"c1ccccc1": 2, "c1ccc2ccccc2c1": 3, "c1ccc2cc3ccccc3cc2c1": 4}
    names |= {"c1cc2ccc3cccc4ccc(c1)c2c34": 6, "c1ccc(cc1)-c1ccccc1": 4, "C1CCCCC1": 1}
    names |= {"c1cc2ccc3ccc4ccc5ccc6ccc1c1c2c3c4c5c61": 20}
    for smiles, count in names.items():
        kinds, bonds = bridge.graph_of_smiles(smiles, TABLE)
        mol = bridge.mol_of_graph(kinds, bonds, TABLE)
        assert len(bridge.kekule_forms(mol, bonds)) == count, smiles


def test_cores():
    (kinds, bonds), growth, _ = bridge.core_of_smiles("[*]c1cc([*])ncc1", TABLE)
    assert len(kinds) == 6 and bonds[:, 2].sum() == 9
    assert sorted(growth.tolist()) == [0, 0, 0, 0, 1, 1]
    assert growth[kinds == 1] == 0
    _, growth, _ = bridge.core_of_smiles("[*:1]C([2*])O", TABLE)
    assert growth.tolist() == [2, 0]
    _, growth, _ = bridge.core_of_smiles("CC=O", TABLE)
    assert growth.tolist() == [3, 1, 0]
    (kinds, _), growth, _ = bridge.core_of_smiles("c1ccn(-[*])c1", TABLE)
    assert growth[kinds == 1] == 1 and growth.sum() == 1


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("[*]", "no atoms"),
        ("[*]=C", "single bond"),
        ("C1[*]C1", "single bond"),
        ("C[Pt]", "valence"),
        ("C(", "not a valid SMILES"),
        ("[*][*]", "no atoms"),
        ("[*]C.[*]O", "2 parts: it is several molecules"),
        ("[*]C [*]O", "a blank inside"),
        ("[*-]C", "charge or hydrogens"),
        ("[*][H]", "hydrogen only"),
        ("[CH99999]", "hydrogen count"),
        ("[32768*]C", "above 999"),
    ],
)
def test_wrong_cores_are_told_in_one_line(smiles, said):
    with pytest.raises(UserError, match=said) as told:
        bridge.core_of_smiles(smiles, TABLE)
    assert "\n" not in str(told.value) and smiles in str(told.value)


def test_cores_in_every_spelling():
    (kinds, bonds), growth, left_out = bridge.core_of_smiles("[*]C(N)C", TABLE)
    assert left_out == ()
    for text, what in (
        ("[*]C([2H])(N)C", ("isotopes",)),
        ("[*:3][C@H](N)C", ("stereo marks",)),
        ("[*]C([H])([NH2:4])[13CH3]", ("isotopes", "atom maps")),
    ):
        (own_kinds, own_bonds), own_growth, own_left_out = bridge.core_of_smiles(text, TABLE)
        assert set(own_left_out) == set(what)
        assert np.array_equal(own_kinds, kinds) and np.array_equal(own_bonds, bonds)
        assert np.array_equal(own_growth, growth)
