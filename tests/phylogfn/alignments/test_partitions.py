"""Partitions of columns: files in the style of RAxML, NEXUS, codon positions, mixed data types."""

from __future__ import annotations

import re

import numpy as np
import pytest

from phylogfn.alignments.alignment import AlignmentError, read_alignment
from phylogfn.alignments.partitions.choice import PartitionChoice
from phylogfn.alignments.partitions.codons import parse_codon_positions
from phylogfn.alignments.patterns import PartitionedPatterns, compress

DNA = ">a\nACGTACGTAC\n>b\nACGTACGAAC\n>c\nACCTTCGAAC\n>d\nAGCTTCGATC\n"
MATRIX = "dimensions ntax=4 nchar=10; format datatype=dna; matrix a ACGTACGTAC b ACGTACGAAC "
MATRIX += "c ACCTTCGAAC d AGCTTCGATC;"
MIXED = """#NEXUS
begin data; dimensions ntax=4 nchar=10;
format datatype=mixed(Standard:1-3,DNA:4-8,Protein:9-10) gap=- missing=?;
matrix
a 012ACGTAMK
b 1{01}2ACGAAML
c 00?CTCGAMK
d 110CTCGA-V
; end;
"""


def written(folder, text, name="x.txt"):
    (folder / name).write_text(text)
    return str(folder / name)


def parts_of(alignment):
    """Name, data type, columns of the file from 1, and model of each part."""
    return [
        (
            part.name,
            part.alphabet.name,
            [alignment.column_number(column) for column in part.columns],
            part.model,
        )
        for part in alignment.parts
    ]


def read(folder, text=DNA, partition=None, source=None, codons=None):
    """Read an alignment, divided by a partition file (its text) or otherwise."""
    if partition is not None:
        source = written(folder, partition, "partition.txt")
    groups = parse_codon_positions(codons) if codons else ()
    name = "x.nex" if text.startswith("#") else "x.fasta"
    return read_alignment(written(folder, text, name), choice=PartitionChoice(source, groups))


def nexus(commands, block="mrbayes"):
    return f"#NEXUS\nbegin data; {MATRIX} end;\nbegin {block};\n{commands}\nend;\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "DNA, g1 = 1-4, 9 # the first\n\nDNA,g2=5-8,10",
            [("g1", "dna", [1, 2, 3, 4, 9], ""), ("g2", "dna", [5, 6, 7, 8, 10], "")],
        ),
        (
            "one = 1-.\\2\nHKY85{kappa=2.1}+F{.1,.2,.3,.4}, two = 2-10/2;",
            [
                ("one", "dna", [1, 3, 5, 7, 9], ""),
                ("two", "dna", [2, 4, 6, 8, 10], "HKY85{kappa=2.1}+F{.1,.2,.3,.4}"),
            ],
        ),
        (
            "JTTF, p = 1-5\nDNA, n = 6-10",
            [("p", "protein", [1, 2, 3, 4, 5], "JTT+F"), ("n", "dna", [6, 7, 8, 9, 10], "")],
        ),
        (
            "#nexus\nbegin sets;\ncharset x = 1-4;\n charset y = DNA, 5-10;\nend;",
            [("x", "dna", [1, 2, 3, 4], ""), ("y", "dna", [5, 6, 7, 8, 9, 10], "")],
        ),
        (
            "#nexus\nbegin sets;\ncharset x = 1-4;\n charset y = 5-10;\n"
            "charpartition best = GTR+G{0.5,0.1}:x, HKY:y;\nend;".replace("{0.5,0.1}", "4"),
            [("x", "dna", [1, 2, 3, 4], "GTR+G4"), ("y", "dna", [5, 6, 7, 8, 9, 10], "HKY")],
        ),
    ],
)
def test_partition_files_are_read(tmp_path, text, expected):
    assert parts_of(read(tmp_path, partition=text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DNA, a=1-6\nDNA, b=5-10", "column 5 is in part 'a' and in part 'b' (and 1 more columns)"),
        ("DNA, a=1-6", "column 7 is in no part (and 3 more columns)"),
        ("DNA, a=1-6\nDNA, a=7-10", "two parts are named 'a'"),
        ("DNA, a=1-11", "'1-11' is not within the 10 columns"),
        ("DNA, a=4-2\nDNA, b=1-10", "'4-2' is not within"),
        ("DNA, a=1-5,5-10", "column 5 comes twice in part 'a'"),
        ("DNA, a=1-x", "'1-x' is not a range of columns"),
        ("DNA, a", "cannot read 'DNA, a'"),
        ("GRT+G4, a=1-10", "unknown model 'GRT'"),
        ("LG, a=1-10\n", ""),
        ("# nothing", "has no partition"),
        (
            "#nexus\nbegin sets; charset a=1-5; charpartition p = x:a; end;",
            "column 6 is in no part",
        ),
        (
            "#nexus\nbegin sets; charset a=1-5; charpartition p = x:b; end;",
            "'b' is not a character",
        ),
        (
            "#nexus\nbegin mrbayes; partition p = 3: 1-5, 6-10; end;",
            "announces 3 parts, but lists 2",
        ),
        ("#nexus\nbegin mrbayes; partition p = 2: 1-5, 6-10; set partition=q; end;", "no such"),
        ("#nexus\nbegin sets; charpartition p = 1-5; end;", "not of the form 'part: characters'"),
        ("#nexus\nbegin sets; end;", "no charset, partition or charpartition"),
    ],
)
def test_wrong_partitions_are_refused_in_one_line(tmp_path, text, message):
    if not message:  # data of another type than the letters suggest are allowed where none is said
        assert read(tmp_path, partition=text).parts[0].alphabet.name == "protein"
        return
    with pytest.raises(AlignmentError, match=re.escape(message)) as caught:
        read(tmp_path, partition=text)
    assert "\n" not in str(caught.value) and "partition.txt" in str(caught.value)


