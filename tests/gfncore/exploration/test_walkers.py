"""Walkers: their objects come to follow the target; proposals are kept; they can be stored."""

import numpy as np

from gfncore.evaluation import chi_squared, exact_distribution
from gfncore.exploration.walkers import Walkers


def test_walkers_come_to_the_target_from_an_untrained_policy(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    exact = exact_distribution(grid)
    reward = np.exp(grid.log_reward(exact.terminals))
    walkers = Walkers(grid, policy, 4000, 6, epsilon=0.2)
    rng = np.random.default_rng(1)
    for _ in range(60):
        states = walkers(rng)
    assert len(states) == 4000
    np.testing.assert_allclose(walkers.log_reward, grid.log_reward(states))
    counts = np.bincount(exact.rows(grid.keys(states)), minlength=len(reward))
    assert chi_squared(counts, reward / reward.sum()).p_value > 1e-3


def test_proposals_are_kept_and_walkers_go_on_where_they_were_stored(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    kept = []
    walkers = Walkers(grid, policy, 5, 3, keep=lambda states, log_reward: kept.append(log_reward))
    rng = np.random.default_rng(2)
    first = walkers(rng)
    walkers(rng)
    assert [len(log_reward) for log_reward in kept] == [5, 5]
    np.testing.assert_array_equal(kept[0], grid.log_reward(first))

    again = Walkers(grid, policy, 5, 3)
    again.load_arrays(walkers.arrays())
    ends = [w(np.random.default_rng(3)) for w in (walkers, again)]
    np.testing.assert_array_equal(grid.keys(ends[0]), grid.keys(ends[1]))
    assert again.arrays().keys() == walkers.arrays().keys()
