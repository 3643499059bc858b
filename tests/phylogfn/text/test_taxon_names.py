"""Taxa found by the names that trees give them."""

from __future__ import annotations

import pytest

from phylogfn.text.taxon_names import TaxonIndex, spelling_key


def test_exact_names_come_first():
    index = TaxonIndex(["a b", "a_b", "c"])
    assert (index["a b"], index["a_b"], len(index), list(index)) == (0, 1, 3, ["a b", "a_b", "c"])
    with pytest.raises(KeyError):  # either of two
        index["a\tb"]
    assert index.get("a\tb") is None and index.get("d", -1) == -1


@pytest.mark.parametrize(
    ("name", "other"),
    [("Homo sapiens", "Homo_sapiens"), ("Am\u00e9lie", "Ame\u0301lie"), ("a\u00a0b", "a_b")],
)
def test_other_spellings_are_found(name, other):
    assert spelling_key(name) == spelling_key(other)
    for here, there in ((name, other), (other, name)):
        index = TaxonIndex([here, "x"])
        assert there in index and index[there] == index.get(there) == 0


def test_aliases_are_found_unless_two_taxa_share_them():
    index = TaxonIndex(["a", "b"], {"a mitochondrial": 0, "same": 1, "a": 0})
    assert index["a_mitochondrial"] == 0 and index["same"] == 1 and len(index) == 2
    index = TaxonIndex(["a b", "c"], {"a_b": 1})
    assert index["a b"] == 0 and "a_b" not in index
