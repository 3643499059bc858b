"""Flow matching against plain loops over parents, and the distribution that it reaches."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.exploration import sample_trajectories
from gfncore.objectives.base import make_objective
from gfncore.objectives.flow_matching import FlowMatching
from gfncore.policies import Backbone, Policy
from gfncore.tempering import TemperedEnvironment
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories
from gfncore.trajectories.inflows import score_inflow
from gfncore.trajectories.scoring import score_backward, score_forward_and_flow


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(grid, seed=0, random=False, conditioning="none"):
    torch.manual_seed(seed)
    backbone = Backbone(grid.features, relations=2, hidden=32, rounds=3)
    policy = Policy(backbone, flow=True, conditioning=conditioning)
    if random:
        torch.nn.init.normal_(policy.heads[0].last.weight)
        torch.nn.init.normal_(policy.flow.last.weight)
    return policy


def scored(grid, policy, n=20):
    drawn = sample_trajectories(grid, policy, n, np.random.default_rng(0), epsilon=0.3)
    log_pf, flow = score_forward_and_flow(grid, policy, drawn, energies=False)
    log_reward = torch.from_numpy(grid.log_reward(drawn.terminals))
    log_pb = score_backward(grid, None, drawn)
    inflow = score_inflow(grid, policy, drawn, log_pf, flow)
    return drawn, ScoredTrajectories(log_pf, log_pb, log_reward, flow=flow, log_inflow=inflow)


def inflow_of(grid, policy, state):
    """log of the sum over distinct parents and their classes of actions that lead to a state."""
    key = grid.keys(state)[0].tolist()
    back = grid.backward_actions(state)
    one = back.first_of_class
    parents = grid.backstep(state.take(back.state[one]), back.action[one]).states
    terms, seen = [], set()
    for i in range(len(parents)):
        parent = parents.take(np.array([i]))
        name = tuple(grid.keys(parent)[0].tolist())
        if name in seen:
            continue
        seen.add(name)
        actions = grid.forward_actions(parent)
        out = policy(grid.graph(parent))
        log_p = torch.log_softmax(out.logits.double(), 0)
        for a in range(len(actions)):
            child = grid.step(parent, actions.action[a : a + 1]).states
            if grid.keys(child)[0].tolist() == key:
                terms.append(out.log_flow.double()[0] + log_p[a])
    return torch.logsumexp(torch.stack(terms), 0)


@pytest.mark.parametrize("kind", ["Hypergrid", "SymmetricHypergrid"])
def test_loss_and_gradient_are_those_of_the_formula(hypergrid, kind):
    grid = getattr(hypergrid, kind)(4, floor=0.05)
    policy = make(grid, random=True)
    objective = FlowMatching(0.7)
    drawn, batch = scored(grid, policy)
    terms = []
    for i in range(len(drawn)):
        n = drawn.lengths[i]
        for t in range(n):
            if t == n - 1:
                state, out = drawn.terminals.take(np.array([i])), batch.log_reward[i]
            else:
                state = drawn.states.take(drawn.state_index[i, t + 1 : t + 2])
                out = objective.log_z + policy(grid.graph(state)).log_flow.double()[0]
            terms.append((objective.log_z + inflow_of(grid, policy, state) - out) ** 2)
    expected = torch.stack(terms).mean()
    weights = [*policy.parameters(), objective.log_z]

    def gradient(loss):
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [torch.zeros(()) if g is None else g for g in found]

    plain = gradient(expected)
    for copies in (1, 2):
        _, batch = scored(grid, policy)
        loss = objective(ScoredTrajectories.concat([batch] * copies))
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
        for a, b in zip(gradient(loss), plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    scale = torch.full((20,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(objective(replace(batch, scale=scale)), objective(batch) / 4.0)


def test_where_every_state_has_one_parent_it_is_detailed_balance(hypergrid):
    grid = hypergrid.Hypergrid(5, dimensions=1)
    policy = make(grid, random=True)
    drawn, batch = scored(grid, policy)
    balance = make_objective("detailed_balance", 0.3)(batch)
    torch.testing.assert_close(FlowMatching(0.3)(batch), balance)
    alone = replace(drawn, backward=None)
    inflow = score_inflow(grid, policy, alone, batch.log_pf, batch.flow)
    torch.testing.assert_close(inflow, batch.log_inflow, rtol=1e-5, atol=1e-5)


def trainer_of(environment, policy, steps):
    settings = TrainingSettings(
        steps,
        epsilon=0.1,
        optimiser="muon",
        learning_rate=1e-2,
        schedule="cosine",
        clip_norm=10.0,
    )
    objective = make_objective("flow_matching", conditional=environment.is_conditioned)
    return Trainer(environment, policy, objective, settings, np.random.default_rng(1))


@pytest.mark.parametrize("kind", ["Hypergrid", "SymmetricHypergrid"])
def test_exact_distribution_is_reached(hypergrid, kind):
    grid = getattr(hypergrid, kind)(4, floor=0.05)
    trainer = trainer_of(grid, make(grid), 100)
    trainer.run()
    exact = exact_distribution(grid, trainer.policy)
    log_reward = grid.log_reward(exact.terminals)
    log_z = np.logaddexp.reduce(log_reward)
    assert total_variation(exact.probability, np.exp(log_reward - log_z)) < 0.02
    assert trainer.learned_log_partition() == pytest.approx(log_z, abs=0.05)


def test_temperatures_enter_by_the_policy(hypergrid):
    grid = hypergrid.Hypergrid(3, floor=0.05)
    environment = TemperedEnvironment(grid, [0.5, 2.0])
    trainer = trainer_of(environment, make(grid, conditioning="both"), 100)
    trainer.run()
    assert trainer.learned_log_partition() is None
    for beta in (0.5, 2.0):
        at = environment.at(beta)
        exact = exact_distribution(at, trainer.policy)
        log_reward = at.log_reward(exact.terminals)
        p = np.exp(log_reward - np.logaddexp.reduce(log_reward))
        assert total_variation(exact.probability, p) < 0.04


def test_what_is_missing_is_said(hypergrid):
    grid = hypergrid.Hypergrid(3)
    _, batch = scored(grid, make(grid), 4)
    with pytest.raises(ValueError, match="without flows into its states"):
        FlowMatching()(replace(batch, log_inflow=None))
    with pytest.raises(ValueError, match="without state flows"):
        FlowMatching()(replace(batch, flow=None))
