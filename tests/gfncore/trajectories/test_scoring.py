"""Trajectories drawn forward and backward, and their scores."""

import numpy as np
import pytest
import torch

from gfncore.evaluation import chi_squared, exact_distribution
from gfncore.exploration import backward_trajectories, sample_trajectories
from gfncore.exploration.draws import draw_classes, explored
from gfncore.trajectories.scoring import score_backward, score_forward


def replayed(grid, trajectories):
    """Walk every trajectory by its own classes; the states it ends in."""
    ends = []
    for rows, classes in zip(trajectories.state_index, trajectories.class_index, strict=True):
        states = grid.initial(1)
        for row, chosen in zip(rows, classes, strict=True):
            if row < 0:
                continue
            assert np.array_equal(
                grid.keys(states)[0], grid.keys(trajectories.states.take([row]))[0]
            )
            first = trajectories.actions.first_of_class[chosen]
            assert trajectories.actions.state[first] == row
            states = grid.step(states, trajectories.actions.action[[first]]).states
        ends.append(states)
    return type(states).concat(ends)


@pytest.mark.parametrize("duplicates", [False, True])
def test_forward_scores_are_those_of_sampling(hypergrid, make_policy, duplicates):
    grid = hypergrid.Hypergrid(4, duplicates=duplicates)
    policy = make_policy(grid, random=True, hidden=8)
    drawn = sample_trajectories(grid, policy, 50, np.random.default_rng(0), 0.2, 2.0)
    log_pf = score_forward(grid, policy, drawn)
    np.testing.assert_allclose(log_pf.sum(1).detach(), drawn.log_pf, rtol=1e-5)
    assert log_pf.requires_grad
    assert np.array_equal(grid.keys(replayed(grid, drawn)), grid.keys(drawn.terminals))
    assert (log_pf.detach().numpy()[drawn.state_index < 0] == 0).all()


def test_backward_scores_are_uniform_over_parents(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, hidden=8)
    drawn = sample_trajectories(grid, policy, 50, np.random.default_rng(0))
    log_pb = score_backward(grid, None, drawn).numpy()
    table = drawn.backward
    assert table is not None
    for i in range(50):
        states = drawn.states.take(drawn.state_index[i][drawn.state_index[i] >= 0])
        parents = (np.concatenate([states.values[1:], states.values[-1:]]) > 0).sum(1)
        parents[-1] = 1  # the stop
        np.testing.assert_allclose(log_pb[i][: len(parents)], -np.log(parents))


def test_backward_draws_undo_to_the_start(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4, duplicates=True)
    policy = make_policy(grid, random=True, hidden=8)
    back_policy = make_policy(grid, seed=1, random=True, hidden=8)
    exact = exact_distribution(grid, policy)
    rng = np.random.default_rng(0)
    for learned in (None, back_policy):
        drawn = backward_trajectories(grid, exact.terminals, rng, learned)
        assert np.array_equal(grid.keys(replayed(grid, drawn)), exact.keys)
        assert drawn.log_pf is None
        assert drawn.lengths.tolist() == (exact.terminals.values.sum(1) + 1).tolist()


@pytest.mark.parametrize("learned", [False, True])
def test_backward_draws_weigh_to_the_exact_probability(hypergrid, make_policy, learned):
    """P(x) is the mean of P_F/P_B over trajectories drawn backward from x."""
    grid = hypergrid.Hypergrid(3)
    policy = make_policy(grid, random=True, hidden=8)
    back_policy = make_policy(grid, seed=1, random=True, hidden=8) if learned else None
    exact = exact_distribution(grid, policy)
    n = 4000
    objects = exact.terminals.take(np.repeat(np.arange(9), n))
    drawn = backward_trajectories(grid, objects, np.random.default_rng(0), back_policy)
    with torch.no_grad():
        log_ratio = score_forward(grid, policy, drawn) - score_backward(grid, back_policy, drawn)
    ratio = log_ratio.sum(1).exp().numpy().reshape(9, n)
    error = ratio.std(1) / np.sqrt(n)
    assert (np.abs(ratio.mean(1) - exact.probability) < 4 * error + 1e-6).all()  # float32


