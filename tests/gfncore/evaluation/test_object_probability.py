"""Probabilities of objects by averages over the ways to build them."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.evaluation import exact_distribution
from gfncore.evaluation.object_probability import (
    log_object_probabilities,
    trajectory_log_ratios,
)
from gfncore.exploration import sample_trajectories


@pytest.fixture
def problem(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    backward = make_policy(grid, seed=1, random=True, hidden=8)
    return grid, policy, backward


@pytest.mark.parametrize("learned", [False, True])
def test_the_average_is_the_exact_probability(problem, learned):
    grid, policy, backward = problem
    exact = exact_distribution(grid, policy)
    rng = np.random.default_rng(0)
    chosen = backward if learned else None
    n, copies = len(exact.terminals), 100  # each many times in one batch: fewer calls
    terminals = exact.terminals.take(np.repeat(np.arange(n), copies))
    found = log_object_probabilities(grid, policy, terminals, 30, rng, chosen)
    probability = np.exp(found).reshape(n, copies).mean(axis=1)
    np.testing.assert_allclose(probability, exact.probability, rtol=0.15)
    assert abs(probability.sum() - 1.0) < 0.02


def test_weights_are_unbiased_for_few_paths(problem):
    """With the drawn trajectory among K = 2, the mean weight of R = 1 is the number of objects."""
    grid, policy, _ = problem
    rng = np.random.default_rng(1)
    drawn = sample_trajectories(grid, policy, 20000, rng)
    ratios = trajectory_log_ratios(grid, policy, drawn)
    log_q = log_object_probabilities(grid, policy, drawn.terminals, 2, rng, drawn=ratios)
    reward = np.exp(grid.log_reward(drawn.terminals))
    exact = exact_distribution(grid, policy)
    z = np.exp(grid.log_reward(exact.terminals)).sum()
    weights = reward * np.exp(-log_q)
    error = weights.std() / np.sqrt(len(weights))
    assert weights.mean() == pytest.approx(z, abs=4 * error)
    assert error < 0.05 * z
    # and they vary less than those of single trajectories
    assert weights.std() < (reward * np.exp(-ratios)).std()
