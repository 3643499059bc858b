"""Fast logits of one-hot vectors, and choices by them, beside the network and plain versions."""

import numpy as np
import pytest
import torch
from torch import nn

from gfncore.exploration.draws import explored
from gfncore.policies import Backbone, HeadSpec, Policy
from gfncore.policies.one_hot import OneHotPolicy
from gfncore.policies.one_hot_numba import choose, distinct_rows
from gfncore.spaces import Bags, BitSequences, Hypergrid
from gfncore.trajectories.scoring import state_log_probabilities

SPACES = [Hypergrid(5, 3), Bags(4, 3), BitSequences(6, 2), BitSequences(6, 3, any_order=False)]


def made_random(policy, seed=3):
    """The policy with all parameters drawn at random; an untrained one is uniform."""
    torch.manual_seed(seed)
    for parameter in policy.parameters():
        nn.init.normal_(parameter, std=0.2)
    return policy


def unfinished(space, n=40, seed=0):
    """States on the way of uniform walks."""
    rng = np.random.default_rng(seed)
    states, seen = space.initial(n), []
    while len(states):
        seen.append(states)
        actions = space.forward_actions(states)
        picks = [rng.choice(actions.action[actions.state == i]) for i in range(len(states))]
        states = space.step(states, np.array(picks, np.int64)).states
        states = states.take(np.flatnonzero(~space.is_terminal(states)))
    return type(seen[0]).concat(seen)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
@pytest.mark.parametrize(
    ("rounds", "normalise", "context", "temperature"),
    [(0, True, False, 1.0), (2, True, False, 1.0), (1, False, True, 1.7)],
)
def test_log_probabilities_are_those_of_the_network(space, rounds, normalise, context, temperature):
    backbone = Backbone(
        space.features, hidden=16, rounds=rounds, normalise=normalise, context=context
    )
    policy = made_random(Policy(backbone, [HeadSpec("node", space.n_actions)]))
    policy.temperature = temperature
    states = unfinished(space)
    actions = space.forward_actions(states)
    with torch.no_grad():
        expected = state_log_probabilities(space, policy, states, actions).numpy()
    seen = space.one_hot(states)
    assert np.array_equal(np.nonzero(seen.legal), [actions.state, actions.action])
    fast = OneHotPolicy.of(policy, seen.base)
    assert fast is not None
    with torch.inference_mode():
        chosen, log_p = fast.choose(seen, np.random.default_rng(1).random(len(states)))
    rows = actions.find(np.arange(len(states)), chosen)
    np.testing.assert_allclose(log_p, expected[rows], rtol=0, atol=1e-6)
    assert len(np.unique(chosen)) > 1


@pytest.mark.parametrize(("epsilon", "temperature"), [(0.0, 1.0), (0.2, 1.0), (0.1, 2.5)])
def test_actions_have_the_probabilities_of_exploration(epsilon, temperature):
    """At equidistant numbers the share of an action is its probability, to the distance."""
    rng = np.random.default_rng(0)
    logits = 2.0 * rng.standard_normal((6, 5)).astype(np.float32)
    legal = rng.random((6, 5)) < 0.6
    legal[:, 2] = True
    points = 20_000
    uniform = (np.arange(points) + 0.5) / points
    for s in range(len(logits)):
        log_p = torch.log_softmax(torch.from_numpy(logits[s, legal[s]]).double(), 0).numpy()
        expected = explored(log_p, np.zeros(len(log_p), np.int64), 1, epsilon, temperature)
        row = np.full(points, s)
        chosen, found = choose(logits, legal, row, uniform, epsilon, temperature)
        share = np.bincount(chosen, minlength=5) / points
        np.testing.assert_allclose(share[legal[s]], expected, atol=1.01 / points)
        assert not share[~legal[s]].any()
        np.testing.assert_allclose(found, np.log(np.exp(log_p))[np.cumsum(legal[s])[chosen] - 1])


def test_distinct_rows_are_numbered_as_they_come():
    rng = np.random.default_rng(0)
    for m, d, values in ((1, 1, 1), (50, 3, 3), (3000, 2, 40)):
        rows = rng.integers(-values, values, (m, d))
        first, inverse = distinct_rows(rows)
        numbers: dict[tuple, int] = {}
        expected = [numbers.setdefault(tuple(row), len(numbers)) for row in rows]
        assert inverse.tolist() == expected
        assert first.tolist() == [expected.index(u) for u in range(len(numbers))]


def test_policies_that_read_more_than_the_vector_are_left_alone():
    space = Hypergrid(4)
    plain = space.make_policy(hidden=8)
    assert OneHotPolicy.of(plain, space.base) is not None
    plain.defence = 0.1
    several = Policy(Backbone(space.features, hidden=8), [HeadSpec("node"), HeadSpec("node")])
    conditioned = Policy(
        Backbone(space.features, hidden=8), [HeadSpec("node", 3)], conditioning="input"
    )
    for other in (plain, several, conditioned, nn.Linear(3, 3)):
        assert OneHotPolicy.of(other, space.base) is None


@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_a_network_without_edges_is_a_perceptron(aggregation):
    space = Hypergrid(4)
    network = Backbone(space.features, hidden=8, rounds=2, aggregation=aggregation)
    graph = space.graph(unfinished(space))
    h = torch.relu(network.inputs(graph.node_features) + network.types.weight[0])
    for own, norm in zip(network.own, network.norms, strict=True):
        h = h + torch.relu(norm(own(h)))
    torch.testing.assert_close(network(graph), h)
