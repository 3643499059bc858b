"""Constraints against plain definitions, on all topologies of small numbers of taxa."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.trees.constraints.splits import Constraints, incompatible_pair
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, random_topology, splits

CASES = {
    "one pair": (6, [0b000110], None, 15),
    "a triple": (6, [0b001110], None, 9),
    "nested": (6, [0b000110, 0b001110], None, 3),
    "with taxon 0": (6, [0b000011, 0b110000], None, 3),
    "one topology": (6, [0b000011, 0b110000, 0b001100], None, 1),
    "one taxon free": (6, [0b00110], 0b011111, 21),
    "two taxa free": (6, [0b000110], 0b001111, 35),
    "the first taxon free": (7, [0b0000110, 0b1100000], 0b1111110, 27),
    "nothing": (6, [], None, 105),
    "seven": (7, [0b0001110, 0b1100000], None, 9),
}


def plainly_displayed(tree, split, taxa):
    """Whether a tree has a split of some taxa: one of its own, without the other taxa."""
    n = tree.n_taxa
    own = splits(tree) | {1 << taxon for taxon in range(n)}
    return any(mask & taxa in (split & taxa, taxa & ~split) for mask in own)


def case_of(name):
    n, given, taxa, number = CASES[name]
    return n, given, (1 << n) - 1 if taxa is None else taxa, number


@pytest.mark.parametrize("name", CASES)
def test_topologies_are_counted(all_topologies, name):
    n, given, taxa, number = case_of(name)
    constraints = Constraints.from_splits(n, given, taxa)
    every = all_topologies(n)
    expected = [
        all(plainly_displayed(Tree.from_parents(tree), split, taxa) for split in given)
        for tree in every
    ]
    assert constraints.hold(every).tolist() == expected
    assert sum(expected) == number
    assert math.exp(constraints.log_n_topologies) == pytest.approx(number)
    assert constraints.n_free == (0 if given else n) or taxa != (1 << n) - 1


@pytest.mark.parametrize("name", CASES)
def test_random_topologies_are_uniform(all_topologies, name):
    n, given, taxa, number = case_of(name)
    constraints = Constraints.from_splits(n, given, taxa)
    rng = np.random.default_rng(1)
    draws = np.stack([constraints.random_topology(rng) for _ in range(40 * number)])
    assert constraints.hold(draws).all() and draws.dtype == np.int16
    counts = Counter(key.tobytes() for key in topology_keys(draws, taxon_codes(n)))
    assert len(counts) == number
    if number > 1:
        assert chisquare(list(counts.values())).pvalue > 1e-4


def test_many_taxa():
    n = 80
    rng = np.random.default_rng(2)
    tree = random_topology(n, rng)
    chosen = sorted(splits(tree))[::3]
    constraints = Constraints.from_splits(n, chosen)
    drawn = Tree.from_parents(constraints.random_topology(rng))
    assert set(chosen) <= splits(drawn)
    whole = Constraints.from_splits(n, sorted(splits(tree)))
    assert whole.log_n_topologies == 0.0
    assert splits(Tree.from_parents(whole.random_topology(rng))) == splits(tree)


def test_the_checksum_is_that_of_the_splits():
    one = Constraints.from_splits(6, [0b000110, 0b111000])
    assert one.checksum() == Constraints.from_splits(6, [0b000111, 0b111001, 0b110]).checksum()
    assert one.checksum() != Constraints.from_splits(6, [0b000110]).checksum()
    free = Constraints.from_splits(6, [0b000110, 0b011000], 0b011111)
    assert len({one.checksum(), free.checksum()}) == 2


def test_incompatible_splits():
    assert incompatible_pair([0b000110, 0b001110, 0b111000], 0b111111) == (1, 2)
    assert incompatible_pair([0b000110, 0b001110, 0b110000], 0b111111) is None
    assert incompatible_pair([0b0011, 0b0110], 0b0111) is None
    with pytest.raises(ValueError, match="incompatible"):
        Constraints.from_splits(5, [0b00110, 0b01100])
    with pytest.raises(ValueError, match="fewer than two"):
        Constraints.from_splits(5, [0b11110])
