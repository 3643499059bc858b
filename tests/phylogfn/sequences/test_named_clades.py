"""Files of named clades: every way to write them, and one line for every mistake."""

from __future__ import annotations

import re

import pytest

from gfncore.errors import UserError
from phylogfn.sequences.named_clades import NamedClade, parse_clades, read_clades

NAMES = ("Homo sapiens", "Pan", "Gorilla", "it's", "a,b", "c:d")


def test_clades_are_read(tmp_path):
    path = tmp_path / "clades.txt"
    path.write_text(
        "# two apes\n\nPan, Homo_sapiens\nmine: 'it''s', Gorilla,\n  'long name':  'a,b',Pan,Pan\n"
        'c:d, Pan  # and a comment\nby: Pan Gorilla\n"x: y": "Homo sapiens"\tc:d\n'
    )
    assert read_clades(path, NAMES) == (
        NamedClade("clade1", (0, 1)),
        NamedClade("mine", (2, 3)),
        NamedClade("long name", (1, 4)),
        NamedClade("clade4", (1, 5)),
        NamedClade("by", (1, 2)),
        NamedClade("x: y", (0, 5)),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Pan, Gorila", "x: line 1: 'Gorila' is not one of the 6 taxa; did you mean 'Gorilla'?"),
        ("\nPan", "x: line 2: 1 of 6 taxa are given; give two or more, and not all of them"),
        ("Pan,Pan", "x: line 1: 1 of 6 taxa are given"),
        ("Homo sapiens,Pan,Gorilla,'it''s','a,b',c:d", "x: line 1: 6 of 6 taxa are given"),
        ("a: Pan,Gorilla\na: Pan,'it''s'", "x: line 2: the name 'a' occurs twice"),
        ("Pan, 'Gorilla", 'x: line 1: "\'Gorilla" is not a list of taxa'),
        ("Pan,,Gorilla", "x: line 1: ',Gorilla' is not a list of taxa"),
        ("Pan 'a,b'Gorilla", "x: line 1: \"'a,b'Gorilla\" is not a list of taxa"),
        ("Pan Gorila", "x: line 1: 'Gorila' is not one of the 6 taxa; did you mean 'Gorilla'?"),
        ("# nothing\n", "x: contains no clade; write the taxa of one clade on each line"),
    ],
)
def test_mistakes_are_one_line(text, words):
    with pytest.raises(UserError, match=re.escape(words)) as error:
        parse_clades(text, NAMES, "x")
    assert "\n" not in str(error.value)
