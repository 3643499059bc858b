"""Maximum a posteriori and maximum clade credibility trees."""

from __future__ import annotations

import io
import math

import dendropy
import numpy as np
import pytest
from Bio import Phylo

from phylogfn.results.facts import OutgroupFacts
from phylogfn.results.posterior_files import write_results
from phylogfn.trees.splits import split_supports
from phylogfn.trees.tree import Tree, node_splits, splits

NO_TOPOLOGIES = {
    "topology_parents": np.zeros((0, 14), np.int32),
    "topology_probabilities": np.zeros(0),
    "topology_log_evidences": np.zeros(0),
}


def splits_of(phylogeny):
    """Return the non-trivial splits of a tree, with lengths and supports."""
    tree = phylogeny.tree
    below = [0] * len(tree)
    found = {}
    for node in range(len(tree) - 1, 0, -1):
        taxon = tree.taxon[node]
        below[node] |= 0 if taxon is None else 1 << taxon
        below[tree.parent[node]] |= below[node]
        if taxon is None:
            found[below[node]] = (tree.lengths[node], tree.supports[node])
    return found


def _neighbour(tree):
    """Return the parents of a tree that differs by one exchange of subtrees (NNI)."""
    n = tree.n_taxa
    node = next(v for v in range(n, 2 * n - 2) if tree.parent[v] > 0)
    above = tree.parent[node]
    sister = next(v for v in tree.children[above] if v != node)
    parent = tree.parent.copy()
    parent[sister], parent[tree.children[node][0]] = node, above
    return parent


def plain_lengths(posterior, split, chosen):
    """Return the mean length of the branch of a split over some draws that have it."""
    values = []
    for draw in chosen:
        masks = node_splits(Tree.from_parents(posterior.draw_parents[draw]))
        values += [posterior.draw_lengths[draw, v] for v, mask in enumerate(masks) if mask == split]
    return np.mean(values)


def test_map_is_the_first_topology_with_the_lengths_of_its_draws(make_posterior):
    posterior = make_posterior(n_topologies=6, seed=2)
    found = splits_of(posterior.map_tree())
    best = posterior.topology_parents[0]
    assert set(found) == splits(Tree.from_parents(best))
    own = [i for i, row in enumerate(posterior.draw_parents) if (row == best).all()]
    assert 3 < len(own) < posterior.n_draws
    supports = split_supports(posterior.topology_parents, posterior.topology_probabilities)
    for split, (length, support) in found.items():
        assert length == pytest.approx(plain_lengths(posterior, split, own))
        assert support == pytest.approx(supports[split])


def test_map_of_a_topology_without_draws_has_the_lengths_of_its_clades(make_posterior):
    posterior = make_posterior(n_topologies=6, seed=2)
    best = posterior.topology_parents[0]
    others = np.flatnonzero((posterior.draw_parents != best).any(axis=1))
    names = ("draw_parents", "draw_lengths", "draw_log_likelihoods", "draw_log_priors")
    changes = {name: getattr(posterior, name)[others] for name in names}
    found = splits_of(make_posterior(n_topologies=6, seed=2, **changes).map_tree())
    assert set(found) == splits(Tree.from_parents(best))
    held = {split for i in others for split in splits(posterior.draw(i))}
    for split, (length, _) in found.items():
        if split in held:
            assert length == pytest.approx(plain_lengths(posterior, split, others))
        else:
            assert length is None


def test_map_of_draws_alone_is_the_most_frequent(make_posterior):
    posterior = make_posterior(n_draws=60, n_topologies=5, seed=4)
    rows, counts = np.unique(posterior.draw_parents, axis=0, return_counts=True)
    alone = make_posterior(n_draws=60, n_topologies=5, seed=4, **NO_TOPOLOGIES)
    expected = splits(Tree.from_parents(rows[counts.argmax()]))
    assert set(splits_of(alone.map_tree())) == expected


