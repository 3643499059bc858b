"""Weights, types and exclusions of characters in NEXUS files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfncore.errors import UserError
from phylogfn.alignment import AlignmentError, read_alignment
from phylogfn.alignment_formats import parse_alignment
from phylogfn.characters import parsimony_characters
from phylogfn.cli.main import main

MATRIX = """#NEXUS
begin data;
dimensions ntax=4 nchar=9;
format datatype=standard;
matrix
A 000000000
B 000000000
C 111111111
D 111111111
;
end;
"""


def nexus(*commands, block="assumptions"):
    return f"{MATRIX}begin {block};\n" + "\n".join(commands) + "\nend;\n"


def read(tmp_path, text):
    path = tmp_path / "a.nex"
    path.write_text(text)
    return read_alignment(path)


def listed(flags):
    return [] if flags is None else (np.flatnonzero(flags) + 1).tolist()


TWO = """#NEXUS
begin characters;
title 'The bones';
dimensions ntax=4 nchar=4;
format datatype=standard;
matrix
A 0000
B 0001
C 1111
D 1111
;
end;
begin characters;
title Dna;
dimensions ntax=4 nchar=6;
format datatype=dna;
matrix
A AAAAAA
B CCCCCC
C GGGGGG
D TTTTTT
;
end;
begin assumptions;
typeset * U (characters = 'The bones') = unord: 1-3, ord: 4;
typeset * U (CHARACTERS = Dna) = unord: 1-6;
wtset * w (characters = Dna) = 2: all;
exset * x (Characters=Dna) = 1-2;
end;
begin sets;
link characters = Dna;
exset * y = 3;
end;
"""


def test_sets_of_another_matrix_are_skipped_and_that_matrix_is_told_of(tmp_path):
    alignment = read(tmp_path, TWO)
    assert alignment.masks.shape == (4, 4)
    assumptions = alignment.assumptions
    assert listed(assumptions.ordered) == [4]
    assert assumptions.weights is None and assumptions.excluded is None
    assert "a second matrix, which is not read" in alignment.notes[0]


@pytest.mark.parametrize(
    ("command", "ordered"),
    [
        ("typeset * t = ord: 1-3 5, unord: 4 6-9;", [1, 2, 3, 5]),
        ("TYPESET *t=Ord:1 - 3;", [1, 2, 3]),
        ("typeset * 'a name' (characters = x) = unord: 1, ordered: 7-.;", [7, 8, 9]),
        ("typeset * t = ord: 1-9\\3;", [1, 4, 7]),
        ("typeset * t = ord: 2 - . \\ 3 9;", [2, 5, 8, 9]),
        ("typeset * t = unord: 2-9, ord: all;", [1]),
        ("typeset * t = ord: remainder, unord: 2-9;", [1]),
        ("typeset * t (vector) = ord unord unord ord ord unord unord unord unord;", [1, 4, 5]),
        ("options deftype=ord polytcount=minsteps;", list(range(1, 10))),
        ("options polytcount = minsteps deftype = ord; typeset * t = unord: 1-7;", [8, 9]),
        ("options polytcount=minsteps;", []),
        ("charset wings = 2-4; charset 'big ones' = wings 9; typeset * t = ord: 'big ones';",
         [2, 3, 4, 9]),
        ("charset elsewhere = 40-50; typeset * t = ord: 1;", [1]),
        ("typeset * t = ord: 1-3; typeset * t = ord: 4;", [4]),
        ("usertype x = 2 0 1 1 0; charstatelabels 1 a/b; typeset * t = ord: 1;", [1]),
        ("typeset * t = unord: all;", []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("block", ["assumptions", "SETS"])
def test_types(tmp_path, command, ordered, block):
    alignment = read(tmp_path, nexus(command, block=block))
    said = alignment.assumptions
    assert (said is None) == (not ordered)
    if said is not None:
        assert listed(said.ordered) == ordered
        assert said.problem == "" and said.weights is None and said.excluded is None
        assert parsimony_characters(alignment).n_ordered == len(ordered)
        assert alignment.notes[-1].endswith("count in parsimony alone")


@pytest.mark.parametrize(
    ("command", "weights"),
    [
        ("wtset * w = 2: 1 3-7, 1: all;", [2, 1, 2, 2, 2, 2, 2, 1, 1]),
        ("wtset * w = 1: all, 2: 1 3-7;", [2, 1, 2, 2, 2, 2, 2, 1, 1]),
        ("wtset * w = 0.25: 1, .5: 2 - 3, 0: 9;", [0.25, 0.5, 0.5, 1, 1, 1, 1, 1, 0]),
        ("wtset * w (VECTOR) = 1 2 3 4 5 6 7 8 9.5;", [1, 2, 3, 4, 5, 6, 7, 8, 9.5]),
        ("wtset * w = 3: 1-4, 3: 4-5;", [3, 3, 3, 3, 3, 1, 1, 1, 1]),
    ],
)
def test_weights(tmp_path, command, weights):
    alignment = read(tmp_path, nexus(command))
    assert alignment.assumptions is not None
    assert alignment.assumptions.weights is not None
    assert alignment.assumptions.weights.tolist() == weights
    characters = parsimony_characters(alignment)
    assert characters.weights.tolist() == [sum(weights)]
    assert characters.n_excluded == weights.count(0)


@pytest.mark.parametrize(
    ("command", "excluded"),
    [
        ("exset * e = 3 4;", [3, 4]),
        ("exset e2 = 1; exset * e = 8-.;", [8, 9]),
        ("exset * e = ;", []),
    ],
)
def test_exclusions(tmp_path, command, excluded):
    alignment = read(tmp_path, nexus(command))
    assert (alignment.assumptions is None) == (not excluded)
    if alignment.assumptions is not None:
        assert listed(alignment.assumptions.excluded) == excluded
    characters = parsimony_characters(alignment)
    assert characters.n_excluded == len(excluded)
    assert characters.weights.tolist() == [9 - len(excluded)]


def test_sets_without_an_asterisk_are_told_of_and_not_used(tmp_path):
    alignment = read(tmp_path, nexus("wtset heavy = 5: all;", "exset e = 2;"))
    characters = parsimony_characters(alignment)
    assert characters.weights.tolist() == [9.0]
    assert [note.split(" is not used")[0] for note in characters.notes] == [
        "wtset heavy",
        "exset e",
    ]


def test_blocks_count_wherever_they_stand(tmp_path):
    head, data = MATRIX.split("begin data;")
    sets = "begin sets; charset c = 3; end;\nbegin assumptions; exset * e = c; end;\n"
    for text in (head + sets + "begin data;" + data, MATRIX + sets):
        said = read(tmp_path, text).assumptions
        assert said is not None and listed(said.excluded) == [3]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("typeset * t = irrev: 1-3;", "typeset: type 'irrev' is not supported; 'ord'"),
        ("typeset * t = unord: 1, mymatrix: 3;", "typeset: type 'mymatrix' is not"),
        ("options deftype=dollo;", "options: type 'dollo' is not supported"),
        ("typeset * t = ord 1-3;", "typeset: 'ord 1-3' is not of the form 'value: characters'"),
        ("typeset * t;", "typeset: '* t' is not of the form 'NAME = ...'"),
        ("typeset * t = ord: 1-10;", "typeset: '1-10' is no range of the 9 characters"),
        ("typeset * t = ord: 5-2;", "typeset: '5-2' is no range"),
        ("typeset * t = ord: 1-9\\0;", "is no range"),
        ("typeset * t = ord: wings;", "typeset: 'wings' is no character; give numbers"),
        ("charset wings = 40; exset * e = wings;", "exset: 'wings' is no character"),
        ("typeset * t = ord: 1-3, unord: 3;", "character 3 has two different values"),
        ("typeset * t = ord: all, unord: remainder;", "two different values; give one"),
        ("wtset * w = -2: 1;", "wtset: weight '-2' is no decimal number from 0"),
        ("wtset * w = nan: 1;", "wtset: weight 'nan' is no decimal number"),
        ("wtset * w = 1e400: 1;", "wtset: weight '1e400' is no decimal number"),
        (f"wtset * w = {'9' * 400}: 1;", "is no decimal number from 0"),
        ("wtset * w (vector) = 1 2 3;", "wtset: has 3 values for 9 characters"),
        ("exset * e (vector) = 0 0 0 0 0 0 0 0 1;", "exset: the vector format is not supported"),
        ("exset * e = 0;", "exset: '0' is no range"),
    ],
)
def test_what_is_not_supported_is_one_line_for_parsimony_alone(tmp_path, command, words):
    alignment = read(tmp_path, nexus("\n" + command))
    with pytest.raises(AlignmentError) as caught:
        parsimony_characters(alignment)
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert message.startswith(f"{alignment.source}: line 14: ")


def test_a_file_cut_short_after_its_matrix(tmp_path):
    alignment = read(tmp_path, MATRIX + "begin assumptions; exset * e = 1;")
    with pytest.raises(UserError, match=r"the assumptions block has no 'end;'"):
        parsimony_characters(alignment)


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 4), st.sampled_from(" \n;[]'=.,()*-\\19:a")),
        max_size=5,
    )
)
@settings(max_examples=150, deadline=None)
def test_damaged_blocks_are_read_or_refused_in_one_line(edits):
    text = "typeset * t = ord: 1-3, unord: 5;\nwtset * w = 2.5: 4-., 1: all; exset * e = 6-9\\2;"
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    try:
        said = parse_alignment(nexus(text), "source").assumptions
    except AlignmentError as problem:
        assert "\n" not in str(problem) and str(problem).startswith("source: ")
        return
    if said is not None and said.problem:
        assert "\n" not in said.problem and said.problem.startswith("source: line ")


def test_likelihoods_refuse_morphology(tmp_path, capsys):
    path, trees = tmp_path / "a.nex", tmp_path / "t.nwk"
    path.write_text(MATRIX)
    trees.write_text("(A:1,B:1,(C:1,D:1):1);\n")
    for arguments in (
        ["likelihood", str(path), str(trees)],
        ["sample", str(path), "-o", str(tmp_path / "out"), "--quiet"],
    ):
        assert main(arguments) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert "no substitution model of standard (morphological) data" in lines[-1]
        assert "use phylogfn parsimony" in lines[-1] and len(lines) == 1
