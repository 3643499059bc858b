"""Forward-looking balance against plain loops, and the exact distribution that it reaches."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false

from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.exploration import sample_trajectories
from gfncore.objectives.base import make_objective
from gfncore.objectives.forward_looking import ForwardLooking
from gfncore.policies import Backbone, Policy
from gfncore.tempering import TemperatureRange, TemperedEnvironment
from gfncore.training.checkpoint import read_checkpoint, restore_trainer, save_checkpoint
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories, StateFlows
from gfncore.trajectories.scoring import score_backward, score_forward, score_forward_and_flow


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def grid_with(hypergrid):
    """Return a function that makes a 4 x 4 grid with energies: none, "zero" or "known".

    A known energy is that of the cell, which is the object if the walk stops there.
    """

    class Energetic(hypergrid.Hypergrid):
        def __init__(self, kind):
            super().__init__(4, floor=0.05)
            self.kind = kind

        def energy(self, states):
            cell = -self.log_reward(states)
            return {"none": None, "zero": 0.0 * cell, "known": cell}[self.kind]

    return Energetic


def make(grid, conditioning="none", seed=0, hidden=32, flow=True, random=False):
    torch.manual_seed(seed)
    backbone = Backbone(grid.features, relations=2, hidden=hidden)
    policy = Policy(backbone, flow=flow, conditioning=conditioning)
    if random:
        torch.nn.init.normal_(policy.heads[0].last.weight)
        if policy.flow is not None:
            torch.nn.init.normal_(policy.flow.last.weight)
    return policy


def scored(grid, policy, n=30):
    drawn = sample_trajectories(grid, policy, n, np.random.default_rng(0), epsilon=0.3)
    log_pf, flow = score_forward_and_flow(grid, policy, drawn)
    log_reward = torch.from_numpy(grid.log_reward(drawn.terminals))
    batch = ScoredTrajectories(log_pf, score_backward(grid, None, drawn), log_reward, flow=flow)
    return drawn, batch


def test_flows_and_energies_are_those_of_the_states(grid_with, monkeypatch):
    grid = grid_with("known")
    policy = make(grid, random=True)
    monkeypatch.setattr("gfncore.trajectories.scoring.CHUNK_NODES", 12)  # several chunks
    drawn, batch = scored(grid, policy)
    torch.testing.assert_close(batch.log_pf, score_forward(grid, policy, drawn))
    for i in range(len(drawn)):
        for t in range(drawn.state_index.shape[1]):
            row = drawn.state_index[i, t]
            if row < 0:
                assert batch.flow.log_flow[i, t] == 0 and batch.flow.energy[i, t] == 0
                continue
            state = drawn.states.take(np.array([row]))
            expected = policy(grid.graph(state)).log_flow.double()
            torch.testing.assert_close(
                batch.flow.log_flow[i, t, None], expected, rtol=1e-5, atol=1e-5
            )
            assert float(batch.flow.energy[i, t]) == grid.energy(state)[0]
    assert batch.flow.lengths.tolist() == drawn.lengths.tolist()


def plain_loss(batch, log_z, energies):
    """The formula of the module docstring, step by step."""
    terms = []
    for i, length in enumerate(batch.flow.lengths.tolist()):
        log_flow = log_z + batch.flow.log_flow[i]
        if energies:
            log_flow = log_flow - batch.flow.energy[i]
        for t in range(length):
            after = batch.log_reward[i] if t == length - 1 else log_flow[t + 1]
            terms.append((log_flow[t] + batch.log_pf[i, t] - after - batch.log_pb[i, t]) ** 2)
    return torch.stack(terms).mean()


@pytest.mark.parametrize("kind", ["known", "zero"])
def test_loss_and_gradient_are_those_of_the_formula(grid_with, kind):
    """With energies of zero it is detailed balance."""
    grid = grid_with(kind)
    policy = make(grid, random=True)
    objective = ForwardLooking(1.5)
    weights = [*policy.parameters(), objective.log_z]

    def gradient(loss):  # of a batch that was scored for it: what is kept of chunks is used once
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [torch.zeros(()) if g is None else g for g in found]

    _, batch = scored(grid, policy)
    expected = plain_loss(batch, objective.log_z, energies=kind == "known")
    plain = gradient(expected)
    for copies in (1, 2):
        _, batch = scored(grid, policy)
        loss = objective(ScoredTrajectories.concat([batch] * copies))
        torch.testing.assert_close(loss, expected)
        for a, b in zip(gradient(loss), plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    start = 1.5 + batch.flow.log_flow[0, 0] - batch.flow.energy[0, 0]
    assert objective.log_partition(batch) == pytest.approx(float(start.detach()))


def test_batches_of_other_lengths_are_put_together(grid_with):
    grid = grid_with("known")
    policy = make(grid, random=True)
    _, batch = scored(grid, policy, 12)
    short = ScoredTrajectories(
        batch.log_pf[:, :1],
        batch.log_pb[:, :1],
        batch.log_reward,
        flow=StateFlows(
            batch.flow.log_flow[:, :1], batch.flow.energy[:, :1], torch.ones(12, dtype=torch.int64)
        ),
    )
    objective = ForwardLooking()
    both = objective(ScoredTrajectories.concat([short, batch]))
    steps = int(batch.flow.lengths.sum())
    expected = (12 * objective(short) + steps * objective(batch)) / (12 + steps)
    torch.testing.assert_close(both, expected)


def test_exact_flows_have_no_loss(grid_with):
    """A policy of exact flows, made by hand from a uniform policy and its own distribution."""
    log_pf = torch.log(torch.tensor([[0.25, 0.5]], dtype=torch.float64))
    log_pb = torch.log(torch.tensor([[0.5, 1.0]], dtype=torch.float64))
    energy = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    log_flow = torch.tensor([[2.0, 2.0]], dtype=torch.float64) + log_pf.cumsum(1) - log_pf
    log_flow = log_flow - (log_pb.cumsum(1) - log_pb)  # F(s) P_F = F(s') P_B
    log_reward = 2.0 + log_pf.sum(1) - log_pb.sum(1)
    flow = StateFlows(log_flow + energy, energy, torch.tensor([2]))
    batch = ScoredTrajectories(log_pf, log_pb, log_reward, flow=flow)
    assert float(ForwardLooking()(batch).detach()) == pytest.approx(0.0, abs=1e-20)
    assert float(ForwardLooking(0.1)(batch).detach()) == pytest.approx(0.01 / 2)  # the last step


def trainer_of(environment, policy, steps, seed=1, **more):
    settings = TrainingSettings(
        steps, on_policy=64, epsilon=0.1, learning_rate=1e-2, schedule="cosine"
    )
    objective = make_objective("forward_looking", conditional=environment.is_conditioned)
    return Trainer(environment, policy, objective, settings, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("kind", ["known", "zero"])
def test_exact_distribution_is_reached(grid_with, kind):
    grid = grid_with(kind)
    trainer = trainer_of(grid, make(grid), 200)
    seen = []
    trainer.run(seen.append)
    exact = exact_distribution(grid, trainer.policy)
    log_reward = grid.log_reward(exact.terminals)
    log_z = np.logaddexp.reduce(log_reward)
    assert total_variation(exact.probability, np.exp(log_reward - log_z)) < 0.04
    assert seen[-1]["log_z"] == pytest.approx(log_z, abs=0.1)


def test_every_temperature_has_its_own_flow(grid_with):
    grid = grid_with("known")
    environment = TemperedEnvironment(grid, 1.0)
    trainer = trainer_of(
        environment, make(grid, "both"), 350, temperatures=TemperatureRange(0.5, 2.0).draw
    )
    seen = []
    trainer.run(seen.append)
    assert seen[-1]["log_z"] is None
    for beta in (0.5, 1.0, 2.0):
        at = environment.at(beta)
        exact = exact_distribution(at, trainer.policy)
        log_reward = at.log_reward(exact.terminals)
        p = np.exp(log_reward - np.logaddexp.reduce(log_reward))
        assert total_variation(exact.probability, p) < 0.06


def test_resumed_run_is_the_uninterrupted_one(grid_with, tmp_path):
    grid = grid_with("known")
    whole, part, resumed = (trainer_of(grid, make(grid, seed=s, hidden=8), 6, s) for s in (0, 0, 3))
    whole.run()
    part.run(lambda metrics: metrics["step"] == 2)
    save_checkpoint(tmp_path, part)
    restore_trainer(read_checkpoint(tmp_path), resumed)
    resumed.run()
    for key, value in whole.policy.state_dict().items():
        assert torch.equal(value, resumed.policy.state_dict()[key]), key
    assert torch.equal(whole.objective.log_z, resumed.objective.log_z)


def test_what_is_missing_is_said(grid_with):
    grid = grid_with("known")
    with pytest.raises(ValueError, match="flow=True"):
        trainer_of(grid, make(grid, flow=False), 1)
    with pytest.raises(ValueError, match="environment has none"):
        trainer_of(grid_with("none"), make(grid), 1)
    drawn, batch = scored(grid, make(grid), 5)
    with pytest.raises(ValueError, match="environment has none"):
        score_forward_and_flow(grid_with("none"), make(grid), drawn)
    with pytest.raises(ValueError, match="without flow=True"):
        score_forward_and_flow(grid, make(grid, flow=False), drawn)
    valued = replace(drawn, values=np.zeros((*drawn.state_index.shape, 2)))
    with pytest.raises(TypeError, match="these carry values"):
        score_forward_and_flow(grid, make(grid), valued)
    bare = ScoredTrajectories(batch.log_pf, batch.log_pb, batch.log_reward)
    with pytest.raises(ValueError, match="without state flows"):
        ForwardLooking()(bare)
