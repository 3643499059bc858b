"""Keys and children of topologies, whatever the numbers of their nodes."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.kernels.topology_numba import children_batch, topology_keys
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, children_from_parents, random_topology, splits


def renumbered(parent, rng):
    """The same tree with its internal nodes numbered anew."""
    n = len(parent) // 2 + 1
    new = np.concatenate([np.arange(n), n + rng.permutation(n - 2)])
    out = np.empty_like(parent)
    out[new] = np.where(parent >= 0, new[parent], -1)
    return out


@pytest.mark.parametrize("n_taxa", [4, 9, 40])
def test_children_are_those_of_the_plain_version(n_taxa):
    rng = np.random.default_rng(1)
    parents = np.stack([random_topology(n_taxa, rng).parent for _ in range(20)]).astype(np.int16)
    assert np.array_equal(children_batch(parents), children_from_parents(parents))


@pytest.mark.parametrize("n_taxa", [4, 9, 40])
def test_keys_do_not_depend_on_node_numbers(n_taxa):
    rng = np.random.default_rng(2)
    parents = np.stack([random_topology(n_taxa, rng).parent for _ in range(20)]).astype(np.int16)
    others = np.stack([renumbered(parent, rng) for parent in parents])
    assert any((a != b).any() for a, b in zip(parents, others, strict=True)) or n_taxa == 4
    codes = taxon_codes(n_taxa)
    assert np.array_equal(topology_keys(parents, codes), topology_keys(others, codes))


def test_keys_tell_topologies_apart_as_splits_do(all_topologies):
    every = all_topologies(6)
    keys = topology_keys(every, taxon_codes(6))
    assert len(np.unique(keys[:, 0])) == len(np.unique(keys[:, 1])) == 105
    by_splits = {frozenset(splits(Tree.from_parents(parent))) for parent in every}
    assert len(by_splits) == 105
