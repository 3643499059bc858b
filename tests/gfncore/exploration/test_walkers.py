"""Walkers: their objects come to follow the target; proposals are kept; they can be stored."""

import numpy as np
import pytest

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


def test_walkers_of_every_level_come_to_their_own_target(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    exact = exact_distribution(grid)
    log_reward = grid.log_reward(exact.terminals)
    levels = (1.0, 0.5, 0.2)
    walkers = Walkers(grid, policy, 9000, 6, epsilon=0.2, inverse_temperatures=levels)
    rng = np.random.default_rng(4)
    exchanged = []
    for _ in range(60):
        states = walkers(rng)
        exchanged.append(walkers.exchanged)
    assert 0.2 < np.nanmean(exchanged) < 1.0
    np.testing.assert_allclose(walkers.log_reward, grid.log_reward(states))
    rows = exact.rows(grid.keys(states)).reshape(len(levels), -1)
    for level, visited in zip(levels, rows, strict=True):
        target = np.exp(level * log_reward)
        counts = np.bincount(visited, minlength=len(target))
        assert chi_squared(counts, target / target.sum()).p_value > 1e-3


def test_levels_reach_what_is_beyond_a_valley(hypergrid, make_policy):
    """All start in one of four corners, which hold nearly all of the reward."""
    grid = hypergrid.Hypergrid(7)
    policy = make_policy(grid, random=True, hidden=8)
    exact = exact_distribution(grid)
    log_reward = 6.0 * grid.log_reward(exact.terminals)  # deep valleys
    steep = hypergrid.Hypergrid(7)
    steep.log_reward = lambda states: 6.0 * grid.log_reward(states)
    target = np.exp(log_reward - log_reward.max())
    target /= target.sum()
    best = exact.terminals.take(np.flatnonzero(log_reward == log_reward.max())[:1])

    def missed(levels):
        walkers = Walkers(steep, policy, 300, 3, epsilon=0.3, inverse_temperatures=levels)
        walkers.states = best.take(np.zeros(300, np.int64))
        walkers.log_reward = steep.log_reward(walkers.states)
        rng = np.random.default_rng(5)
        counts = np.zeros(len(target))
        for move in range(120):
            states = walkers(rng)
            if move >= 60:
                cold = grid.keys(states)[: 300 // len(levels)]
                counts += np.bincount(exact.rows(cold), minlength=len(target))
        return 0.5 * np.abs(counts / counts.sum() - target).sum()

    assert missed((1.0, 0.6, 0.36, 0.2, 0.1, 0.05)) < 0.5 < 0.7 < missed((1.0,))


@pytest.mark.parametrize("levels", [(), (0.5,), (1.0, 0.0), (1.0, 0.2, 0.5), (1.0, 0.5, 0.4)])
def test_levels_that_do_not_fit_are_refused(hypergrid, make_policy, levels):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    with pytest.raises(ValueError, match=r"descend from 1|cannot be divided"):
        Walkers(grid, policy, 4, 3, inverse_temperatures=levels)
