"""Reading of reference posteriors, and the distances from them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.phylogfn.reference import (
    compare_to_reference,
    newick_names,
    read_reference,
    read_topologies,
    topology_key,
    tree_kl,
)
from benchmarks.phylogfn.topology_arrays import keys_of_parents, parents_of_key

TAXON = {name: number for number, name in enumerate("abcde")}


@pytest.mark.parametrize(
    "newick",
    [
        "(a,b,(c,(d,e)));",
        "((a,b),(c,(d,e)));",
        "((e,d),c,(b,a));",
        "(d:0.1,e:2e-3,(c:1,(a:0.5,b:0.5)0.97:0.25)1:1)[a comment, (with) marks];",
        "(a,(b,(c,('d',e))));",
    ],
)
def test_key_ignores_root_order_lengths_and_supports(newick: str) -> None:
    assert topology_key(newick, TAXON) == {0b11000, 0b11100}


def test_key_tells_topologies_apart() -> None:
    assert topology_key("(a,c,(b,(d,e)));", TAXON) != topology_key("(a,b,(c,(d,e)));", TAXON)


def test_quoted_names() -> None:
    assert newick_names("('it''s, one':1,(b,'c d'));") == ["it's, one", "b", "c d"]


@pytest.mark.parametrize(
    ("newick", "message"),
    [
        ("(a,b,(c,(d,x)));", "not a taxon"),
        ("(a,b,(c,(d,d)));", "twice"),
        ("(a,b,(c,d));", "4 of 5"),
    ],
)
def test_wrong_trees(newick: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        topology_key(newick, TAXON)


def test_tables_are_read_and_normalised(tmp_path: Path) -> None:
    table = tmp_path / "topologies.tsv"
    table.write_text(
        "rank\tprobability\tnewick\n"
        "1\t0.6\t(a,b,(c,(d,e)));\n"
        "2\t0.1\t(a,c,(b,(d,e)));\n"
        "3\t0.1\t((a,b),c,(d,e));\n"
    )
    reference = read_reference(table)
    assert reference.taxon == TAXON
    assert sorted(reference.probabilities.values()) == pytest.approx([0.125, 0.875])
    assert sorted(read_topologies(table, TAXON).values()) == pytest.approx([0.1, 0.7])
    table.write_text("newick\n(a,b,(c,d));\n")
    with pytest.raises(ValueError, match="no column probability"):
        read_topologies(table, TAXON)


def test_distances() -> None:
    one, two, three = frozenset([3]), frozenset([5]), frozenset([6])
    reference = {one: 0.75, two: 0.25}
    same = compare_to_reference(reference, {one: 3.0, two: 1.0})
    assert (same.kl, same.total_variation) == (pytest.approx(0.0), pytest.approx(0.0))
    assert (same.covered, same.n_unseen) == (1.0, 0)

    half = {one: math.log(0.5), two: math.log(0.5)}
    assert tree_kl(reference, half) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert tree_kl(reference, {one: 0.0}) == math.inf

    # topology two is unseen: it gets half of the smallest listed, 0.1 of 1.1
    missed = compare_to_reference(reference, {one: 0.8, three: 0.2})
    expected = 0.75 * math.log(0.75 / (0.8 / 1.1)) + 0.25 * math.log(0.25 / (0.1 / 1.1))
    assert missed.kl == pytest.approx(expected)
    assert missed.total_variation == pytest.approx(0.25)
    assert (missed.covered, missed.n_unseen) == (0.75, 1)
    assert compare_to_reference(reference, {}).kl == math.inf


@pytest.mark.parametrize(
    "newick", ["(a,b,(c,(d,e)));", "((a,d),b,(c,e));", "(a,(b,(c,(d,(e,(f,(g,h)))))));"]
)
def test_parents_and_splits_go_both_ways(newick: str) -> None:
    names = sorted(newick_names(newick))
    key = topology_key(newick, {name: number for number, name in enumerate(names)})
    parents = parents_of_key(key, len(names))
    assert parents[0] == -1 and np.count_nonzero(parents == 0) == 1
    assert keys_of_parents(parents[None]) == [key]


def test_splits_that_are_no_tree() -> None:
    with pytest.raises(ValueError, match="a resolved tree has 2"):
        parents_of_key(frozenset([0b110]), 5)
    with pytest.raises(ValueError, match="contradict"):
        parents_of_key(frozenset([0b110, 0b1100]), 5)
