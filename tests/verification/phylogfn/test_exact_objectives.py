"""Every objective of ``phylogfn sample`` on six taxa, built by merging: 105 topologies.

Trained by the objective alone, on the policy's own draws and on known topologies.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.objectives.base import make_objective
from gfncore.objectives.registry import reward_objectives
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.training.curricula import make_policy

pytestmark = [pytest.mark.verification, pytest.mark.long]

TRAJECTORIES = 96
# flows of unfinished trees take longer to learn than the choices alone
STEPS = {
    "trajectory_balance": 500,
    "log_variance": 500,
    "detailed_balance": 1500,
    "sub_trajectory_balance": 1500,
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", reward_objectives(orders=False))
def test_topologies_are_drawn_by_their_posterior(primates, make_reward, all_topologies, name):
    taxa, seed = [0, 1, 2, 5, 7, 11], 3
    reward, every = make_reward(primates(taxa, 60)), all_topologies(len(taxa))
    table, rng = TopologyTable(len(taxa)), np.random.default_rng(seed)
    table.look_up(reward, every)
    log_z = float(logsumexp(table.log_evidence)) + reward.log_topology_prior
    p = np.exp(table.log_evidence + reward.log_topology_prior - log_z)

    def log_reward(trees):
        return table.log_evidence[table.look_up(reward, trees)] + reward.log_topology_prior

    features = ForestFeatures(
        reward.likelihood.patterns, reward.likelihood.model.frequencies, keep=0.9
    )
    features.fit(table.parents, rng)
    environment = MergingEnvironment(features, len(taxa), log_reward)
    environment.rates = JoinRates.of(table.parents, p)
    settings = TrainingSettings(
        steps=STEPS[name],
        on_policy=TRAJECTORIES,
        optimiser="muon",
        learning_rate=4e-3,
        log_z_learning_rate=2e-2,
        schedule="cosine",
        clip_norm=1.0,
        average_decay=0.99,
    )
    objective = make_objective(name, log_z, "pseudo_huber")
    trainer = Trainer(
        environment,
        make_policy(environment, seed, "cpu", flow=objective.needs_flow),
        objective,
        settings,
        rng,
        terminal_batches=lambda g: environment.terminals(
            table.parents[g.choice(len(p), TRAJECTORIES, p=p)]
        ),
    )
    seen = []
    trainer.run(seen.append)
    exact = exact_distribution(environment, trainer.averaged.policy)
    q = np.zeros(len(p))
    q[table.find(environment.trees(exact.terminals))] = exact.probability
    distance = total_variation(p, q)
    error = float(np.mean([one["log_z"] for one in seen[-20:]])) - log_z
    print(
        f"{name}: total variation {distance:.4f}, log Z {error:+.4f}, "
        f"{2 * TRAJECTORIES * settings.steps} trajectories, {trainer.seconds:.0f} s"
    )
    assert distance <= 0.02
    assert abs(error) <= 0.02
