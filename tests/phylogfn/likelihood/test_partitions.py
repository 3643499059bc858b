"""Several parts with a model each: against the sum of single likelihoods and the plain version."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phylogfn.alignments.patterns import PartitionedPatterns, SitePatterns
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import N_REPLICAS, Walkers
from phylogfn.kernels import walk_numba
from phylogfn.kernels.jukes_cantor_numba import alike_states, apply_to_alike_states
from phylogfn.kernels.partitions_numba import model_of_part
from phylogfn.kernels.pruning_numba import T, set_transition
from phylogfn.likelihood.branch_prior import ExponentialPrior
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import PartitionedModel, SubstitutionModel, parse_model
from phylogfn.models.morphology import character_exchangeabilities
from phylogfn.trees.tree import Tree, random_topology

_file = importlib.util.spec_from_file_location(
    "plain_likelihood", Path(__file__).parents[1] / "plain_likelihood.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)

GTR = "GTR{1.2,3.4,0.7,0.9,4.1,1.3}+F{0.1,0.2,0.3,0.4}+G4{0.5}+I{0.2}"
# model, data type, relative rate, patterns: more than a tile, less, exactly one
PARTS = [
    ("JC69", "dna", 0.6, 130),
    (GTR, "dna", 1.7, 50),
    ("LG+G4{0.8}", "protein", 1.1, 20),
    ("JC69", "dna", 2.0, 120),
    ("F81{0.1,0.2,0.3,0.4}", "dna", 0.4, 7),
]


def equal_rates_model(n_states, variable_only=False, rates=(1.0,)):
    """The model of Lewis (2001): all changes equally fast."""
    return SubstitutionModel(
        "Mk",
        np.full(n_states, 1.0 / n_states),
        1.0 - np.eye(n_states),
        np.array(rates),
        np.full(len(rates), 1.0 / len(rates)),
        variable_only=variable_only,
    )


def make_tree(n_taxa, seed=1, mean=0.1):
    rng = np.random.default_rng(seed)
    topology = random_topology(n_taxa, rng)
    return Tree(topology.parent, topology.children, plain.random_lengths(n_taxa, rng, mean))


def make_patterns(n_taxa, n_patterns, n_states, seed, variable=False):
    rng = np.random.default_rng(seed)
    masks = plain.random_masks(n_taxa, n_patterns, n_states, rng)
    if variable:
        first, second = np.uint32(1), np.uint32(2)
        masks[0], masks[1] = first, second
    weights = rng.integers(1, 5, n_patterns).astype(float)
    return SitePatterns(masks, weights, np.arange(n_patterns, dtype=np.int32), n_states)


def scaled(model, rate):
    return replace(model, category_rates=model.category_rates * rate)


def make_parts(n_taxa):
    """Patterns and models of a mixed alignment."""
    patterns, models = [], []
    for number, (name, kind, rate, n_patterns) in enumerate(PARTS):
        models.append(scaled(parse_model(name, kind).build(), rate))
        patterns.append(make_patterns(n_taxa, n_patterns, models[-1].n_states, number))
    patterns.append(make_patterns(n_taxa, 30, 3, 20, variable=True))
    models.append(equal_rates_model(3, variable_only=True, rates=(0.2, 1.8)))
    patterns.append(make_patterns(n_taxa, 118, 6, 21, variable=True))  # constant ones: a new tile
    models.append(scaled(equal_rates_model(6, variable_only=True), 1.5))
    return patterns, models


def make_likelihood(n_taxa, rescale=False):
    patterns, models = make_parts(n_taxa)
    both = PartitionedPatterns.from_groups(patterns), PartitionedModel("mixed", tuple(models))
    likelihood = TreeLikelihood(*both)
    likelihood.rescale = rescale
    return likelihood


def plain_value(tree, patterns, model):
    """Log-likelihood, of variable patterns alone where the model says so."""
    value = plain.plain_log_likelihood(tree, patterns.masks, patterns.weights, model)
    if not model.variable_only:
        return value
    states = np.left_shift(np.uint32(1), np.arange(model.n_states, dtype=np.uint32))
    constant = np.tile(states, (patterns.n_taxa, 1))
    sites = plain.plain_site_log_likelihoods(tree, constant, model)
    return value - patterns.weights.sum() * np.log1p(-np.exp(sites).sum())


def compare_with_plain(likelihood, tree, patterns, model, branches):
    """The value is that of the plain version, and derivatives by some branches are its slopes."""
    value, first, second = likelihood.derivatives(tree)
    assert value == pytest.approx(plain_value(tree, patterns, model), rel=1e-11)
    assert likelihood.log_likelihood(tree) == pytest.approx(value, rel=1e-12)
    for branch in branches:

        def value_at(length, branch=branch):
            lengths = np.asarray(tree.lengths).copy()
            lengths[branch] = length
            return plain_value(Tree(tree.parent, tree.children, lengths), patterns, model)

        length = float(np.asarray(tree.lengths)[branch])
        expected = plain.numerical_derivatives(value_at, length, step=0.02 * length)
        assert first[branch] == pytest.approx(expected[0], rel=1e-5, abs=1e-4)
        assert second[branch] == pytest.approx(expected[1], rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("rescale", [False, True])
def test_value_and_derivatives_are_the_sums_of_the_parts(rescale):
    tree = make_tree(9)
    likelihood = make_likelihood(9, rescale)
    expected = np.zeros(2), np.zeros(16), np.zeros(16)
    for patterns, model in zip(*make_parts(9), strict=True):
        single = TreeLikelihood(patterns, model)
        value, first, second = single.derivatives(tree)
        assert value == pytest.approx(plain_value(tree, patterns, model), rel=1e-10)
        expected[0][:] += single.log_likelihood(tree), value
        expected[1][:] += first
        expected[2][:] += second
    value, first, second = likelihood.derivatives(tree)
    assert likelihood.log_likelihood(tree) == pytest.approx(expected[0][0], rel=1e-12)
    assert value == pytest.approx(expected[0][1], rel=1e-12)
    np.testing.assert_allclose(first, expected[1], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(second, expected[2], rtol=1e-8, atol=1e-7)


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize(
    ("n_states", "variable", "rates"),
    [(2, True, (1.0,)), (3, False, (0.3, 1.7)), (5, True, (0.3, 1.7)), (8, False, (0.3, 1.7))],
)
def test_derivatives_of_morphological_characters(n_states, variable, rates, rescale):
    model = equal_rates_model(n_states, variable, rates)
    patterns = make_patterns(6, 40, n_states, 3, variable)
    tree = make_tree(6, seed=4)
    likelihood = TreeLikelihood(patterns, model)
    likelihood.rescale = rescale
    compare_with_plain(likelihood, tree, patterns, model, range(1, tree.parent.size))


@pytest.mark.parametrize("n_states", [5, 8, 11, 20])
def test_alike_states_take_fewer_operations(n_states):
    """All changes have one probability, exactly, so that one product with the sum serves."""
    model = equal_rates_model(n_states)
    arrays = TreeLikelihood(make_patterns(4, 3, n_states, 1), model).model_arrays
    _, _, _, rates, _, q, _, right, values, left = model_of_part.py_func(arrays, 0)
    K = values.shape[1]
    x, out = np.zeros(K * T), np.full(K * T, 7.0)
    x[: n_states * T] = np.random.default_rng(1).random(n_states * T)
    for length in (1e-9, 0.1, 3.0, 500.0):
        pm = np.empty((1, K, K))
        set_transition(1, 0.0, rates, right, values, left, length, pm)
        expected = np.zeros((K, K))
        expected[:n_states, :n_states] = model.transition_probabilities(length)
        np.testing.assert_allclose(pm[0], expected, rtol=1e-6, atol=1e-15)
        assert alike_states(pm[0]) == alike_states(q[0]) == n_states
        apply_to_alike_states(pm[0], n_states, x, 0, out, 0)
        np.testing.assert_allclose(out, (expected @ x.reshape(K, T)).ravel(), rtol=1e-6, atol=1e-14)
    assert alike_states(np.random.default_rng(2).random((K, K))) == 0
    ordered = character_exchangeabilities(n_states, ordered=True)
    assert alike_states(np.pad(ordered, (0, K - n_states))) == 0


def test_probabilities_of_all_variable_patterns_sum_to_one():
    every = np.array(list(itertools.product([1, 2, 4], repeat=4)), dtype=np.uint32).T.copy()
    masks = every[:, (every != every[0]).any(axis=0)]
    model, tree = equal_rates_model(3, variable_only=True, rates=(0.2, 1.8)), make_tree(4)
    total = 0.0
    for column in masks.T:
        one = SitePatterns(column[:, None].copy(), np.ones(1), np.zeros(1, np.int32), 3)
        total += np.exp(TreeLikelihood(one, model).log_likelihood(tree))
    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("JC69+ASC", "dna"), ("GTR{1,2,3,4,5,1}+F{0.1,0.2,0.3,0.4}+G4{0.5}+ASC", "dna")],
)
def test_probabilities_of_all_variable_columns_of_dna_sum_to_one(text, kind):
    every = np.array(list(itertools.product([1, 2, 4, 8], repeat=4)), dtype=np.uint32).T.copy()
    masks = every[:, (every != every[0]).any(axis=0)]
    model, tree, total = parse_model(text, kind).build(), make_tree(4), 0.0
    for column in masks.T:
        one = SitePatterns(column[:, None].copy(), np.ones(1), np.zeros(1, np.int32), 4)
        total += np.exp(TreeLikelihood(one, model).log_likelihood(tree))
    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("text", ["JC69+ASC", "LG4M+G4{0.7}+ASC", "HKY85{3}+FQ+G4{1}+ASC"])
def test_ascertainment_of_sequences(text):
    """Value and derivatives of models of variable sites alone; JC69 has no closed form then."""
    kind = "protein" if text.startswith("LG") else "dna"
    model = parse_model(text, kind).build()
    patterns = make_patterns(6, 130, model.n_states, 3, variable=True)
    tree, likelihood = make_tree(6, seed=4), TreeLikelihood(patterns, model)
    compare_with_plain(
        likelihood, tree, patterns, model, (1, tree.children[0, 0], tree.parent.size - 1)
    )
    with pytest.raises(ValueError, match="need a likelihood of their own"):
        likelihood.with_model(parse_model(text.replace("+ASC", ""), kind).build())


def test_the_correction_withstands_many_taxa_and_short_branches():
    model = equal_rates_model(2, variable_only=True)
    for n_taxa, mean in ((150, 0.2), (12, 1e-6)):
        tree = make_tree(n_taxa, mean=mean)
        patterns = make_patterns(n_taxa, 10, 2, 5, variable=True)
        likelihood = TreeLikelihood(patterns, model)
        assert likelihood.rescale == (n_taxa > 120)
        value, first, second = likelihood.derivatives(tree)
        assert value == pytest.approx(plain_value(tree, patterns, model), rel=1e-7)
        assert np.isfinite(first).all() and np.isfinite(second).all()


def test_another_model_on_the_same_data():
    tree = make_tree(9)
    likelihood = make_likelihood(9)
    models = tuple(scaled(model, 1.3) for model in likelihood.model.parts)
    other = likelihood.with_model(PartitionedModel("faster", models))
    anew = TreeLikelihood(likelihood.patterns, other.model)
    assert other.log_likelihood(tree) == anew.log_likelihood(tree)
    assert likelihood.log_likelihood(tree) == make_likelihood(9).log_likelihood(tree)
    with pytest.raises(ValueError, match="7 parts, but 1 models"):
        TreeLikelihood(likelihood.patterns, models[0])


@pytest.mark.parametrize("rescale", [False, True])
def test_the_walk_keeps_trees_with_their_evidence(rescale):
    likelihood = make_likelihood(9, rescale)
    reward = CollapsedReward(likelihood, ExponentialPrior(10.0), 1)
    starts = np.repeat(make_tree(9).parent.astype(np.int16)[None], N_REPLICAS, axis=0)
    walkers = Walkers.start(reward, TopologyTable(9), starts, np.random.default_rng(1))
    blocks = walkers.run(1, parallel=False)
    kept = np.concatenate([block.parents for block in blocks])
    lengths = np.concatenate([block.lengths for block in blocks])
    evidence = np.concatenate([block.log_evidence for block in blocks])
    assert len(kept) > 20
    again = reward.closed_form(kept, lengths)
    np.testing.assert_allclose(evidence, again.log_evidence, atol=0.2)  # of unfinished modes


def test_the_score_of_a_regraft_is_the_likelihood_of_the_tree():
    """`_star` sums over parts what `derivatives` gives for the whole tree."""
    likelihood = make_likelihood(9)
    tree = make_tree(9)
    parent, children = tree.parent.copy(), tree.children.copy()
    lengths = np.asarray(tree.lengths).copy()
    value, first, second = likelihood.derivatives(tree)
    model, data, space = (
        likelihood.model_arrays, likelihood.data_arrays, likelihood.workspace(keep=True),
    )  # fmt: skip
    v = next(v for v in range(1, 9) if parent[v] != children[0, 0])
    node = int(parent[v])
    around = np.array([0.0, lengths[node], lengths[v]])
    x = walk_numba._detach(parent, children, lengths, v)
    around[0] = np.asarray(tree.lengths)[x]
    order, d1, d2 = np.empty(16, np.int32), np.zeros(16), np.zeros(16)
    part = np.array([v], np.int32)
    walk_numba._subtree_partials(model, data, children, part, 1, lengths, False, space)
    count = walk_numba.postorder(children, children[0, 0], order)
    walk_numba.derivatives(
        model, data, children, 0, order, count, lengths, False, space, True, d1, d2
    )
    size = 20 * 4 * walk_numba.T
    buffers = (*(np.empty(size) for _ in range(10)), np.empty(400))
    out = np.empty(7)
    walk_numba._star(
        model, data, space, False, x, v, around, np.empty(3 * 4 * 400), np.zeros(1), buffers, out
    )
    branches = [x, node, v]
    np.testing.assert_allclose(out[0], value, rtol=1e-11)
    np.testing.assert_allclose(out[1:4], first[branches], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(out[4:], second[branches], rtol=1e-6, atol=1e-6)
