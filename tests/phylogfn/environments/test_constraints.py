"""Environments under constraints: the contract on whole small spaces, and which trees they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gfncore.evaluation import check_contract, chi_squared, exact_distribution
from gfncore.exploration import local_search, sample_trajectories
from phylogfn.alignments.patterns import SitePatterns
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.environments.merging_lengths import MergingLengthsEnvironment
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.likelihood.branch_prior import parse_branch_prior
from phylogfn.training.curricula import make_policy
from phylogfn.trees.constraints.splits import Constraints
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import random_topology

CASES = {  # taxa, splits, their taxa, topologies
    "one pair": (6, [0b000110], None, 15),
    "nested": (6, [0b000110, 0b001110], None, 3),
    "with taxon 0": (6, [0b000011], None, 15),
    "one topology": (6, [0b000011, 0b110000, 0b001100], None, 1),
    "a free taxon": (6, [0b00110], 0b011111, 21),
    "two free taxa": (6, [0b000110], 0b001111, 35),
    "seven": (7, [0b0001110, 0b1100000], None, 9),
    "seven, one free": (7, [0b0000110, 0b1100000], 0b1111110, 27),
    "seven, a triple": (7, [0b1010010], None, 45),
}


def features_of(n_taxa, beta=None):
    rng = np.random.default_rng(3)
    masks = (1 << rng.integers(0, 4, size=(n_taxa, 30))).astype(np.uint32)
    patterns = SitePatterns(masks, np.ones(30), np.arange(30, dtype=np.int32), 4)
    features = ForestFeatures(patterns, np.full(4, 0.25), 0.9, None, beta)
    trees = np.stack([random_topology(n_taxa, rng).parent for _ in range(20)]).astype(np.int16)
    features.fit(trees, rng)
    return features


def make(kind, name, log_reward=None):
    n, splits, taxa, number = CASES[name]
    constraints = Constraints.from_splits(n, splits, taxa)
    log_reward = log_reward or (lambda trees: np.zeros(len(trees)))
    if kind == "insertion":
        order = np.random.default_rng(5).permutation(n)
        return InsertionEnvironment(order, log_reward, constraints), constraints, number
    return MergingEnvironment(features_of(n), n, log_reward, constraints), constraints, number


KINDS = ("insertion", "merging")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_contract_and_number_of_terminal_states(kind, name):
    if (kind, name[:5]) == ("merging", "seven"):
        name = "seven" if name != "seven, one free" else name  # the others have too many forests
    environment, constraints, number = make(kind, name)
    assert check_contract(environment) == number
    assert math.exp(constraints.log_n_topologies) == pytest.approx(number)


@pytest.mark.parametrize("name", ["one pair", "two free taxa", "seven"])
@pytest.mark.parametrize("kind", KINDS)
def test_terminal_states_are_the_topologies_of_the_constraint(all_topologies, kind, name):
    environment, constraints, number = make(kind, name)
    codes = taxon_codes(environment.n_taxa)
    exact = exact_distribution(environment)
    trees = environment.trees(exact.terminals)
    assert constraints.hold(trees).all()
    every = all_topologies(environment.n_taxa)
    held = topology_keys(every[constraints.hold(every)], codes)
    found = topology_keys(trees, codes)
    assert {tuple(key) for key in found} == {tuple(key) for key in held} and len(held) == number
    assert exact.probability.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["one pair", "two free taxa", "seven, one free"])
@pytest.mark.parametrize("kind", KINDS)
def test_draws_of_a_policy_have_the_frequencies_of_its_probabilities(kind, name):
    environment, constraints, _ = make(kind, name)
    policy = make_policy(environment, 1, "cpu")
    exact = exact_distribution(environment, policy)
    drawn = sample_trajectories(environment, policy, 4000, np.random.default_rng(2))
    trees = environment.trees(drawn.terminals)
    assert constraints.hold(trees[:200]).all()
    codes = taxon_codes(environment.n_taxa)
    known = topology_keys(environment.trees(exact.terminals), codes)
    place = {tuple(key): i for i, key in enumerate(known)}
    rows = [place[tuple(key)] for key in topology_keys(trees, codes)]
    counts = np.bincount(rows, minlength=len(known))
    assert chi_squared(counts, exact.probability).p_value > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_random_steps_and_local_search_keep_the_splits(kind):
    environment, constraints, _ = make(kind, "seven, a triple")
    policy = make_policy(environment, 1, "cpu")
    rng = np.random.default_rng(4)
    drawn = sample_trajectories(environment, policy, 50, rng, epsilon=0.5)
    trees = environment.trees(drawn.terminals)
    assert constraints.hold(trees).all()
    states = environment.terminals(trees)
    assert environment.is_terminal(states).all()
    found = local_search(environment, policy, states, environment.log_reward(states), 2, rng)
    assert constraints.hold(environment.trees(found.terminals)).all()


def test_trees_with_lengths():
    n, splits, taxa, number = CASES["one pair"]
    constraints = Constraints.from_splits(n, splits, taxa)
    environment = MergingLengthsEnvironment(
        features_of(n, 4.0 / 3.0),
        n,
        lambda trees, lengths: np.zeros(len(trees)),
        parse_branch_prior("exp:10"),
        constraints,
    )
    states = environment.initial(300)
    rng = np.random.default_rng(6)
    while not environment.is_terminal(states).all():
        actions = environment.forward_actions(states)
        graph = environment.graph(states)
        assert graph.action_state.tolist() == actions.state.tolist()
        chosen = [rng.choice(actions.action[actions.state == i]) for i in range(len(states))]
        states = environment.step(states, np.array(chosen), rng.random((300, 2)) + 0.1).states
    trees, _ = environment.trees_with_lengths(states)
    assert constraints.hold(trees).all()
    assert len(np.unique(topology_keys(trees, taxon_codes(n)), axis=0)) == number
