"""Objectives with state flows against plain loops, in training, and in resumed runs."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportOptionalMemberAccess=false

from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.exploration import sample_trajectories
from gfncore.objectives.base import make_objective
from gfncore.objectives.shapes import shape
from gfncore.objectives.sub_trajectory_balance import SubTrajectoryBalance
from gfncore.policies import Backbone, Policy
from gfncore.tempering import TemperatureRange, TemperedEnvironment
from gfncore.training.checkpoint import read_checkpoint, restore_trainer, save_checkpoint
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories, StateFlows
from gfncore.trajectories.scoring import score_backward, score_forward_and_flow

NAMES = ("detailed_balance", "sub_trajectory_balance")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def grid(hypergrid):
    return hypergrid.Hypergrid(4, floor=0.05)


def make(grid, conditioning="none", seed=0, hidden=32, flow=True, random=False):
    torch.manual_seed(seed)
    backbone = Backbone(grid.features, relations=2, hidden=hidden)
    policy = Policy(backbone, flow=flow, conditioning=conditioning)
    if random:
        torch.nn.init.normal_(policy.heads[0].last.weight)
        torch.nn.init.normal_(policy.flow.last.weight)
    return policy


def scored(grid, policy, n=30):
    drawn = sample_trajectories(grid, policy, n, np.random.default_rng(0), epsilon=0.3)
    log_pf, flow = score_forward_and_flow(grid, policy, drawn, energies=False)
    log_reward = torch.from_numpy(grid.log_reward(drawn.terminals))
    return ScoredTrajectories(log_pf, score_backward(grid, None, drawn), log_reward, flow=flow)


def plain_loss(name, batch, log_z, f=torch.square, decay=0.9):
    """The formulas of the modules' docstrings, pair by pair."""
    losses, weights = [], []
    for i, n in enumerate(batch.flow.lengths.tolist()):
        log_flow = [*(log_z + batch.flow.log_flow[i, :n]), batch.log_reward[i]]
        own = []
        for j in range(n):
            for k in range(j + 1, n + 1):
                if name == "detailed_balance" and k > j + 1:
                    continue
                steps = (batch.log_pf - batch.log_pb)[i, j:k].sum()
                residual = log_flow[j] + steps - log_flow[k]
                if batch.scale is not None:
                    residual = residual / batch.scale[i]
                losses.append(f(residual))
                own.append(1.0 if name == "detailed_balance" else decay ** (k - j))
        total = 1.0 if name == "detailed_balance" else sum(own)
        weights += [weight / total for weight in own]
    weights = torch.tensor(weights, dtype=torch.float64)
    return (weights * torch.stack(losses)).sum() / (
        len(losses) if name == "detailed_balance" else len(batch.log_reward)
    )


