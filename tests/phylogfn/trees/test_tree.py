"""Array trees: random draws, canonical form, splits, relabelling, ete3."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import dendropy
import numpy as np
import pytest
from scipy.stats import chisquare

from phylogfn.trees.building import tree_from_edges, tree_from_nested
from phylogfn.trees.tree import (
    Tree,
    canonical,
    canonical_newick,
    children_from_parents,
    node_splits,
    postorder,
    random_topology,
    relabel,
    robinson_foulds,
    splits,
    to_ete3,
    topology_key,
)


def random_tree(n_taxa, seed):
    """A random topology with random lengths, its internal nodes numbered at random."""
    rng = np.random.default_rng(seed)
    tree = random_topology(n_taxa, rng)
    n_nodes = len(tree.parent)
    new = np.concatenate([np.arange(n_taxa), n_taxa + rng.permutation(n_taxa - 2)])
    parent = np.full(n_nodes, -1, np.int32)
    parent[new[1:]] = new[tree.parent[1:]]
    lengths = rng.exponential(0.1, n_nodes)
    lengths[0] = 0
    return Tree.from_parents(parent, lengths)


def names_of(n_taxa):
    return [f"taxon{i}" for i in range(n_taxa)]


def path_length(tree, first, second):
    """The distance between two leaves, by walking up to the root from both."""

    def up(node):
        while node > 0:
            yield node
            node = int(tree.parent[node])

    branches = set(up(first)) ^ set(up(second))
    return sum(tree.lengths[node] for node in branches)


@pytest.mark.parametrize("n_taxa", [2, 3, 4, 5, 12, 60])
def test_arrays_have_the_agreed_shape(n_taxa):
    tree = random_tree(n_taxa, n_taxa)
    n_nodes = 2 * n_taxa - 2
    assert tree.n_taxa == n_taxa
    assert tree.parent.shape == (n_nodes,) and tree.parent.dtype == np.int32
    assert tree.children.shape == (n_nodes, 2) and tree.children.dtype == np.int32
    assert tree.parent[0] == -1 and tree.children[0, 1] == -1
    assert (tree.children[1:n_taxa] == -1).all()
    for node in range(n_nodes):
        for child in tree.children[node]:
            assert child < 0 or tree.parent[child] == node
    order = postorder(tree).tolist()
    assert sorted(order) == list(range(n_nodes)) and order[-1] == 0
    place = {node: i for i, node in enumerate(order)}
    assert all(place[v] < place[int(tree.parent[v])] for v in range(1, n_nodes))


def test_children_of_many_trees_at_once():
    trees = [random_tree(9, seed) for seed in range(20)]
    stacked = children_from_parents(np.stack([t.parent for t in trees]).reshape(4, 5, 16))
    assert stacked.shape == (4, 5, 16, 2)
    assert np.array_equal(stacked.reshape(20, 16, 2), np.stack([t.children for t in trees]))


@pytest.mark.parametrize(
    "parent",
    [[-1, 4, 4, 5, 0, 4, 4], [-1, 4, 4, 4, 5, 0], [-1, -1, 4, 4, 5, 5], [0, 4, 4, 5, 5, -1]],
)
def test_wrong_parents_are_refused(parent):
    with pytest.raises(ValueError, match="parent array"):
        children_from_parents(np.array(parent))


@pytest.mark.parametrize("n_taxa", [4, 7, 30])
def test_canonical_form_does_not_depend_on_numbering(n_taxa):
    tree = random_tree(n_taxa, 3)
    rng = np.random.default_rng(8)
    first = canonical(tree)
    for _ in range(5):
        new = np.concatenate([np.arange(n_taxa), n_taxa + rng.permutation(n_taxa - 2)])
        parent = np.full(len(new), -1, np.int32)
        parent[new[1:]] = new[tree.parent[1:]]
        lengths = np.empty(len(new))
        lengths[new] = tree.lengths
        other = canonical(Tree.from_parents(parent, lengths))
        assert np.array_equal(first.parent, other.parent)
        assert np.array_equal(first.children, other.children)
        assert np.array_equal(first.lengths, other.lengths)
        assert topology_key(Tree.from_parents(parent)) == topology_key(tree)
    inner = np.arange(n_taxa, 2 * n_taxa - 3)
    assert (first.parent[inner] > inner).all() and first.parent[-1] == 0
    assert splits(first) == splits(tree)
    for a, b in combinations(range(min(n_taxa, 8)), 2):
        assert path_length(first, a, b) == pytest.approx(path_length(tree, a, b), rel=1e-12)


def test_keys_are_equal_for_equal_topologies_alone():
    rng = np.random.default_rng(0)
    trees = [random_topology(6, rng) for _ in range(800)]
    by_key = {topology_key(tree): frozenset(splits(tree)) for tree in trees}
    assert len(by_key) == len(set(by_key.values())) == 105


def test_random_topologies_are_uniform():
    rng = np.random.default_rng(1)
    counts = Counter(topology_key(random_topology(5, rng)) for _ in range(3000))
    assert len(counts) == 15
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_splits_by_hand():
    tree = tree_from_nested(((0, 1), ((2, 3), 4), 5))
    assert splits(tree) == {0b111100, 0b001100, 0b011100}
    masks = node_splits(tree)
    assert masks[0] == 0 and masks[:6] == [0, 2, 4, 8, 16, 32]
    assert max(masks) == 0b111110  # the neighbour of leaf 0, a trivial split


@pytest.mark.parametrize("n_taxa", [5, 11, 40])
def test_splits_and_robinson_foulds_agree_with_dendropy(n_taxa):
    names = names_of(n_taxa)
    trees = [random_tree(n_taxa, seed) for seed in (1, 2)]
    namespace = dendropy.TaxonNamespace(names)
    theirs = [
        dendropy.Tree.get(
            data=canonical_newick(tree, names),
            schema="newick",
            taxon_namespace=namespace,
            rooting="force-unrooted",
        )
        for tree in trees
    ]
    expected = dendropy.calculate.treecompare.symmetric_difference(*theirs)
    assert robinson_foulds(*trees) == expected
    assert robinson_foulds(trees[0], trees[0]) == 0
    full = (1 << n_taxa) - 1
    for tree, other in zip(trees, theirs, strict=True):
        bipartitions = {
            b.leafset_bitmask for b in other.encode_bipartitions() if not b.is_trivial()
        }
        assert splits(tree) == {full ^ b if b & 1 else b for b in bipartitions}
        matrix = other.phylogenetic_distance_matrix()
        for a, b in combinations(range(5), 2):
            distance = matrix(*(namespace.get_taxon(names[i]) for i in (a, b)))
            assert distance == pytest.approx(path_length(tree, a, b), rel=1e-9)
    assert all(len(splits(tree)) == n_taxa - 3 for tree in trees)


def test_robinson_foulds_of_different_taxa_is_refused():
    with pytest.raises(ValueError, match="4 and 5 taxa"):
        robinson_foulds(random_tree(4, 0), random_tree(5, 0))


@pytest.mark.parametrize("n_taxa", [2, 3, 4, 17])
def test_relabel_moves_taxa_and_back(n_taxa):
    rng = np.random.default_rng(n_taxa)
    tree = canonical(random_tree(n_taxa, 5))
    new = rng.permutation(n_taxa)
    moved = relabel(tree, new)
    for a, b in combinations(range(n_taxa), 2):
        assert path_length(moved, new[a], new[b]) == pytest.approx(path_length(tree, a, b))
    back = relabel(moved, np.argsort(new))
    assert np.array_equal(back.parent, tree.parent)
    np.testing.assert_array_equal(back.lengths, tree.lengths)
    with pytest.raises(ValueError, match="permutation"):
        relabel(tree, [0] * n_taxa)


def test_trees_from_edges_and_nested_tuples():
    edges = [(0, "a"), (1, "a"), ("a", "b"), (2, "b"), (3, "b")]
    tree = tree_from_edges(4, edges, [0.1, 0.2, 0.3, 0.4, 0.5])
    assert canonical_newick(tree, "ABCD") == "(A:0.1,B:0.2,(C:0.4,D:0.5):0.3);"
    assert topology_key(tree) == topology_key(tree_from_nested(((0, 1), (2, 3))))
    assert tree_from_edges(4, edges).lengths is None


@pytest.mark.parametrize(
    "edges",
    [
        [(0, 9), (1, 9), (2, 9)],
        [(0, 8), (1, 8), (2, 8), (3, 8), (8, 9)],
        [(0, 1), (2, 8), (3, 8), (8, 9), (9, 8)],
    ],
)
def test_edges_that_are_no_tree_are_refused(edges):
    with pytest.raises(ValueError, match=r"branches|neighbour"):
        tree_from_edges(4, edges)


@pytest.mark.parametrize(
    "nested", [(0, 1, 2, 3), ((0, 1), (2, 2)), ((0, 1), (2, 4)), (((0, 1, 2), 3), 4)]
)
def test_nested_tuples_that_are_no_tree_are_refused(nested):
    with pytest.raises(ValueError):
        tree_from_nested(nested)


@pytest.mark.parametrize("n_taxa", [2, 3, 4, 23])
def test_ete3_tree_is_the_same_tree(n_taxa):
    names = names_of(n_taxa)
    tree = random_tree(n_taxa, 2)
    theirs = to_ete3(tree, names)
    assert sorted(theirs.get_leaf_names()) == sorted(names)
    for a, b in combinations(range(min(n_taxa, 6)), 2):
        distance = theirs.get_distance(names[a], names[b])
        assert distance == pytest.approx(path_length(tree, a, b))


def test_newick_of_wrong_names_is_refused():
    with pytest.raises(ValueError, match="3 names for 4 taxa"):
        canonical_newick(random_tree(4, 0), "ABC")
