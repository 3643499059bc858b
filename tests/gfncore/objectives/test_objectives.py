"""Objectives against torchgfn on one batch, and against their formulas."""

import numpy as np
import pytest
import torch
from torch import nn

from gfncore.objectives.log_variance import LogVariance
from gfncore.objectives.maximum_likelihood import MaximumLikelihood, state_divergence
from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.policies import PolicyOutput
from gfncore.trajectories.batch import ScoredTrajectories, StateTargets
from gfncore.trajectories.builder import TrajectoryBuilder
from gfncore.trajectories.scoring import score_backward, score_forward

SIDE = 4


class TablePolicy(nn.Module):
    """Our side of a table of logits: the row is the position, read from the node features."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, graph):
        x = graph.node_features.view(len(graph.graph_type), 3, -1)[:, :2, :SIDE].argmax(-1)
        cell = SIDE * x[:, 0] + x[:, 1]
        column = graph.action_index - 3 * graph.action_state
        if self.table.shape[1] == 2:  # backward: undoing the stop is the only move there is
            column = column.clamp(max=1)
        return PolicyOutput(self.table[cell[graph.action_state], column])


class TableModule(nn.Module):
    """torchgfn's side of the same table, behind its enumerating preprocessor."""

    def __init__(self, table):
        super().__init__()
        self.table = table
        self.input_dim, self.output_dim = 1, table.shape[1]

    def forward(self, index):
        return self.table[index.squeeze(-1)]


@pytest.fixture
def same_batch(hypergrid, monkeypatch):
    """A torchgfn batch and its GFlowNet classes, and the same batch in our arrays."""
    pytest.importorskip("gfn")
    from gfn.gym import HyperGrid
    from gfn.modules import DiscretePolicyEstimator
    from gfn.preprocessors import EnumPreprocessor
    from gfn.samplers import Sampler

    torch.manual_seed(0)
    theirs = HyperGrid(ndim=2, height=SIDE, R0=0.1, R1=0.5, R2=2.0, preprocessor_name="Enum")
    forward = nn.Parameter(torch.randn(SIDE**2, 3))
    backward = nn.Parameter(torch.randn(SIDE**2, 2))
    read = EnumPreprocessor(theirs.get_states_indices)
    pf = DiscretePolicyEstimator(TableModule(forward), 3, read)
    pb = DiscretePolicyEstimator(TableModule(backward), 3, read, is_backward=True)
    drawn = Sampler(pf).sample_trajectories(theirs, n_trajectories=40, save_logprobs=False)

    grid = hypergrid.Hypergrid(SIDE)
    position = drawn.states.tensor.numpy()
    taken = drawn.actions.tensor[..., 0].numpy()
    builder = TrajectoryBuilder(40)
    ends = np.zeros((40, 2), np.int64)
    for t in range(len(taken)):
        rows = np.flatnonzero(taken[t] >= 0)
        states = hypergrid.GridStates(position[t][rows], np.zeros(len(rows), bool))
        here = np.arange(len(rows))
        actions = grid.forward_actions(states)
        builder.add_forward(states, actions, rows, here, actions.find(here, taken[t][rows]))
        children = grid.step(states, taken[t][rows]).states
        back = grid.backward_actions(children)
        builder.add_backward(children, back, rows, back.find(here, taken[t][rows]))
        ends[rows] = children.position
    ours = builder.build(hypergrid.GridStates(ends, np.ones(40, bool)))
    log_reward = torch.from_numpy(grid.log_reward(ours.terminals))
    torch.testing.assert_close(drawn.log_rewards.double(), log_reward, atol=1e-5, rtol=1e-5)
    scored = ScoredTrajectories(
        score_forward(grid, TablePolicy(forward), ours),
        score_backward(grid, TablePolicy(backward), ours),
        log_reward,
    )
    return theirs, pf, pb, drawn, scored, [forward, backward]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["trajectory_balance", "log_variance"])
