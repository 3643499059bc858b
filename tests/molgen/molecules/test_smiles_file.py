"""Reading molecules: bad lines are named, the rest is used."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sys
import zipfile

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from gfncore.errors import UserError
from molgen.molecules.smiles_file import read_entries, read_smiles

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
            "line 5: 'C(C)(C)(C)(C)C' is not a valid molecule (explicit valence",
            "line 6: 'hello' is not a valid SMILES",
            "line 7: 'c1cccc1' is not a valid molecule (can't kekulize",
            "line 8: 'C1CC' is not a valid SMILES",
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
        "line 4: 'xx' is not a valid SMILES",
        "line 5: '' is not a valid SMILES",
    ]


def test_gzip_and_standard_input(tmp_path, monkeypatch):
    path = tmp_path / "x.smi.gz"
    path.write_bytes(gzip.compress(b"CCO\n"))
    assert read_smiles(path).molecules[0].smiles == "CCO"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"xx\nOCC a\n")))
    found = read_smiles("-")
    assert found.molecules[0].smiles == "CCO"
    assert found.problems[0].startswith("standard input, line 1")


def entries(tmp_path, content, name="x.smi"):
    """Return what `read_entries` makes of a file, broken lines, and notes."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    broken, notes = [], []
    found = list(read_entries(path, broken, notes.append))
    return found, broken, notes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("molecule_id\tcanonical_smiles\nm1\tCCO\nm 2\tC\n", [(2, "CCO", "m1"), (3, "C", "m 2")]),
        ('smiles\tname\nCCO\t"ethyl\nC\t5" pipe\n', [(2, "CCO", '"ethyl'), (3, "C", '5" pipe')]),
        ('smiles\tname\nCCO\t"a\tb\n'.replace("\tb", ""), [(2, "CCO", '"a')]),
        ('smiles,name\nCCO,"ethyl\nC,"b ""x"", c"\n', [(2, "CCO", '"ethyl'), (3, "C", 'b "x", c')]),
        ("smiles,name\nCCO,ethanol, pure\n", [(2, "CCO", "ethanol, pure")]),
        (
            '"ChEMBL ID";"Name";"Molecular Weight";"Smiles"\n"CHEMBL1";"";"46.07";"CCO"\n'
            '"CHEMBL2";"A; B";"16.04";"C"\n',
            [(2, "CCO", "CHEMBL1"), (3, "C", "A; B")],
        ),
        ('"smiles"\n"CCO"\n"C"\n', [(2, "CCO", ""), (3, "C", "")]),
        ('"CCO","ethanol"\n"C","x, y"\n', [(1, "CCO", "ethanol"), (2, "C", "x, y")]),
        ("Canonical SMILES,pIC50\nCCO,7.1\n", [(2, "CCO", "")]),
        ("canonical smiles\nCCO ethanol\n", [(2, "CCO", "ethanol")]),
        (" smiles , name \n CCO , ethanol \n", [(2, "CCO", "ethanol")]),
        ("smiles name\nCCO ethyl alcohol\n", [(2, "CCO", "ethyl alcohol")]),
        ("id smiles\nm1 CCO\nm 2 C\n", [(2, "CCO", "m1"), (3, "C", "m 2")]),
        ("id smiles activity\nm1 CCO 7.2\n", [(2, "CCO", "m1")]),
        ("smiles;name\nCCO;a,b\n", [(2, "CCO", "a,b")]),
        ("smiles|name\nCCO|a\n", [(2, "CCO", "a")]),
        ("sep=;\nid;smiles\n1;CCO\n", [(3, "CCO", "1")]),
        ("#id\tsmiles\n#1\tCCO\n", [(2, "CCO", "#1")]),
        ("# smiles, one per line\nCCO a\n", [(2, "CCO", "a")]),
        ("# by us\n\nid,smiles\n1,CCO\n", [(4, "CCO", "1")]),
        ("CCO;ethanol\nC\tx y\n", [(1, "CCO", "ethanol"), (2, "C", "x y")]),
        ("CCO\r\nC\rN a\x0bb\n", [(1, "CCO", ""), (2, "C", ""), (3, "N", "a\x0bb")]),
        ("smiles,value,\nCCO,1,\nC\n", [(2, "CCO", ""), (3, "C", "")]),
        ("smiles,smiles_length,id\nCCO,3,x\n", [(2, "CCO", "x")]),
        ("name,SMILES (canonical),note\n1,CCO,x\n", [(2, "CCO", "1")]),
    ],
)
def test_layouts(tmp_path, text, expected):
    found, broken, notes = entries(tmp_path, text)
    assert (found, broken, notes) == (expected, [], [])


