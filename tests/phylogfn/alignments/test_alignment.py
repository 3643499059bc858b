"""Checks, alphabets and site patterns of alignments."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.alignment import (
    Alignment,
    AlignmentError,
    likelihood_notes,
    read_alignment,
    variable_sites,
)
from phylogfn.alignments.alphabet import DNA, PROTEIN, RNA, detect_alphabet
from phylogfn.alignments.patterns import compress

GOOD = {"A": "ACGT", "B": "ACGA", "C": "AAGT", "D": "ACTT"}


def fasta(rows):
    return "".join(f">{name}\n{row}\n" for name, row in rows.items())


def read(tmp_path, text, **options):
    path = tmp_path / "a.fasta"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_alignment(path, **options)


def test_masks_are_the_iupac_sets(tmp_path):
    codes = dict(R="AG", Y="CT", S="CG", W="AT", K="GT", M="AC", B="CGT", D="AGT", H="ACT", V="ACG")
    codes |= {c: c for c in "ACGT"} | dict.fromkeys("NX?-", "ACGT") | {"U": "T"}
    for character, states in codes.items():
        expected = sum(1 << "ACGT".index(state) for state in states)
        assert DNA.mask(character) == DNA.mask(character.lower()) == expected
    assert {chr(i) for i in np.flatnonzero(DNA.masks)} == set(codes) | {c.lower() for c in codes}
    assert DNA.mask("AG") == DNA.mask("R") and DNA.mask("A!") == 0 and DNA.mask("日") == 0
    assert RNA.states == "ACGU" and RNA.mask("T") == RNA.mask("U") == 8 and RNA.mask("Y") == 10


def test_protein_masks(tmp_path):
    assert PROTEIN.states == "ARNDCQEGHILKMFPSTWYV" and PROTEIN.n_states == 20
    assert PROTEIN.mask("B") == PROTEIN.mask("ND") and PROTEIN.mask("Z") == PROTEIN.mask("QE")
    assert PROTEIN.mask("J") == PROTEIN.mask("IL")
    assert PROTEIN.mask("X") == PROTEIN.mask("-") == PROTEIN.missing == (1 << 20) - 1
    assert all(PROTEIN.mask(state) == 1 << i for i, state in enumerate(PROTEIN.states))


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        (["ACGT", "acgt"], DNA),
        (["ACGU", "ACGA"], RNA),
        (["ACGU", "ACGT"], DNA),
        (["NNN-RYKM", "NNNNWSBD"], DNA),
        (["ACGTACGTACGTACGTAQGT"], DNA),
        (["MKVLAAGIVGL"], PROTEIN),
        (["GAVLIMFWP"], PROTEIN),
        (["----", "????"], DNA),
    ],
)
def test_detection(sequences, expected):
    assert detect_alphabet(sequences) is expected


def test_data_type_as_option(tmp_path):
    rows = {"A": "ACGA", "B": "ACGA", "C": "ACAA", "D": "AAGA"}
    assert read(tmp_path, fasta(rows)).alphabet is DNA
    for name, alphabet in (("dna", DNA), ("rna", RNA), ("protein", PROTEIN)):
        alignment = read(tmp_path, fasta(rows), data_type=name)
        assert alignment.alphabet is alphabet
        assert alignment.masks[0, 1] == 1 << alphabet.states.index("C")
    with pytest.raises(
        AlignmentError, match="'codon' is unknown; choose dna, rna, protein, standard"
    ):
        read(tmp_path, fasta(rows), data_type="codon")
    with pytest.raises(AlignmentError, match="'bam' is unknown; choose fasta"):
        read(tmp_path, fasta(rows), file_format="bam")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"C": "AAG"}, ["taxon 'C' has 3 columns", "'A' has 4", "align them first"]),
        ({"C": "AAG", "E": "A"}, ["taxon 'C' has 3 columns", "and 1 more taxa differ"]),
        ({"C": "AA!T"}, ["taxon 'C', column 3: '!' is not a DNA character", "correct it"]),
        ({"C": "A.GT"}, ["taxon 'C', column 2: '.'", "write gaps as '-'"]),
        (
            {"B": "ACEE", "A": "ACGTTT"[:4]},
            ["taxon 'B', column 3: 'E' is not a DNA", "1 more such"],
        ),
        ({"C": "AAé日"}, ["taxon 'C', column 3: 'é'"]),
        ({name: "" for name in GOOD}, ["sequences are empty"]),
    ],
)
def test_wrong_content_is_one_line(tmp_path, change, words):
    with pytest.raises(AlignmentError) as caught:
        read(tmp_path, fasta(GOOD | change), data_type="dna")
    message = str(caught.value)
    assert isinstance(caught.value, UserError) and "\n" not in message
    assert message.startswith(f"{tmp_path / 'a.fasta'}: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "change",
    [
        {"B": "ACGT", "C": "ACGT", "D": "ACGN"},
        {"B": "ACGY", "C": "ACGK", "D": "----"},
        {name: "----" for name in GOOD},
    ],
)
def test_sequences_that_need_not_differ(tmp_path, change):
    alignment = read(tmp_path, fasta(GOOD | change), data_type="dna")
    (note,) = likelihood_notes(alignment)
    assert "none of the 4 sites varies among the 4 taxa" in note
    assert likelihood_notes(read(tmp_path, fasta(GOOD), data_type="dna")) == []


def test_the_checksum_is_of_what_is_read(tmp_path):
    one = read(tmp_path, fasta(GOOD)).sha256()
    lower = "".join(
        f">{name} more words\n{row[:2].lower()}\n{row[2:]}\n" for name, row in GOOD.items()
    )
    assert len(one) == 64 and read(tmp_path, lower).sha256() == one
    assert read(tmp_path, "4 4\n" + "".join(f"{n} {r}\n" for n, r in GOOD.items())).sha256() == one
    changes = {"C": "AAGA"}, {"C": "AAG-"}, {"C": "AAGN"}, {"E": "AAGT"}
    others = [read(tmp_path, fasta(GOOD | change)).sha256() for change in changes]
    others.append(read(tmp_path, fasta(GOOD).replace(">A", ">a")).sha256())
    assert len({one, *others}) == 6  # a gap is no unknown base: parsimony may tell them apart


def test_the_checksum_has_the_weights_of_characters(tmp_path):
    matrix = "#NEXUS\nbegin data;\ndimensions ntax=4 nchar=4;\nmatrix\n"
    matrix += "".join(f"{n} {r}\n" for n, r in GOOD.items()) + ";\nend;\n"
    sets = ["", "wtset * w = 2: 1;", "wtset * w = 2: 2;", "typeset * t = ord: 1;", "exset * e = 1;"]
    sums = {read(tmp_path, f"{matrix}begin assumptions;\n{s}\nend;\n").sha256() for s in sets}
    assert len(sums) == len(sets)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (fasta(GOOD) + ">B\nACGT\n", ["taxon 'B' occurs 2 times, as sequences 2, 5"]),
        (fasta(GOOD) + ">B x\nACGT\n>B x\nACGA\n", ["taxon 'B x' occurs 2 times"]),
        (fasta(GOOD) + ">\nACGT\n", ["sequence 5 has no name"]),
        (">A\nACGT\n>B\nACGA\n>C\nACTT\n", ["has 3 taxa ('A', 'B', 'C')", "at least 4"]),
        ("", ["is empty"]),
        ("\n  \n", ["is empty"]),
        (b"\x00\x01ACGT", ["is a binary file (byte 1)"]),
        (b">A\nAC\x07T\n", ["is a binary file (byte 6)"]),
        (b"PK\x03\x04...", ["zip file is cut short or damaged"]),
        (gzip.compress(b">A\nACGT\n" * 99, mtime=0)[:-9], ["gzip file is cut short or damaged"]),
        (gzip.compress(b"", mtime=0), ["is empty"]),
    ],
)
def test_wrong_files_are_one_line(tmp_path, text, words):
    with pytest.raises(AlignmentError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a.fasta'}: ") and "\n" not in message
    for word in words:
        assert word in message


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(AlignmentError, match="missing.fasta: no such file$"):
        read_alignment(tmp_path / "missing.fasta")
    with pytest.raises(AlignmentError, match="is a folder"):
        read_alignment(tmp_path)


def test_a_wrong_letter_found_by_detection_names_the_option(tmp_path):
    rows = {name: row * 10 for name, row in GOOD.items()}
    rows["B"] = rows["B"][:16] + "E" + rows["B"][17:]
    with pytest.raises(AlignmentError, match=r"'B', column 17: 'E' is not a DNA.*--data-type"):
        read(tmp_path, fasta(rows))


def test_notes_not_errors(tmp_path):
    rows = GOOD | {"E": "----", "F": "ACGT", "G": "NNNN"}
    alignment = read(tmp_path, fasta({name: row + "-" for name, row in rows.items()}))
    assert alignment.names == tuple(rows)
    empty, same, blank = alignment.notes
    assert "2 taxa have no data" in empty and "'E', 'G'" in empty
    assert "identical sequences" in same and "'A', 'F'" in same and "'E'" not in same
    assert blank.startswith("1 of 5 sites")
    protein = read(tmp_path, fasta({"A": "MKVU", "B": "MKL*", "C": "MRLL", "D": "MKIL"}))
    assert "2 characters U, O or *" in protein.notes[-1]
    assert read(tmp_path, fasta(GOOD)).notes == ()


def test_proteins_that_could_be_ambiguous_bases_are_told(tmp_path):
    rows = {"A": "MKVSWDHR", "B": "MKVSWDHK", "C": "MRVSWDHR", "D": "MKVTWDHR"}
    alignment = read(tmp_path, fasta(rows))
    assert alignment.alphabet is DNA
    assert "97% of them are ambiguity codes" in alignment.notes[-1]
    assert "--data-type protein" in alignment.notes[-1]
    for data_type in ("dna", "protein"):
        notes = read(tmp_path, fasta(rows), data_type=data_type).notes
        assert not any("ambiguity codes" in note for note in notes)


def test_both_t_and_u_in_one_sequence_are_told(tmp_path):
    (note,) = read(tmp_path, fasta(GOOD | {"B": "ACgc", "C": "AauT"})).notes
    assert note == "1 sequences have both T and U, read as one base: 'C'"
    assert not any(
        "T and U" in n for n in read(tmp_path, fasta(GOOD | {"B": "ACGU", "C": "AAGU"})).notes
    )


@pytest.mark.parametrize("data_type", ["dna", "rna", "protein"])
def test_no_constant_column_is_told_for_likelihoods(tmp_path, data_type):
    rng = np.random.default_rng(0)
    letters = rng.choice(list("ACG"), (6, 400))
    varied = letters[:, [len(set(column)) > 1 for column in letters.T]][:, :60]
    for n_sites, constant, told in ((30, False, True), (60, True, False), (29, False, False)):
        columns = varied[:, :n_sites].copy()
        if constant:
            columns[:, 7] = [*"AA?A-A"]
        rows = {f"t{i}": "".join(row) for i, row in enumerate(columns)}
        alignment = read(tmp_path, fasta(rows), data_type=data_type)
        notes = likelihood_notes(alignment)
        assert any("looks like SNP data" in note for note in notes) == told
        assert not any("SNP" in note for note in alignment.notes)


def test_variable_sites():
    masks = np.array([[1, 1, 1, 15, 3], [1, 2, 3, 15, 6], [1, 1, 2, 15, 5]], np.uint32)
    assert variable_sites(masks).tolist() == [False, True, True, False, True]


def test_many_taxa_and_sites_are_quick(tmp_path):
    rng = np.random.default_rng(1)
    letters = rng.choice(np.frombuffer(b"ACGT-", np.uint8), (1000, 1500))
    text = b"".join(b">t%d\n%s\n" % (i, row.tobytes()) for i, row in enumerate(letters))
    alignment = read(tmp_path, text)
    assert isinstance(alignment, Alignment) and alignment.masks.shape == (1000, 1500)
    assert compress(alignment).weights.sum() == 1500
