from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig
from rdkit.Chem import QED, Descriptors

from molgen.scoring import Scoring
from molgen.scoring.components.descriptors import sa_score
from molgen.scoring.components.qed import qed


@pytest.fixture(scope="module")
def molecules():
    """Return 300 molecules of all sorts: salts, metals, charges, isotopes, alerts of every kind."""
    lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
    found = [Chem.MolFromSmiles(line.split()[0]) for line in lines[:4200:14]]
    return [mol for mol in found if mol is not None and mol.GetNumAtoms() > 0]


def raw(smiles, **component):
    """Return the raw values of one component."""
    component.setdefault("transform", {"type": "linear", "low": 0, "high": 1})
    with Scoring.from_config({"component": [component]}) as scoring:
        return next(iter(scoring.evaluate(smiles).components.values()))


def test_qed_is_rdkits_to_the_last_bit(molecules):
    assert len(molecules) > 250
    assert [qed(mol) for mol in molecules] == [QED.qed(mol) for mol in molecules]


@pytest.mark.parametrize("pattern", range(len(QED.StructuralAlertSmarts)))
def test_qed_sees_every_alert(pattern):
    """A molecule that an alert was written for: the SMARTS read as a molecule where it can be."""
    mol = Chem.MolFromSmiles(QED.StructuralAlertSmarts[pattern], sanitize=True)
    if mol is None:
        mol = Chem.MolFromSmiles("[15NH2]C(=O)C1=CC(=O)C=CC1=NN.[2H]OC#CC(=O)C[n+]1ccccc1[O-]")
    assert qed(mol) == QED.qed(mol)


def test_qed_ignores_explicit_hydrogens():
    mol = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    assert qed(Chem.AddHs(mol)) == qed(mol)


def test_sa_score_is_that_of_rdkits_own_table():
    path = Path(RDConfig.RDContribDir) / "SA_Score" / "data" / "zim.100.txt"
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    found = [sa_score(Chem.MolFromSmiles(smiles)) for smiles, _, _ in rows]
    assert found == pytest.approx([float(score) for _, _, score in rows], abs=6e-4)


def test_descriptors_by_name_and_by_rdkits_name():
    smiles = ["CCO", "c1ccccc1O", "C1CC12CC2"]
    mols = [Chem.MolFromSmiles(text) for text in smiles]
    weights = [Descriptors.MolWt(mol) for mol in mols]
    assert raw(smiles, type="weight").tolist() == weights
    assert raw(smiles, type="MolWt").tolist() == weights
    assert raw(smiles, type="descriptor", params={"name": "MolWt"}).tolist() == weights
    assert raw(smiles, type="rings").tolist() == [0, 1, 2]
    assert raw(smiles, type="largest_ring").tolist() == [0, 6, 3]
    assert raw(smiles, type="aromatic_rings").tolist() == [0, 1, 0]
    assert raw(smiles, type="hbd").tolist() == [1, 1, 0]
    assert raw(smiles, type="spiro_atoms").tolist() == [0, 0, 1]


def test_limits():
    smiles = ["CCO", "CCCCCCCC", "c1ccccc1"]
    found = raw(smiles, type="limits", params={"max_heavy_atoms": 6, "min_weight": 50})
    assert found.tolist() == [0, 0, 1]
    found = raw(smiles, type="limits", params={"min_heavy_atoms": 3, "max_heavy_atoms": 3})
    assert found.tolist() == [1, 0, 0]


def test_similarity_is_of_count_fingerprints_and_to_the_nearest():
    # CCO and CCCO share of the four and five environments of radius up to 2 ...
    generator = Chem.rdFingerprintGenerator.GetMorganGenerator(radius=2)
    a, b = (
        generator.GetSparseCountFingerprint(Chem.MolFromSmiles(s)).GetNonzeroElements()
        for s in ("CCO", "CCCO")
    )
    common = sum(min(n, b.get(key, 0)) for key, n in a.items())
    expected = common / (sum(a.values()) + sum(b.values()) - common)
    found = raw(["CCCO"], type="similarity", params={"smiles": ["CCO"]})
    assert found[0] == pytest.approx(expected)
    found = raw(["CCCO"], type="similarity", params={"smiles": ["CCO", "CCCO"]})
    assert found[0] == 1


@pytest.mark.parametrize("name", ["ECFP6", "FCFP4", "FCFP6", "AP", "TT", "PATH", "PHCO"])
def test_every_fingerprint_is_1_for_the_molecule_itself_and_less_for_another(name):
    aspirin, other = "CC(=O)Oc1ccccc1C(=O)O", "NCCc1ccc(O)c(O)c1"
    params = {"smiles": [aspirin], "fingerprint": name}
    found = raw([aspirin, other], type="similarity", params=params)
    assert found[0] == 1
    assert 0 < found[1] < 0.9


def test_patterns_alerts_and_catalogues():
    smiles = ["CC(=O)Cl", "CCO", "O=C1C=CC(=O)C=C1", "F" + "C(F)" * 3 + "F"]
    assert raw(smiles, type="substructure", params={"smarts": "C=O"}).tolist() == [1, 0, 1, 0]
    assert raw(smiles, type="substructure_count", params={"smarts": "F"}).tolist() == [0, 0, 0, 5]
    found = raw(smiles, type="alerts", params={"smarts": ["[Cl]", "O=CC=C"]})
    assert found.tolist() == [0, 1, 0, 1]
    found = raw(smiles, type="alert_catalog", params={"catalogs": ["PAINS", "BRENK"]})
    assert found[:3].tolist() == [0, 1, 0]


def test_chirality_of_a_substructure():
    smiles = ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"]
    params = {"smarts": "C[C@H](N)C(=O)O", "chirality": True}
    assert raw(smiles, type="substructure", params=params).tolist() == [1, 0]


def test_default_transforms_need_no_words():
    with Scoring.preset("sa_score") as scoring:
        table = scoring.evaluate(["CCO"])
    value = table.components["sa_score"][0]
    assert table.total[0] == pytest.approx((10 - value) / 9)


def test_lipinski():
    greasy = "C" * 40
    found = raw(["CCO", greasy], type="lipinski_violations")
    assert found.tolist() == [0, 2]


def test_druglike_preset_prefers_a_drug():
    with Scoring.preset("druglike") as scoring:
        table = scoring.evaluate(["Cc1ccc(C(=O)NC2CCCCC2)cc1", "CCO", "C" * 60])
    assert table.total[0] > 0.85 > 0.35 > table.total[1] > table.total[2]
    q, sa, w = (table.transformed[n][0] for n in ("qed", "sa_score", "weight_window"))
    assert table.total[0] == pytest.approx(math.cbrt(q * sa * w))


def test_a_weight_window_is_one_half_at_its_ends():
    with Scoring.preset("druglike") as scoring:
        curve = scoring.components[2].transform
    assert curve is not None
    assert curve(np.array([200.0, 350.0, 500.0])) == pytest.approx([0.5, 1.0, 0.5], abs=1e-5)
