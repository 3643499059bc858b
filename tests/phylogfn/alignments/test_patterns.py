"""Site patterns of an alignment."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import CharacterPatterns, compress
from phylogfn.errors import AlignmentError


def test_site_patterns(tmp_path):
    rng = np.random.default_rng(0)
    rows = {
        f"t{i}": "".join(rng.choice(list("ACGTN-"), 300, p=[0.5, 0.4, 0.04, 0.02, 0.02, 0.02]))
        for i in range(5)
    }
    path = tmp_path / "a.fasta"
    path.write_text("".join(f">{name}\n{row}\n" for name, row in rows.items()))
    alignment = read_alignment(path)
    patterns = compress(alignment)
    assert patterns.masks.dtype == np.uint32 and patterns.weights.dtype == np.float64
    assert patterns.site_to_pattern.dtype == np.int32 and patterns.n_states == 4
    np.testing.assert_array_equal(patterns.masks[:, patterns.site_to_pattern], alignment.masks)
    counts = Counter(map(tuple, alignment.masks.T.tolist()))
    assert list(map(tuple, patterns.masks.T.tolist())) == list(counts)  # in order of first use
    assert patterns.weights.tolist() == list(counts.values())
    assert (patterns.n_taxa, patterns.n_patterns) == (5, len(counts))
    partials = patterns.tip_partials()
    assert partials.shape == (5, 4, len(counts)) and partials.dtype == np.float64
    for state in range(4):
        np.testing.assert_array_equal(partials[:, state] == 1, patterns.masks >> state & 1 == 1)
    assert set(np.unique(partials)) == {0.0, 1.0}


MATRIX = """#NEXUS
begin data;
dimensions ntax=5 nchar=8;
format datatype=standard symbols="0123456789" missing=? gap=-;
matrix
A 0{01}0?013?
B 101-0{12}0?
C 11{02}2001-
D 01200204
E ?(01)11012{56}
;
end;
begin assumptions;
typeset * t = ord: 3 6-7 2, unord: 1 4 5 8;
end;
"""


def test_characters_have_states_up_to_their_highest(tmp_path):
    path = tmp_path / "a.nex"
    path.write_text(MATRIX)
    alignment = read_alignment(path)
    patterns = compress(alignment)
    assert isinstance(patterns, CharacterPatterns)
    # a constant character has two states, and two states have no order
    expected = {
        (2, False): [0, 1, 4],
        (3, False): [3],
        (7, False): [7],  # 5 and 6 count although they are in a set
        (3, True): [2, 5],
        (4, True): [6],
    }
    assert dict(zip(patterns.classes, map(list, patterns.columns), strict=True)) == expected
    assert patterns.n_states == 7 and patterns.weights.sum() == 8
    for group, columns in zip(patterns.groups, patterns.columns, strict=True):
        cells = group.masks[:, group.site_to_pattern]
        every = np.uint32((1 << group.n_states) - 1)
        np.testing.assert_array_equal(cells, alignment.masks[:, columns] & every)
    cells = patterns.masks[:, patterns.site_to_pattern]  # of all, in the order of the file
    missing = alignment.masks == alignment.alphabet.missing
    np.testing.assert_array_equal(cells[missing], 127)
    whole = (cells == 127) & ~missing
    np.testing.assert_array_equal(cells[~missing & ~whole], alignment.masks[~missing & ~whole])
    assert set(np.nonzero(whole)[1]) == {1}  # {01} of two states says nothing


def test_types_that_cannot_be_read_are_an_error_of_morphology(tmp_path):
    path = tmp_path / "a.nex"
    path.write_text(MATRIX.replace("ord: 3 6-7 2", "ord: 3 6-70"))
    with pytest.raises(AlignmentError, match="'6-70' is not a range"):
        compress(read_alignment(path))
