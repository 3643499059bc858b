"""The order-preserving objectives against plain loops, and that they teach the order."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from gfncore.evaluation import exact_distribution, front_numbers, non_dominated
from gfncore.exploration import backward_trajectories
from gfncore.objectives.base import make_objective
from gfncore.objectives.order_preserving import OrderPreserving
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories
from gfncore.trajectories.scoring import score_backward, score_forward


def batch(merits, seed=0, steps=3):
    merits = np.asarray(merits, np.float64)
    g = torch.Generator().manual_seed(seed)
    log_pf, log_pb = torch.randn(2, len(merits), steps, generator=g, dtype=torch.float64)
    return ScoredTrajectories(
        log_pf.requires_grad_(), log_pb, torch.zeros(len(merits)), torch.from_numpy(merits)
    )


def learned(b):
    return (b.log_pf - b.log_pb).sum(1).detach().tolist()


def plain_pairwise(r, u):
    """The paper's equations 2 to 4, pair by pair."""
    losses = []
    for i in range(len(u)):
        for j in range(i + 1, len(u)):
            total = math.exp(r[i]) + math.exp(r[j])
            p, q = math.exp(r[i]) / total, math.exp(r[j]) / total
            target = {1: (1.0, 0.0), 0: (0.5, 0.5), -1: (0.0, 1.0)}[(u[i] > u[j]) - (u[i] < u[j])]
            losses.append(-target[0] * math.log(p) - target[1] * math.log(q))
    return sum(losses) / len(losses)


def plain_pareto(r, merits):
    dominated = [
        any(all(b >= a for a, b in zip(p, q, strict=True)) and q != p for q in merits)
        for p in merits
    ]
    front = [i for i, bad in enumerate(dominated) if not bad]
    total = sum(math.exp(x) for x in r)
    return -sum(math.log(math.exp(r[i]) / total) for i in front) / len(front)


def test_pairs_are_their_formula():
    u = [0.3, -math.inf, 0.3, 2.0, 0.1, -math.inf]
    b = batch([[x] for x in u])
    assert OrderPreserving()(b).item() == pytest.approx(plain_pairwise(learned(b), u))


def test_fronts_are_their_formula():
    merits = [[0.0, 3.0], [1.0, 1.0], [2.0, 2.0], [3.0, 0.0], [3.0, 0.0], [0.0, 0.0]]
    b = batch(merits)
    assert OrderPreserving()(b).item() == pytest.approx(plain_pareto(learned(b), merits))


@pytest.mark.parametrize("k, memory", [(1, 0), (2, 0), (2, 50)])
def test_gradient_is_that_of_differences(k, memory):
    merits = np.random.default_rng(1).integers(3, size=(5, k)).astype(float)
    b = batch(merits, seed=2)

    def loss(log_pf):
        return OrderPreserving(memory)(
            ScoredTrajectories(log_pf, b.log_pb, b.log_reward, b.objectives)
        )

    assert torch.autograd.gradcheck(loss, (b.log_pf,))


@pytest.mark.parametrize("k, memory", [(1, 0), (2, 0), (2, 50)])
def test_temperature_divides_what_is_learned(k, memory):
    merits = np.random.default_rng(6).integers(3, size=(5, k)).astype(float)
    b = batch(merits, seed=7)
    cold = ScoredTrajectories(4.0 * b.log_pf, 4.0 * b.log_pb, b.log_reward, b.objectives)
    expected = OrderPreserving(memory)(cold).item()
    assert OrderPreserving(memory, 0.25)(b).item() == pytest.approx(expected, rel=1e-12)
    assert OrderPreserving(memory)(b).item() != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_temperature_must_be_positive(wrong):
    with pytest.raises(ValueError, match="positive"):
        OrderPreserving(temperature=wrong)