def test_every_line_is_a_record_and_a_broken_one_is_named(tmp_path):
    lines = [f'C{"C" * (n % 9)}\t"name {n}' for n in range(3000)]  # csv.reader reads one record
    found, broken, _ = entries(tmp_path, "\n".join(["smiles\tname", *lines]))
    assert len(found) == 3000 and broken == [] and found[7] == (9, "CCCCCCCC", '"name 7')
    text = 'id,smiles,value\n1,CCO,"a, b"\n2,"CC, 3\n3,C,5\n'
    found, broken, _ = entries(tmp_path, text)
    assert found == [(2, "CCO", "1"), (3, '"CC', "2"), (4, "C", "3")]  # no line is lost
    found, broken, _ = entries(tmp_path, "id,smiles,value\n2,CC,3,4\n3,C,5\n")
    assert found == [(3, "C", "3")]
    assert broken[0][0] == 2 and "has 4 fields where the header has 3" in broken[0][1]
    with pytest.raises(UserError, match="line 2: has 4 fields"):
        read_smiles(write(tmp_path, "id,smiles,value\n2,CC,3,4\n"))


def test_a_broken_line_that_nobody_asks_for_is_told(tmp_path, capsys):
    path = write(tmp_path, "id,smiles,value\n2,CC,3,4\n3,C,5\n")
    assert list(read_entries(path)) == [(3, "C", "3")]
    assert "line 2: has 4 fields" in capsys.readouterr().err


def write(tmp_path, text):
    path = tmp_path / "written.smi"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("molecule_id\tstructure\n1\tCCO\n", "columns 'molecule_id', 'structure', none is SMILES"),
        ("Structure,pIC50\nCCO,7\n", "columns 'Structure', 'pIC50', none is SMILES"),
        ("compound name\nCCO a\n", "columns 'compound', 'name', none is SMILES"),
    ],
)
def test_a_header_without_smiles_is_told(tmp_path, text, columns):
    with pytest.raises(UserError, match=columns):
        read_smiles(write(tmp_path, text))


def test_a_broken_first_line_is_no_header(tmp_path):
    found = read_smiles(write(tmp_path, "hello world\nC1CC x\nCCO a\n"))
    assert [m.smiles for m in found.molecules] == ["CCO"] and len(found.problems) == 2


def test_which_of_several_columns_is_read_is_told(tmp_path):
    found, _, notes = entries(tmp_path, "scaffold_smiles,smiles\nC,CCO\n")
    assert found == [(2, "CCO", "")] and "from the column 'smiles'" in notes[0]


ACCENTS = "smiles\tname\nCCO\t\u00e9thanol\nC\tm\u00e9thane\n"


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("latin-1", r"read as Windows-1252 \(Latin-1\)"),
        ("utf-16", "read as UTF-16"),
        ("utf-16-le", "read as UTF-16-LE"),
        ("utf-16-be", "read as UTF-16-BE"),
        ("utf-32", "read as UTF-32"),
    ],
)
def test_encodings_are_read_and_named(tmp_path, encoding, words):
    found, broken, notes = entries(tmp_path, ACCENTS.encode(encoding))
    assert found == [(2, "CCO", "\u00e9thanol"), (3, "C", "m\u00e9thane")] and not broken
    assert (len(notes) == 0) if words is None else re.search(words, notes[0])


