"""Values and gradients of objectives are those of torchgfn on the same batch, to 1e-5."""

from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gfncore.objectives.detailed_balance import DetailedBalance
from gfncore.objectives.log_variance import LogVariance
from gfncore.objectives.modified_detailed_balance import ModifiedDetailedBalance
from gfncore.objectives.sub_trajectory_balance import SubTrajectoryBalance
from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.policies import PolicyOutput
from gfncore.trajectories.batch import ScoredTrajectories
from gfncore.trajectories.builder import TrajectoryBuilder
from gfncore.trajectories.scoring import score_backward, score_forward_and_flow
from gfncore.trajectories.stops import score_forward_and_stops

SIDE = 4


class TablePolicy(nn.Module):
    """Our side of a table of logits: the row is the position, read from the node features."""

    def __init__(self, table, flow=None):
        super().__init__()
        self.table, self.flow = table, flow

    def forward(self, graph):
        x = graph.node_features.view(len(graph.graph_type), 3, -1)[:, :2, :SIDE].argmax(-1)
        cell = SIDE * x[:, 0] + x[:, 1]
        column = graph.action_index - 3 * graph.action_state
        if self.table.shape[1] == 2:  # backward: undoing the stop is the only move there is
            column = column.clamp(max=1)
        log_flow = None if self.flow is None else self.flow[cell, 0]
        return PolicyOutput(self.table[cell[graph.action_state], column], log_flow)


class TableModule(nn.Module):
    """torchgfn's side of the same table, behind its enumerating preprocessor."""

    def __init__(self, table):
        super().__init__()
        self.table = table
        self.input_dim, self.output_dim = 1, table.shape[1]

    def forward(self, index):
        return self.table[index.squeeze(-1)]


@dataclass
class Same:
    """A torchgfn batch with its modules, and the same batch in our arrays."""

    environment: Any
    pf: Any
    pb: Any
    log_flow: Any
    drawn: Any
    scored: ScoredTrajectories
    tables: list[nn.Parameter]
    flow: nn.Parameter


def sub_trajectory(decay, weighting="geometric_within"):
    """torchgfn's sub-trajectory balance."""

    def make(same, _):
        from gfn.gflownet import SubTBGFlowNet

        return SubTBGFlowNet(same.pf, same.pb, same.log_flow, weighting, lamda=decay)

    return make


def theirs(kind, *, flow=False, log_z=False):
    """A class of torchgfn with the modules that it takes."""

    def make(same, value):
        import gfn.gflownet

        more = {"logF": same.log_flow} if flow else {"logZ": value} if log_z else {}
        return getattr(gfn.gflownet, kind)(same.pf, same.pb, **more)

    return make


OBJECTIVES = {
    "trajectory_balance": (theirs("TBGFlowNet", log_z=True), TrajectoryBalance),
    "log_variance": (theirs("LogPartitionVarianceGFlowNet"), lambda _: LogVariance()),
    "detailed_balance": (theirs("DBGFlowNet", flow=True), DetailedBalance),
    "modified_detailed_balance": (theirs("ModifiedDBGFlowNet"), ModifiedDetailedBalance),
    "sub_trajectory_balance": (sub_trajectory(0.9), SubTrajectoryBalance),
    "sub_trajectory_balance, 0.5": (
        sub_trajectory(0.5),
        lambda log_z: SubTrajectoryBalance(log_z, 0.5),
    ),
    "sub_trajectory_balance, whole": (
        sub_trajectory(0.9, "TB"),
        lambda log_z: SubTrajectoryBalance(log_z, 1e9),
    ),
}
"""By name: a maker of torchgfn's objective, and one of ours from log Z."""


@pytest.fixture
def same(hypergrid, monkeypatch):
    """A torchgfn batch and its GFlowNet classes, and the same batch in our arrays."""
    pytest.importorskip("gfn")
    from gfn.gym import HyperGrid
    from gfn.modules import DiscretePolicyEstimator, ScalarEstimator
    from gfn.preprocessors import EnumPreprocessor
    from gfn.samplers import Sampler

    torch.manual_seed(0)
    theirs = HyperGrid(ndim=2, height=SIDE, R0=0.1, R1=0.5, R2=2.0, preprocessor_name="Enum")
    forward = nn.Parameter(torch.randn(SIDE**2, 3))
    backward = nn.Parameter(torch.randn(SIDE**2, 2))
    flow = nn.Parameter(torch.randn(SIDE**2, 1))
    read = EnumPreprocessor(theirs.get_states_indices)
    pf = DiscretePolicyEstimator(TableModule(forward), 3, read)
    pb = DiscretePolicyEstimator(TableModule(backward), 3, read, is_backward=True)
    log_flow = ScalarEstimator(TableModule(flow), read)
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
        ends[rows] = children.values
    ours = builder.build(hypergrid.GridStates(ends, np.ones(40, bool)))
    log_reward = torch.from_numpy(grid.log_reward(ours.terminals))
    torch.testing.assert_close(drawn.log_rewards.double(), log_reward, atol=1e-5, rtol=1e-5)
    log_pf, flows = score_forward_and_flow(grid, TablePolicy(forward, flow), ours, energies=False)
    log_pb = score_backward(grid, TablePolicy(backward), ours)
    stop = score_forward_and_stops(grid, TablePolicy(forward), ours, grid.log_reward)[1]
    scored = ScoredTrajectories(log_pf, log_pb, log_reward, flow=flows, stop=stop)
    return Same(theirs, pf, pb, log_flow, drawn, scored, [forward, backward], flow)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("log_z", [0.0, 1.5])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_value_and_gradient_are_torchgfns(same, name, log_z):
    """Gradients are those of all tables, and of log Z where both learn it."""
    make, ours = OBJECTIVES[name]
    theirs = make(same, log_z)
    objective = ours(log_z)
    samples = theirs.to_training_samples(same.drawn)
    more = (
        {"recalculate_all_logprobs": True} if "recalculate" in str(signature(theirs.loss)) else {}
    )
    expected = theirs.loss(same.environment, samples, **more)
    batch = same.scored
    if objective.needs_flow:  # torchgfn has no log F_0: it is in the flows
        raised = replace(batch.flow, log_flow=batch.flow.log_flow - log_z)
        batch = replace(batch, flow=raised)
    loss = objective(batch)
    torch.testing.assert_close(loss, expected.double(), rtol=1e-5, atol=1e-5)
    learned = [*same.tables, same.flow] if objective.needs_flow else same.tables
    pairs = [(learned, learned)]
    if name == "trajectory_balance":
        pairs.append(([objective.log_z], [theirs.logZ]))
    for own, others in pairs:
        for a, b in zip(
            torch.autograd.grad(loss, own, retain_graph=True),
            torch.autograd.grad(expected, others, retain_graph=True),
            strict=True,
        ):
            assert float(b.abs().max()) > 1e-2
            torch.testing.assert_close(a.float(), b, rtol=1e-5, atol=1e-5)
