"""CLUSTAL and Stockholm alignments."""

from __future__ import annotations

from phylogfn.alignments.formats import parse_alignment


def test_digits_of_clustal_are_counts_only_behind_letters():
    text = "CLUSTAL\n\n" + "".join(f"{name} 0101 0011\n" for name in "ABCD")
    assert parse_alignment(text, "x").sequences == ["01010011"] * 4
