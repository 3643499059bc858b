"""Vocabularies cut from molecules."""

import gzip

import numpy as np
import pytest
from rdkit import Chem

from gfncore.errors import UserError
from molgen.cli.main import main
from molgen.environments.fragments import FragmentEnvironment
from molgen.fragments.cutting import METHODS, fragment_file, fragment_molecules
from molgen.fragments.vocabulary import Vocabulary

MOLECULES = [
    "CC(=O)Nc1ccc(O)cc1",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F",
    "COc1ccccc1OCCNCC(O)COc1cccc2[nH]c3ccccc3c12",
    "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(n1)-c1cccnc1",
    "CN(C)S(=O)(=O)c1ccc(N2CCNCC2)cc1",
    "O=c1[nH]cccc1-n1cccc1",
    "C[C@H](N)c1c[nH]cn1",
]


@pytest.mark.parametrize("method", METHODS)
def test_molecules_can_be_built_again(method):
    result = fragment_molecules(MOLECULES, method)
    assert result.problems == [] and result.n_molecules == len(MOLECULES)
    vocabulary = Vocabulary.parse(result.text)
    assert len(vocabulary) == result.n_fragments
    environment = FragmentEnvironment(
        vocabulary, lambda s: np.zeros(len(s)), max_fragments=20, max_atoms=40
    )
    for smiles in MOLECULES:
        mol = Chem.MolFromSmiles(smiles)
        Chem.RemoveStereochemistry(mol)
        states = environment.states_of_smiles(smiles)
        assert len(states) > 0, smiles
        assert set(environment.smiles(states)) == {Chem.MolToSmiles(mol)}


def test_rings_are_cut_from_what_they_carry():
    result = fragment_molecules(["Cc1ccccc1CCC(=O)O", "Oc1ccccc1", "C1CC1C1CC1"], "rings")
    lines = [line for line in result.text.splitlines() if not line.startswith("#")]
    # a place stands wherever one was cut, and at the equivalent atoms
    benzene = "[*]c1c([*])c([*])c([*])c([*])c1[*]"
    ring = "[*]C1C([*])C1[*]"
    assert lines == [f"{ring} 2", f"{benzene} 2", "[*]C 1", "[*]CCC(=O)O 1", "[*]O 1"]
    rules = [line for line in result.text.splitlines() if line.startswith("#rule")]
    assert rules == [
        "#rule forbid * *",
        "#rule allow aliphatic+ring+C aliphatic+ring+C",
        "#rule allow aromatic+C chain+C",
        "#rule allow aromatic+C chain+O",
    ]


def test_brics_cuts_an_amide():
    result = fragment_molecules(["CC(=O)NCC"], "brics")
    lines = {line for line in result.text.splitlines() if not line.startswith("#")}
    assert lines == {"[*]C(C)=O 1", "[*]N[*] 1", "[*]CC[*] 1"}


def test_frequent_ones_are_kept():
    everything = fragment_molecules(MOLECULES, "rings")
    counts = [
        int(line.split()[1]) for line in everything.text.splitlines() if not line.startswith("#")
    ]
    assert counts == sorted(counts, reverse=True) and counts[0] == 8
    assert fragment_molecules(MOLECULES, "rings", min_count=2).n_fragments == sum(
        count >= 2 for count in counts
    )
    assert fragment_molecules(MOLECULES, "rings", max_fragments=3).n_fragments == 3


def test_wrong_lines_are_told_and_the_rest_is_used(tmp_path):
    path = tmp_path / "molecules.smi"
    path.write_text(
        "SMILES\nCc1ccccc1 toluene\n\n# note\nc1ccc(\nCCc1ccccc1,ethylbenzene\n[CH3]\n*C\n"
        "[Na+].[O-]C(=O)c1ccccc1\n"
    )
    result = fragment_file(path, "rings")
    assert [line for line, _ in result.problems] == [5, 7, 8]
    reasons = [reason for _, reason in result.problems]
    assert "'c1ccc(' is not a valid SMILES" in reasons[0]
    assert "unpaired" in reasons[1] and "not an element" in reasons[2]
    assert result.n_molecules == 3
    fragments = Vocabulary.parse(result.text)
    assert fragments.smiles[0] == "[*]c1c([*])c([*])c([*])c([*])c1[*]"
    assert fragments.names[0] == "3"
    assert "[*]C(=O)[O-]" in fragments.smiles


