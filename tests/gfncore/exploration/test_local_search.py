"""Local search: the exact distribution stays, greedy never worsens, the ratio is the plain one."""

import numpy as np
import pytest
import torch

from gfncore.evaluation import chi_squared, exact_distribution
from gfncore.exploration import local_search
from gfncore.policies import Backbone, Policy
from gfncore.tempering import TemperedEnvironment
from gfncore.trajectories.scoring import state_log_probabilities


def target(grid):
    """All objects, and R / Z."""
    exact = exact_distribution(grid)
    reward = np.exp(grid.log_reward(exact.terminals))
    return exact, reward / reward.sum()


def drawn_from(exact, p, n, rng):
    return exact.terminals.take(rng.choice(len(p), n, p=p))


def scaled(hypergrid):
    """The symmetric grid with raw actions in place of classes, and the scale that puts it right.

    From a diagonal cell two raw actions lead to one object, and one leads back.
    """

    class Raw(hypergrid.SymmetricHypergrid):
        def _classes(self, states, state, action):
            return None

        def log_scale(self, states):
            symmetric = states.values[:, 0] == states.values[:, 1]
            return np.where(symmetric, 0.0, -np.log(2.0))

    return Raw(4)


def tree(hypergrid):
    """A walk along one axis, where every state has one parent."""
    grid = hypergrid.Hypergrid(6, 1)
    grid.is_tree = True
    return grid


@pytest.mark.parametrize(
    ("kind", "steps", "fewest"),
    [
        ("grid", 4, 1),
        ("grid", 3, 3),
        ("grid", 30, 30),
        ("symmetric", 4, 2),
        ("duplicates", 3, 1),
        ("scaled", 4, 2),
        ("tree", 3, 1),
        ("softened", 4, 1),
    ],
)
@pytest.mark.parametrize("learned", [False, True])
def test_metropolis_leaves_the_target_invariant(
    hypergrid, make_policy, kind, steps, fewest, learned
):
    """Many short chains that start in the target are in the target at their end."""
    grid = {
        "grid": lambda: hypergrid.Hypergrid(4),
        "symmetric": lambda: hypergrid.SymmetricHypergrid(4),
        "duplicates": lambda: hypergrid.Hypergrid(4, duplicates=True),
        "scaled": lambda: scaled(hypergrid),
        "tree": lambda: tree(hypergrid),
        "softened": lambda: hypergrid.Hypergrid(4),
    }[kind]()
    softened = {"epsilon": 0.3, "temperature": 2.0} if kind == "softened" else {}
    policy = make_policy(grid, random=True, hidden=8)
    back = make_policy(grid, seed=1, random=True, hidden=8) if learned else None
    exact, p = target(grid)
    rng = np.random.default_rng(3)
    n = 20_000
    states = drawn_from(exact, p, n, rng)
    start = exact.rows(grid.keys(states))
    log_reward = grid.log_reward(states)
    moved = np.zeros(n, bool)
    for _ in range(4):
        found = local_search(
            grid,
            policy,
            states,
            log_reward,
            steps,
            rng,
            fewest_steps=fewest,
            backward_policy=back,
            **softened,
        )
        states, log_reward = found.terminals, found.log_reward
        moved |= found.accepted
    np.testing.assert_allclose(log_reward, grid.log_reward(states))
    end = exact.rows(grid.keys(states))
    assert moved.mean() > 0.1 and (start != end).mean() > 0.05
    assert chi_squared(np.bincount(end, minlength=len(p)), p).p_value > 1e-3
    # no flow either way between any two objects is more than its reverse by chance
    flow = np.bincount(start * len(p) + end, minlength=len(p) ** 2).reshape(len(p), -1)
    there, back_again = flow[np.triu_indices(len(p), 1)], flow.T[np.triu_indices(len(p), 1)]
    deviation = (there - back_again) / np.sqrt(np.maximum(there + back_again, 1))
    assert np.abs(deviation).max() < 4.5


def test_objects_keep_their_temperature(hypergrid):
    """Chains of two temperatures in one batch stay each in R^beta."""
    inner = hypergrid.Hypergrid(4)
    grid = TemperedEnvironment(inner, [0.5, 2.0])
    torch.manual_seed(0)
    policy = Policy(Backbone(inner.features, relations=2, hidden=8), conditioning="both")
    for part in (policy.heads[0], policy.logit_scale, policy.condition_embedding):
        torch.nn.init.normal_(part.last.weight, std=0.5)
    exact, _ = target(inner)
    rng, n = np.random.default_rng(4), 10_000
    p = np.exp(np.array([[0.5], [2.0]]) * inner.log_reward(exact.terminals))
    p /= p.sum(axis=1, keepdims=True)
    beta = np.repeat([0.5, 2.0], n)
    objects = type(exact.terminals).concat([drawn_from(exact, row, n, rng) for row in p])
    states = grid.with_temperature(objects, beta)
    log_reward = grid.log_reward(states)
    for _ in range(3):
        found = local_search(grid, policy, states, log_reward, 5, rng, fewest_steps=1)
        states, log_reward = found.terminals, found.log_reward
    np.testing.assert_array_equal(states.inverse_temperature, beta)
    ends = exact.rows(inner.keys(grid.without_temperature(states)))
    for row, end in zip(p, ends.reshape(2, n), strict=True):
        assert chi_squared(np.bincount(end, minlength=16), row).p_value > 1e-3


