"""The table of topologies with their parsimony scores."""

from __future__ import annotations

import numpy as np

from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.parsimony.table import ParsimonyTable
from phylogfn.trees.tree import Tree, canonical


def test_a_topology_stands_in_the_table_once(all_topologies):
    trees = all_topologies(6)
    table = ParsimonyTable(6)
    scores = np.arange(len(trees), dtype=float)
    assert np.array_equal(table.add(trees, scores), np.arange(105))
    renumbered = np.stack([canonical(Tree.from_parents(tree)).parent for tree in trees])
    assert np.array_equal(table.add(renumbered[::-1], -scores), np.arange(105)[::-1])
    assert len(table) == 105
    assert np.array_equal(table.scores, scores)
    assert np.array_equal(table.parents, trees)


def test_unknown_topologies_are_named_once(all_topologies):
    trees = all_topologies(6).astype(np.int16)
    table = ParsimonyTable(6)
    table.add(trees[:3], np.zeros(3))
    asked = trees[[1, 7, 0, 9, 7]]
    assert table.unknown(topology_keys(asked, table.codes)).tolist() == [1, 3]
    assert table.unknown(np.empty((0, 2), np.uint64)).size == 0


def test_trees_within_a_limit_keep_their_order(all_topologies):
    trees = all_topologies(5)
    table = ParsimonyTable(5)
    table.add(trees, np.arange(15) % 4)
    near = table.within(1.0)
    assert np.array_equal(near.scores, (np.arange(15) % 4)[np.arange(15) % 4 < 2])
    assert np.array_equal(near.parents, trees[np.arange(15) % 4 < 2])
    assert near.add(trees[:1], np.zeros(1)).tolist() == [0]
