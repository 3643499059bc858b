"""Every backward policy on spaces of each kind, held against their exact distributions."""

import numpy as np
import pytest
import torch

from gfncore.backward.registry import BACKWARD_POLICIES, make_backward_policy
from gfncore.backward.trajectory_counts import count_trajectories
from gfncore.exploration.moves import backward_log_probabilities
from gfncore.objectives.base import make_objective
from gfncore.spaces import Bags, BitSequences, Hypergrid
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trials import MethodSettings, run_trial

pytestmark = [pytest.mark.verification, pytest.mark.long]

SPACES = {"hypergrid": Hypergrid(6), "bags": Bags(5, 3), "bits": BitSequences(6, 2)}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("name", list(BACKWARD_POLICIES))
def test_objects_are_drawn_in_proportion_to_the_reward(space, name):
    options = {"loss_shape": "pseudo_huber"}
    settings = MethodSettings(backward=name, steps=1000, objective_options=options)
    found = run_trial(SPACES[space], SPACES[space].make_policy, settings, seed=1)
    print(f"{space}, {name}: total variation {found.total_variation:.4f}")
    assert found.total_variation <= 0.02
    assert found.log_z_error <= 0.02


@pytest.mark.parametrize("space", list(SPACES))
def test_maximum_entropy_makes_trajectories_equally_likely(space):
    """The mean over states of KL(exact P_B || learned P_B) is small, also beside uniform P_B."""
    environment = SPACES[space]
    torch.manual_seed(1)
    network, training = make_backward_policy(
        "maximum_entropy", lambda flow: environment.make_policy(flow=flow, backward=True)
    )
    settings = TrainingSettings(
        1000, on_policy=64, epsilon=0.2, learning_rate=5e-3, schedule="cosine"
    )
    Trainer(
        environment,
        environment.make_policy(),
        make_objective("trajectory_balance"),
        settings,
        np.random.default_rng(1),
        backward_policy=network,
        backward_training=training,
    ).run()
    counts = count_trajectories(environment)
    ways = environment.backward_actions(counts.states).classes_per_state(len(counts.states))
    states = counts.states.take(np.flatnonzero(ways > 1))
    actions, exact = environment.backward_actions(states), counts.log_probabilities(states)
    divergence = {}
    for name, policy in (("learned", network), ("uniform", None)):
        log_pb = backward_log_probabilities(environment, policy, states, actions)
        divergence[name] = float((np.exp(exact) * (exact - log_pb)).sum() / len(states))
    print(f"{space}: {divergence}")
    assert divergence["learned"] < 0.01
    if divergence["uniform"] > 0.01:  # of bit sequences uniform P_B is that of maximum entropy
        assert divergence["learned"] < 0.2 * divergence["uniform"]
