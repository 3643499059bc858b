"""Posterior predictive checks: data of the model pass, other data do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phylogfn.models import parse_model
from phylogfn.sequences.predictive import (
    ENOUGH,
    FEWEST,
    DataPart,
    PredictiveCheck,
    predictive_checks,
)
from phylogfn.sequences.simulation import simulate_states
from phylogfn.trees.tree import Tree, random_topology

N_TAXA, N_SITES = 8, 400


@pytest.fixture
def tree():
    topology = random_topology(N_TAXA, np.random.default_rng(1))
    lengths = np.random.default_rng(2).exponential(0.1, 2 * N_TAXA - 2)
    lengths[0] = 0.0
    return Tree(topology.parent, topology.children, lengths)


def data_of(states):
    return np.left_shift(np.uint32(1), states.astype(np.uint32))


def checked(masks, tree, model, n=200, seed=3, **options):
    found = predictive_checks(
        [DataPart(masks, 4)], lambda i: tree, lambda i: [model], 10, n,
        np.random.default_rng(seed), **options,
    )  # fmt: skip
    return {check.name: check for check in found.checks}, found.n_simulations


def test_p_values_of_data_of_the_model_are_uniform(tree):
    model = parse_model("JC69+G4", "dna").build(np.array([0.5]))
    rng = np.random.default_rng(4)
    p = []
    for seed in range(40):
        masks = data_of(simulate_states(tree, model, N_SITES, rng))
        masks[rng.random(masks.shape) < 0.05] = 15
        masks[:3, :50] = 15
        found, n = checked(masks, tree, model, n=40, seed=seed)
        assert n == 40
        p.append([check.p_value for check in found.values()])
    p = np.array(p)
    assert p.shape == (40, 4)
    # tree and parameters are the true ones, so that the distribution is uniform
    np.testing.assert_allclose(p.mean(axis=0), 0.5, atol=4 * np.sqrt(1 / 12 / 40))
    assert (0.15 < p.std(axis=0)).all() and (p.std(axis=0) < 0.42).all()


def test_equal_rates_do_not_make_the_invariant_sites_of_the_data(tree):
    rng = np.random.default_rng(5)
    equal = parse_model("JC69", "dna").build(np.zeros(0))
    states = simulate_states(tree, equal, N_SITES, rng)
    states[:, :250] = states[:1, :250]
    found, _ = checked(data_of(states), tree, equal)
    assert found["variable_sites"].p_value == 1.0 and found["variable_sites"].extreme
    assert found["multinomial_log_likelihood"].p_value == 0.0
    assert found["parsimony_score"].p_value == 1.0
    assert not found["composition"].extreme
    check = found["variable_sites"]
    assert check.observed < check.lower < check.mean < check.upper


def test_composition_that_differs_between_taxa_is_found(tree):
    rng = np.random.default_rng(6)
    model = parse_model("JC69", "dna").build(np.zeros(0))
    states = simulate_states(tree, model, N_SITES, rng)
    some = rng.random((3, N_SITES)) < 0.3
    states[:3][some] = 2
    found, _ = checked(data_of(states), tree, model)
    assert found["composition"].extreme and found["composition"].p_value == 0.0


def test_cells_without_a_single_state_are_copied(tree, monkeypatch):
    from phylogfn.sequences import predictive

    seen = []
    monkeypatch.setattr(
        predictive, "variable_sites", lambda states: seen.append(states.copy()) or 0
    )
    model = parse_model("JC69", "dna").build(np.zeros(0))
    masks = data_of(simulate_states(tree, model, N_SITES, np.random.default_rng(7)))
    masks[2, 10:40], masks[4, 7] = 15, 6
    checked(masks, tree, model, n=FEWEST)
    assert len(seen) == FEWEST + 1
    for states in seen:
        np.testing.assert_array_equal(states < 0, (masks == 15) | (masks == 6))


def test_the_clock_ends_it_after_the_first_ones(tree):
    model = parse_model("JC69", "dna").build(np.zeros(0))
    masks = data_of(simulate_states(tree, model, 30, np.random.default_rng(8)))
    _, n = checked(masks, tree, model, until=lambda done: True)
    assert n == FEWEST


def test_few_simulations_establish_no_misfit():
    few = PredictiveCheck("composition", 9.0, 1.0, 0.0, 2.0, 0.0, ENOUGH - 2)
    assert not few.extreme
    assert replace(few, n_simulations=ENOUGH).extreme
    assert replace(few, n_simulations=ENOUGH, p_value=1.0).extreme
    assert not replace(few, n_simulations=1000, p_value=0.0045).extreme
    assert replace(few, n_simulations=1000, p_value=0.0035).extreme


def test_parts_are_added(tree):
    model = parse_model("JC69", "dna").build(np.zeros(0))
    masks = data_of(simulate_states(tree, model, 100, np.random.default_rng(9)))
    parts = [DataPart(masks[:, :60], 4), DataPart(masks[:, 60:], 4)]
    both = predictive_checks(
        parts, lambda i: tree, lambda i: [model, model], 1, 30, np.random.default_rng(1)
    )
    whole, _ = checked(masks, tree, model)
    score = {check.name: check.observed for check in both.checks}
    assert score["variable_sites"] == whole["variable_sites"].observed
    assert score["parsimony_score"] == whole["parsimony_score"].observed
    assert score["composition"] > whole["composition"].observed
