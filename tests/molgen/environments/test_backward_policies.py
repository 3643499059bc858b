"""Backward policies of molecules: over classes of actions, in both environments."""

import numpy as np
import pytest
import torch

from gfncore.backward.registry import BACKWARD_POLICIES, make_backward_policy
from gfncore.backward.trajectory_counts import count_trajectories
from gfncore.evaluation import exact_distribution
from gfncore.exploration import backward_trajectories
from gfncore.objectives.base import make_objective
from gfncore.policies import Head
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.scoring import score_backward, score_forward, state_log_probabilities
from molgen.environments.atoms import AtomEnvironment
from molgen.environments.fragments import FragmentEnvironment
from molgen.fragments.vocabulary import Vocabulary
from molgen.molecules.graph import AtomTable
from molgen.policy import make_policy

FRAGMENTS = ["[*]c1ccc([*])cc1", "[*]C([*])[*]", "[*]CC[*]", "[*]O[*]"]


def log_length(smiles):
    return np.array([0.1 * len(name) for name in smiles])


ENVIRONMENTS = {
    "atoms": lambda: AtomEnvironment(AtomTable.of(["C", "N", "O"]), 3, log_length),
    "core": lambda: AtomEnvironment(
        AtomTable.of(["C", "N", "O"]), 4, log_length, core="[*]C([*])O"
    ),
    "fragments": lambda: FragmentEnvironment(
        Vocabulary.of(FRAGMENTS), log_length, max_fragments=3, max_atoms=14
    ),
}


@pytest.fixture(scope="module", params=list(ENVIRONMENTS))
def counted(request):
    """An environment, the numbers of trajectories of its states, and those after the first."""
    environment = ENVIRONMENTS[request.param]()
    counts = count_trajectories(environment)
    some = environment.backward_actions(counts.states).classes_per_state(len(counts.states)) > 0
    return environment, counts, counts.states.take(np.flatnonzero(some))


def randomised(environment, flow=False, backward=True):
    policy = make_policy(environment, hidden=16, seed=1, flow=flow, backward=backward)
    torch.manual_seed(2)
    for head in policy.heads:
        assert isinstance(head, Head)
        torch.nn.init.normal_(head.last.weight, std=0.5)
    return policy


def test_probabilities_of_classes_of_backward_actions_sum_to_one(counted):
    environment, _, states = counted
    actions = environment.backward_actions(states)
    with torch.no_grad():
        log_p = state_log_probabilities(
            environment, randomised(environment), states, actions, backward=True
        ).numpy()
    sums = np.bincount(actions.state_of_class, np.exp(log_p), minlength=len(states))
    np.testing.assert_allclose(sums, 1.0, atol=1e-9)
    several = actions.classes_per_state(len(states))[actions.state_of_class] > 1
    assert np.ptp(log_p[several]) > 0.2  # the choice is no longer uniform


def test_symmetric_actions_are_equally_likely(counted):
    """Actions of a class have the same logit, so that its share does not depend on numbering."""
    environment, _, states = counted
    actions = environment.backward_actions(states)
    with torch.no_grad():
        logits = randomised(environment)(environment.backward_graph(states)).logits.numpy()
    assert len(logits) == len(actions)
    first = actions.first_of_class[actions.class_of_action]
    assert (first != np.arange(len(first))).any()
    np.testing.assert_allclose(logits, logits[first], atol=1e-4)


def test_numbers_of_trajectories_give_a_backward_policy(counted):
    environment, counts, states = counted
    actions = environment.backward_actions(states)
    log_pb = counts.log_probabilities(states)
    sums = np.bincount(actions.state_of_class, np.exp(log_pb), minlength=len(states))
    np.testing.assert_allclose(sums, 1.0, atol=1e-9)


def test_draws_of_a_backward_policy_weigh_to_the_exact_probability(counted):
    environment = counted[0]
    policy, backward = randomised(environment, backward=False), randomised(environment)
    exact = exact_distribution(environment, policy)
    best = np.argsort(-exact.probability)[:6]
    ends = exact.terminals.take(np.repeat(best, 1500))
    drawn = backward_trajectories(environment, ends, np.random.default_rng(3), backward)
    with torch.no_grad():
        log_ratio = score_forward(environment, policy, drawn) - score_backward(
            environment, backward, drawn
        )
    ratio = log_ratio.sum(dim=1).exp().numpy().reshape(len(best), -1)
    error = 5.0 * ratio.std(axis=1) / np.sqrt(ratio.shape[1]) + 1e-5
    assert (np.abs(ratio.mean(axis=1) - exact.probability[best]) < error).all()


@pytest.mark.parametrize("name", [name for name, entry in BACKWARD_POLICIES.items() if entry.place])
def test_every_backward_policy_learns(counted, name):
    environment = counted[0]
    network, training = make_backward_policy(
        name,
        lambda flow: make_policy(environment, hidden=16, flow=flow, backward=True),
    )
    assert network is not None
    before = [p.detach().clone() for p in network.parameters()]
    trainer = Trainer(
        environment,
        make_policy(environment, hidden=16),
        make_objective("trajectory_balance"),
        TrainingSettings(3, on_policy=8, learning_rate=1e-2),
        np.random.default_rng(0),
        backward_policy=network,
        backward_training=training,
    )
    seen = []
    trainer.run(seen.append)
    assert all(np.isfinite(metrics["loss"]) for metrics in seen)
    assert ("backward_loss" in seen[-1]) == (name != "learned")
    after = list(network.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
