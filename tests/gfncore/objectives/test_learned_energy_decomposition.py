"""Learned energy decomposition: its formula, and how near its target is to the reward."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.exploration import sample_trajectories
from gfncore.objectives.base import make_objective
from gfncore.objectives.learned_energy_decomposition import LearnedEnergyDecomposition
from gfncore.policies import Backbone, Policy
from gfncore.training.checkpoint import read_checkpoint, restore_trainer, save_checkpoint
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories
from gfncore.trajectories.scoring import (
    score_backward,
    score_forward_and_flow,
    score_step_energies,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(grid, seed=0, random=False, flow=True, hidden=32):
    torch.manual_seed(seed)
    policy = Policy(Backbone(grid.features, relations=2, hidden=hidden, rounds=3), flow=flow)
    if random:
        torch.nn.init.normal_(policy.heads[0].last.weight)
        if policy.flow is not None:
            torch.nn.init.normal_(policy.flow.last.weight)
    return policy


def scored(grid, policy, energies, n=20):
    drawn = sample_trajectories(grid, policy, n, np.random.default_rng(0), epsilon=0.3)
    log_pf, flow = score_forward_and_flow(grid, policy, drawn, energies=False)
    log_reward = torch.from_numpy(grid.log_reward(drawn.terminals))
    energy = score_step_energies(grid, energies, drawn)
    return drawn, ScoredTrajectories(
        log_pf, score_backward(grid, None, drawn), log_reward, flow=flow, step_energy=energy
    )


def test_energies_are_logits_of_the_actions_taken(hypergrid):
    grid = hypergrid.Hypergrid(4)
    policy, energies = make(grid, random=True), make(grid, 1, True, flow=False)
    drawn, batch = scored(grid, policy, energies)
    for i in range(len(drawn)):
        for t in range(drawn.state_index.shape[1]):
            row = drawn.state_index[i, t]
            if row < 0:
                assert batch.step_energy[i, t] == 0
                continue
            logits = energies(grid.graph(drawn.states.take(np.array([row])))).logits
            place = drawn.class_index[i, t] - np.flatnonzero(drawn.actions.state == row)[0]
            assert float(batch.step_energy[i, t].detach()) == pytest.approx(
                float(logits[place].detach()), abs=1e-5
            )


def test_loss_and_gradient_are_those_of_the_formula(hypergrid):
    grid = hypergrid.Hypergrid(4)
    policy, energies = make(grid, random=True), make(grid, 1, True, flow=False)
    objective = LearnedEnergyDecomposition(0.4, kept=0.8)
    weights = [*policy.parameters(), *energies.parameters(), objective.log_z]

    def gradient(loss):
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [torch.zeros(()) if g is None else g for g in found]

    drawn, batch = scored(grid, policy, energies)
    balance, decomposition = [], []
    for i in range(len(drawn)):
        n = int(drawn.lengths[i])
        phi = batch.step_energy[i, :n]
        flows = [*(objective.log_z + batch.flow.log_flow[i, :n]), torch.zeros(()).double()]
        for t in range(n):
            d = flows[t] + batch.log_pf[i, t] + phi[t].detach() - flows[t + 1] - batch.log_pb[i, t]
            balance.append(d**2)
        variance = phi.var(correction=0) if n > 1 else torch.zeros(()).double()
        missed = (-batch.log_reward[i] / n - phi.mean()) ** 2
        decomposition.append(missed + 0.2 / (0.8 * n) * variance)
    expected = torch.stack(balance).mean() + torch.stack(decomposition).mean()
    plain = gradient(expected)
    for copies in (1, 2):
        _, batch = scored(grid, policy, energies)
        loss = objective(ScoredTrajectories.concat([batch] * copies))
        torch.testing.assert_close(loss, expected)
        for a, b in zip(gradient(loss), plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_dropped_steps_have_this_expectation():
    """For steps kept with a probability near one, averaged over which are kept."""
    g = torch.Generator().manual_seed(1)
    n, kept = 12, 0.95
    phi = torch.randn(n, generator=g, dtype=torch.float64)
    z = (torch.rand(200_000, n, generator=g, dtype=torch.float64) < kept).double()
    mean = (z * phi).sum(1) / z.sum(1)
    drawn = float((mean - 0.3).square().mean())
    spread = (1 - kept) / (kept * n) * float(phi.var(correction=0))
    assert drawn == pytest.approx((float(phi.mean()) - 0.3) ** 2 + spread, rel=0.03)


def trainer_of(grid, steps, seed=1, kept=1.0, hidden=64):
    settings = TrainingSettings(
        steps,
        epsilon=0.1,
        optimiser="muon",
        learning_rate=1e-2,
        schedule="cosine",
        clip_norm=10.0,
    )
    return Trainer(
        grid,
        make(grid, seed, hidden=hidden),
        LearnedEnergyDecomposition(kept=kept),
        settings,
        np.random.default_rng(seed),
        step_energies=make(grid, seed + 1, flow=False, hidden=hidden),
    )


def test_the_target_is_near_the_reward(hypergrid):
    grid = hypergrid.Hypergrid(4, floor=0.05)
    trainer = trainer_of(grid, 150)
    trainer.run()
    exact = exact_distribution(grid, trainer.policy)
    log_reward = grid.log_reward(exact.terminals)
    log_z = np.logaddexp.reduce(log_reward)
    distance = total_variation(exact.probability, np.exp(log_reward - log_z))
    print(f"total variation {distance:.4f}")
    assert distance < 0.05
    assert trainer.learned_log_partition() == pytest.approx(log_z, abs=0.1)


def test_resumed_run_is_the_uninterrupted_one(hypergrid, tmp_path):
    grid = hypergrid.Hypergrid(4)
    whole, part, resumed = (trainer_of(grid, 6, s, 0.9, 8) for s in (0, 0, 3))
    whole.run()
    part.run(lambda metrics: metrics["step"] == 2)
    save_checkpoint(tmp_path, part)
    restore_trainer(read_checkpoint(tmp_path), resumed)
    resumed.run()
    for one, other in (
        (whole.policy, resumed.policy),
        (whole.step_energies, resumed.step_energies),
        (whole.objective, resumed.objective),
    ):
        for key, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key


def test_what_is_missing_is_said(hypergrid):
    grid = hypergrid.Hypergrid(3)
    settings, rng = TrainingSettings(1, on_policy=4), np.random.default_rng(1)
    objective = make_objective("learned_energy_decomposition")
    with pytest.raises(ValueError, match="give step_energies"):
        Trainer(grid, make(grid), objective, settings, rng)
    balance = make_objective("trajectory_balance")
    with pytest.raises(ValueError, match="TrajectoryBalance reads none"):
        Trainer(grid, make(grid), balance, settings, rng, step_energies=make(grid))
    _, batch = scored(grid, make(grid), make(grid), 4)
    with pytest.raises(ValueError, match="without step energies"):
        objective(replace(batch, step_energy=None))
    for kept in (0.0, 1.1):
        with pytest.raises(ValueError, match="share of steps"):
            LearnedEnergyDecomposition(kept=kept)
