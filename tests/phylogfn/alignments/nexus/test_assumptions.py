"""Weights, types and exclusions of characters in NEXUS files."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfncore.errors import UserError
from phylogfn.alignments.alignment import AlignmentError, likelihood_notes, read_alignment
from phylogfn.alignments.characters import parsimony_characters
from phylogfn.alignments.formats import parse_alignment
from phylogfn.alignments.nexus.statements import carry_out
from phylogfn.cli.main import main
from phylogfn.parsimony.scores import ParsimonyScorer

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


def left_out(alignment):
    """The places, from 1, of the columns that are not there."""
    if alignment.columns is None:
        return []
    n_sites = alignment.n_sites + alignment.n_excluded
    return sorted(set(range(1, n_sites + 1)) - set((alignment.columns + 1).tolist()))


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
    assert assumptions is not None
    assert listed(assumptions.ordered) == [4]
    assert assumptions.weights is None and alignment.n_excluded == 0
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
        assert said.problem == "" and said.weights is None and alignment.n_excluded == 0
        assert parsimony_characters(alignment).n_ordered == len(ordered)
        assert likelihood_notes(alignment) == []  # likelihoods know ordered characters


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
    assert "weights of characters in the file are used in" in likelihood_notes(alignment)[-1]
    characters = parsimony_characters(alignment)
    assert characters.weights.tolist() == [sum(weights)]
    assert characters.n_excluded == weights.count(0)


@pytest.mark.parametrize(
    ("command", "excluded"),
    [
        ("exset * e = 3 4;", [3, 4]),
        ("exset e2 = 1; exset * e = 8-.;", [8, 9]),
        ("exset * e = ;", []),
        ("exset * e (vector) = 0 0 1 0 0 0 0 0 1;", [3, 9]),
        ("charset c (vector) = 011000000; exset * e = c;", [2, 3]),
    ],
)
def test_exclusions(tmp_path, command, excluded):
    alignment = read(tmp_path, nexus(command))
    assert left_out(alignment) == excluded and alignment.assumptions is None
    characters = parsimony_characters(alignment)
    assert characters.n_excluded == len(excluded)
    assert characters.weights.tolist() == [9 - len(excluded)]


def test_sets_without_an_asterisk_are_told_of_and_not_used(tmp_path):
    alignment = read(tmp_path, nexus("wtset heavy = 5: all;", "exset e = 2;"))
    assert parsimony_characters(alignment).weights.tolist() == [9.0]
    (note,) = (note for note in alignment.notes if "not used" in note)
    assert note == (
        "statements of the file that are not used: wtset heavy (no asterisk), "
        "exset e (no asterisk) (assumptions)"
    )


def test_blocks_count_wherever_they_stand(tmp_path):
    head, data = MATRIX.split("begin data;")
    sets = "begin sets; charset c = 3; end;\nbegin assumptions; exset * e = c; end;\n"
    for text in (head + sets + "begin data;" + data, MATRIX + sets):
        assert left_out(read(tmp_path, text)) == [3]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("typeset * t = irrev: 1-3;", "typeset: type 'irrev' is not supported; 'ord'"),
        ("typeset * t = unord: 1, mymatrix: 3;", "typeset: type 'mymatrix' is not"),
        ("options deftype=dollo;", "options: type 'dollo' is not supported"),
        ("typeset * t = ord 1-3;", "typeset: 'ord 1-3' is not of the form 'value: characters'"),
        ("typeset * t;", "typeset: '* t' is not of the form 'NAME = ...'"),
        ("typeset * t = ord: 1-10;", "typeset: '1-10' is not a range of the 9 characters"),
        ("typeset * t = ord: 5-2;", "typeset: '5-2' is not a range"),
        ("typeset * t = ord: 1-9\\0;", "is not a range"),
        ("typeset * t = ord: wings;", "typeset: 'wings' is not a character; give numbers"),
        ("typeset * t = ord: 1-3, unord: 3;", "character 3 has two different values"),
        ("typeset * t = ord: all, unord: remainder;", "two different values; give one"),
        ("wtset * w = -2: 1;", "wtset: weight '-2' is not a decimal number from 0"),
        ("wtset * w = nan: 1;", "wtset: weight 'nan' is not a decimal number"),
        ("wtset * w = 1e400: 1;", "wtset: weight '1e400' is not a decimal number"),
        (f"wtset * w = {'9' * 400}: 1;", "is not a decimal number from 0"),
        ("wtset * w (vector) = 1 2 3;", "wtset: has 3 values for 9 characters"),
    ],
)
def test_what_is_not_supported_is_one_line_for_parsimony_alone(tmp_path, command, words):
    alignment = read(tmp_path, nexus("\n" + command))
    with pytest.raises(AlignmentError) as caught:
        parsimony_characters(alignment)
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert message.startswith(f"{alignment.source}: line 14: ")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "exset * e (vector) = 0 1;",
            "exset: a vector consists of 9 digits 0 or 1 (found 2 characters)",
        ),
        ("exset * e = 0;", "exset: '0' is not a range"),
        ("charset wings = 40; exset * e = wings;", "charset: '40' is not a range of the 9"),
        ("exclude wings;", "exclude: 'wings' is not a character"),
        (f"include {'9' * 4301};", "is not a range of the 9 characters"),
        ("delete E;", "delete: 'E' is not a taxon; give numbers, ranges, names or a taxset"),
        ("delete 1-9;", "delete: '1-9' is not a range of the 4 taxa"),
        ("assume exset=none;", "assume: there is no exset 'none' before it"),
    ],
)
def test_what_is_left_out_must_be_known_for_every_command(tmp_path, command, words):
    with pytest.raises(AlignmentError) as caught:
        read(tmp_path, nexus("\n" + command, block="paup"))
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert message.startswith(f"{tmp_path / 'a.nex'}: line 14: ")


def test_a_file_cut_short_after_its_matrix(tmp_path):
    with pytest.raises(UserError, match=r"the assumptions block has no 'end;'"):
        read(tmp_path, MATRIX + "begin assumptions; exset * e = 1;")


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 4), st.sampled_from(" \n;[]'=.,()*-\\19:a")),
        max_size=5,
    )
)
@settings(max_examples=150, deadline=None)
def test_damaged_blocks_are_read_or_refused_in_one_line(edits):
    text = "typeset * t = ord: 1-3, unord: 5;\nwtset * w = 2.5: 4-., 1: all; "
    text += "exset * e = 6-9\\2; exclude 1; delete A / only;"
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    try:
        raw = parse_alignment(nexus(text, block="paup"), "source")
        assert raw.statements is not None
        masks = np.ones((4, 9), np.uint32)
        said = carry_out(raw.statements, raw.names, masks, masks > 1).assumptions
    except AlignmentError as problem:
        assert "\n" not in str(problem) and str(problem).startswith("source: ")
        return
    if said is not None and said.problem:
        assert "\n" not in said.problem and said.problem.startswith("source: line ")


EXAMPLE = """#NEXUS
begin data;
dimensions ntax=5 nchar=3;
format datatype=standard symbols="0123";
matrix
A 000
B 111
C 220
D 331
E 022
;
end;
begin {block}; {commands} end;
"""


def shortest(alignment, all_topologies):
    """The least number of steps, and how many trees have it."""
    scorer = ParsimonyScorer(parsimony_characters(alignment), threads=1)
    steps = scorer.scores(all_topologies(alignment.n_taxa))
    return steps.min(), int((steps == steps.min()).sum())


@pytest.mark.parametrize("block", ["paup", "mrbayes", "PAUP", "assumptions"])
@pytest.mark.parametrize(
    "commands",
    [
        "ctype ord: 1 2; exclude 3;",
        "ctype ord: 1-2; exclude 3;",
        "charset last = 3; CTYPE Ordered: 1 - .; exclude last;",
        "charset bad = 3-.; exclude all; include 1-2; ctype ord: all;",
        "ctype ord: all; ctype unord: 3; exclude 2 3; include 2;",
        "options deftype=ord; exclude 3 / only;",
        "exclude late; end; begin sets; charset late = 3; end; begin paup; ctype ord: all;",
        "typeset t = ord: 1 2; exset e = 3; assume typeset=t exset=e;",
        "typeset * t = ord: 1 2; exclude 1; include 1-2 / only;",
        "wtset * w = 0: 3, 1: 1 2; ctype ord: 1 2;",
        "weights 0: 3; ctype ord: 1 2;",
        "ctype ord: 1 2; exclude 3; outgroup A; charset a = 1; delete E; restore E;",
    ],
)
def test_statements_of_paup_and_mrbayes(tmp_path, all_topologies, block, commands):
    alignment = read(tmp_path, EXAMPLE.format(block=block, commands=commands))
    assert shortest(alignment, all_topologies) == (7, 2)


def test_without_the_statements_the_answer_is_another(tmp_path, all_topologies):
    alignment = read(tmp_path, EXAMPLE.format(block="paup", commands=""))
    assert shortest(alignment, all_topologies) == (8, 5)


@pytest.mark.parametrize(
    ("commands", "names", "columns"),
    [
        ("exc 3; del 'C';", "ABDE", [1, 2]),
        ("taxset pair = 2 C; delete pair; restore B;", "ABDE", None),
        ("delete 1-3\\9;", "BCDE", None),
        ("delete B - B / only;", "ACDE", None),
        ("delete e; undelete all; delete D;", "ABCE", None),
        ("exclude missambig;", "ABCDE", None),
        ("exclude uninf;", "ABCDE", [3]),
        ("delete E; exclude constant; exclude gapped;", "ABCD", None),
    ],
)
def test_lists_of_taxa_and_characters(tmp_path, commands, names, columns):
    alignment = read(tmp_path, EXAMPLE.format(block="paup", commands=commands))
    assert "".join(alignment.names) == names
    found = None if alignment.columns is None else (alignment.columns + 1).tolist()
    assert found == columns
    assert len(alignment.masks) == len(names)
    if len(names) < 5:
        assert any(
            n.startswith("excluded because the file deletes them: 1 taxa") for n in alignment.notes
        )
    if columns:
        assert any("excluded by the file" in note for note in alignment.notes)


@pytest.mark.parametrize(
    "command",
    [
        "charlabels wing 'eye color' Leg_length;",
        "charstatelabels 1 wing / no yes, 2 'eye color', 3 Leg_length / short;",
    ],
)
@pytest.mark.parametrize(
    ("listed", "left"),
    [("'eye color'", [2]), ("Eye_color leg_length", [2, 3]), ("wing-Eye_color", [1, 2])],
)
def test_characters_go_by_their_labels(tmp_path, command, listed, left):
    text = EXAMPLE.replace("matrix", f"{command}\nmatrix")
    text = text.format(block="paup", commands=f"exclude {listed};")
    assert left_out(read(tmp_path, text)) == left


def test_taxa_are_numbered_in_the_order_of_taxlabels(tmp_path):
    taxa = "begin taxa; dimensions ntax=5; taxlabels E D 'C' B A; end;\nbegin data;"
    text = EXAMPLE.format(block="paup", commands="delete 1;")
    assert "".join(read(tmp_path, text.replace("begin data;", taxa)).names) == "ABCD"
    other = taxa.replace("'C'", "F")  # other taxa: the order of the matrix
    assert "".join(read(tmp_path, text.replace("begin data;", other)).names) == "BCDE"


def test_eliminated_characters_do_not_come_back(tmp_path):
    text = EXAMPLE.replace("matrix", "eliminate 2;\nmatrix")
    assert left_out(read(tmp_path, text.format(block="paup", commands="include all;"))) == [2]


@pytest.mark.parametrize(
    ("block", "commands", "outgroup"),
    [
        ("paup", "outgroup A;", "A"),
        ("paup", "outgroup A; outgroup B C;", "ABC"),
        ("paup", "outgroup A; outgroup 'B' 3 / only;", "BC"),
        ("mrbayes", "outgroup A; outgroup 2;", "B"),
        ("mrbayes", "taxset far = D E; outgroup far;", "DE"),
        ("mrbayes", "outgroup A; delete A;", ""),
        ("paup", "outgroup nobody;", ""),
        ("paup", "outgroup all;", ""),
    ],
)
def test_the_outgroup_of_a_file(tmp_path, block, commands, outgroup):
    alignment = read(tmp_path, EXAMPLE.format(block=block, commands=commands))
    assert "".join(alignment.outgroup) == outgroup
    assert any("outgroup" in note for note in alignment.notes) is ("nobody" in commands)


def test_every_statement_that_is_not_used_is_named_in_one_note(tmp_path):
    commands = (
        "outgroup nobody; charset a = 1; charset b = a; charset used = 3; chars needed = used; "
        "exclude needed; taxset t = A B; hsearch; "
        "pset gapmode=newstate; partition p = 1: a; ancstates * x = 0: all; typeset z = ord: 1; "
        "lset nst=6; set criterion=parsimony; options gapmode=newstate; end; begin codons; end; "
        "hidden; begin mesquite; x; "
    )
    text = EXAMPLE.replace("transpose", "").replace("symbols", "statesformat=count symbols")
    alignment = read(tmp_path, text.format(block="paup", commands=commands))
    (note,) = (n for n in alignment.notes if n.startswith("statements of the file"))
    for word in (
        "outgroup", "charset a", "charset b", "taxset t", "hsearch", "pset gapmode=newstate",
        "--gaps state", "partition", "ancstates", "typeset z (no asterisk)", "lset", "set",
        "options", "(paup)",
        "the codons block", "hidden (outside of blocks)", "format statesformat",
    ):  # fmt: skip
        assert word in note
    assert (
        "used" not in note.replace("not used", "")
        and "needed" not in note
        and "mesquite" not in note
    )
    assert "\n" not in note


def test_exclusions_and_deletions_hold_for_likelihoods(tmp_path, capsys):
    rows = {"A": "ACGTAC", "B": "ACGATC", "C": "AAGTAG", "D": "ACTTCG", "E": "GGGGGG"}
    head = "#NEXUS\nbegin data;\ndimensions ntax=5 nchar=6;\nformat datatype=dna;\nmatrix\n"
    body = "".join(f"{name} {row}\n" for name, row in rows.items()) + ";\nend;\n"
    said = "begin mrbayes; exclude 2 5; delete E; end;\n"
    plain = "4 4\n" + "".join(f"{n} {r[0]}{r[2:4]}{r[5]}\n" for n, r in rows.items() if n != "E")
    (tmp_path / "a.nex").write_text(head + body + said)
    (tmp_path / "a.phy").write_text(plain)
    (tmp_path / "t.nwk").write_text("(A:.1,B:.2,(C:.1,D:.3):.1);\n")
    out = []
    for name in ("a.nex", "a.phy"):
        assert main(["likelihood", str(tmp_path / name), str(tmp_path / "t.nwk")]) == 0
        out.append(capsys.readouterr())
    assert out[0].out == out[1].out
    assert "excluded because the file deletes them: 1 taxa ('E')" in out[0].err
    assert "2 of 6 characters" in out[0].err and out[1].err == ""
    for commands, words in (
        ("delete A B;", "has 3 taxa ('C', 'D', 'E') after the 2 that it deletes"),
        ("exclude all;", "all 6 characters are excluded by the file"),
    ):
        (tmp_path / "a.nex").write_text(head + body + f"begin paup; {commands} end;")
        assert main(["likelihood", str(tmp_path / "a.nex"), str(tmp_path / "t.nwk")]) == 2
        captured = capsys.readouterr()
        assert words in captured.err and captured.err.count("\n") == 1


@pytest.mark.skipif(shutil.which("mb") is None, reason="MrBayes is not installed")
def test_lists_are_those_of_mrbayes(tmp_path):
    rows = {"A": "0000", "B": "1111", "C": "2201", "D": "3311", "E": "0220"}
    text = "#NEXUS\nbegin data;\ndimensions ntax=5 nchar=12;\nformat datatype=standard;\nmatrix\n"
    text += "".join(f"{name} {row * 3}\n" for name, row in rows.items()) + ";\nend;\n"
    text += """begin mrbayes;
    charset third = 3-.\\3;
    charset both = third 1 2;
    taxset pair = C 4;
    exclude both 10 - 11;
    include 2 6-.\\4;
    ctype ordered: 4-9\\2;
    ctype ordered: third;
    ctype unordered: 9;
    delete pair;
    restore 3;
    end;
    """
    path = tmp_path / "a.nex"
    path.write_text(text)
    script = f"set autoclose=yes nowarn=yes\nexecute {path}\ncharstat\ntaxastat\nquit\n"
    done = subprocess.run(["mb"], input=script, capture_output=True, text=True, timeout=60)
    lines = [line.split() for line in done.stdout.splitlines() if re.match(r"\s+\d+ ", line)]
    characters = {int(line[0]): line for line in lines if "Stand" in line}
    assert len(characters) == 12
    raw = parse_alignment(text, "x")
    masks = np.array([[1 << int(c) for c in row] for row in raw.sequences], np.uint32)
    assert raw.statements is not None
    said = carry_out(raw.statements, raw.names, masks, masks == 0)
    assert said.assumptions is not None and said.assumptions.ordered is not None
    for number, line in characters.items():
        assert said.excluded[number - 1] == ("Excluded" in line)
        assert said.assumptions.ordered[number - 1] == ("Ord" in line)
    deleted = {line[1].strip("()") for line in lines if "Deleted" in line}
    assert {n for n, gone in zip(raw.names, said.deleted, strict=True) if gone} == deleted == {"D"}


def test_types_of_characters_that_are_left_out_do_not_matter(tmp_path):
    text = EXAMPLE.format(block="mrbayes", commands="ctype ordered: 3; exclude 3;")
    alignment = read(tmp_path, text)
    assert alignment.assumptions is None and likelihood_notes(alignment) == []


def test_characters_that_are_left_out_need_not_be_of_the_alphabet(tmp_path):
    rows = {"A": "AC9", "B": "AG!", "C": "TC1", "D": "TG0"}
    text = "#NEXUS\nbegin data;\nformat datatype=dna;\nmatrix\n"
    text += "".join(f"{name} {row}\n" for name, row in rows.items()) + ";\nend;\n"
    assert read(tmp_path, text + "begin paup; exclude 3; end;").n_sites == 2
    with pytest.raises(AlignmentError, match="column 3: '9' is not a DNA character"):
        read(tmp_path, text)
