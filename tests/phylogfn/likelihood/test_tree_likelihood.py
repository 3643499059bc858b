"""The fast kernels against the slow, plain likelihood, and against what a likelihood must obey."""

from __future__ import annotations

import importlib.util
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from phylogfn.alignments.patterns import SitePatterns
from phylogfn.kernels.fast_log_numba import fast_log
from phylogfn.likelihood.branch_prior import ExponentialPrior
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.tree import Tree, random_topology, relabel

_file = importlib.util.spec_from_file_location(
    "plain_likelihood", Path(__file__).parents[1] / "plain_likelihood.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)

HKY = "HKY85{2.5}+F{0.1,0.2,0.3,0.4}"
GTR = "GTR{1.2,3.4,0.7,0.9,4.1,1.3}+F{0.1,0.2,0.3,0.4}"
DNA_MODELS = ["JC69", "K80{2.5}", "F81{0.1,0.2,0.3,0.4}", HKY, GTR]
RATES = ["", "+I{0.2}", "+G4{0.4}", "+I{0.2}+G4{0.4}"]
MODELS = [model + rates for model in DNA_MODELS for rates in RATES] + [HKY + "+G7{1.5}"]
MIXTURES = ["LG4X+R4{0.3,0.2,0.3,0.7,0.2,2.5,0.2,1.5}+I{0.1}", "LG+C10+G2{0.6}"]
PROTEIN_MODELS = ["Poisson", "LG", "WAG+I{0.1}+G4{0.7}", *MIXTURES]


def make_patterns(masks, n_states, weights=None):
    n_patterns = masks.shape[1]
    weights = np.ones(n_patterns) if weights is None else weights
    return SitePatterns(masks, weights, np.arange(n_patterns, dtype=np.int32), n_states)


def make_problem(name, n_taxa, n_patterns, seed=1, mean=0.1):
    rng = np.random.default_rng(seed)
    kind = "protein" if name.startswith(tuple(PROTEIN_MODELS)) or name == "LG" else "dna"
    model = parse_model(name, kind).build()
    masks = plain.random_masks(n_taxa, n_patterns, model.n_states, rng)
    patterns = make_patterns(masks, model.n_states, rng.integers(1, 5, n_patterns).astype(float))
    topology = random_topology(n_taxa, rng)
    lengths = plain.random_lengths(n_taxa, rng, mean)
    return model, patterns, Tree(topology.parent, topology.children, lengths)


@pytest.mark.parametrize("name", MODELS + PROTEIN_MODELS)
def test_value_is_that_of_the_plain_version(name):
    model, patterns, tree = make_problem(name, n_taxa=9, n_patterns=40)
    expected = plain.plain_log_likelihood(tree, patterns.masks, patterns.weights, model)
    likelihood = TreeLikelihood(patterns, model)
    assert likelihood.log_likelihood(tree) == pytest.approx(expected, rel=1e-10)
    assert likelihood.derivatives(tree)[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["JC69", GTR + "+I{0.2}+G4{0.4}", "LG"])
def test_value_over_several_tiles_of_patterns(name):
    model, patterns, tree = make_problem(name, n_taxa=6, n_patterns=600)
    expected = plain.plain_log_likelihood(tree, patterns.masks, patterns.weights, model)
    value, first, second = TreeLikelihood(patterns, model).derivatives(tree)
    assert value == pytest.approx(expected, rel=1e-10)
    halves = [make_patterns(part, model.n_states, weights) for part, weights in (
        (patterns.masks[:, :300], patterns.weights[:300]),
        (patterns.masks[:, 300:], patterns.weights[300:]),
    )]  # fmt: skip
    pieces = [TreeLikelihood(half, model).derivatives(tree) for half in halves]
    np.testing.assert_allclose(first, pieces[0][1] + pieces[1][1], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(second, pieces[0][2] + pieces[1][2], rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", ["JC69", "F81{0.1,0.2,0.3,0.4}", "Poisson"])
def test_closed_form_equals_the_general_kernel(name):
    model, patterns, tree = make_problem(name, n_taxa=12, n_patterns=70)
    closed = TreeLikelihood(patterns, model)
    general = TreeLikelihood(patterns, model, general=True)
    assert closed.log_likelihood(tree) == pytest.approx(general.log_likelihood(tree), rel=1e-11)
    for one, other in zip(closed.derivatives(tree), general.derivatives(tree), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "name", ["JC69", HKY, GTR + "+I{0.2}+G4{0.4}", "WAG+I{0.1}+G4{0.7}", *MIXTURES]
)
def test_derivatives_are_those_of_the_plain_version(name):
    model, patterns, tree = make_problem(name, n_taxa=5, n_patterns=12, seed=3)
    _, first, second = TreeLikelihood(patterns, model).derivatives(tree)
    assert first[0] == 0.0 and second[0] == 0.0
    for branch in range(1, tree.parent.size):

        def value_at(length, branch=branch):
            lengths = np.asarray(tree.lengths).copy()
            lengths[branch] = length
            moved = Tree(tree.parent, tree.children, lengths)
            return plain.plain_log_likelihood(moved, patterns.masks, patterns.weights, model)

        length = float(np.asarray(tree.lengths)[branch])
        expected = plain.numerical_derivatives(value_at, length, step=0.02 * length)
        assert first[branch] == pytest.approx(expected[0], rel=1e-5, abs=1e-4)
        assert second[branch] == pytest.approx(expected[1], rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("name", ["JC69", GTR, GTR + "+I{0.2}+G4{0.4}", "K80{2.5}+I{0.3}"])
def test_probabilities_of_all_patterns_sum_to_one(name):
    masks = np.array(list(itertools.product([1, 2, 4, 8], repeat=4)), dtype=np.uint32).T.copy()
    model = parse_model(name, "dna").build()
    rng = np.random.default_rng(5)
    topology = random_topology(4, rng)
    tree = Tree(topology.parent, topology.children, plain.random_lengths(4, rng, 0.3))
    log_sites = plain.plain_site_log_likelihoods(tree, masks, model)
    assert np.exp(log_sites).sum() == pytest.approx(1.0, abs=1e-12)
    total = 0.0
    for column in range(masks.shape[1]):
        one = make_patterns(masks[:, column : column + 1].copy(), 4)
        total += np.exp(TreeLikelihood(one, model).log_likelihood(tree))
    assert total == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("name", ["JC69", GTR + "+I{0.2}+G4{0.4}", "LG", MIXTURES[1]])
def test_the_place_of_the_root_does_not_matter(name):
    model, patterns, tree = make_problem(name, n_taxa=7, n_patterns=25, seed=2)
    masks, weights = patterns.masks, patterns.weights
    values = [plain.plain_log_likelihood(tree, masks, weights, model, root) for root in range(12)]
    np.testing.assert_allclose(values, values[0], rtol=1e-12)
    for shift in range(1, 7):  # another taxon becomes leaf 0, at which the kernels draw the tree
        new_index = [(taxon + shift) % 7 for taxon in range(7)]
        moved = np.empty_like(masks)
        moved[new_index] = masks
        likelihood = TreeLikelihood(make_patterns(moved, model.n_states, weights), model)
        turned = relabel(tree, new_index)
        assert likelihood.log_likelihood(turned) == pytest.approx(values[0], rel=1e-11)


@pytest.mark.parametrize(
    ("name", "mean"), [("JC69", 0.01), ("JC69", 0.5), (GTR + "+I{0.2}+G4{0.4}", 0.1)]
)
def test_thousand_taxa_do_not_underflow(name, mean):
    model, patterns, tree = make_problem(name, n_taxa=1000, n_patterns=20, mean=mean)
    masks, weights = patterns.masks, patterns.weights
    expected = plain.plain_log_likelihood(tree, masks, weights, model)
    likelihood = TreeLikelihood(patterns, model)
    value, first, second = likelihood.derivatives(tree)
    assert likelihood.log_likelihood(tree) == pytest.approx(expected, rel=1e-10)
    assert value == pytest.approx(expected, rel=1e-10)
    assert np.all(np.isfinite(first)) and np.all(np.isfinite(second))
    moved = np.asarray(tree.lengths).copy()
    direction = np.where(np.arange(moved.size) == 0, 0.0, moved)

    def along(step):
        here = Tree(tree.parent, tree.children, moved + step * direction)
        return likelihood.log_likelihood(here)

    slope = plain.numerical_derivatives(along, 0.0, 3e-5)[0]
    assert first @ direction == pytest.approx(slope, rel=1e-7, abs=1e-3)


@pytest.mark.parametrize("n_taxa", [300, 1000])
def test_columns_that_invariant_sites_alone_explain(n_taxa):
    model, patterns, tree = make_problem("JC69+I{0.3}", n_taxa=n_taxa, n_patterns=6, mean=20.0)
    masks = patterns.masks.copy()
    masks[:, :3] = [1, 4, 8]  # constant: by substitutions as likely as any, 4**-n_taxa
    likelihood = TreeLikelihood(make_patterns(masks, 4, patterns.weights), model)
    expected = plain.plain_log_likelihood(tree, masks, patterns.weights, model)
    constant = patterns.weights[:3].sum() * np.log(0.3 * 0.25)
    assert plain.plain_log_likelihood(
        tree, masks[:, :3], patterns.weights[:3], model
    ) == pytest.approx(constant, rel=1e-9)
    assert likelihood.log_likelihood(tree) == pytest.approx(expected, rel=1e-10)
    value, first, second = likelihood.derivatives(tree)
    assert value == pytest.approx(expected, rel=1e-10)
    assert np.all(np.isfinite(first)) and np.all(np.isfinite(second))


def test_missing_data_alone_have_probability_one():
    masks = np.full((5, 3), 15, dtype=np.uint32)
    for name in ("JC69", GTR + "+I{0.2}+G4{0.4}"):
        model, _, tree = make_problem(name, n_taxa=5, n_patterns=3)
        likelihood = TreeLikelihood(make_patterns(masks, 4), model)
        assert likelihood.log_likelihood(tree) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["JC69", GTR + "+I{0.2}+G4{0.4}"])
def test_many_threads_equal_one(name):
    model, patterns, _ = make_problem(name, n_taxa=10, n_patterns=300)
    likelihood = TreeLikelihood(patterns, model)
    rng = np.random.default_rng(8)
    trees = []
    for _ in range(24):
        topology = random_topology(10, rng)
        lengths = plain.random_lengths(10, rng)
        trees.append(Tree(topology.parent, topology.children, lengths))
    expected = [likelihood.derivatives(tree) for tree in trees]
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(likelihood.log_likelihood, trees))
        derivatives = list(pool.map(likelihood.derivatives, trees))
    np.testing.assert_allclose(values, [value for value, _, _ in expected], rtol=1e-12)
    for found, wanted in zip(derivatives, expected, strict=True):
        assert found[0] == wanted[0]
        np.testing.assert_array_equal(found[1], wanted[1])
        np.testing.assert_array_equal(found[2], wanted[2])


@pytest.mark.parametrize("name", ["JC69", HKY + "+G4{0.4}"])
def test_collapsed_lengths_are_the_mode_in_log_length(name):
    model, patterns, tree = make_problem(name, n_taxa=8, n_patterns=60)
    likelihood = TreeLikelihood(patterns, model)
    rate = 10.0
    fit = CollapsedReward(likelihood, ExponentialPrior(rate), threads=1).closed_form(
        tree.parent[None, :]
    )
    mode = Tree(tree.parent, tree.children, fit.lengths[0])
    value, first, second = likelihood.derivatives(mode)
    assert value == pytest.approx(fit.log_likelihood[0], rel=1e-6)
    lengths = fit.lengths[0, 1:]
    slope = lengths * first[1:] - rate * lengths + 1.0
    curvature = lengths**2 * second[1:] + lengths * first[1:] - rate * lengths
    assert np.all(np.abs(0.5 * slope**2 / curvature) < 1e-2)  # nats that Newton's step promises
    np.testing.assert_allclose(fit.shapes[0, 1:], -curvature, rtol=0.05)


def test_fast_logarithm():
    numbers = 10.0 ** np.random.default_rng(1).uniform(-300, 300, 2000)
    found = np.array([fast_log(number) for number in numbers])
    np.testing.assert_allclose(found, np.log(numbers), rtol=4e-16, atol=1e-16)
    near_one = 1.0 + np.random.default_rng(2).normal(0, 1e-6, 2000)
    found = np.array([fast_log(number) for number in near_one])
    np.testing.assert_allclose(found, np.log(near_one), rtol=1e-9)


@pytest.mark.parametrize("length", [300.0, 700.0, 5000.0])
def test_very_long_branches_do_not_overflow(length):
    model, patterns, tree = make_problem("JC69", 12, 200)
    lengths = np.full_like(tree.lengths, length)
    lengths[0] = 0.0
    long = Tree(tree.parent, tree.children, lengths)
    found = TreeLikelihood(patterns, model).log_likelihood(long)
    expected = plain.plain_log_likelihood(long, patterns.masks, patterns.weights, model)
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", [GTR + "+G4{0.4}", "LG", MIXTURES[1]])
def test_size_of_a_workspace(name):
    model, patterns, _ = make_problem(name, n_taxa=20, n_patterns=300)
    likelihood = TreeLikelihood(patterns, model)
    size = sum(array.nbytes for array in likelihood.workspace(keep=True))
    assert likelihood.workspace_bytes() == pytest.approx(size, rel=0.25)