def test_partitions_of_nexus_files(tmp_path):
    counted = nexus("charset a = 1-4; charset 2nd = 5-.; partition p = 2: a, 2nd;")
    alignment = read(tmp_path, counted)
    expected = [("a", "dna", [1, 2, 3, 4], ""), ("2nd", "dna", [5, 6, 7, 8, 9, 10], "")]
    assert parts_of(alignment) == expected
    assert [note.code for note in alignment.notes] == ["partition-of-file"]
    assert "2 parts ('a', '2nd')" in alignment.notes[0]
    # an unused one is among the statements that are not used, where partitions are not asked for
    plain = read_alignment(tmp_path / "x.nex")
    assert plain.parts == () and "not used: partition" in plain.notes[0]
    ignored = read(tmp_path, counted, source="none")
    assert ignored.parts == () and ignored.notes[0].code == "partitions-ignored"
    several = "partition p = 2: 1-4, 5-10; partition q = 2: 1-2, 3-10;"
    unchosen = read(tmp_path, nexus(several))
    assert unchosen.parts == () and unchosen.notes[0].code == "no-partition-chosen"
    assert len(read(tmp_path, nexus(several), source="Q").parts[1].columns) == 8
    set_by_file = read(tmp_path, nexus(several + "set partition = q;"))
    assert len(set_by_file.parts[1].columns) == 8
    starred = read(tmp_path, nexus("charpartition * r = x: 1-3, y: 4-10;", "sets"))
    assert [part.name for part in starred.parts] == ["x", "y"]
    with pytest.raises(AlignmentError, match="neither a file nor a partition"):
        read(tmp_path, nexus(several), source="r")
    with pytest.raises(AlignmentError, match="there is no such partition; the file has 'p', 'q'"):
        read(tmp_path, nexus(several + "set partition = r;"))


def test_excluded_columns_need_no_part_and_leave_their_part(tmp_path):
    text = nexus("exclude 3 10; partition p = 2: 1-3, 4-9;")
    alignment = read(tmp_path, text)
    columns = [listed for _, _, listed, _ in parts_of(alignment)]
    assert columns == [[1, 2], [4, 5, 6, 7, 8, 9]]
    emptied = read(tmp_path, nexus("exclude 1-3; partition p = 3: 1-3, 4-9, 10;"))
    assert [part.name for part in emptied.parts] == ["part2", "part3"]
    assert "empty-parts" in {note.code for note in emptied.notes}
    assert emptied.sha256() != read(tmp_path, nexus("exclude 1-3; partition p = 1: all;")).sha256()


