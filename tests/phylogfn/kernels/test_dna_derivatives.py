"""Derivatives under reversible models of DNA against a plain version and the general kernel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

from phylogfn.alignments.patterns import SitePatterns
from phylogfn.kernels import pruning_numba as kernels
from phylogfn.kernels import walk_numba
from phylogfn.kernels.dna_derivatives_numba import dna_star
from phylogfn.kernels.partitions_numba import model_of_part
from phylogfn.kernels.tiles import T
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import MixtureModel, parse_model
from phylogfn.trees.tree import Tree, random_topology

_file = importlib.util.spec_from_file_location(
    "plain_likelihood", Path(__file__).parents[1] / "plain_likelihood.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)

GTR = "GTR{1.2,3.4,0.7,0.9,4.1,1.3}+F{0.1,0.2,0.3,0.4}"
MODELS = [
    "K80{2.5}+I{0.2}",
    GTR,
    GTR + "+G4{0.4}",
    GTR + "+I{0.2}+G7{0.05}",
    GTR + "+G4{0.3}+ASC",
    "GTR{1.2,3.4,0.01,0.9,4.1,1.3}+F{0.1,0.2,0.3,0.4}+G4{2}",
    "mixture",
]


def tolerance(tree, model):
    """Relative accuracy: the probability of a change in a short branch is rounded at 1e-16.

    Where only variable sites occur, so is the difference of 1 and a sum close to 1.
    """
    return 1e-9 + (1e-13 if model.variable_only else 2e-14) / np.min(tree.lengths[1:])


def build_model(name):
    if name != "mixture":
        return parse_model(name, "dna").build()
    processes = tuple(
        parse_model(text, "dna").build()
        for text in (GTR, "HKY85{0.2}+F{0.4,0.3,0.2,0.1}", "K80{5}")
    )
    rates = np.array([0.1, 1.7, 0.3, 0.9, 0.0, 3.0])
    weights = np.array([0.2, 0.1, 0.2, 0.1, 0.1, 0.2])
    return MixtureModel("mixture", processes, rates, weights, invariant=0.1)


def make_patterns(n_taxa, n_patterns, rng, variable_only=False):
    masks = plain.random_masks(n_taxa, n_patterns, 4, rng)
    if variable_only:  # at least two taxa exclude one another
        masks[0], masks[1] = 1, 2
    weights = rng.integers(1, 5, n_patterns).astype(float)
    return SitePatterns(masks, weights, np.arange(n_patterns, dtype=np.int32), 4)


def make_tree(n_taxa, rng, length):
    topology = random_topology(n_taxa, rng)
    if length == "mixed":
        lengths = 10.0 ** rng.uniform(-8, 1, 2 * n_taxa - 2)
    else:
        lengths = np.full(2 * n_taxa - 2, length)
    lengths[0] = 0.0
    return Tree(topology.parent, topology.children, lengths)


def plain_pattern_likelihoods(tree, masks, model, branch=0, order=0):
    """Likelihood (P,) of each pattern, or its derivative of some order by one branch length."""
    bits = ((masks[:, None, :] >> np.arange(4)[None, :, None]) & 1).astype(float)
    total = np.zeros(masks.shape[1])
    for c, (rate, weight) in enumerate(
        zip(model.category_rates, model.category_weights, strict=True)
    ):
        process = model.process(c)

        def message(v, process=process, rate=rate):
            partial = (
                bits[v]
                if v < len(bits)
                else message(tree.children[v, 0]) * message(tree.children[v, 1])
            )
            matrix = expm(process.Q * rate * tree.lengths[v])
            if v == branch:
                matrix = np.linalg.matrix_power(rate * process.Q, order) @ matrix
            return matrix @ partial

        below = message(tree.children[0, 0])
        total += weight * (process.frequencies @ (bits[0] * below))
    if order == 0:
        total += model.invariant * (model.frequencies @ bits.all(axis=0))
    return total


def plain_derivatives(tree, patterns, model):
    """Log-likelihood and its derivatives by all branch lengths."""
    weights = patterns.weights
    constant = np.tile(np.array([1, 2, 4, 8], dtype=np.uint32), (patterns.n_taxa, 1))
    n_characters = weights.sum() if model.variable_only else 0.0
    lik = plain_pattern_likelihoods(tree, patterns.masks, model)
    variable = 1.0 - plain_pattern_likelihoods(tree, constant, model).sum()
    value = weights @ np.log(lik)
    if model.variable_only:
        value -= n_characters * np.log(variable)
    first, second = np.zeros(tree.parent.size), np.zeros(tree.parent.size)
    for branch in range(1, tree.parent.size):
        d1, d2 = (
            plain_pattern_likelihoods(tree, patterns.masks, model, branch, k) / lik for k in (1, 2)
        )
        e1, e2 = (
            -plain_pattern_likelihoods(tree, constant, model, branch, k).sum() / variable
            for k in (1, 2)
        )
        first[branch] = weights @ d1 - n_characters * e1
        second[branch] = weights @ (d2 - d1**2) - n_characters * (e2 - e1**2)
    return value, first, second


def derivatives_and_partials(likelihood, tree):
    """Value, derivatives, and what is kept: below of inner nodes and above of all, of all tiles."""
    n_nodes = tree.parent.size
    order = np.empty(n_nodes, np.int32)
    count = kernels.postorder(tree.children, tree.children[0, 0], order)
    first, second = np.zeros(n_nodes), np.zeros(n_nodes)
    space = likelihood.workspace(keep=True)
    value = kernels.derivatives(
        likelihood.model_arrays, likelihood.data_arrays, tree.children, 0, order, count,
        tree.lengths, likelihood.rescale, space, True, first, second,
    )  # fmt: skip
    n_tiles = likelihood.data_arrays.weights.size // T
    partials = []
    for array, scale, lowest in (
        (space[1], space[6], likelihood.n_taxa),
        (space[3], space[7], 1),
    ):
        size = n_tiles * n_nodes * likelihood.model.n_categories * 4 * T
        kept = array[:size].reshape(n_tiles, n_nodes, -1, 4, T)[:, lowest:]
        if likelihood.rescale:
            kept = kept * 2.0 ** (-256 * scale.reshape(n_tiles, n_nodes, 1, 1, T)[:, lowest:])
        partials.append(kept)
    return value, first, second, *partials


@pytest.mark.parametrize("length", [1e-8, 1e-4, 0.1, 2.0, "mixed"])
@pytest.mark.parametrize("name", MODELS)
def test_value_and_derivatives_are_those_of_the_plain_version(name, length):
    rng = np.random.default_rng(7)
    model = build_model(name)
    patterns = make_patterns(6, 30, rng, model.variable_only)
    tree = make_tree(6, rng, length)
    value, first, second = TreeLikelihood(patterns, model).derivatives(tree)
    expected = plain_derivatives(tree, patterns, model)
    rtol = tolerance(tree, model)
    assert value == pytest.approx(expected[0], rel=rtol)
    np.testing.assert_allclose(first, expected[1], rtol=rtol, atol=1e-8)
    np.testing.assert_allclose(second, expected[2], rtol=rtol, atol=1e-8)
    assert first[0] == second[0] == 0.0


@pytest.mark.parametrize("length", [1e-8, 0.1, 5.0, "mixed"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n_taxa", [3, 40])
def test_value_and_derivatives_are_those_of_the_general_kernel(name, length, n_taxa):
    rng = np.random.default_rng(n_taxa)
    model = build_model(name)
    patterns = make_patterns(n_taxa, 2 * T + 1, rng, model.variable_only)
    tree = make_tree(n_taxa, rng, length)
    likelihood = TreeLikelihood(patterns, model)
    general = TreeLikelihood(patterns, model)
    general.rescale = True  # that kernel alone can; so few taxa have no need of it
    expected = derivatives_and_partials(general, tree)
    rtol = tolerance(tree, model) if model.variable_only else 1e-9
    results = derivatives_and_partials(likelihood, tree)
    for found, other in zip(results[:3], expected[:3], strict=True):
        np.testing.assert_allclose(found, other, rtol=rtol, atol=1e-8)
    for found, other in zip(results[3:], expected[3:], strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-9, atol=1e-300)
    for found, other in zip(likelihood.derivatives(tree), results[:3], strict=True):
        np.testing.assert_array_equal(found, other)


@pytest.mark.parametrize("name", MODELS)
def test_three_branches_around_a_node_have_the_derivatives_of_the_tree(name):
    """A subtree is cut and regrafted where it was: each inner node and each taxon but the root."""
    rng = np.random.default_rng(3)
    model = build_model(name)
    patterns = make_patterns(9, T + 40, rng, model.variable_only)
    tree = make_tree(9, rng, "mixed")
    likelihood = TreeLikelihood(patterns, model)
    arrays = likelihood.model_arrays, likelihood.data_arrays
    value, first, second = likelihood.derivatives(tree)
    rtol = tolerance(tree, model)
    top = tree.children[0, 0]
    compared = 0
    for v in range(1, 16):
        parent, children = tree.parent.copy(), tree.children.copy()
        lengths = np.array(tree.lengths)
        order, part = np.empty(16, np.int32), np.empty(16, np.int32)
        in_subtree = kernels.postorder(children, v, part)
        if v == top or (in_subtree + 1) // 2 > 6:  # a tree remains
            continue
        node = parent[v]
        x = walk_numba._detach(parent, children, lengths, v)
        branches = [x, node, v]
        space = likelihood.workspace(keep=True)
        count = kernels.postorder(children, children[0, 0], order)
        walk_numba._subtree_partials(*arrays, children, part, in_subtree, lengths, False, space)
        kernels.derivatives(
            *arrays, children, 0, order, count, lengths, False, space, True, np.zeros(16),
            np.zeros(16),
        )  # fmt: skip
        pm, out = np.empty((3, model.n_categories, 4, 4)), np.zeros(7)
        _, _, _, rates, _, _, _, right, values, left = model_of_part.py_func(arrays[0], 0)
        for k, branch in enumerate(branches):
            kernels.set_transition(1, 0.0, rates, right, values, left, tree.lengths[branch], pm[k])
        dna_star(*arrays, 0, space[1], space[3], 0, x, v, pm, out)
        assert out[0] == pytest.approx(value, rel=rtol)
        np.testing.assert_allclose(out[1:4], first[branches], rtol=rtol, atol=1e-7)
        np.testing.assert_allclose(out[4:], second[branches], rtol=rtol, atol=1e-7)
        compared += 1
    assert compared > 10
