"""Reading of what both programs write for MrBayes' examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.phylogfn.mrbayes_examples import (
    EXAMPLES,
    largest_differences,
    read_matrix,
    read_mrbayes,
    write_alignment,
)

NAMES = ["a", "b", "c", "d", "e"]
INTERLEAVED = """#NEXUS
[ a comment; with a semicolon ]
begin data; dimensions ntax=4 nchar=10; format datatype=dna interleave=yes;
matrix
a AC(GT)TA
b ACG?A
c A-GTA
d ACGTT

a {AC}CCCC
b TTTTT
c TTTTT
d GGGGG
;
end;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mcmc.parts").write_text(
        "[ID: 1]\nID\tPartition\n1\t.****\n6\t...**\n7\t.*...\n8\t**...\n"
    )
    (tmp_path / "mcmc.tstat").write_text(
        "[ID: 1]\nID\t#obs\tProbability(=s)\tStddev(s)\n6\t\t90\t0.9\t0\n8\t\t30\t0.3\t0\n"
    )
    (tmp_path / "mcmc.pstat").write_text(
        "[ID: 1]\nParameter\tMean\tVariance\nTL{all}\t2.0\t0.04\nalpha{1}\t0.5\t0.01\n"
    )
    (tmp_path / "mcmc.log").write_text(
        "Average standard deviation of split frequencies = 0.0021\n\ntime: 77\n"
    )
    (tmp_path / "ss.log").write_text("   Run   Marginal likelihood (ln)\n     1     -57.31   \n"
                                     "     2     -57.52   \n")  # fmt: skip
    return tmp_path


def test_files_of_mrbayes(folder: Path) -> None:
    found = read_mrbayes(folder, NAMES)
    assert found.clades == {frozenset("de"): 0.9, frozenset("cde"): 0.3}
    assert found.means == {"TL": 2.0, "alpha{1}": 0.5}
    assert found.sds["TL"] == pytest.approx(0.2)
    assert (found.asdsf, found.seconds) == (0.0021, 77.0)
    assert found.log_evidences == [-57.31, -57.52]


def test_differences_are_the_largest_over_clades_of_either_program(folder: Path) -> None:
    other = read_mrbayes(folder, NAMES)
    clades = {frozenset("de"): 0.88, frozenset("bc"): 0.25, frozenset("cde"): 0.32}
    clade, relative, parameter, in_sds = largest_differences(
        clades, {"TL": 2.1, "alpha{1}": 0.45, "other": 1.0}, other
    )
    assert clade == pytest.approx(0.25)  # of a clade that MrBayes has not
    assert (relative, parameter) == (pytest.approx(0.1), "alpha{1}")
    assert in_sds == pytest.approx(0.5)
    with pytest.raises(ValueError, match="same name"):
        largest_differences(clades, {"kappa": 1.0}, other)


def test_matrices_are_read_and_cut(tmp_path: Path) -> None:
    source = tmp_path / "source.nex"
    source.write_text(INTERLEAVED)
    rows = read_matrix(source)
    assert {len(row) for row in rows.values()} == {10}
    assert rows["a"][:3] == ["A", "C", "(GT)"]
    names = write_alignment(EXAMPLES["primates"], source, tmp_path / "cut.nex", 3)
    assert names == ["a", "b", "c"]
    assert read_matrix(tmp_path / "cut.nex") == {name: rows[name] for name in names}
    assert "charset third = 3-10\\3;" in (tmp_path / "cut.nex").read_text()


def test_characters_that_are_those_of_the_first_taxon(tmp_path: Path) -> None:
    path = tmp_path / "same.nex"
    path.write_text(
        "#NEXUS\nbegin data; dimensions ntax=3 nchar=4;\n"
        "format datatype=protein missing=? matchchar=.;\nmatrix\na KVLP\nb .I?.\nc ...A\n;\nend;\n"
    )
    assert {name: "".join(row) for name, row in read_matrix(path).items()} == {
        "a": "KVLP",
        "b": "KI?P",
        "c": "KVLA",
    }