def test_a_long_chain_reaches_the_target(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    exact, p = target(grid)
    rng = np.random.default_rng(5)
    states = exact.terminals.take(np.zeros(1000, np.int64))  # all from one corner
    log_reward = grid.log_reward(states)
    counts = np.zeros(len(p))
    for k in range(60):
        found = local_search(grid, policy, states, log_reward, 7, rng, fewest_steps=1)
        states, log_reward = found.terminals, found.log_reward
        if k % 20 == 19:
            counts += np.bincount(exact.rows(grid.keys(states)), minlength=len(p))
    assert chi_squared(counts, p).p_value > 1e-3


def test_without_the_ratio_of_paths_the_target_would_not_stay(hypergrid, make_policy):
    """The test above can tell: accepting by reward alone goes elsewhere."""
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True, hidden=8)
    exact, p = target(grid)
    rng = np.random.default_rng(3)
    states = drawn_from(exact, p, 20_000, rng)
    log_reward = grid.log_reward(states)
    found = local_search(grid, policy, states, log_reward, 4, rng, fewest_steps=1)
    by_reward = np.log(rng.random(len(states))) < found.proposal_log_reward - log_reward
    end = np.where(by_reward, exact.rows(grid.keys(found.proposals)), exact.rows(grid.keys(states)))
    assert chi_squared(np.bincount(end, minlength=len(p)), p).p_value < 1e-6


def transition(grid, policy, back, exact, p, steps, fewest):
    """The matrix of moves by plain recursion over all pairs of paths, in one representation."""

    def choices(states, which, learned, **backward):
        actions = getattr(grid, which)(states)
        if learned is None:
            log_p = np.full(len(actions), -np.log(max(len(actions), 1)))
        else:
            with torch.no_grad():
                log_p = state_log_probabilities(grid, learned, states, actions, **backward).numpy()
        return zip(actions.action, np.exp(log_p), strict=True)

    def step_chance(states, which, code, learned, **backward):
        return dict(choices(states, which, learned, **backward))[code]

    def paths_back(states, k):
        """(state, chance of the path, chance of redoing it, steps) after at most k steps."""
        if k == 0 or not len(grid.backward_actions(states)):
            return [(states, 1.0, 1.0, 0)]
        out = []
        for code, chance in choices(states, "backward_actions", back, backward=True):
            parent, (redo,), _ = grid.backstep(states, np.array([code]))
            again = step_chance(parent, "forward_actions", redo, policy)
            out += [
                (end, chance * a, again * b, t + 1) for end, a, b, t in paths_back(parent, k - 1)
            ]
        return out

    def paths_forward(states):
        if grid.is_terminal(states)[0]:
            return [(states, 1.0, 1.0, 0)]
        out = []
        for code, chance in choices(states, "forward_actions", policy):
            child, (undo,), _ = grid.step(states, np.array([code]))
            again = step_chance(child, "backward_actions", undo, back, backward=True)
            out += [(end, chance * a, again * b, t + 1) for end, a, b, t in paths_forward(child)]
        return out

    m, matrix = len(p), np.zeros((len(p), len(p)))
    ks = range(fewest, steps + 1)
    for i in range(m):
        for k in ks:
            for middle, chance, redo, undone in paths_back(exact.terminals.take([i]), k):
                first = not len(grid.backward_actions(middle))
                for end, build, undo, built in paths_forward(middle):
                    j = exact.rows(grid.keys(end))[0]

                    def ways(t, first=first):  # numbers of steps by which one comes here
                        return sum(1 for one in ks if (one >= t if first else one == t))

                    ratio = (
                        p[j] * undo * redo * ways(built) / (p[i] * chance * build * ways(undone))
                    )
                    matrix[i, j] += chance * build * min(1.0, ratio) / len(ks)
        matrix[i, i] += 1.0 - matrix[i].sum()
    return matrix


