"""Results with an outgroup: every tree is rooted, and the share without the clade is stated."""

from __future__ import annotations

import json

import dendropy
import ete3
import numpy as np
import pandas
import pytest

from phylogfn.results.outgroup import rooted_posterior
from phylogfn.results.posterior_files import write_results
from phylogfn.trees.splits import split_supports

OUTGROUP = ("Lemur_catta",)


def root_sides(newick):
    tree = ete3.Tree(newick, format=0)
    return [frozenset(child.get_leaf_names()) for child in tree.children]


def test_every_file_is_rooted(make_posterior, run_facts, tmp_path):
    plain = make_posterior(facts=run_facts)
    posterior, warning = rooted_posterior(plain, OUTGROUP)
    assert warning is None and posterior.outgroup.share == 1.0
    write_results(tmp_path, posterior)
    newicks = (tmp_path / "trees.nwk").read_text().splitlines()
    newicks += list(pandas.read_csv(tmp_path / "topologies.tsv", sep="\t")["newick"])
    newicks += (tmp_path / "consensus.nwk").read_text().splitlines()
    newicks += [str(tree) for tree in posterior.trees()] + list(posterior.topologies()["newick"])
    newicks += [str(posterior.consensus()), str(posterior.consensus(["Lemur_catta"]))]
    assert len(newicks) == 2 * (40 + 4) + 3
    for newick in newicks:
        assert len(root_sides(newick)) == 2 and frozenset(OUTGROUP) in root_sides(newick)
    assert all(tree.rooted for tree in posterior.trees()) and posterior.consensus().rooted
    names = ("posterior.run1.t", "posterior.run2.t", "posterior.trprobs", "consensus.con.tre")
    for name in names:
        text = (tmp_path / name).read_text()
        trees = dendropy.TreeList.get(data=text, schema="nexus", preserve_underscores=True)
        assert len(trees) == {"posterior.trprobs": 4, "consensus.con.tre": 1}.get(name, 20)
        for tree in trees:
            (leaf,) = (child for child in tree.seed_node.child_nodes() if child.is_leaf())
            assert tree.is_rooted and leaf.taxon.label == "Lemur_catta"
    assert "rooted at the outgroup: Lemur_catta" in (tmp_path / "report.html").read_text()
    lengths = [sum(n.dist for n in ete3.Tree(newick).traverse()) for newick in newicks[:40]]
    assert lengths == pytest.approx(plain.tree_lengths())
    moved = posterior.consensus(outgroup="Tarsius_syrichta")
    assert str(moved) == str(plain.consensus(outgroup="Tarsius_syrichta"))


def test_an_outgroup_that_is_not_always_a_clade_is_reported(make_posterior, run_facts, tmp_path):
    plain = make_posterior(facts=run_facts, topology_probabilities=np.array([0.6, 0.3, 0.06, 0.04]))
    supports = split_supports(plain.topology_parents, plain.topology_probabilities)
    drawn = split_supports(plain.draw_parents)
    split = next(split for split, support in supports.items() if 0.2 < support < 0.9)
    outgroup = tuple(name for i, name in enumerate(plain.names) if split >> i & 1)
    posterior, warning = rooted_posterior(plain, outgroup)
    lacking = round(40 * (1.0 - drawn.get(split, 0.0)))
    assert f"is not a clade in {lacking} of 40 draws" in warning and lacking > 0
    assert posterior.outgroup.share == pytest.approx(supports[split])
    write_results(tmp_path, posterior)
    rooted = [root_sides(line) for line in (tmp_path / "trees.nwk").read_text().splitlines()]
    assert all(len(sides) == 2 for sides in rooted)
    assert sum(frozenset(outgroup) not in sides for sides in rooted) == lacking
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["extra"]["outgroup_draws_without_clade"] == lacking


def test_without_an_outgroup_nothing_changes(make_posterior):
    posterior = make_posterior()
    assert rooted_posterior(posterior, ()) == (posterior, None)
