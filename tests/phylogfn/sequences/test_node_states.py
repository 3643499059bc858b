"""States at inner nodes: beside likelihoods with one more leaf, and those of IQ-TREE and PAML."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from phylogfn.alignments.alignment import read_alignment
from phylogfn.models import MixtureModel, SubstitutionModel, parse_model
from phylogfn.models.rates import gamma_category_rates, with_invariant_sites
from phylogfn.sequences import node_states
from phylogfn.sequences.node_states import node_state_probabilities
from phylogfn.trees.tree import Tree, canonical_newick, node_splits, random_topology

DATA = Path(__file__).resolve().parents[3] / "data" / "primates.fasta"
_file = importlib.util.spec_from_file_location(
    "plain_likelihood", Path(__file__).parents[1] / "plain_likelihood.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)


def model_of(n_states, shape, invariant, seed=1):
    rng = np.random.default_rng(seed)
    exchange = rng.gamma(1.0, size=(n_states, n_states))
    rates = np.ones(1) if shape is None else gamma_category_rates(shape, 4)
    rates, weights = with_invariant_sites(rates, np.full(len(rates), 1 / len(rates)), invariant)
    return SubstitutionModel(
        "made up",
        rng.dirichlet(np.full(n_states, 4.0)),
        exchange + exchange.T,
        rates,
        weights,
        invariant,
    )


def plain_states(tree, masks, model, node):
    """Return the probabilities (K, P): likelihoods with a further leaf of each state at a node."""
    n, n_states = masks.shape[0], model.n_states
    moved = np.where(np.arange(2 * n - 2) < n, np.arange(2 * n - 2), np.arange(2 * n - 2) + 1)
    parent, lengths = np.full(2 * n - 1, -1), np.zeros(2 * n - 1)
    for v in range(1, 2 * n - 2):
        parent[moved[v]], lengths[moved[v]] = moved[tree.parent[v]], tree.lengths[v]
    parent[n] = moved[node]
    larger = SimpleNamespace(parent=parent, lengths=lengths)
    logs = []
    for state in range(n_states):
        leaf = np.full((1, masks.shape[1]), 1 << state, np.uint32)
        logs.append(
            plain.plain_site_log_likelihoods(
                larger, np.concatenate([masks, leaf]), model, root=int(moved[tree.parent[1]])
            )
        )
    logs = np.array(logs)
    return np.exp(logs - np.logaddexp.reduce(logs, axis=0))


def random_tree(n, seed, mean=0.15):
    rng = np.random.default_rng(seed)
    topology = random_topology(n, rng)
    return Tree(topology.parent, topology.children, plain.random_lengths(n, rng, mean))


@pytest.mark.parametrize(
    ("n_states", "shape", "invariant"),
    [(4, None, 0.0), (4, 0.5, 0.0), (4, None, 0.3), (4, 0.7, 0.2), (6, 0.5, 0.1), (2, None, 0.0)],
)
def test_probabilities_are_those_of_a_leaf_at_the_node(n_states, shape, invariant, monkeypatch):
    model = model_of(n_states, shape, invariant)
    for seed, n in ((1, 3), (2, 7 if n_states < 6 else 4)):
        tree = random_tree(n, seed)
        n_patterns = 8 if n_states < 6 else 3
        masks = plain.random_masks(n, n_patterns, n_states, np.random.default_rng(seed))
        masks[:, 0] = 2**n_states - 1  # nothing but missing data
        nodes = list(range(n, 2 * n - 2))
        for together in (2**22, 1):  # all patterns at once, and one by one
            monkeypatch.setattr(node_states, "_CHUNK", together)
            found = node_state_probabilities(tree, masks, model, nodes)
            np.testing.assert_allclose(found.sum(axis=1), 1.0)
            np.testing.assert_allclose(found[0][:, 0], model.frequencies, rtol=1e-9)
            for node, p in zip(nodes, found, strict=True):
                expected = plain_states(tree, masks, model, node)
                np.testing.assert_allclose(p, expected, atol=1e-9)


def test_each_category_of_a_mixture_has_its_frequencies():
    processes = tuple(model_of(4, None, 0.0, seed) for seed in (1, 2, 3))
    rates, weights = np.array([0.2, 0.8, 2.0]), np.array([0.5, 0.3, 0.1])
    model = MixtureModel("mixed", processes, rates, weights, 0.1)
    tree = random_tree(6, 3)
    masks = plain.random_masks(6, 20, 4, np.random.default_rng(9))
    nodes = list(range(6, 10))
    found = node_state_probabilities(tree, masks, model, nodes)
    for row, node in zip(found, nodes, strict=True):
        np.testing.assert_allclose(row, plain_states(tree, masks, model, node), atol=1e-10)


@pytest.mark.parametrize("invariant", [0.0, 0.2])
def test_many_taxa_do_not_underflow(invariant):
    n = 1200
    tree = random_tree(n, 5, mean=0.3)
    masks = plain.random_masks(n, 3, 4, np.random.default_rng(6))
    masks[:, 2] = 1
    found = node_state_probabilities(tree, masks, model_of(4, 0.5, invariant), [n, 2 * n - 3])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def fixed_tree():
    alignment = read_alignment(str(DATA))
    tree = random_tree(len(alignment.names), 7, mean=0.1)
    return alignment, tree


def clade_ends(tree):
    """Return the inner nodes with the taxa on each side of their three branches."""
    below = node_splits(tree)
    everything = (1 << tree.n_taxa) - 1
    sides = {}
    for node in range(tree.n_taxa, 2 * tree.n_taxa - 2):
        parts = [below[child] for child in tree.children[node]]
        sides[frozenset([*parts, everything ^ below[node]])] = node
    return sides


@pytest.mark.skipif(shutil.which("iqtree2") is None, reason="IQ-TREE is not installed")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("JC69", "JC"),
        ("HKY85{2.5}+F{0.3,0.25,0.15,0.3}+G4{0.5}", "HKY{2.5}+F{0.3,0.25,0.15,0.3}+G4{0.5}"),
    ],
)
def test_probabilities_are_those_of_iqtree(ours, theirs, tmp_path):
    alignment, tree = fixed_tree()
    (tmp_path / "fixed.nwk").write_text(canonical_newick(tree, alignment.names) + "\n")
    command = ["iqtree2", "-s", str(DATA), "-te", str(tmp_path / "fixed.nwk"), "-m", theirs]
    command += ["-blfix", "-asr", "-nt", "1", "-pre", str(tmp_path / "x"), "-redo", "-quiet"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    theirs_tree = (tmp_path / "x.treefile").read_text()
    named = iqtree_nodes(theirs_tree, alignment.names)
    model = parse_model(ours, "dna").build()
    rows = [
        line.split("\t")
        for line in (tmp_path / "x.state").read_text().splitlines()
        if not line.startswith(("#", "Node\t"))
    ]
    sides = clade_ends(tree)
    assert set(named.values()) <= set(sides)
    nodes = {name: sides[parts] for name, parts in named.items()}
    found = node_state_probabilities(tree, alignment.masks, model, sorted(nodes.values()))
    place = {node: i for i, node in enumerate(sorted(nodes.values()))}
    assert len(rows) == 10 * 898
    theirs_p = np.array([[float(x) for x in row[3:7]] for row in rows])
    ours_p = np.array([found[place[nodes[row[0]]], :, int(row[1]) - 1] for row in rows])
    np.testing.assert_allclose(ours_p, theirs_p, atol=6e-5)


def iqtree_nodes(newick, names):
    """Return the sets of taxa that the branches at each named node of a tree lead to."""
    import ete3

    tree = ete3.Tree(newick, format=1)
    everything = (1 << len(names)) - 1

    def mask(node):
        return sum(1 << names.index(leaf) for leaf in node.get_leaf_names())

    found = {}
    for node in tree.traverse():
        if not node.is_leaf():
            parts = [mask(child) for child in node.children]
            parts += [] if node.is_root() else [everything ^ mask(node)]
            found[node.name] = frozenset(parts)
    return found
