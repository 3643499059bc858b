"""Docking for real into the peptide of the example, where the extra is installed."""

from __future__ import annotations

import pytest
from rdkit import Chem

from gfncore.errors import UserError
from gfncore.program.resources import data_file
from molgen.scoring import Scoring
from molgen.scoring.components.docking import PACKAGES

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def docking(**params):
    params = {
        "receptor": str(data_file("docking/peptide.pdbqt")),
        "center": [0, 0, 0],
        "size": [24, 24, 24],
        "exhaustiveness": 1,
        "time_limit": 60,
    } | params
    return Scoring.from_config({"component": [{"type": "docking", "params": params}]})


@pytest.fixture
def installed():
    for package in PACKAGES:
        pytest.importorskip(package)


@pytest.mark.verification
def test_molecules_are_docked_and_what_cannot_be_is_told(installed):
    with docking() as scoring:
        table = scoring.evaluate([ASPIRIN, "[Na+].[Cl-]", "C"])
        again = scoring.components[0].scorer.score(["C", ASPIRIN]).values
    affinity = table.components["docking"]
    assert -8 < affinity[0] < -2.5 < affinity[2] < 0
    assert table.failures.keys() == {1}
    assert "program reported an error: ValueError" in table.failures[1]
    assert 0 < table.total[2] < table.total[0] < 1
    # the affinity of a molecule does not depend on what was docked before it
    assert again.tolist() == [affinity[2], affinity[0]]


@pytest.mark.verification
def test_the_isomer_that_is_docked_is_named(installed):
    open_stereo, marked = "CC(O)c1ccccc1", "C[C@@H](O)c1ccccc1"
    with docking() as scoring:
        isomers = scoring.isomers([open_stereo, ASPIRIN])["docking"]
        assert isomers[0] in (marked, Chem.CanonSmiles("C[C@H](O)c1ccccc1"))
        assert isomers[1] == Chem.CanonSmiles(ASPIRIN)
        affinity = scoring.evaluate([open_stereo, isomers[0]]).components["docking"]
    assert affinity[0] == affinity[1]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"receptor": "nowhere.pdbqt"}, "there is no receptor file 'nowhere.pdbqt'"),
        ({"receptor": __file__}, "is not a .pdbqt file"),
        ({"center": [1, 2]}, "'center' has 2 numbers; give x, y and z"),
        ({"size": [1, 2, 0]}, "'size' must be above 0"),
        ({"exhaustiveness": 0}, "it must be at least 1"),
    ],
)
def test_wrong_settings(installed, params, words):
    with pytest.raises(UserError) as error:
        docking(**params)
    assert words in str(error.value)


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"needs vina, meeko, gemmi; .* pip install '\.\[docking\]'"
    ):
        docking()


def test_scores_of_another_receptor_are_not_gone_on_with(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    receptor = tmp_path / "receptor.pdbqt"
    receptor.write_text("ATOM 1\n")
    with docking(receptor=str(receptor)) as first:
        saved = first.cache_state()
    with docking(receptor=str(receptor)) as same:
        same.restore(*saved)
    receptor.write_text("ATOM 2\n")
    with docking(receptor=str(receptor)) as other, pytest.raises(UserError) as error:
        other.restore(*saved)
    assert f"another '{receptor}' (component 'docking')" in str(error.value)
