"""Training on another device, of which this machine need not have one.

A tensor of the pretended device is a wrapper around one of the host. It says that it is on "meta",
a device that no code of the engine uses; operations are computed on the host, and refused where
PyTorch refuses them between the host and an accelerator.
"""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

import gfncore.policies.backbone
import gfncore.policies.policy
import gfncore.trajectories.scoring
from gfncore.backward.registry import BACKWARD_POLICIES, make_backward_policy
from gfncore.objectives.base import make_objective
from gfncore.objectives.registry import OBJECTIVES
from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.policies import Backbone, Policy
from gfncore.tempering import TemperedEnvironment
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer

DEVICE = torch.device("meta")
aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default)


class Elsewhere(torch.Tensor):
    """A tensor of the pretended device; ``host`` has its values."""

    host: torch.Tensor

    @staticmethod
    def __new__(cls, host):
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            host.shape,
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            device=DEVICE,
        )
        self.host = host
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


class Moving(TorchDispatchMode):
    """Also tensors of the host alone may be asked to move."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


def unwrapped(value):
    return value.host if isinstance(value, Elsewhere) else value


def computed(func, args, kwargs):
    """Compute an operation on the host, and wrap the results if they are elsewhere."""
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    away = [isinstance(x, Elsewhere) for x in tensors]
    target = kwargs.get("device")
    if func not in COPIES and any(away):
        checked = list(zip(tensors, away, strict=True))
        if func in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default):
            # indices of the host may be used elsewhere, and not the other way round
            indices = {id(i) for i in args[1] if i is not None}
            if away[0]:
                checked = [(x, there) for x, there in checked if id(x) not in indices]
        # PyTorch takes scalars of the host everywhere
        mixed = {there for x, there in checked if there or x.ndim > 0}
        if len(mixed) > 1:
            raise RuntimeError(f"{func}: tensors are on the host and elsewhere")
    if target is not None:
        result_away = torch.device(target) == DEVICE
        kwargs = kwargs | {"device": "cpu"}
    else:
        result_away = any(away) if func not in COPIES else bool(away) and away[0]
    out = func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs))
    if not result_away:
        return out
    wrapped = tree_map(lambda x: Elsewhere(x) if isinstance(x, torch.Tensor) else x, out)
    if not any(away):
        return wrapped
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


# The sparse products of PyTorch Geometric are not made for wrappers. In their place: plain sums.


def plain_relations(graph, relations):
    n = graph.node_features.shape[0]
    row = graph.edge_index[1] * relations + graph.edge_type
    return row, graph.edge_index[0], n * relations


def plain_groups(graph):
    nodes = torch.arange(graph.node_graph.shape[0], device=graph.node_graph.device)
    return graph.node_graph, nodes, graph.graph_type.shape[0]


def plain_product(edges, x, mean):
    row, column, n = edges
    out = x.new_zeros(n, x.shape[1]).index_add(0, row, x.index_select(0, column))
    count = x.new_zeros(n).index_add(0, row, torch.ones_like(row, dtype=x.dtype))
    return out / count.clamp(min=1).unsqueeze(1) if mean else out


@pytest.fixture
def elsewhere(monkeypatch):
    for module in (gfncore.policies.backbone, gfncore.policies.policy):
        monkeypatch.setattr(module, "product", plain_product)
        monkeypatch.setattr(module, "group_matrix", plain_groups)
    monkeypatch.setattr(gfncore.policies.backbone, "relation_matrix", plain_relations)
    return DEVICE


def make_trainer(hypergrid, objective, device, tempered=False, backward="learned"):
    class Rich(hypergrid.Hypergrid):
        """A grid with all that an objective may need."""

        has_objectives = True

        def energy(self, states):
            return 0.1 * states.values.sum(axis=1)

        def objectives(self, states):
            return states.values.astype(np.float64)

    grid = Rich(3)
    space = TemperedEnvironment(grid, [0.5, 1.0, 2.0]) if tempered else grid
    conditioning = "input" if tempered else "none"

    def make(flow=False):
        policy = Policy(
            Backbone(grid.features, relations=2, hidden=8), flow=flow, conditioning=conditioning
        )
        for parameter in policy.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        return policy.to(device)

    torch.manual_seed(0)
    allowed = objective.on_policy_allowed
    ends = grid.step(grid.initial(6), np.full(6, 2)).states
    if objective.needs_prior or objective.needs_inflow:
        backward = "uniform"  # they read no log P_B
    network, training = make_backward_policy(backward, make)
    return Trainer(
        space,
        make(objective.needs_flow),
        objective,
        TrainingSettings(
            steps=10, on_policy=6 * allowed, replay=4 * allowed, epsilon=0.1, clip_norm=1.0
        ),
        np.random.default_rng(1),
        backward_policy=network,
        backward_training=training,
        replay=Replay(grid) if allowed else None,
        terminal_batches=None if allowed else lambda rng: space.with_temperature(ends),
        prior=make() if objective.needs_prior else None,
        step_energies=make() if objective.needs_step_energies else None,
    )


def parameters(trainer):
    return [
        unwrapped(p.detach()) for p in trainer.parameters + list(trainer.objective.parameters())
    ]


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta:UserWarning")
@pytest.mark.parametrize(
    ("name", "tempered", "backward"),
    [(name, False, "learned") for name in OBJECTIVES]
    + [(name, True, "learned") for name, entry in OBJECTIVES.items() if not entry.orders]
    + [("trajectory_balance", False, name) for name in BACKWARD_POLICIES if name != "learned"],
)
def test_a_step_elsewhere_is_that_of_the_host(hypergrid, elsewhere, name, tempered, backward):
    """Two steps: the second one also learns from replay."""

    def make(device):
        objective = make_objective(name, conditional=tempered)
        return make_trainer(hypergrid, objective, device, tempered, backward)

    at_home = make("cpu")
    at_home.step()
    expected = at_home.step()
    with Moving():
        check_elsewhere(make(elsewhere), at_home, expected["loss"])


def check_elsewhere(trainer, at_home, loss):
    """Two steps give the loss and the parameters of those at home; the state can be stored."""
    before = [p.clone() for p in parameters(trainer)]
    trainer.step()
    assert trainer.step()["loss"] == pytest.approx(loss, rel=1e-6, abs=1e-9)
    assert all(isinstance(p, Elsewhere) for p in trainer.policy.parameters())
    assert all(isinstance(p, Elsewhere) for p in trainer.objective.parameters())
    other = [p.clone() for p in parameters(trainer)]
    for here, there in zip(parameters(at_home), other, strict=True):
        torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-6)
    assert any(not torch.equal(p, q) for p, q in zip(before, other, strict=True))
    state = trainer.state_dict()
    assert not any(isinstance(x, Elsewhere) for x in state["tensors"].values())
    trainer.step()
    trainer.load_state_dict(state)
    for here, there in zip(parameters(trainer), other, strict=True):
        assert torch.equal(here, there)


def test_a_tensor_left_on_the_host_is_found(hypergrid, elsewhere):
    class Careless(TrajectoryBalance):
        def forward(self, batch):
            return (
                super().forward(batch)
                + torch.zeros(len(batch.log_reward)).mul(batch.log_reward).sum()
            )

    make_trainer(hypergrid, Careless(), "cpu").step()
    with Moving(), pytest.raises(RuntimeError, match="on the host and elsewhere"):
        make_trainer(hypergrid, Careless(), elsewhere).step()


def test_an_index_left_on_the_host_is_found(hypergrid, elsewhere, monkeypatch):
    def careless(log_p, class_index):
        index = torch.from_numpy(class_index)
        picked = log_p.index_select(0, index.clamp(min=0).flatten()).view(index.shape)
        return torch.where(index.to(log_p.device) >= 0, picked, 0.0)

    monkeypatch.setattr(gfncore.trajectories.scoring, "gather_padded", careless)
    make_trainer(hypergrid, TrajectoryBalance(), "cpu").step()
    with Moving(), pytest.raises(RuntimeError, match="on the host and elsewhere"):
        make_trainer(hypergrid, TrajectoryBalance(), elsewhere).step()


def test_an_array_taken_from_elsewhere_is_found(elsewhere):
    with Moving(), pytest.raises((TypeError, RuntimeError), match="numpy"):
        torch.ones(2).to(elsewhere).numpy()
    with Moving():
        assert torch.ones(2).to(elsewhere).cpu().numpy().sum() == 2.0
    with Moving(), pytest.raises(RuntimeError, match="on the host and elsewhere"):
        torch.ones(2)[torch.zeros(1, dtype=torch.int64).to(elsewhere)]
