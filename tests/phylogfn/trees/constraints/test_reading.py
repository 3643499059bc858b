"""Files of constraints: all forms of one constraint, and one-line errors."""

from __future__ import annotations

import math

import pytest

from phylogfn.errors import TreeFileError
from phylogfn.trees.constraints.reading import read_constraints
from phylogfn.trees.constraints.splits import Constraints

NAMES = ("Homo sapiens", "Pan", "Gorilla", "Pongo", "Hylobates", "Macaca")
EXPECTED = Constraints.from_splits(6, [0b000011, 0b000111]).checksum()
MRBAYES = (
    "#NEXUS\nbegin mrbayes;\n"
    "constraint one = 1 2;\nconstraint two hard 100 = 1-2 Gorilla;\n{}end;\n"
)


def read(tmp_path, text, names=NAMES):
    path = tmp_path / "constraint.txt"
    path.write_text(text)
    return read_constraints(path, names)


@pytest.mark.parametrize(
    "text",
    [
        "Homo_sapiens Pan\n\n# a comment\nHomo_sapiens Pan Gorilla # great apes\n",
        "Homo sapiens, Pan\nHomo sapiens,Pan,Gorilla,\n",
        "first: Homo sapiens, Pan\n'the second': Homo_sapiens Pan Gorilla\n",
        "'Homo sapiens' Pan\n\"Homo sapiens\" Pan Gorilla",
        "Gorilla Pongo Hylobates Macaca\nPongo, Hylobates, Macaca\nPan 'Homo sapiens'",
        "((('Homo sapiens',Pan),Gorilla),Pongo,Hylobates,Macaca);",
        "[a note](((Homo_sapiens:1,Pan:2)0.9:1,Gorilla)x,(Pongo,Hylobates,Macaca):3);",
        "(Pan,Homo_sapiens,(Gorilla,(Pongo,Hylobates,Macaca)));",
        "#NEXUS\nbegin trees;\ntranslate 1 'Homo sapiens', 2 Pan, 3 Gorilla, 4 Pongo,"
        "5 Hylobates, 6 Macaca;\ntree t = [&R] (((1,2),3),4,5,6);\nend;\n",
        MRBAYES.format(""),
        MRBAYES.format("constraint three = 3 . ;\nprset topologypr=constraints(one,two);\n"),
        MRBAYES.format("lset nst=6;\nprset topologypr = Constraints(ONE, two) brlenspr=x;\n"),
    ],
)
def test_all_forms_of_a_constraint(tmp_path, text):
    constraints = read(tmp_path, text)
    assert constraints.checksum() == EXPECTED
    assert len(constraints) == 2 and constraints.n_free == 0
    assert math.exp(constraints.log_n_topologies) == pytest.approx(3)


def test_taxa_that_a_tree_lacks_are_free(tmp_path):
    constraints = read(tmp_path, "((Pan,Gorilla),(Pongo,Macaca));")
    assert constraints.sides.tolist() == [[-1, 0, 0, 1, -1, 1]]
    assert constraints.notes == ("2 of 6 taxa are not in the constraint tree: free",)
    assert math.exp(constraints.log_n_topologies) == pytest.approx(5 * 7)


def test_a_file_without_topologypr_is_told(tmp_path):
    (note,) = read(tmp_path, MRBAYES.format("")).notes
    assert "all of its 2 constraints are in force" in note


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Pan Gorila\n", "line 1: 'Gorila' is not one of the 6 taxa; did you mean 'Gorilla'?"),
        ("Pan Gorilla\nPan\n", "line 2: a clade of 1 taxon is no constraint"),
        ("Pan Pan\n", "line 1: a clade of 1 taxon is no constraint"),
        ("Pan Gorilla Pongo Hylobates Macaca", "all but one of 6 taxa is in every unrooted tree"),
        ("Pan Gorilla Pongo Hylobates Macaca Homo_sapiens", "a clade of all 6 taxa is in every"),
        ("Pan Gorilla\n\nGorilla Pongo\n", "line 1 and line 3 cannot be in one tree"),
        ("# nothing\n", "has no clades"),
        ("\n", "is empty"),
        ("(Pan,Gorilla,Pongo,Macaca);", "has no clade that constrains unrooted trees"),
        ("((Pan,Gorilla),(Pongo,Pan));", "'Pan' occurs twice"),
        ("((Pan,Gorilla),(Pongo,Lemur));", "'Lemur' is not one of the 6 taxa"),
        ("((Pan,Gorilla),Pongo,Macaca);\n((Pan,Gorilla),Pongo,Macaca);", "has 2 trees; give one"),
        ("((Pan,Gorilla),(Pongo,Macaca);", "line 1"),
        ("#NEXUS\nbegin data;\nend;\n", "has no trees"),
        (MRBAYES.format("constraint x negative = 1 2;"), "'negative' are not supported"),
        (MRBAYES.format("constraint x;"), "is not of the form"),
        (MRBAYES.format("prset topologypr=constraints(nix);"), "'nix', which no constraint"),
        (MRBAYES.format("constraint x = 1 7;"), "'7' is not one of the 6 taxa"),
        (MRBAYES.format("constraint x = 3-1;"), "'3-1' is not one of the 6 taxa"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path, text, words):
    with pytest.raises(TreeFileError) as refused:
        read(tmp_path, text)
    message = str(refused.value)
    assert words in message and "constraint.txt" in message and "\n" not in message
