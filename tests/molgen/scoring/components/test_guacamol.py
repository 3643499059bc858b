from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig, RDLogger

from molgen.scoring import Scoring
from molgen.scoring.components.guacamol import OBJECTIVES, count_element, formula_counts

RECORDED = Path(__file__).with_name("guacamol_values.json")
DRUGS = [
    "COc1cc(N(C)CCN(C)C)c(NC(=O)C=C)cc1Nc1nccc(n1)c1cn(C)c2ccccc12",
    "CC(C)(C(=O)O)c1ccc(cc1)C(O)CCCN1CCC(CC1)C(O)(c1ccccc1)c1ccccc1",
    "Fc1cc(c(F)cc1F)CC(N)CC(=O)N1Cc2nnc(n2CC1)C(F)(F)F",
    "CCCOc1cc2ncnc(Nc3ccc4ncsc4c3)c2cc1S(=O)(=O)C(C)(C)C",
    "CCCCC(=O)N(Cc1ccc(cc1)-c1ccccc1-c1nnn[nH]1)C(C(C)C)C(=O)O",
    "O=C(C)N(CC)C1=CC=CC(C2=CC=NC3=C(C=NN23)C#N)=C1",
    "CC1(C)C2CCC1(C)C(=O)C2",
    "COc1ccc(N)nc1",
    "CCCCCCCCCCC",
]


def compared_molecules():
    """Return the molecules on which objectives are compared."""
    lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
    mols = [Chem.MolFromSmiles(line.split()[0]) for line in lines[:3000:60]]
    return DRUGS + [Chem.MolToSmiles(mol) for mol in mols if mol is not None]


@pytest.fixture(scope="module")
def smiles():
    return compared_molecules()


def package_objectives():
    """Return the objectives of the package guacamol, by our names; none without the package."""
    if importlib.util.find_spec("guacamol") is None:
        return {}
    import scipy

    # old names that its imports still want; its Fréchet distance is not used
    scipy.histogram = np.histogram
    fcd = types.ModuleType("fcd")
    for name in ("get_fcd", "load_ref_model", "canonical_smiles", "get_predictions"):
        setattr(fcd, name, None)
    fcd.calculate_frechet_distance = None  # type: ignore[attr-defined]
    sys.modules.setdefault("fcd", fcd)
    suite = importlib.import_module("guacamol.standard_benchmarks")
    similarity = suite.similarity
    from molgen.scoring.components import guacamol as ours

    found = {
        "celecoxib_rediscovery": similarity(ours._CELECOXIB, "", "ECFP4", 1.0, True),
        "troglitazone_rediscovery": similarity(ours._TROGLITAZONE, "", "ECFP4", 1.0, True),
        "thiothixene_rediscovery": similarity(ours._THIOTHIXENE, "", "ECFP4", 1.0, True),
        "aripiprazole_similarity": similarity(ours._ARIPIPRAZOLE, "", "FCFP4", 0.75),
        "albuterol_similarity": similarity(ours._ALBUTEROL, "", "FCFP4", 0.75),
        "mestranol_similarity": similarity(ours._MESTRANOL, "", "AP", 0.75),
        "median1": suite.median_camphor_menthol(),
        "median2": suite.median_tadalafil_sildenafil(),
        "isomers_c7h8n2o2": suite.isomers_c7h8n2o2(),
        "isomers_c9h10n2o2pf2cl": suite.isomers_c9h10n2o2pf2cl(),
        "isomers_c11h24": suite.isomers_c11h24(),
        "osimertinib_mpo": suite.hard_osimertinib(),
        "fexofenadine_mpo": suite.hard_fexofenadine(),
        "ranolazine_mpo": suite.ranolazine_mpo(),
        "perindopril_mpo": suite.perindopril_rings(),
        "amlodipine_mpo": suite.amlodipine_rings(),
        "sitagliptin_mpo": suite.sitagliptin_replacement(),
        "zaleplon_mpo": suite.zaleplon_with_other_formula(),
        "valsartan_smarts": suite.valsartan_smarts(),
        "deco_hop": suite.decoration_hop(),
        "scaffold_hop": suite.scaffold_hop(),
    }
    return {name: benchmark.objective for name, benchmark in found.items()}


def compared(name, smiles):
    """Return the molecules on which one objective is compared: fewer where it takes long."""
    return smiles[:20] if name.endswith("_hop") else smiles


def package_values(objective, smiles):
    RDLogger.DisableLog("rdApp.*")  # its deprecated calls say so for each molecule
    try:
        return [float(value) for value in objective.score_list(smiles)]
    finally:
        RDLogger.EnableLog("rdApp.*")


@pytest.fixture(scope="module")
def recorded():
    """Return what guacamol 0.5.5 gives, by objective; made by running this file as a program."""
    return json.loads(RECORDED.read_text())


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_objectives_are_those_of_the_package(name, smiles, recorded):
    assert recorded["smiles"] == smiles
    some = compared(name, smiles)
    expected = np.array(recorded["values"][name])
    with Scoring.preset(name) as scoring:
        found = scoring.evaluate(some)
    assert not found.failures
    assert found.total == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert expected.max() > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(
    importlib.util.find_spec("guacamol") is None,
    reason="guacamol is not installed: pip install --no-deps guacamol==0.5.5",
)
def test_what_was_recorded_is_what_the_package_gives(smiles, recorded):
    for name, objective in package_objectives().items():
        found = package_values(objective, compared(name, smiles))
        assert found == pytest.approx(recorded["values"][name], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "molecule"),
    [
        ("celecoxib_rediscovery", "CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F"),
        ("albuterol_similarity", "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1"),
        ("isomers_c7h8n2o2", "COc1ccc(C(N)=O)cn1"),
        ("isomers_c11h24", "CCCCCCCCCCC"),
    ],
)
def test_the_best_molecule_has_1(name, molecule):
    with Scoring.preset(name) as scoring:
        assert scoring.evaluate([molecule]).total[0] == pytest.approx(1.0)


def test_hydrogens_are_counted_however_they_are_written():
    assert count_element(Chem.MolFromSmiles("CCO"), "H") == 6
    assert count_element(Chem.AddHs(Chem.MolFromSmiles("CCO")), "H") == 6
    assert count_element(Chem.MolFromSmiles("ClCCl"), "Cl") == 2


def test_formulas():
    assert formula_counts("C9H10N2O2PF2Cl") == dict(C=9, H=10, N=2, O=2, P=1, F=2, Cl=1)
    for wrong in ("", "c7", "C7-H8", "Xx2", "C2H2C2"):
        with pytest.raises(ValueError, match="formula|element|twice"):
            formula_counts(wrong)


def record():
    """Write the values of the installed package: pip install --no-deps guacamol==0.5.5."""
    smiles = compared_molecules()
    values = {
        name: package_values(objective, compared(name, smiles))
        for name, objective in package_objectives().items()
    }
    RECORDED.write_text(json.dumps({"smiles": smiles, "values": values}, indent=0) + "\n")


if __name__ == "__main__":
    record()