@pytest.mark.parametrize(("steps", "fewest"), [(2, 2), (3, 1), (9, 9)])
@pytest.mark.parametrize("learned", [False, True])
def test_moves_are_those_of_all_pairs_of_paths(hypergrid, make_policy, steps, fewest, learned):
    """Frequencies of the moves from each object beside a sum over paths; it keeps the target."""
    grid = hypergrid.Hypergrid(3)
    policy = make_policy(grid, random=True, hidden=8)
    back = make_policy(grid, seed=1, random=True, hidden=8) if learned else None
    exact, p = target(grid)
    plain = transition(grid, policy, back, exact, p, steps, fewest)
    np.testing.assert_allclose(p @ plain, p, rtol=1e-5)
    n = 4000
    states = exact.terminals.take(np.repeat(np.arange(len(p)), n))
    found = local_search(
        grid,
        policy,
        states,
        grid.log_reward(states),
        steps,
        np.random.default_rng(7),
        fewest_steps=fewest,
        backward_policy=back,
    )
    ends = exact.rows(grid.keys(found.terminals)).reshape(len(p), n)
    for row, end in zip(plain, ends, strict=True):
        np.testing.assert_allclose(
            np.bincount(end, minlength=len(p)) / n, row, atol=4.5 * np.sqrt(0.25 / n)
        )


@pytest.mark.parametrize("learned", [False, True])
def test_greedy_never_worsens(hypergrid, make_policy, learned):
    grid = hypergrid.Hypergrid(8)
    policy = make_policy(grid, random=True, hidden=8)
    back = make_policy(grid, seed=1, random=True, hidden=8) if learned else None
    exact, _ = target(grid)
    rng = np.random.default_rng(0)
    states = exact.terminals.take(rng.integers(len(exact.keys), size=500))
    first = log_reward = grid.log_reward(states)
    for _ in range(10):
        found = local_search(
            grid, policy, states, log_reward, 5, rng, backward_policy=back, acceptance="greedy"
        )
        better = found.proposal_log_reward > log_reward
        assert np.array_equal(found.accepted, better)
        assert (found.log_reward >= log_reward).all()
        np.testing.assert_allclose(found.log_reward, grid.log_reward(found.terminals))
        np.testing.assert_allclose(found.proposal_log_reward, grid.log_reward(found.proposals))
        kept = grid.labels(found.terminals) == grid.labels(states)
        assert kept.all(axis=1)[~found.accepted].all()
        states, log_reward = found.terminals, found.log_reward
    assert log_reward.mean() > first.mean() + 0.1


def test_proposals_are_near(hypergrid, make_policy):
    """What one step undoes is the stop: the walk goes on from where it was."""
    grid = hypergrid.Hypergrid(8)
    policy = make_policy(grid, random=True, hidden=8)
    exact, _ = target(grid)
    log_reward = grid.log_reward(exact.terminals)
    found = local_search(grid, policy, exact.terminals, log_reward, 1, np.random.default_rng(0))
    assert (found.proposals.values >= exact.terminals.values).all()
    same = (found.proposals.values == exact.terminals.values).all(axis=1)
    assert np.array_equal(found.accepted, same)  # one step back leads nowhere else


def test_nothing_leads_to_an_object_without_reward(hypergrid, make_policy):
    class Holes(hypergrid.Hypergrid):
        def log_reward(self, states):
            empty = states.values[:, 0] == 1
            return np.where(empty, -np.inf, super().log_reward(states))

    grid = Holes(4)
    policy = make_policy(grid, random=True, hidden=8)
    exact, _ = target(grid)
    states = exact.terminals.take(np.tile(np.arange(len(exact.keys)), 50))
    log_reward = grid.log_reward(states)
    rng = np.random.default_rng(0)
    found = local_search(grid, policy, states, log_reward, 6, rng, fewest_steps=1)
    empty = np.isneginf(log_reward)
    assert not found.accepted[np.isneginf(found.proposal_log_reward)].any()
    assert np.isfinite(found.log_reward[~empty]).all()
    assert found.accepted[empty].any()  # from there, any object with reward is welcome


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"steps": 0}, "0..0 steps"),
        ({"steps": 2, "fewest_steps": 3}, "3..2 steps"),
        ({"steps": 2, "fewest_steps": 0}, "0..2 steps"),
        ({"steps": 2, "acceptance": "best"}, "'best'"),
    ],
)
def test_bad_settings(hypergrid, make_policy, settings, text):
    grid = hypergrid.Hypergrid(3)
    exact, _ = target(grid)
    policy = make_policy(grid, hidden=8)
    with pytest.raises(ValueError, match=text):
        local_search(
            grid,
            policy,
            exact.terminals,
            grid.log_reward(exact.terminals),
            generator=np.random.default_rng(0),
            **settings,
        )


def test_nothing_to_search_around_is_refused(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    nothing = target(grid)[0].terminals.take(np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="no objects to search around"):
        local_search(
            grid, make_policy(grid, hidden=8), nothing, np.zeros(0), 2, np.random.default_rng(0)
        )
