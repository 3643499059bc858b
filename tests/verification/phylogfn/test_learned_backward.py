"""A learned backward policy of the merging environment beside the uniform one, and the truth.

Both are taught by trajectory balance alone, on their own draws and on known topologies: whichever
P_B is taken, the forward policy that balances it draws from the same posterior. Early in training,
histories of one topology agree better on its probability with the learned one, since it moves
towards the forward policy; at the end, when both policies fit, there is no such difference.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.evaluation.object_probability import (
    log_object_probabilities,
    trajectory_log_ratios,
)
from gfncore.exploration import backward_trajectories
from gfncore.objectives.base import make_objective
from gfncore.training.averaging import AveragedPolicy
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.training.backward import make_backward_policy
from phylogfn.training.curricula import make_policy

pytestmark = [pytest.mark.verification, pytest.mark.long]

STEPS = 500
EARLY = 150
TRAJECTORIES = 96
PATHS = 100  # histories of a topology


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(reward, table, p, seed, learned):
    """Environment, and averaged policies (backward None: uniform), `EARLY` and at the end."""
    n = reward.likelihood.n_taxa
    rng = np.random.default_rng(seed)

    def log_reward(trees):
        rows = table.look_up(reward, trees)
        return table.log_evidence[rows] + reward.log_topology_prior

    features = ForestFeatures(
        reward.likelihood.patterns, reward.likelihood.model.frequencies, keep=0.9
    )
    features.fit(table.parents, rng)
    environment = MergingEnvironment(features, n, log_reward)
    environment.rates = JoinRates.of(table.parents, p)

    def known(generator):
        return environment.terminals(table.parents[generator.choice(len(p), TRAJECTORIES, p=p)])

    settings = TrainingSettings(
        steps=STEPS,
        on_policy=TRAJECTORIES,
        optimiser="muon",
        learning_rate=4e-3,
        log_z_learning_rate=2e-2,
        schedule="cosine",
        clip_norm=1.0,
        average_decay=0.99,
    )
    log_z = float(logsumexp(table.log_evidence)) + reward.log_topology_prior
    backward = make_backward_policy(environment, seed + 1, "cpu") if learned else None
    trainer = Trainer(
        environment,
        make_policy(environment, seed, "cpu"),
        make_objective("trajectory_balance", log_z, "pseudo_huber"),
        settings,
        rng,
        backward_policy=backward,
        terminal_batches=known,
    )
    averaged = None if backward is None else AveragedPolicy(backward, settings.average_decay)
    early = None
    while trainer.progress < 1.0:
        trainer.step()
        if averaged is not None:
            averaged.update(backward, trainer.step_number)
        if trainer.step_number == EARLY:
            early = copy.deepcopy((trainer.averaged, averaged))
    assert early is not None
    assert float(trainer.objective.log_z.detach()) == pytest.approx(log_z, abs=0.05)
    stages = [
        (one.policy, None if other is None else other.policy)
        for one, other in (early, (trainer.averaged, averaged))
    ]
    return environment, stages


def log_ratio_spread(environment, policy, backward, trees, p):
    """Variance of log(P_F/P_B) over histories of a topology, drawn by P_B; mean over topologies."""
    ends = environment.terminals(np.repeat(trees, PATHS, axis=0))
    paths = backward_trajectories(environment, ends, np.random.default_rng(0), backward)
    ratios = trajectory_log_ratios(environment, policy, paths, backward).reshape(-1, PATHS)
    return float(p @ ratios.var(axis=1) / p.sum())


@pytest.mark.parametrize(
    ("taxa", "sites", "seed"),
    [
        ([0, 1, 2, 5, 7, 11], 60, 3),
        ([1, 3, 4, 6, 8, 10], 100, 4),
    ],
)
def test_both_backward_policies_lead_to_the_posterior(
    primates, make_reward, all_topologies, taxa, sites, seed
):
    reward, every = make_reward(primates(taxa, sites)), all_topologies(len(taxa))
    table = TopologyTable(len(taxa))
    table.look_up(reward, every)
    p = np.exp(table.log_evidence - logsumexp(table.log_evidence))
    likely = np.argsort(-p)[:20]
    found, early, late = [], [], []
    for learned in (False, True):
        environment, stages = trained(reward, table, p, seed, learned)
        policy, backward = stages[-1]
        exact = exact_distribution(environment, policy)
        q = np.zeros(len(p))
        q[table.find(environment.trees(exact.terminals))] = exact.probability
        found.append(q)
        trees = table.parents[likely]
        for spread, stage in zip((early, late), stages, strict=True):
            spread.append(log_ratio_spread(environment, *stage, trees, p[likely]))
        # histories of a topology weigh to its probability
        log_q = log_object_probabilities(
            environment,
            policy,
            environment.terminals(trees),
            PATHS,
            np.random.default_rng(1),
            backward,
        )
        np.testing.assert_allclose(np.exp(log_q), q[likely], rtol=0.05, atol=0.002)
    tv = [total_variation(p, found[0]), total_variation(p, found[1]), total_variation(*found)]
    print("tv uniform, learned, between:", np.round(tv, 4), "variances:", early, late)
    assert max(tv) < 0.01
    assert early[1] < 0.95 * early[0]
    assert max(late) < min(early) and max(late) < 0.02