def test_codon_positions_are_counted_from_the_first_column_of_a_part(tmp_path):
    whole = read(tmp_path, codons="1,2,3")
    assert parts_of(whole) == [
        ("codon_position_1", "dna", [1, 4, 7, 10], ""),
        ("codon_position_2", "dna", [2, 5, 8], ""),
        ("codon_position_3", "dna", [3, 6, 9], ""),
    ]
    genes = read(tmp_path, partition="GTR, a = 1-4\nDNA, b = 5-10", codons="1+2,3")
    assert parts_of(genes) == [
        ("a_1+2", "dna", [1, 2, 4], "GTR"),
        ("a_3", "dna", [3], "GTR"),
        ("b_1+2", "dna", [5, 6, 8, 9], ""),
        ("b_3", "dna", [7, 10], ""),
    ]
    excluded = read(tmp_path, nexus("exclude 1;"), codons="1,2,3")  # which moves no other column
    assert parts_of(excluded)[0] == ("codon_position_1", "dna", [4, 7, 10], "")
    with pytest.raises(AlignmentError, match="--codon-positions needs nucleotides"):
        read(tmp_path, ">a\nMKVLE\n>b\nMKILE\n>c\nMRVLE\n>d\nMKVLD\n", codons="1,2,3")


@pytest.mark.parametrize("text", ["", "1", "1,2", "1,2,4", "1+2+3", "1,1,2,3", "a,b,c"])
def test_wrong_codon_positions(text):
    with pytest.raises(ValueError, match="does not divide the codon positions"):
        parse_codon_positions(text)


def test_mixed_data_are_divided_by_type(tmp_path):
    alignment = read(tmp_path, MIXED)
    assert parts_of(alignment) == [
        ("standard", "standard", [1, 2, 3], ""),
        ("dna", "dna", [4, 5, 6, 7, 8], ""),
        ("protein", "protein", [9, 10], ""),
    ]
    assert alignment.masks[1, 1] == 0b11 and alignment.masks[0, 4] == 0b10
    patterns = compress(alignment)
    assert isinstance(patterns, PartitionedPatterns)
    assert [group.n_states for group in patterns.groups] == [3, 4, 20]
    np.testing.assert_array_equal(patterns.weights.sum(), 10)
    assert patterns.masks.shape == (4, patterns.n_patterns) and patterns.n_states == 20
    missing = np.uint32(2**20 - 1)
    at = patterns.groups[0].n_patterns + patterns.groups[1].n_patterns
    assert patterns.masks[3, at] == missing  # the gap of taxon d
    # one type is still read alone on request, and by default where partitions are not asked for
    assert read_alignment(tmp_path / "x.nex", data_type="protein").n_sites == 2
    assert read_alignment(tmp_path / "x.nex").n_sites == 5
    both = MIXED + "begin mrbayes; partition p = 2: 1-3, 4-10; end;"
    with pytest.raises(AlignmentError, match="part 'part2' has dna and protein columns"):
        read(tmp_path, both)
    divided = MIXED + "begin mrbayes; partition p = 3: 1-3, 4-8, 9-10; end;"
    assert [part.name for part in read(tmp_path, divided).parts] == ["part1", "part2", "part3"]


def test_types_of_a_partition_file_must_agree_with_the_data(tmp_path):
    with pytest.raises(AlignmentError, match="part 'p' is protein data, but .* says dna"):
        read(tmp_path, nexus(""), partition="LG, p = 1-10")
    mixed = ">a\n01ACG\n>b\n11ACG\n>c\n00TCG\n>d\n1?TC-\n"
    alignment = read(tmp_path, mixed, partition="MORPH, m = 1-2\nDNA, d = 3-5")
    assert [part.alphabet.name for part in alignment.parts] == ["standard", "dna"]
    with pytest.raises(AlignmentError, match="column 3: 'A' is not a standard character"):
        read(tmp_path, mixed, partition="MORPH, m = 1-3\nDNA, d = 4-5")


def test_an_alignment_of_one_part(tmp_path):
    whole = read(tmp_path, partition="GTR+G4, all = 1-10")
    assert parts_of(whole) == [("all", "dna", list(range(1, 11)), "GTR+G4")]
    assert read(tmp_path, partition="DNA, all = 1-10").parts == ()
    part = whole.of_part(whole.parts[0])
    assert part.n_sites == 10 and part.parts == () and part.names == whole.names
