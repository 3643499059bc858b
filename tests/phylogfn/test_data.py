"""The example alignments are the files that data/README.md describes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from Bio import AlignIO
from Bio.Seq import Seq

from phylogfn.alignments.alignment import read_alignment, variable_sites
from phylogfn.alignments.partitions.files import read_partition_file
from phylogfn.alignments.patterns import CharacterPatterns, compress

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.mark.parametrize(
    ("name", "n_taxa", "n_sites", "n_patterns"),
    [("primates", 12, 898, 413), ("pythons", 33, 1114, 541)],
)
def test_example_is_as_described(name, n_taxa, n_sites, n_patterns):
    path = DATA / f"{name}.fasta"
    readme = (DATA / "README.md").read_text()
    section = readme.split(f"## {name}.fasta\n")[1].split("\n## ")[0]
    stated = re.search(r"^\* sha256: `([0-9a-f]{64})`", section, re.MULTILINE)
    assert stated is not None
    assert hashlib.sha256(path.read_bytes()).hexdigest() == stated[1]
    for word in ("Source", "Citation", "Terms"):
        assert f"* {word}:" in section
    assert f"| `{name}.fasta` | {n_taxa} | {n_sites} |" in readme

    alignment = read_alignment(path)
    assert alignment.alphabet.name == "dna"
    assert (alignment.n_taxa, alignment.n_sites) == (n_taxa, n_sites)
    assert compress(alignment).n_patterns == n_patterns
    assert alignment.notes == ()
    theirs = AlignIO.read(path, "fasta")
    assert alignment.names == tuple(record.id for record in theirs)
    letters = np.array([list(str(record.seq)) for record in theirs])
    for state, letter in enumerate("ACGT"):
        assert np.array_equal(alignment.masks == 1 << state, letters == letter)


def test_every_alignment_is_described():
    readme = (DATA / "README.md").read_text()
    for ending in ("fasta", "nex"):
        assert {path.name for path in DATA.glob(f"*.{ending}")} == set(
            re.findall(rf"## (\S+\.{ending})", readme)
        )


def test_parts_of_the_primates_are_codon_positions_of_open_reading_frames():
    path = DATA / "primates-genes.nex"
    section = (DATA / "README.md").read_text().split(f"## {path.name}\n")[1].split("\n## ")[0]
    assert hashlib.sha256(path.read_bytes()).hexdigest() in section
    alignment = read_alignment(DATA / "primates.fasta")
    partition = read_partition_file(str(path), alignment.n_sites)
    parts = {subset.name: subset.columns for subset in partition.subsets}
    assert [len(columns) for columns in parts.values()] == [231, 231, 231, 205]
    codons = zip(parts["first"], parts["second"], parts["third"], strict=True)
    records = AlignIO.read(DATA / "primates.fasta", "fasta")
    coding = [column for codon in codons for column in codon]
    for record in records:
        bases = Seq("".join(record.seq[int(column)] for column in coding).replace("?", "N"))
        assert "*" not in bases.replace("-", "N").translate(table="Vertebrate Mitochondrial")


def test_invented_matrix_is_as_described():
    path = DATA / "invented.nex"
    readme = (DATA / "README.md").read_text()
    section = readme.split("## invented.nex\n")[1].split("\n## ")[0]
    for words in (
        "* Source: invented for this project",
        "* Terms: the project's licence, MIT.",
        f"* sha256: `{hashlib.sha256(path.read_bytes()).hexdigest()}`",
        "states 0 to 4",
        "Characters 5-10 are ordered, 1-3 and 11 have weight 2",
        "and 16 is excluded",
    ):
        assert words in " ".join(section.split())
    assert "| `invented.nex` | 12 | 30 |" in readme
    matrix = read_alignment(path)
    assert (matrix.n_taxa, matrix.n_sites, matrix.alphabet.states) == (12, 29, "01234")
    said = matrix.assumptions
    numbers = matrix.columns
    assert said is not None and numbers is not None
    assert numbers[said.ordered].tolist() == [4, 5, 6, 7, 8, 9]
    assert numbers[said.weights == 2].tolist() == [0, 1, 2, 10]
    assert numbers[said.weights == 0.5].tolist() == [26, 27, 28, 29]
    assert matrix.n_excluded == 1 and 15 not in numbers.tolist()


def test_simulated_matrix_is_as_described():
    path = DATA / "simulated.nex"
    readme = (DATA / "README.md").read_text()
    section = " ".join(readme.split("## simulated.nex\n")[1].split("\n## ")[0].split())
    for words in (
        "72 variable characters, 38 of two states, 24 of three and 10 of four; 12 are ordered",
        "* Source: simulated for this project",
        "* Terms: the project's licence, MIT.",
        f"* sha256: `{hashlib.sha256(path.read_bytes()).hexdigest()}`",
    ):
        assert words in section
    assert "| `simulated.nex` | 10 | 72 |" in readme
    matrix = read_alignment(path)
    assert (matrix.n_taxa, matrix.n_sites) == (10, 72) and variable_sites(matrix.masks).all()
    patterns = compress(matrix)
    assert isinstance(patterns, CharacterPatterns)
    assert patterns.classes == ((2, False), (3, False), (4, False), (3, True), (4, True))
    assert [len(columns) for columns in patterns.columns] == [38, 16, 6, 8, 4]
