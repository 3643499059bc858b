"""Trajectories of vectors are those of the step-by-step sampler, in distribution and in form."""

import numpy as np
import pytest
import torch
from torch import nn

from gfncore.evaluation import exact_distribution
from gfncore.exploration import sample_trajectories
from gfncore.exploration.vector_walks import walk_vectors
from gfncore.policies import Policy
from gfncore.spaces import Bags, BitSequences, Hypergrid
from gfncore.tempering import TemperedEnvironment
from gfncore.trajectories.scoring import score_backward, score_forward

SPACES = [Hypergrid(5, 3), Bags(4, 3), BitSequences(6, 2), BitSequences(6, 3, any_order=False)]


class Stepwise(Policy):
    """A policy that the fast path does not know."""


def random_policy(space, kind=Policy):
    torch.manual_seed(1)
    policy = space.make_policy(hidden=16)
    for parameter in policy.parameters():
        nn.init.normal_(parameter, std=0.3)
    policy.__class__ = kind
    return policy


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_trajectories_are_whole_and_scored_alike(space):
    policy = random_policy(space)
    drawn = walk_vectors(space, policy, 200, np.random.default_rng(0), epsilon=0.1)
    assert drawn is not None and drawn.log_pf is not None
    assert len(drawn) == len(drawn.terminals) == 200
    with torch.no_grad():
        log_pf = score_forward(space, policy, drawn).sum(dim=1).numpy()
    np.testing.assert_allclose(drawn.log_pf, log_pf, rtol=0, atol=1e-5)
    assert len(np.unique(space.labels(drawn.states), axis=0)) == len(drawn.states)
    # every row, played step by step, leads along its own states to its object
    for i in range(0, 200, 7):
        here = space.initial(1)
        for t in range(drawn.lengths[i]):
            at = drawn.states.take(drawn.state_index[i, t : t + 1])
            assert np.array_equal(space.keys(at), space.keys(here))
            row = drawn.actions.first_of_class[drawn.class_index[i, t]]
            assert drawn.actions.state[row] == drawn.state_index[i, t]
            here = space.step(at, drawn.actions.action[[row]]).states
            if drawn.backward is not None:
                back = drawn.backward.actions
                row = back.first_of_class[drawn.backward.class_index[i, t]]
                parent = drawn.backward.states.take(back.state[[row]])
                assert np.array_equal(space.keys(parent), space.keys(here))
                undone = space.backstep(parent, back.action[[row]]).states
                assert np.array_equal(space.keys(undone), space.keys(at))
        assert np.array_equal(space.keys(here), space.keys(drawn.terminals.take(np.array([i]))))
    assert (drawn.backward is None) == space.is_tree
    table = score_backward(space, None, drawn)
    assert ((table.numpy() == 0.0) | (drawn.state_index >= 0)).all()


@pytest.mark.parametrize(("epsilon", "temperature"), [(0.0, 1.0), (0.3, 1.5)])
@pytest.mark.parametrize(
    "space", [Hypergrid(4), Bags(3, 3)], ids=lambda space: type(space).__name__
)
def test_both_samplers_draw_the_same_distribution(space, epsilon, temperature):
    """Shares of the objects in 20,000 draws of each, within five standard errors."""
    n = 20_000
    exact = exact_distribution(space)
    shares = []
    for kind in (Policy, Stepwise):
        policy = random_policy(space, kind)
        rng = np.random.default_rng(2)
        assert (walk_vectors(space, policy, 1, rng) is None) == (kind is Stepwise)
        drawn = sample_trajectories(space, policy, n, rng, epsilon, temperature)
        rows = exact.rows(space.keys(drawn.terminals))
        shares.append(np.bincount(rows, minlength=len(exact.probability)) / n)
    p = 0.5 * (shares[0] + shares[1])
    assert (np.abs(shares[0] - shares[1]) <= 5.0 * np.sqrt(2.0 * p / n)).all()
    if epsilon == 0.0:
        truth = exact_distribution(space, random_policy(space)).probability
        assert (np.abs(shares[0] - truth) <= 5.0 * np.sqrt(truth / n)).all()


def test_states_with_temperatures_take_the_usual_way():
    space = TemperedEnvironment(Hypergrid(4), [1.0, 2.0])
    assert walk_vectors(space, random_policy(space.inner), 4, np.random.default_rng(0)) is None