@pytest.mark.parametrize("seed", range(6))
def test_mcc_of_draws_is_that_of_dendropy(make_posterior, seed):
    posterior = make_posterior(n_draws=50, n_topologies=12, seed=seed, **NO_TOPOLOGIES)
    trees = dendropy.TreeList.get(
        data="\n".join(str(tree) for tree in posterior.trees()),
        schema="newick",
        preserve_underscores=True,
        rooting="force-unrooted",
    )
    array = trees.as_tree_array(is_rooted_trees=False)
    best, index = -math.inf, -1
    for i, score in enumerate(array.calculate_log_product_of_split_supports()[0]):
        if score > best + 1e-9:
            best, index = score, i
    assert set(splits_of(posterior.mcc_tree())) == splits(posterior.draw(index))


def test_mcc_is_the_best_product_over_topologies_and_draws(make_posterior):
    for seed in range(5):
        posterior = make_posterior(n_draws=50, n_topologies=12, seed=seed)
        supports = split_supports(posterior.topology_parents, posterior.topology_probabilities)
        found = splits_of(posterior.mcc_tree())
        scores = [
            math.prod(supports[split] for split in splits(posterior.topology(i)))
            for i in range(posterior.n_topologies)
        ]
        assert math.prod(supports[split] for split in found) == pytest.approx(max(scores))
        for split, (length, support) in found.items():
            assert support == pytest.approx(supports[split])
            held = [i for i in range(50) if split in splits(posterior.draw(i))]
            if held:
                assert length == pytest.approx(plain_lengths(posterior, split, held))


def test_clades_that_agree_win_against_the_most_probable_topology(make_posterior):
    names = tuple("abcdefgh")
    others = [
        make_posterior(names=names, n_topologies=1, seed=s).topology_parents for s in range(2)
    ]
    p = np.array([0.4, 0.35, 0.25])
    first, second = (splits(Tree.from_parents(row[0])) for row in others)
    assert not first & second
    near = _neighbour(Tree.from_parents(others[1][0]))
    assert len(splits(Tree.from_parents(near)) & second) == len(second) - 1
    posterior = make_posterior(
        names=names,
        n_topologies=3,
        topology_parents=np.concatenate([others[0], others[1], near[None, :]]),
        topology_probabilities=p,
    )
    assert set(splits_of(posterior.map_tree())) == first
    assert set(splits_of(posterior.mcc_tree())) == second


def test_trees_are_rooted_at_the_outgroup_of_the_run(make_posterior):
    outgroup = OutgroupFacts(("Pan",), 1.0, 0)
    posterior = make_posterior(outgroup=outgroup)
    for tree in (posterior.map_tree(), posterior.mcc_tree()):
        assert tree.rooted and "= [&R]" in tree.nexus()
        base = [node for node, above in enumerate(tree.tree.parent) if above == 0]
        assert len(base) == 2 and posterior.names.index("Pan") in [tree.tree.taxon[x] for x in base]


def test_files_are_read_by_others(make_posterior, run_facts, tmp_path):
    posterior = make_posterior(facts=run_facts)
    write_results(tmp_path, posterior)
    for name in ("map", "mcc"):
        for schema, suffix in (("newick", "nwk"), ("nexus", "tre")):
            text = (tmp_path / f"{name}.{suffix}").read_text()
            (tree,) = Phylo.parse(io.StringIO(text), schema)
            assert {leaf.name for leaf in tree.get_terminals()} == set(posterior.names)
            dendro = dendropy.Tree.get(data=text, schema=schema, preserve_underscores=True)
            assert len(dendro.internal_edges()) == posterior.n_taxa - 2  # the seed edge included
        assert f"tree {name} = [&U] (" in text
    write_results(tmp_path, make_posterior(facts=run_facts, ess=1.1))
    for name in ("map.nwk", "mcc.nwk", "map.tre", "mcc.tre"):
        assert "The run failed" in (tmp_path / name).read_text()
    assert ")0." not in (tmp_path / "mcc.nwk").read_text()
