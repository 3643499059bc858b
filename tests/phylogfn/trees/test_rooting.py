"""Rooting at an outgroup, against ETE 3 and a search over all branches."""

from __future__ import annotations

import ete3
import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.trees.consensus import ConsensusTree, consensus_newick
from phylogfn.trees.rooting import (
    outgroup_names,
    outgroup_split,
    outgroup_taxa,
    root_at_midpoint,
    root_at_outgroup,
    rooted_tree,
)
from phylogfn.trees.tree import Tree, node_splits, random_topology

NAMES = tuple("abcdefghi")


def random_tree(seed, n=9):
    rng = np.random.default_rng(seed)
    lengths = rng.gamma(2.0, 0.05, 2 * n - 2)
    lengths[0] = 0.0
    return Tree.from_parents(random_topology(n, rng).parent, lengths), rng


def as_ete(tree):
    return ete3.Tree(consensus_newick(tree, NAMES, exact=True))


def sides(tree):
    """The two sets of taxa on either side of a root."""
    return [frozenset(child.get_leaf_names()) for child in as_ete(tree).children]


@pytest.mark.parametrize("seed", range(10))
def test_each_clade_of_a_tree_as_outgroup(seed):
    tree, _ = random_tree(seed)
    unrooted = ConsensusTree.from_tree(tree)
    before = {pair: as_ete(unrooted).get_distance(*pair) for pair in ("ai", "be", "cd")}
    masks = node_splits(tree)
    for node, split in enumerate(masks[1:], 1):
        for side in (split, split ^ 0b111111111):
            outgroup = [taxon for taxon in range(9) if side >> taxon & 1]
            rooted = root_at_outgroup(unrooted, outgroup)
            assert frozenset(NAMES[taxon] for taxon in outgroup) in sides(rooted)
            assert rooted == root_at_outgroup(unrooted, outgroup, nearest=True)
            assert rooted == root_at_outgroup(rooted, outgroup)  # the root is moved, not added
            halves = [rooted.lengths[top] for top in rooted.children()[0]]
            assert halves[0] == halves[1] and sum(halves) == tree.lengths[node]
            after = {pair: as_ete(rooted).get_distance(*pair) for pair in before}
            assert after == pytest.approx(before)
    midpoint = root_at_midpoint(unrooted)
    moved, direct = root_at_outgroup(midpoint, [3]), root_at_outgroup(unrooted, [3])
    assert moved.parent == direct.parent and moved.taxon == direct.taxon
    assert moved.lengths[1:] == pytest.approx(direct.lengths[1:])


@pytest.mark.parametrize("seed", range(20))
def test_an_outgroup_that_is_not_a_clade_has_the_fewest_taxa_on_the_wrong_side(seed):
    tree, rng = random_tree(seed)
    outgroup = rng.choice(9, 4, replace=False).tolist()
    wanted = {NAMES[taxon] for taxon in outgroup}
    rooted = rooted_tree(tree, outgroup)
    found = min(len(wanted ^ side) for side in sides(rooted))
    everything, fewest = set(NAMES), 9
    for split in node_splits(tree)[1:]:
        side = {NAMES[taxon] for taxon in range(9) if split >> taxon & 1}
        fewest = min(fewest, len(wanted ^ side), len(wanted ^ (everything - side)))
    assert found == fewest
    exact = root_at_outgroup(ConsensusTree.from_tree(tree), outgroup)
    assert (exact is None) is (fewest > 0)


def test_of_equally_good_branches_the_first_taxon_decides():
    lines = ConsensusTree((-1, 0, 0, 0, 0, 0), (None, 0, 1, 2, 3, 4), *[(None,) * 6] * 3)
    assert frozenset("d") in sides(root_at_outgroup(lines, [3, 1], nearest=True))
    assert frozenset("b") in sides(root_at_outgroup(lines, [1, 3], nearest=True))


def test_names_of_outgroups():
    names = ("Homo sapiens", "a,b", "Pan")
    assert outgroup_taxa(["Pan,Homo_sapiens", "Pan"], names, "x") == (2, 0)
    assert outgroup_taxa(["a,b"], names, "x") == (1,)
    assert outgroup_names((), names, ("Pan",)) == ("Pan",)
    assert outgroup_names(("none",), names, ("Pan",)) == ()
    assert outgroup_names(("none",), (*names, "none")) == ("none",)
    for wrong, words in (
        (["Pam"], "x: 'Pam' is not one of the 3 taxa; did you mean 'Pan'?"),
        ([","], "x: 0 of 3 taxa are given"),
        (["a,b", "Pan, Homo sapiens"], "x: 3 of 3 taxa are given"),
    ):
        with pytest.raises(UserError, match=words.replace("?", r"\?")):
            outgroup_taxa(wrong, names, "x")


def test_the_split_of_an_outgroup_is_the_side_without_the_first_taxon():
    assert outgroup_split([1, 3], 5) == 0b01010
    assert outgroup_split([0, 2, 4], 5) == 0b01010