def test_the_loss_depends_on_the_order_alone_and_not_on_log_z():
    u = np.random.default_rng(3).normal(size=(8, 1))
    b = batch(u)
    expected = OrderPreserving()(b).item()
    stretched = ScoredTrajectories(
        b.log_pf, b.log_pb, b.log_reward, torch.from_numpy(np.exp(5 * u))
    )
    assert OrderPreserving()(stretched).item() == pytest.approx(expected, abs=1e-12)
    shifted = ScoredTrajectories(b.log_pf + 7.0, b.log_pb, b.log_reward, b.objectives)
    assert OrderPreserving()(shifted).item() == pytest.approx(expected)


def test_large_gaps_do_not_overflow():
    b = batch([[0.0], [1.0]])
    far = ScoredTrajectories(
        b.log_pf * 0 - 1e4 * b.objectives, b.log_pb, b.log_reward, b.objectives
    )
    assert OrderPreserving()(far).item() == pytest.approx(3e4, rel=1e-3)


def test_memory_numbers_fronts_over_batches_and_forgets():
    first = np.array([[5.0, 5.0], [6.0, 6.0]])
    second = np.array([[1.0, 2.0], [2.0, 1.0], [5.0, 5.0]])
    objective = OrderPreserving(memory=3)
    objective(batch(first))
    b = batch(second, seed=4)
    numbers = front_numbers(np.concatenate([second, first]))[:3]
    assert numbers.tolist() == [2, 2, 1]
    assert objective(b).item() == pytest.approx(plain_pairwise(learned(b), (-numbers).tolist()))
    # the last batch is kept, what came before is forgotten
    again = OrderPreserving(memory=3)
    again.load_state_dict(objective.state_dict())
    third = batch(np.array([[6.0, 6.0], [5.5, 5.5]]), seed=5)
    assert again(third).item() == pytest.approx(objective(third).item())
    assert len(objective.get_extra_state()) == 3


def test_registry_and_what_it_says_of_itself():
    objective = make_objective("order_preserving")
    assert isinstance(objective, OrderPreserving)
    assert objective.on_policy_allowed and objective.needs_objectives
    assert objective.temperature == 1.0
    cold = make_objective("order_preserving", order_temperature=0.25)
    assert isinstance(cold, OrderPreserving) and cold.temperature == 0.25
    assert objective.log_partition(batch([[1.0], [2.0]])) is None
    without = ScoredTrajectories(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(ValueError, match="without objectives"):
        objective(without)


@pytest.fixture
def ordered_grid(hypergrid):
    class Ordered(hypergrid.Hypergrid):
        """Better towards a corner, in a way that no exponent would bring out."""

        def __init__(self, objectives):
            super().__init__(5)
            self.merits = objectives

        has_objectives = True

        def objectives(self, states):
            return self.merits(states.values)

    return Ordered


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(grid, make_policy, objective, steps):
    policy = make_policy(grid, hidden=32)
    settings = TrainingSettings(
        steps=steps, on_policy=32, epsilon=0.3, learning_rate=1e-2, schedule="linear"
    )
    Trainer(grid, policy, objective, settings, np.random.default_rng(0)).run()
    return policy


def test_the_order_is_learned(ordered_grid, make_policy):
    grid = ordered_grid(lambda x: 1.0 + 1e-3 * (x[:, :1] + 1.5 * x[:, 1:]))
    policy = trained(grid, make_policy, make_objective("order_preserving"), 150)
    terminals = exact_distribution(grid).terminals
    back = backward_trajectories(grid, terminals, np.random.default_rng(1))
    log_r = (score_forward(grid, policy, back) - score_backward(grid, None, back)).sum(1)
    tau = kendalltau(log_r.detach().numpy(), grid.objectives(terminals)[:, 0]).statistic
    assert tau > 0.9


@pytest.mark.parametrize("memory", [0, 100])
def test_the_front_is_found(ordered_grid, make_policy, memory):
    grid = ordered_grid(lambda x: np.stack([x[:, 0] - 0.5 * x[:, 1] ** 2, x[:, 1] * 1.0], axis=1))
    policy = trained(grid, make_policy, OrderPreserving(memory), 150)
    exact = exact_distribution(grid, policy)
    front = non_dominated(grid.objectives(exact.terminals))
    assert front.sum() < 10
    assert exact.probability[front].sum() > 0.8
    assert exact.probability[front].min() > 0.01
