"""Relative trajectory balance: its formula, and the distribution that it fine-tunes to."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.objectives.base import make_objective
from gfncore.objectives.relative_trajectory_balance import RelativeTrajectoryBalance
from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.policies import Backbone, Policy
from gfncore.tempering import TemperatureRange, TemperedEnvironment
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch(n=7, steps=4):
    g = torch.Generator().manual_seed(0)
    log_pf, log_pb = torch.randn(2, n, steps, generator=g, dtype=torch.float64)
    log_reward, log_prior = torch.randn(2, n, generator=g, dtype=torch.float64)
    return ScoredTrajectories(log_pf.requires_grad_(), log_pb, log_reward, log_prior=log_prior)


def test_loss_is_trajectory_balance_with_the_prior_instead_of_the_backward_policy():
    b = batch()
    expected = [(0.3 + b.log_pf[i].sum() - b.log_prior[i] - b.log_reward[i]) ** 2 for i in range(7)]
    loss = RelativeTrajectoryBalance(0.3)(b)
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    other = torch.zeros_like(b.log_pb)
    other[:, 0] = b.log_prior
    balance = TrajectoryBalance(0.3)(replace(b, log_pb=other))
    torch.testing.assert_close(loss, balance)
    for found, known in zip(
        torch.autograd.grad(loss, b.log_pf), torch.autograd.grad(balance, b.log_pf), strict=True
    ):
        torch.testing.assert_close(found, known)
    scale = torch.full((7,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(RelativeTrajectoryBalance(0.3)(replace(b, scale=scale)), loss / 4.0)
    joined = ScoredTrajectories.concat([b, b])
    torch.testing.assert_close(RelativeTrajectoryBalance(0.3)(joined), loss)


def prior_of(grid, conditioning="none"):
    """A policy that is neither uniform nor near the reward."""
    torch.manual_seed(5)
    policy = Policy(Backbone(grid.features, relations=2, hidden=32), conditioning=conditioning)
    torch.nn.init.normal_(policy.heads[0].last.weight, std=0.5)
    return policy


def trained(environment, prior, steps, conditional=False, **more):
    settings = TrainingSettings(
        steps, on_policy=64, epsilon=0.1, learning_rate=1e-2, schedule="cosine"
    )
    objective = make_objective("relative_trajectory_balance", conditional=conditional)
    policy = copy.deepcopy(prior)
    before = copy.deepcopy(prior.state_dict())
    rng = np.random.default_rng(1)
    trainer = Trainer(environment, policy, objective, settings, rng, prior=prior, **more)
    trainer.run()
    assert all(torch.equal(value, before[key]) for key, value in prior.state_dict().items())
    return trainer


def test_the_prior_is_tilted_by_the_reward(hypergrid):
    grid = hypergrid.Hypergrid(4, floor=0.05)
    prior = prior_of(grid)
    trainer = trained(grid, prior, 200)
    exact, before = (exact_distribution(grid, one) for one in (trainer.policy, prior))
    tilted = before.probability * np.exp(grid.log_reward(before.terminals))
    target = tilted / tilted.sum()
    assert total_variation(exact.probability, target) < 0.04
    assert total_variation(before.probability, target) > 0.2  # there was something to learn
    reward = np.exp(grid.log_reward(before.terminals))
    assert total_variation(exact.probability, reward / reward.sum()) > 0.2
    assert trainer.learned_log_partition() == pytest.approx(np.log(tilted.sum()), abs=0.05)


def test_each_temperature_tilts_the_prior(hypergrid):
    grid = hypergrid.Hypergrid(4, floor=0.05)
    environment = TemperedEnvironment(grid, 1.0)
    prior = prior_of(grid, "both")
    temperatures = TemperatureRange(0.5, 2.0).draw
    trainer = trained(environment, prior, 250, conditional=True, temperatures=temperatures)
    for beta in (0.5, 1.0, 2.0):
        at = environment.at(beta)
        exact, before = (exact_distribution(at, one) for one in (trainer.policy, prior))
        tilted = before.probability * np.exp(at.log_reward(before.terminals))
        assert total_variation(exact.probability, tilted / tilted.sum()) < 0.06


def test_what_is_missing_is_said(hypergrid):
    grid = hypergrid.Hypergrid(3)
    settings, rng = TrainingSettings(1, on_policy=4), np.random.default_rng(1)
    policy = prior_of(grid)
    relative = make_objective("relative_trajectory_balance")
    with pytest.raises(ValueError, match="needs a prior policy: give prior"):
        Trainer(grid, policy, relative, settings, rng)
    with pytest.raises(ValueError, match="TrajectoryBalance reads none"):
        Trainer(grid, policy, TrajectoryBalance(), settings, rng, prior=policy)
    with pytest.raises(ValueError, match="without a prior"):
        relative(replace(batch(), log_prior=None))
    for conditional, words in ((True, "no temperatures"), (False, "have temperatures")):
        objective = make_objective("relative_trajectory_balance", conditional=conditional)
        condition = None if conditional else torch.zeros(7, dtype=torch.float64)
        with pytest.raises(ValueError, match=words):
            objective(replace(batch(), condition=condition))