@pytest.mark.parametrize("kind", ["square", "pseudo_huber"])
@pytest.mark.parametrize("scales", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_those_of_the_formula(grid, name, scales, kind):
    policy = make(grid, random=True)
    objective = make_objective(name, 1.5, kind)
    weights = [*policy.parameters(), objective.log_z]

    def batch():  # what is kept of chunks is used once
        found = scored(grid, policy)
        scale = torch.linspace(1.0, 3.0, 30, dtype=torch.float64) if scales else None
        return replace(found, scale=scale)

    def gradient(loss):
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [torch.zeros(()) if g is None else g for g in found]

    expected = plain_loss(name, batch(), objective.log_z, shape(kind))
    plain = gradient(expected)
    for copies in (1, 2):
        loss = objective(ScoredTrajectories.concat([batch()] * copies))
        torch.testing.assert_close(loss, expected)
        for a, b in zip(gradient(loss), plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert objective.log_partition(batch()) == pytest.approx(
        1.5 + float(batch().flow.log_flow[0, 0].detach())
    )


def test_lambda_weighs_parts_between_steps_and_whole_trajectories(grid):
    batch = scored(grid, make(grid, random=True))
    whole = batch.flow.log_flow[:, 0] + (batch.log_pf - batch.log_pb).sum(1) - batch.log_reward
    large = SubTrajectoryBalance(decay=1e200)(batch)
    torch.testing.assert_close(large, whole.square().mean())
    steps = [
        plain_loss("detailed_balance", rows(batch, i), torch.zeros(()).double()) for i in range(30)
    ]
    small = SubTrajectoryBalance(decay=1e-200)(batch)
    torch.testing.assert_close(small, torch.stack(steps).mean())
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="lambda is"):
            SubTrajectoryBalance(decay=wrong)


@pytest.mark.parametrize("name", [*NAMES, "forward_looking", "learned_energy_decomposition"])
def test_log_flow_of_the_start_is_a_curve_of_temperatures(grid, name):
    environment = TemperedEnvironment(grid, [0.5, 2.0])
    batch = scored(environment, make(grid, "both"), 4)
    condition = torch.log(torch.tensor([0.5, 2.0, 0.5, 2.0]).double())
    objective = make_objective(name, 1.5, conditional=True)
    with torch.no_grad():
        objective.curve.slope.fill_(3.0)
    start = 1.5 + 3.0 * torch.tensor([-0.5, 1.0, -0.5, 1.0]).double()
    torch.testing.assert_close(
        objective.log_start(replace(batch, condition=condition)), start[:, None]
    )
    for wrong in (objective, make_objective(name)):
        given = None if wrong.curve is not None else condition
        with pytest.raises(ValueError, match="temperatures, but .* was made with conditional="):
            wrong.log_flow(replace(batch, condition=given))


def rows(batch, i):
    flow = replace(
        batch.flow, log_flow=batch.flow.log_flow[i : i + 1], lengths=batch.flow.lengths[i : i + 1]
    )
    return ScoredTrajectories(
        batch.log_pf[i : i + 1], batch.log_pb[i : i + 1], batch.log_reward[i : i + 1], flow=flow
    )


@pytest.mark.parametrize("name", NAMES)
def test_exact_flows_have_no_loss(name):
    """F(s) P_F = F(s') P_B on every step, made by hand from the steps' probabilities."""
    log_pf = torch.log(torch.tensor([[0.25, 0.5], [0.5, 1.0]], dtype=torch.float64))
    log_pb = torch.log(torch.tensor([[0.5, 1.0], [1.0, 1.0]], dtype=torch.float64))
    change = log_pf - log_pb
    flow = StateFlows(2.0 + change.cumsum(1) - change, None, torch.tensor([2, 1]))
    batch = ScoredTrajectories(log_pf, log_pb, 2.0 + change.sum(1), flow=flow)
    loss = make_objective(name)(batch)
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-20)
    assert float(make_objective(name, 0.1)(batch).detach()) > 1e-3


def trainer_of(environment, policy, name, steps, seed=1, **more):
    settings = TrainingSettings(
        steps, on_policy=64, epsilon=0.1, learning_rate=1e-2, schedule="cosine"
    )
    objective = make_objective(name, conditional=environment.is_conditioned)
    return Trainer(environment, policy, objective, settings, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("name", NAMES)
def test_exact_distribution_is_reached(grid, name):
    trainer = trainer_of(grid, make(grid), name, 200)
    trainer.run()
    exact = exact_distribution(grid, trainer.policy)
    log_reward = grid.log_reward(exact.terminals)
    log_z = np.logaddexp.reduce(log_reward)
    assert total_variation(exact.probability, np.exp(log_reward - log_z)) < 0.04
    assert trainer.learned_log_partition() == pytest.approx(log_z, abs=0.1)


def test_every_temperature_has_its_own_flow(grid):
    environment = TemperedEnvironment(grid, 1.0)
    trainer = trainer_of(
        environment,
        make(grid, "both"),
        "sub_trajectory_balance",
        250,
        temperatures=TemperatureRange(0.5, 2.0).draw,
    )
    trainer.run()
    assert trainer.learned_log_partition() is None
    for beta in (0.5, 1.0, 2.0):
        at = environment.at(beta)
        exact = exact_distribution(at, trainer.policy)
        log_reward = at.log_reward(exact.terminals)
        p = np.exp(log_reward - np.logaddexp.reduce(log_reward))
        assert total_variation(exact.probability, p) < 0.06


@pytest.mark.parametrize("name", NAMES)
def test_resumed_run_is_the_uninterrupted_one(grid, name, tmp_path):
    whole, part, resumed = (
        trainer_of(grid, make(grid, seed=s, hidden=8), name, 6, s) for s in (0, 0, 3)
    )
    whole.run()
    part.run(lambda metrics: metrics["step"] == 2)
    save_checkpoint(tmp_path, part)
    restore_trainer(read_checkpoint(tmp_path), resumed)
    resumed.run()
    for key, value in whole.policy.state_dict().items():
        assert torch.equal(value, resumed.policy.state_dict()[key]), key
    assert torch.equal(whole.objective.log_z, resumed.objective.log_z)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_said(grid, name):
    with pytest.raises(ValueError, match="flow=True"):
        trainer_of(grid, make(grid, flow=False), name, 1)
    bare = replace(scored(grid, make(grid), 5), flow=None)
    with pytest.raises(ValueError, match="without state flows"):
        make_objective(name)(bare)