def test_molecules_are_read_as_by_the_other_commands(tmp_path):
    plain = tmp_path / "molecules.smi"
    plain.write_text("Cc1ccccc1\nCCc1ccccc1\n")
    expected = fragment_file(plain, "rings").text
    table = tmp_path / "molecules.csv.gz"
    table.write_bytes(gzip.compress(b"name,smiles\ntoluene,Cc1ccccc1\nother,CCc1ccccc1\n"))
    assert fragment_file(table, "rings").text == expected
    marked = tmp_path / "marked.smi"
    marked.write_bytes("\ufeffCc1ccccc1\nCCc1ccccc1\n".encode())
    assert fragment_file(marked, "rings").text == expected


def test_errors(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        fragment_file(tmp_path / "none.smi")
    (tmp_path / "small.smi").write_text("C\nCC\n")
    with pytest.raises(UserError, match="no fragment was found in 2 molecules"):
        fragment_file(tmp_path / "small.smi")
    with pytest.raises(UserError, match="choose among brics, rings"):
        fragment_molecules(["CC"], "cut")
    with pytest.raises(UserError, match="must be 1 or more"):
        fragment_molecules(["CC"], max_fragments=0)


def cut_lines(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("method", METHODS)
def test_hydrogens_isotopes_maps_and_stereo_do_not_change_fragments(method):
    plain = fragment_molecules(["COc1ccccc1C(F)CNC(C)=O"], method)
    for smiles in (
        "[2H]C([2H])([2H])Oc1ccccc1C(F)CNC(C)=O",
        "COc1c([2H])c([2H])c([2H])c([2H])c1C(F)C([2H])([2H])N([2H])C(C)=O",
        "[H]C([H])([H])Oc1ccccc1C(F)C[15NH]C([13CH3])=O",
        "[CH3:1]Oc1ccccc1C(F)C[NH:2]C(C)=[O:9]",
        "COc1ccccc1[C@H](F)CNC(C)=O",
    ):
        found = fragment_molecules([smiles], method)
        assert cut_lines(found.text) == cut_lines(plain.text), smiles
        assert "[H]" not in found.text and ":" not in "".join(cut_lines(found.text))
    assert plain.notes == () and len(found.notes) == 1 and "stereo marks of 1" in found.notes[0]


def test_molecules_without_fragments_are_named(tmp_path, capsys):
    path = tmp_path / "drugs.smi"
    path.write_text(
        "CN[C@H]1CC[C@@H](c2ccc(Cl)c(Cl)c2)c2ccccc21 sertraline\n"
        "NS(=O)(=O)c1cc(C2(O)NC(=O)c3ccccc32)ccc1Cl chlorthalidone\n"
        "CC(C)Cc1ccc(C(C)C(=O)O)cc1 ibuprofen\n"
    )
    found = fragment_file(path, "brics")
    assert found.n_molecules == 1 and found.problems == []
    assert [(line, name) for line, name, _ in found.uncut] == [
        (1, "sertraline"),
        (2, "chlorthalidone"),
    ]
    assert "fragments of 1 molecules" in found.text
    assert "# no fragment of sertraline: method brics cuts none of its bonds" in found.text
    Vocabulary.parse(found.text)
    assert main(["fragments", str(path), "-o", str(tmp_path / "cut.smi")]) == 0
    told = capsys.readouterr().err
    assert "2 of 3 molecules gave no fragment: sertraline (line 1" in told
    assert "chlorthalidone (line 2" in told and "--method rings" in told
    assert fragment_file(path, "rings").uncut == []


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x85", "\u2028"])
def test_names_cannot_add_lines_to_the_file(tmp_path, end):
    path = tmp_path / "x.smi"
    text = f"CCO a{end}#rule forbid * *\nCC(=O)Oc1ccccc1 b\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    found = fragment_file(path, method="brics")
    assert sum(line.startswith("# no fragment of a") for line in found.text.split("\n")) == 1
    vocabulary = Vocabulary.parse(found.text)
    assert len(vocabulary) == found.n_fragments
    assert vocabulary.rules.count(("forbid", "*", "*")) <= found.text.count("\n#rule forbid * *")
