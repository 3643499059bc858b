"""What is known of cores: numbers of attachment points, and what molecules carry there."""

import pytest
from rdkit import Chem

from gfncore.errors import UserError
from molgen.fragments.cores import core_notes, core_numbers, r_groups


def plain_groups(core, smiles, number):
    """By RDKit's own decomposition; for cores without symmetry, one molecule that has the core."""
    from rdkit.Chem import rdRGroupDecomposition as decomposition

    rows, missed = decomposition.RGroupDecompose(
        [Chem.MolFromSmiles(core)], [Chem.MolFromSmiles(smiles)], asSmiles=True
    )
    assert not missed
    return rows[0].get(f"R{number}")


def test_numbers():
    assert core_numbers("[*:2]c1ccc([*:1])nc1[*]") == (1, 2)
    assert core_numbers("[2*]c1ccc([*:7])nc1") == (2, 7)
    assert core_numbers("[*]C[*:0]") == ()
    for core in ("[*:1]C[*:1]", "[1*]C[*:1]"):
        with pytest.raises(UserError, match="number 1 is given to several"):
            core_numbers(core)


@pytest.mark.parametrize("core", ["[*:1]c1ccc([*:2])nc1", "[1*]c1ccc([2*])nc1"])
@pytest.mark.parametrize(
    ("smiles", "first", "second"),
    [
        ("Cc1ccc(O)nc1", "C[*:1]", "O[*:2]"),
        ("c1ccncc1", "[H][*:1]", "[H][*:2]"),
        ("Oc1ccc(C)nc1", "O[*:1]", "C[*:2]"),
        ("FC(F)(F)c1ccc(N2CCOCC2)nc1", "FC(F)(F)[*:1]", "C1CN([*:2])CCO1"),
        ("c1ccc(-c2cccnc2)cc1", "c1ccc([*:1])cc1", "[H][*:2]"),
        ("Cc1cccnc1F", "", ""),
    ],
)
def test_groups_at_numbers(core, smiles, first, second):
    assert r_groups(core, [smiles]) == {"R1": [first], "R2": [second]}
    if first:
        numbered = "[*:1]c1ccc([*:2])nc1"
        # RDKit has no column where all molecules have hydrogen
        found = [plain_groups(numbered, smiles, n) or f"[H][*:{n}]" for n in (1, 2)]
        assert list(map(Chem.CanonSmiles, found)) == list(map(Chem.CanonSmiles, (first, second)))


def test_groups_of_symmetric_cores_do_not_depend_on_the_order_of_atoms():
    core = "[*:1]c1ccc([*:2])cc1"
    expected = {"R1": ["C[*:1]"], "R2": ["O[*:2]"]}
    for smiles in ("Cc1ccc(O)cc1", "Oc1ccc(C)cc1", "c1c(O)ccc(C)c1"):
        assert r_groups(core, [smiles]) == expected


def test_groups_that_hold_several_points():
    found = r_groups("[*:1]C([*:2])O", ["CC(=O)O", "OC1CC1", "CC(O)CC", "CO"])
    assert found["R1"] == ["C[*:1]", "C(C[*:2])[*:1]", "C[*:1]", "[H][*:1]"]
    assert found["R2"] == ["O=[*:2]", "C(C[*:2])[*:1]", "CC[*:2]", "[H][*:2]"]


def test_cores_without_numbers_have_no_columns():
    assert r_groups("[*]c1ccccc1", ["Cc1ccccc1"]) == {}
    assert r_groups("c1ccccc1", ["Cc1ccccc1"]) == {}
    assert r_groups("[*:3]C[*]", ["CC"]) == {"R3": ["C[*:3]"]}


def test_notes():
    assert core_notes("C[*]", ()) == ()
    (note,) = core_notes("[13CH3][*]", ("isotopes",))
    assert note.startswith("core [13CH3][*]: its isotopes are not used")