def zipped(*files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in files:
            archive.writestr(zipfile.ZipInfo(name), "CCO a\n")
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"CCO a\n", mtime=0),
        gzip.compress(b"CCO", mtime=0) + gzip.compress(b" a\n", mtime=0),
        bz2.compress(b"CCO a\n"),
        lzma.compress(b"CCO a\n"),
        zipped("a/x.smi", "__MACOSX/a/._x.smi"),
        gzip.compress(bz2.compress(b"CCO a\n"), mtime=0),
    ],
)
def test_packed_files(tmp_path, content):
    assert entries(tmp_path, content)[0] == [(1, "CCO", "a")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_that_are_damaged_or_expand_without_end(tmp_path, pack):
    path = tmp_path / "x.smi"
    packed = pack(b"CCO a\n" * 1000)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match=r"x\.smi: the .* file is cut short or damaged"):
        read_smiles(path)
    path.write_bytes(pack(b"C" * (257 << 20)))
    with pytest.raises(UserError, match="expands to more than 256 MiB"):
        read_smiles(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped("a.smi", "b.smi"), "holds 2 files"),
        (zipped(), "holds 0 files"),
        (zipped("xl/workbook.xml"), "is a spreadsheet"),
        (zipped("a.smi")[:40], "the zip file is cut short or damaged"),
        (b"PAR1\x00\x01\x02" * 9, "is not text"),
        (gzip.compress(b"x" * 257 + b"ustar\x0000" + bytes(700), mtime=0), "is a tar archive"),
    ],
)
def test_archives_and_files_that_are_not_lists_of_molecules(tmp_path, content, words):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_smiles(path)


def test_sd_files(tmp_path):
    blocks = []
    for name, smiles in (("ethanol", "CCO"), ("alanine", "C[C@H](N)C(=O)O")):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(mol, randomSeed=1)
        mol.SetProp("_Name", name)
        blocks.append(Chem.MolToMolBlock(mol) + "> <value>\n7\n\n$$$$\n")
    broken = blocks[0].replace("M  END", "M  XXX").replace("ethanol", "odd").replace(" O ", " Xx")
    found, problems, _ = entries(tmp_path, "".join([blocks[0], broken, blocks[1]]))
    assert [(smiles, name) for _, smiles, name in found] == [
        ("CCO", "ethanol"),
        ("C[C@H](N)C(=O)O", "alanine"),
    ]
    assert len(problems) == 1 and "'odd' is not a valid mol block" in problems[0][1]
    mol_file = blocks[1].split("> <")[0]
    assert entries(tmp_path, mol_file)[0][0][1:] == ("C[C@H](N)C(=O)O", "alanine")
    found = read_smiles(write(tmp_path, blocks[1].replace("\n", "\r\n")))
    assert found.molecules[0].smiles == "C[C@H](N)C(=O)O"


@pytest.mark.parametrize(
    ("smiles", "remark"),
    [
        ("CCO", ""),
        ("[Na+].[Cl-]", "has 2 components (salt)"),
        ("CCO.O", "has 2 components (mixture or solvate)"),
        ("[*]CC", "has 1 dummy atom"),
        ("[CH3:1][OH:2]", "has atom map numbers"),
        ("C[CH2]", "has 1 radical electron"),
        ("[*:1]C.Cl", "has 1 dummy atom; atom map numbers; 2 components (mixture or solvate)"),
    ],
)
def test_unusual_molecules_have_a_remark(tmp_path, smiles, remark):
    assert read_smiles(write(tmp_path, f"{smiles}\n")).molecules[0].remark == remark


@pytest.mark.parametrize("text", ["[CH99999]", "[*-]C", "[32768*]C", "C" * 200_000, "[" * 100_000])
def test_what_rdkit_throws_is_a_problem_of_the_line(tmp_path, text):
    found = read_smiles(write(tmp_path, f"{text} x\nCCO\n"))
    assert found.molecules[-1].smiles == "CCO"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; no line holds a molecule"),
        (b"xx\nyy\n", "line 1: 'xx' is not a valid SMILES; no line holds a molecule"),
        (b"\xff\xfe\x00", "is not text"),
        (b"\x1f\x8b\x08broken", "is cut short or damaged"),
    ],
)
def test_files_without_molecules(tmp_path, content, words):
    path = tmp_path / "x.smi"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_smiles(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_smiles(tmp_path / "none.smi")