def test_samples_follow_the_exact_distribution(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    exact = exact_distribution(grid, policy)
    assert exact.probability.sum() == pytest.approx(1.0)
    assert exact.n_states == 32
    drawn = sample_trajectories(grid, policy, 20_000, np.random.default_rng(3))
    counts = np.bincount(exact.rows(grid.keys(drawn.terminals)), minlength=16)
    assert chi_squared(counts, exact.probability).p_value > 1e-3
    with pytest.raises(KeyError):
        exact.rows(np.array([[99, 9]], dtype=np.uint64))


def test_actions_listed_twice_change_nothing_but_their_weight(hypergrid):
    """Classes: a uniform policy over classes does not see how often an action is listed."""
    plain = exact_distribution(hypergrid.Hypergrid(4))
    twice = exact_distribution(hypergrid.Hypergrid(4, duplicates=True))
    np.testing.assert_allclose(plain.probability, twice.probability)


def test_states_in_common_are_kept_once(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    drawn = sample_trajectories(grid, make_policy(grid, hidden=8), 500, np.random.default_rng(0))
    assert len(drawn.states) == 9


def test_exploration_tempers_then_mixes():
    log_p = np.log(np.array([0.2, 0.8, 1.0]))
    state = np.array([0, 0, 1])
    p = explored(log_p, state, 2, epsilon=0.5, temperature=0.5)
    tempered = np.array([0.04, 0.64]) / 0.68
    np.testing.assert_allclose(p, [*(0.5 * tempered + 0.25), 1.0])


def test_draws_never_leave_their_state():
    from gfncore.environment import Actions

    actions = Actions(np.array([0, 0, 1, 2, 2]), np.arange(5))
    p = np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    state = np.repeat([0, 1, 2], 100)
    drawn = draw_classes(p, actions, 3, state, np.random.default_rng(0))
    assert (drawn == np.repeat([1, 2, 3], 100)).all()


@pytest.mark.parametrize("duplicates", [False, True])
def test_isomorphic_states_are_one_object(hypergrid, make_policy, duplicates):
    """Forward and backward draws agree with the exact distribution over classes of states."""
    grid = hypergrid.SymmetricHypergrid(3, duplicates=duplicates)
    policy = make_policy(grid, random=True, hidden=8)
    exact = exact_distribution(grid, policy)
    assert len(exact.terminals) == 6
    drawn = sample_trajectories(grid, policy, 20_000, np.random.default_rng(0))
    counts = np.bincount(exact.rows(grid.keys(drawn.terminals)), minlength=6)
    assert chi_squared(counts, exact.probability).p_value > 1e-3
    assert np.array_equal(grid.keys(replayed(grid, drawn)), grid.keys(drawn.terminals))
    n = 4000
    for learned in (None, make_policy(grid, seed=1, random=True, hidden=8)):
        objects = exact.terminals.take(np.repeat(np.arange(6), n))
        back = backward_trajectories(grid, objects, np.random.default_rng(0), learned)
        with torch.no_grad():
            log_ratio = score_forward(grid, policy, back) - score_backward(grid, learned, back)
        ratio = log_ratio.sum(1).exp().numpy().reshape(6, n)
        error = ratio.std(1) / np.sqrt(n)
        assert (np.abs(ratio.mean(1) - exact.probability) < 4 * error + 1e-6).all()


def test_scales_of_flows_are_added_step_by_step(hypergrid, make_policy):
    class Scaled(hypergrid.Hypergrid):
        def log_scale(self, states):
            return states.values.sum(axis=1) * 0.25

    plain, scaled = hypergrid.Hypergrid(4), Scaled(4)
    policy = make_policy(plain, hidden=8)
    drawn = sample_trajectories(plain, policy, 20, np.random.default_rng(1))
    extra = (score_backward(scaled, None, drawn) - score_backward(plain, None, drawn)).numpy()
    ends = scaled.log_scale(drawn.terminals)
    np.testing.assert_allclose(extra.sum(axis=1), ends)
    steps = np.arange(extra.shape[1])[None] < drawn.lengths[:, None] - 1
    np.testing.assert_allclose(extra, np.where(steps, 0.25, 0.0))  # the last step only stops


def test_nothing_to_draw_is_refused(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    rng = np.random.default_rng(0)
    nothing = exact_distribution(grid).terminals.take(np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="no objects to draw backward trajectories from"):
        backward_trajectories(grid, nothing, rng)
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"{n} trajectories cannot be drawn"):
            sample_trajectories(grid, make_policy(grid, hidden=8), n, rng)
