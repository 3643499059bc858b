"""Consensus trees, checked against DendroPy and Biopython."""

from __future__ import annotations

import io

import dendropy
import numpy as np
import pytest
from Bio import Phylo

from phylogfn.results.posterior_data import split_table
from phylogfn.trees.consensus import (
    ConsensusTree,
    consensus_newick,
    consensus_nexus,
    consensus_splits,
    consensus_tree,
)
from phylogfn.trees.rooting import root_at_midpoint
from phylogfn.trees.splits import SplitTable, split_supports
from phylogfn.trees.tree import canonical_newick


def table_of(supports, n=6, lengths=None):
    lengths = {} if lengths is None else lengths
    return SplitTable(tuple("abcdef"[:n]), supports, lengths, {})


def test_majority_and_strict():
    table = table_of({0b000110: 1.0, 0b011110: 0.7, 0b001110: 0.5, 0b010110: 0.3})
    assert list(consensus_splits(table)) == [0b011110, 0b000110]
    assert list(consensus_splits(table, strict=True)) == [0b000110]
    root = consensus_tree(table)
    assert consensus_newick(root, table.names) == "(a,((b,c)1,d,e)0.7,f);"
    assert consensus_newick(consensus_tree(table, strict=True), table.names) == "(a,(b,c)1,d,e,f);"


@pytest.mark.parametrize("n", [18, 22, 200, 1000])
def test_splits_in_half_of_the_trees_are_not_in_the_majority(n):
    names = tuple("abcde")
    one, other = [-1, 7, 7, 6, 5, 0, 5, 6], [-1, 6, 7, 7, 5, 0, 5, 6]  # (b,c),d and b,(c,d)
    rows = np.array([one] * (n // 2) + [other] * (n // 2), np.int32)
    table = SplitTable(names, split_supports(rows), {}, {})
    assert table.supports == pytest.approx({0b00110: 0.5, 0b01100: 0.5, 0b01110: 1.0})
    assert list(consensus_splits(table)) == [0b01110]


def test_no_split_gives_a_star():
    assert consensus_newick(consensus_tree(table_of({})), tuple("abcdef")) == "(a,b,c,d,e,f);"


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_dendropy(make_posterior, seed):
    posterior = make_posterior(seed=seed)
    newicks = [canonical_newick(posterior.draw(i), posterior.names) for i in range(40)]
    trees = dendropy.TreeList.get(
        data="\n".join(newicks),
        schema="newick",
        preserve_underscores=True,
        rooting="force-unrooted",
    )
    expected = trees.consensus(min_freq=0.5 + 1e-9)
    expected.encode_bipartitions()
    empty = make_posterior(
        seed=seed,
        topology_parents=np.zeros((0, 14), np.int32),
        topology_probabilities=np.zeros(0),
        topology_log_evidences=np.zeros(0),
    )
    text = consensus_newick(consensus_tree(split_table(empty)), empty.names)
    found = dendropy.Tree.get(
        data=text,
        schema="newick",
        preserve_underscores=True,
        rooting="force-unrooted",
        taxon_namespace=trees.taxon_namespace,
    )
    assert dendropy.calculate.treecompare.symmetric_difference(expected, found) == 0


def test_estimates_that_contradict_each_other_leave_the_better_supported():
    table = table_of({0b000110: 0.53, 0b001100: 0.51, 0b110000: 0.9, 0b011000: 0.501})
    assert consensus_splits(table) == {0b110000: 0.9, 0b000110: 0.53}
    consensus_newick(consensus_tree(table), table.names)


def test_names_supports_and_lengths_read_back(make_posterior):
    posterior = make_posterior(seed=3)
    table = split_table(posterior)
    root = consensus_tree(table)
    newick = Phylo.read(io.StringIO(consensus_newick(root, posterior.names)), "newick")
    nexus_text = consensus_nexus(root, posterior.names)
    nexus = Phylo.read(io.StringIO(nexus_text), "nexus")
    for tree in (newick, nexus):
        assert {leaf.name for leaf in tree.get_terminals()} == set(posterior.names)
        lengths = {leaf.name: leaf.branch_length for leaf in tree.get_terminals()}
        assert lengths["Homo_sapiens"] == pytest.approx(table.mean_lengths[1 << 2], rel=1e-6)
    supports = sorted(c.confidence for c in newick.get_nonterminals() if c.confidence is not None)
    assert supports == pytest.approx(sorted(consensus_splits(table).values()), rel=1e-5)
    assert nexus_text.startswith("#NEXUS")
    assert "[&prob=" in nexus_text


def test_nexus_annotations_read_by_dendropy(make_posterior):
    posterior = make_posterior(seed=3)
    table = split_table(posterior)
    tree = dendropy.Tree.get(
        data=consensus_nexus(consensus_tree(table), posterior.names),
        schema="nexus",
        preserve_underscores=True,
    )
    found = [node.annotations.get_value("prob") for node in tree.internal_nodes()[1:]]
    assert sorted(float(value) for value in found) == pytest.approx(
        sorted(consensus_splits(table).values()), rel=1e-5
    )


def distances(root, names):
    tree = Phylo.read(io.StringIO(consensus_newick(root, names)), "newick")
    return {(a, b): tree.distance(a, b) for a in names for b in names if a < b}


@pytest.mark.parametrize("seed", range(8))
def test_midpoint_keeps_distances_and_halves_the_longest(make_posterior, seed):
    posterior = make_posterior(seed=seed, n_topologies=2)
    unrooted = consensus_tree(split_table(posterior))
    rooted = root_at_midpoint(unrooted)
    before, after = distances(unrooted, posterior.names), distances(rooted, posterior.names)
    assert after == pytest.approx(before, abs=1e-6)
    tree = Phylo.read(io.StringIO(consensus_newick(rooted, posterior.names)), "newick")
    assert max(tree.depths().values()) == pytest.approx(max(before.values()) / 2, abs=1e-6)
    assert sorted(taxon for taxon in rooted.taxon if taxon is not None) == list(range(8))


def test_midpoint_without_lengths_leaves_the_tree_alone():
    root = consensus_tree(table_of({0b000110: 1.0}))
    assert root_at_midpoint(root) is root
    none = (None,) * 4
    zero = ConsensusTree((-1, 0, 0, 0), (None, 0, 1, 2), (None, 0.0, 0.0, 0.0), none, none)
    assert root_at_midpoint(zero) is zero


def test_a_caterpillar_of_many_taxa():
    n = 1500
    names = tuple(f"t{i}" for i in range(n))
    full = (1 << n) - 2
    supports = {full >> i << i: 0.9 for i in range(2, n - 1)}
    lengths = {1 << i: 0.1 for i in range(1, n)} | dict.fromkeys(supports, 0.01) | {full: 0.1}
    tree = consensus_tree(SplitTable(names, supports, lengths, {}))
    assert len(tree) == 2 * n - 2
    assert consensus_newick(tree, names).count(")0.9:0.01") == n - 3
    rooted = root_at_midpoint(tree)
    assert len(rooted) == 2 * n - 1