def test_value_and_gradient_are_torchgfns(same_batch, name):
    from gfn.gflownet import LogPartitionVarianceGFlowNet, TBGFlowNet

    environment, pf, pb, drawn, scored, tables = same_batch
    if name == "trajectory_balance":
        theirs, ours = TBGFlowNet(pf, pb, logZ=1.5), TrajectoryBalance(1.5)
        their_parameters, our_parameters = [*tables, theirs.logZ], [*tables, ours.log_z]
    else:
        theirs, ours = LogPartitionVarianceGFlowNet(pf, pb), LogVariance()
        their_parameters, our_parameters = tables, tables
    expected = theirs.loss(environment, drawn, recalculate_all_logprobs=True)
    loss = ours(scored)
    torch.testing.assert_close(loss.float(), expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(
        torch.autograd.grad(loss, our_parameters, retain_graph=True),
        torch.autograd.grad(expected, their_parameters),
        strict=True,
    ):
        torch.testing.assert_close(a.float(), b, rtol=1e-4, atol=1e-5)


def batch(n=7, steps=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    log_pf, log_pb = torch.randn(2, n, steps, generator=g, dtype=torch.float64)
    return ScoredTrajectories(
        log_pf.requires_grad_(), log_pb, torch.randn(n, generator=g, dtype=torch.float64)
    )


def test_log_variance_is_the_variance():
    b = batch()
    f = b.log_reward + b.log_pb.sum(1) - b.log_pf.sum(1)
    torch.testing.assert_close(LogVariance()(b), f.var(correction=0))
    assert LogVariance().log_partition(b) == pytest.approx(float(f.mean().detach()))


def test_robust_log_variance_is_held_against_the_median():
    """Outliers move neither the centre of the loss nor the log Z that it implies."""
    f = torch.tensor([2.1, 1.9, 2.0, 2.2, 1.8, -300.0, -500.0], dtype=torch.float64)
    b = ScoredTrajectories(torch.zeros(7, 2), torch.zeros(7, 2), f)
    objective = LogVariance("pseudo_huber")
    assert objective.log_partition(b) == 1.9
    expected = (2.0 * ((1.0 + (f - 1.9) ** 2).sqrt() - 1.0)).mean()
    torch.testing.assert_close(objective(b), expected)
    assert LogVariance().log_partition(b) == pytest.approx(float(f.mean()))


def test_balance_is_zero_where_weights_are_equal():
    b = batch()
    exact = b.log_pf.sum(1) - b.log_pb.sum(1) + 2.5
    b = ScoredTrajectories(b.log_pf, b.log_pb, exact.detach())
    assert float(TrajectoryBalance(2.5)(b).detach()) == pytest.approx(0.0, abs=1e-20)
    assert float(LogVariance()(b).detach()) == pytest.approx(0.0, abs=1e-20)


def test_maximum_likelihood_is_its_formula():
    b = batch()
    torch.testing.assert_close(MaximumLikelihood()(b), -b.log_pf.sum(1).mean())


def test_concat_pads_steps():
    both = ScoredTrajectories.concat([batch(3, 2), batch(5, 4)])
    assert both.log_pf.shape == (8, 4)
    assert bool((both.log_pf[:3, 2:] == 0).all())


def test_state_divergence_is_a_weighted_divergence(hypergrid):
    grid = hypergrid.Hypergrid(3)
    states = hypergrid.GridStates(np.array([[0, 0], [2, 0]]), np.zeros(2, bool))
    actions = grid.forward_actions(states)  # 3 and 2 classes
    targets = StateTargets(
        states, actions, np.array([0.2, 0.3, 0.5, 0.0, 1.0]), np.array([3.0, 1.0])
    )
    q = torch.tensor([0.1, 0.1, 0.8, 0.5, 0.5], dtype=torch.float64)
    first = 0.2 * np.log(2.0) + 0.3 * np.log(3.0) + 0.5 * np.log(0.5 / 0.8)
    expected = (3.0 * first + np.log(2.0)) / 4.0
    assert float(state_divergence(q.log(), targets)) == pytest.approx(expected)
