"""The door from text to molecules."""

import subprocess
import sys

import pytest
from rdkit import Chem

from molgen.molecules.smiles import SmilesError, dummy_number, mol_from_smiles, plain_mol


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no atom"),
        (" ", "no atom"),
        ("c1ccc", "not a valid SMILES"),
        ("CC(C)(C)(C)C", "not a valid molecule \\(explicit valence"),
        ("[CH99999]", "hydrogen count is above 9"),
        ("[CH10]", "hydrogen count is above 9"),
        ("[32768*]C", "isotope or label is above 999"),
        ("[99999999999999999999*]C", "isotope or label is above 999"),
        ("[C+200]", "charge is above 9"),
        ("[CH3:99999999999]", "atom map is above 99,999"),
        ("Cé", "'é'"),
        ("C\x00C", "'\\\\x00'"),
        ("C\u202eC", "character"),
        ("C C", "blank"),
        ("C~O", "'~' \\(any bond\\)"),
        ("c1ccc~cc1", "any bond"),
        ("C" * 100_000, "100,000 characters; the maximum is 10,000"),
        ("C%99999C", "not a valid SMILES"),
        ("[", "not a valid SMILES"),
        ("(" * 5000, "not a valid SMILES"),
        ("[" * 9000, "not a valid SMILES"),
    ],
)
def test_what_is_no_molecule_is_told_in_half_a_sentence(text, words):
    with pytest.raises(SmilesError, match=words) as told:
        mol_from_smiles(text)
    assert "\n" not in str(told.value) and len(str(told.value)) < 200


def test_real_molecules_are_read_as_rdkit_reads_them():
    for text in (
        "C" * 9_000, "[13CH4]", "[2H]O[2H]", "[Fe+2]", "[O-][N+](=O)c1ccccc1", "C[C@H](N)C(=O)O",
        "[U+6]", "[235U]", "[NH4+].[Cl-]", "[CH3:12][*:3]", "F/C=C/F", "[se]1cccc1",
    ):  # fmt: skip
        assert Chem.MolToSmiles(mol_from_smiles(text)) == Chem.CanonSmiles(text)
    assert Chem.MolToSmiles(mol_from_smiles(" CCO\n")) == "CCO"


@pytest.mark.parametrize(
    ("text", "plain", "left_out"),
    [
        ("[H]c1ccccc1", "c1ccccc1", ()),
        ("[2H]c1c([3H])cccc1", "c1ccccc1", ("isotopes",)),
        ("C[N+]([2H])(C)C", "C[NH+](C)C", ("isotopes",)),
        ("[2H]n1cccc1", "c1cc[nH]c1", ("isotopes",)),
        ("C[C@H](N)O", "CC(N)O", ("stereo marks",)),
        ("[CH3:1][OH:2]", "CO", ("atom maps",)),
        ("F/C=C/[13CH3]", "CC=CF", ("stereo marks", "isotopes")),
        ("[Pt]([2H])Cl", "Cl[PtH]", ("isotopes",)),
    ],
)
def test_the_normal_form(text, plain, left_out):
    mol, told = plain_mol(text)
    assert Chem.MolToSmiles(mol) == Chem.CanonSmiles(plain) and told == left_out
    again, nothing = plain_mol(Chem.MolToSmiles(mol))
    assert Chem.MolToSmiles(again) == Chem.MolToSmiles(mol) and nothing == ()


@pytest.mark.parametrize("text", ["[H][H]", "[2H][H]", "[H+]", "[*][H]", "[2H][*]"])
def test_hydrogen_alone_is_refused(text):
    with pytest.raises(SmilesError, match="hydrogen only"):
        plain_mol(text)


def test_hydrogens_that_cannot_be_implicit_are_refused():
    with pytest.raises(SmilesError, match="does not have exactly one single bond"):
        plain_mol("[H+].CC")


def test_numbers_of_attachment_points():
    def number(text):
        mol = mol_from_smiles(text)
        return next(dummy_number(a) for a in mol.GetAtoms() if a.GetAtomicNum() == 0)

    assert [number(t) for t in ("*C", "[*:0]C", "[0*]C", "[*:4]C", "[4*]C", "[4*:4]C")] == [
        0, 0, 0, 4, 4, 4,
    ]  # fmt: skip
    for text in ("[4*:5]C", "[*-]C", "[*H]C"):
        with pytest.raises(SmilesError):
            number(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "-o", "{out}", "--core", "[CH99999]"],
        ["sample", "-o", "{out}", "--core", "[*-]C"],
        ["sample", "-o", "{out}", "--core", "[32768*]C", "--environment", "atoms"],
        ["sample", "-o", "{out}", "--fragments", "{fragments}"],
        ["fragments", "{fragments}"],
        ["score", "{fragments}"],
    ],
)
def test_wrong_smiles_are_one_line_on_the_terminal(tmp_path, arguments):
    fragments = tmp_path / "wrong.smi"
    fragments.write_text("[CH99999]\n[H][*]\nc1cccc1\n")
    names = {"out": tmp_path / "out", "fragments": fragments}
    done = subprocess.run(
        [sys.executable, "-m", "molgen", *[word.format(**names) for word in arguments]],
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = [x for x in done.stderr.splitlines() if not x.startswith(("molgen  ", "molgen: w"))]
    if arguments[0] == "score":
        assert done.returncode == 1 and lines == []
    else:
        assert done.returncode == 2 and len(lines) == 1
        assert lines[0].startswith("molgen: error: ")
    assert "Traceback" not in done.stderr and "RDKit" not in done.stderr
    assert all(line.startswith("molgen") for line in done.stderr.splitlines())
