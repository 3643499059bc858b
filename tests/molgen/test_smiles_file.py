"""Reading molecules: bad lines are named, the rest is used."""

from __future__ import annotations

import gzip
import io
import sys

import pytest

from gfncore.errors import UserError
from molgen.smiles_file import read_smiles

TEXT = """# comment

OCC ethanol, pure
c1ccccc1
C(C)(C)(C)(C)C
hello world
c1cccc1 x
C1CC
[Na+].[Cl-]
"""


def test_good_lines_are_used_and_bad_ones_named(tmp_path):
    path = tmp_path / "x.smi"
    path.write_text(TEXT)
    found = read_smiles(path)
    assert [(m.line, m.smiles, m.name) for m in found.molecules] == [
        (3, "CCO", "ethanol, pure"),
        (4, "c1ccccc1", ""),
        (9, "[Cl-].[Na+]", ""),
    ]
    assert found.has_names
    for problem, words in zip(
        found.problems,
        (
            "line 5: 'C(C)(C)(C)(C)C' is no molecule (explicit valence",
            "line 6: 'hello' is no SMILES",
            "line 7: 'c1cccc1' is no molecule (can't kekulize",
            "line 8: 'C1CC' is no SMILES",
        ),
        strict=True,
    ):
        assert problem.startswith(f"{path}, {words}")


def test_a_column_of_smiles_alone_and_commas_without_a_header(tmp_path):
    path = tmp_path / "x.smi"
    path.write_text("Smiles\nCCO ethanol\n# note\nCN,methyl amine\nC\n")
    found = read_smiles(path)
    assert found.problems == ()
    assert [(m.line, m.smiles, m.name) for m in found.molecules] == [
        (2, "CCO", "ethanol"),
        (4, "CN", "methyl amine"),
        (5, "C", ""),
    ]


def test_rdkit_prints_nothing_of_its_own(tmp_path, capfd):
    path = tmp_path / "x.smi"
    path.write_text(TEXT)
    read_smiles(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("separator", [",", "\t"])
def test_tables(tmp_path, separator):
    path = tmp_path / "x.csv"
    rows = [["id", "SMILES", "v"], ['"b c"', "CCO", "1"], ["", "xx", "2"], ["d"]]
    path.write_text("\n" + "\n".join(separator.join(row) for row in rows) + "\n")
    found = read_smiles(path)
    assert [(m.line, m.smiles, m.name) for m in found.molecules] == [(3, "CCO", "b c")]
    assert [problem.split(", ")[1] for problem in found.problems] == [
        "line 4: 'xx' is no SMILES",
        "line 5: '' is no SMILES",
    ]


def test_gzip_and_standard_input(tmp_path, monkeypatch):
    path = tmp_path / "x.smi.gz"
    path.write_bytes(gzip.compress(b"CCO\n"))
    assert read_smiles(path).molecules[0].smiles == "CCO"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"xx\nOCC a\n")))
    found = read_smiles("-")
    assert found.molecules[0].smiles == "CCO"
    assert found.problems[0].startswith("standard input, line 1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; no line holds a molecule"),
        (b"xx\nyy\n", "line 1: 'xx' is no SMILES; no line holds a molecule"),
        (b"\xff\xfe\x00", "is not text"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
    ],
)
def test_files_without_molecules(tmp_path, content, words):
    path = tmp_path / "x.smi"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_smiles(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_smiles(tmp_path / "none.smi")
