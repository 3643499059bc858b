"""Simulated sequences have the probabilities that the likelihood gives them."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from phylogfn.models import MixtureModel, SubstitutionModel, parse_model
from phylogfn.models.rates import gamma_category_rates, with_invariant_sites
from phylogfn.sequences import simulation
from phylogfn.sequences.simulation import simulate_states
from phylogfn.trees.tree import Tree, random_topology

_file = importlib.util.spec_from_file_location(
    "plain_likelihood", Path(__file__).parents[1] / "plain_likelihood.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)

FOUR = Tree.from_parents(np.array([-1, 5, 4, 4, 5, 0]), np.array([0.0, 0.3, 0.1, 0.6, 0.2, 0.4]))


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


@pytest.mark.parametrize(
    ("n_states", "shape", "invariant"), [(4, None, 0.0), (4, 0.5, 0.2), (3, 1.0, 0.0)]
)
def test_columns_have_their_probabilities(n_states, shape, invariant):
    model = model_of(n_states, shape, invariant)
    columns = np.array(list(itertools.product(range(n_states), repeat=4))).T
    masks = np.left_shift(np.uint32(1), columns.astype(np.uint32))
    p = np.exp(plain.plain_site_log_likelihoods(FOUR, masks, model))
    assert p.sum() == pytest.approx(1.0)
    n_sites = 200_000
    states = simulate_states(FOUR, model, n_sites, np.random.default_rng(2)).astype(int)
    assert states.shape == (4, n_sites)
    number = states.T @ n_states ** np.arange(3, -1, -1)
    counts = np.bincount(number, minlength=len(p))
    statistic = ((counts - n_sites * p) ** 2 / (n_sites * p)).sum()
    assert 0.001 < chi2(len(p) - 1).sf(statistic) < 0.9999


def test_columns_of_variable_sites_have_their_probabilities_among_these():
    model = replace(model_of(3, None, 0.0), variable_only=True)
    short = Tree.from_parents(FOUR.parent, 0.2 * FOUR.lengths)
    columns = np.array(list(itertools.product(range(3), repeat=4))).T
    masks = np.left_shift(np.uint32(1), columns.astype(np.uint32))
    p = np.exp(plain.plain_site_log_likelihoods(short, masks, replace(model, variable_only=False)))
    p[(columns == columns[0]).all(axis=0)] = 0.0
    assert p.sum() < 0.4
    p /= p.sum()
    n_sites = 50_000
    states = simulate_states(short, model, n_sites, np.random.default_rng(8)).astype(int)
    assert states.shape == (4, n_sites)
    counts = np.bincount(states.T @ 3 ** np.arange(3, -1, -1), minlength=81)
    assert (counts[p == 0.0] == 0).all()
    seen = p > 0.0
    statistic = ((counts[seen] - n_sites * p[seen]) ** 2 / (n_sites * p[seen])).sum()
    assert 0.001 < chi2(seen.sum() - 1).sf(statistic) < 0.9999


def test_sites_that_cannot_vary_are_refused(monkeypatch):
    monkeypatch.setattr(simulation, "_MOST_DRAWS", 1000)
    still = Tree.from_parents(FOUR.parent, np.zeros(6))
    with pytest.raises(ValueError, match="0 of 1,.* simulated sites vary; 9 are needed"):
        simulate_states(
            still, replace(model_of(3, None, 0.0), variable_only=True), 9, np.random.default_rng(1)
        )


def test_states_along_one_branch_follow_its_transition_probabilities():
    model = parse_model("LG+G4", "protein").build(np.array([0.8]))
    lengths = np.zeros(6)
    lengths[5] = 0.7  # leaf 0 on one side, all others on the other
    tree = Tree.from_parents(FOUR.parent, lengths)
    states = simulate_states(tree, model, 100_000, np.random.default_rng(3)).astype(int)
    assert (states[1] == states[2]).all() and (states[1] == states[3]).all()
    joint = np.bincount(states[0] * 20 + states[1], minlength=400).reshape(20, 20) / 100_000
    expected = model.frequencies[:, None] * sum(
        weight * model.transition_probabilities(0.7 * rate)
        for rate, weight in zip(model.category_rates, model.category_weights, strict=True)
    )
    np.testing.assert_allclose(joint, expected, atol=5 * np.sqrt(expected.max() / 100_000))


def test_columns_of_a_mixture_have_their_probabilities():
    one = np.ones(1)
    rng = np.random.default_rng(6)
    processes = tuple(
        SubstitutionModel("part", rng.dirichlet(np.ones(3)), np.ones((3, 3)) - np.eye(3), one, one)
        for _ in range(2)
    )
    model = MixtureModel(
        "mixed", processes, np.array([0.4, 1.0, 2.6, 0.1]), np.array([0.3, 0.2, 0.1, 0.2]), 0.2
    )
    columns = np.array(list(itertools.product(range(3), repeat=4))).T
    masks = np.left_shift(np.uint32(1), columns.astype(np.uint32))
    p = np.exp(plain.plain_site_log_likelihoods(FOUR, masks, model))
    assert p.sum() == pytest.approx(1.0)
    states = simulate_states(FOUR, model, 200_000, np.random.default_rng(7)).astype(int)
    counts = np.bincount(states.T @ 3 ** np.arange(3, -1, -1), minlength=81)
    statistic = ((counts - 200_000 * p) ** 2 / (200_000 * p)).sum()
    assert 0.001 < chi2(80).sf(statistic) < 0.9999


def test_the_same_generator_gives_the_same_sites():
    tree = random_topology(9, np.random.default_rng(4))
    tree = Tree(tree.parent, tree.children, np.full(16, 0.1))
    one, two = (
        simulate_states(tree, model_of(4, 0.7, 0.1), 50, np.random.default_rng(5)) for _ in "ab"
    )
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="no branch lengths"):
        simulate_states(
            random_topology(9, np.random.default_rng(4)), model_of(4, None, 0.0), 9, None
        )
