"""Samplers of trees with branch lengths against posteriors whose topologies can be enumerated.

What the topologies weigh, and how long their trees are, is computed beside by importance draws of
lengths for each topology, with no network and no joins.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from gfncore.evaluation import total_variation
from gfncore.policies import ValueSpec
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.merging_lengths import MergingLengthsEnvironment
from phylogfn.estimates.with_lengths import divergence, draw_trees, estimate_trees
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.kernels.forest_lengths_numba import FEATURES
from phylogfn.training.backward import make_backward_policy
from phylogfn.training.curricula import make_policy, make_trainer
from phylogfn.training.lengths_curriculum import LengthsCurriculum

pytestmark = pytest.mark.verification

TAXA, SITES = [0, 1, 2, 7, 11], 60
STEPS, REFRESHED, OWN_DRAWS = 160, 40, 4
N_DRAWS = 4000
EXACT_DRAWS = 4000  # a topology


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("shape", "learned"),
    [
        ("lognormal", False),
        pytest.param("bins", False, marks=pytest.mark.long),
        pytest.param("lognormal", True, marks=pytest.mark.long),
    ],
)
def test_sampler_of_trees_with_lengths_is_the_posterior(
    primates, make_reward, all_topologies, shape, learned
):
    reward, every = make_reward(primates(TAXA, SITES)), all_topologies(len(TAXA))
    n = len(TAXA)
    fit = reward.closed_form(every)
    exact = reward.draw_lengths(every, fit, EXACT_DRAWS, seed=1)
    log_r = logsumexp(exact.log_weights, axis=1) - math.log(EXACT_DRAWS)
    log_z = float(logsumexp(log_r)) + reward.log_topology_prior
    p = np.exp(log_r - logsumexp(log_r))
    tree_length = exact.lengths.sum(axis=2)
    inner = np.exp(exact.log_weights - exact.log_weights.max(axis=1, keepdims=True))
    inner /= inner.sum(axis=1, keepdims=True)
    exact_mean = p @ (inner * tree_length).sum(axis=1)
    exact_square = p @ (inner * tree_length**2).sum(axis=1)

    table = TopologyTable(n)
    table.add(every, fit.lengths, fit.log_evidence)
    model = reward.likelihood.model
    rng = np.random.default_rng(3)
    features = ForestFeatures(reward.likelihood.patterns, model.frequencies, 0.9, beta=model.decay)
    features.fit(every, rng)
    environment = MergingLengthsEnvironment(
        features,
        n,
        lambda trees, own: reward.log_likelihoods(trees, own) + reward.log_priors(own, trees),
        reward.branch_prior,
    )
    policy = make_policy(environment, 1, "cpu", lengths=ValueSpec(shape, FEATURES))
    back = make_backward_policy(environment, 2, "cpu") if learned else None
    trainer = make_trainer(environment, policy, log_z, rng, None, backward_policy=back)
    curriculum = LengthsCurriculum(environment, table, reward, 5)
    for step in range(STEPS):
        if step % REFRESHED == 0:
            curriculum.refresh(None)
        if step == 0:
            curriculum.set_rates()
        curriculum.teach(trainer, step % OWN_DRAWS == 0)

    sampler = trainer.averaged.policy
    drawn = draw_trees(environment, sampler, reward, table, N_DRAWS, np.random.default_rng(7), back)
    found = estimate_trees(drawn, len(table))
    assert found.log_z == pytest.approx(log_z, abs=4 * found.standard_error + 0.005)
    assert found.standard_error < 0.02 and found.pareto_k < 0.7
    assert found.ess > (0.75 if shape == "lognormal" else 0.6) * N_DRAWS
    assert found.known_share == pytest.approx(1.0)
    # topologies: by weight, and as they are drawn
    w = drawn.weighted().probabilities
    order = table.find(every)
    assert total_variation(np.bincount(drawn.rows, w, minlength=15)[order], p) < 0.03
    assert total_variation(np.bincount(drawn.rows, minlength=15)[order] / N_DRAWS, p) < 0.06
    # lengths: mean and mean square of the length of the tree
    length = drawn.lengths.sum(axis=1)
    for values, expected in ((length, exact_mean), (length**2, exact_square)):
        mean = float(w @ values)
        error = math.sqrt(float((w**2) @ (values - mean) ** 2))
        assert mean == pytest.approx(expected, abs=4 * error + 0.002)
    known = curriculum.known(200, np.random.default_rng(8))
    kl, _ = divergence(environment, sampler, known, found.log_z, np.random.default_rng(9), back)
    assert -0.1 < kl < 0.25
