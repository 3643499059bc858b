"""The network against plain loops, and probabilities of classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.environment import Actions
from gfncore.graph_batch import GraphBatch
from gfncore.policies import (
    Backbone,
    HeadSpec,
    Policy,
    class_log_probabilities,
    segment_log_softmax,
)


def random_graph(seed=0, **extra):
    g = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([3, 1, 5])
    node_graph = torch.repeat_interleave(torch.arange(3), sizes)
    edges = [(0, 1), (1, 0), (1, 2), (0, 2), (4, 5), (5, 6), (6, 4), (8, 7), (7, 8), (8, 4)]
    return GraphBatch(
        node_features=torch.randn(9, 4, generator=g),
        node_graph=node_graph,
        graph_type=torch.tensor([1, 0, 1]),
        edge_index=torch.tensor(edges).T,
        edge_type=torch.tensor([0, 1, 0, 0, 1, 1, 0, 0, 1, 0]),
        action_state=torch.tensor([0, 0, 1, 2, 2, 2]),
        action_index=torch.tensor([0, 2, 3, 4, 6, 8]),
        **extra,
    )


def plain_backbone(net, graph):
    """The formula of the module docstring, node by node."""
    x, h = graph.node_features, []
    for v in range(len(x)):
        shift = net.types.weight[graph.graph_type[graph.node_graph[v]]]
        h.append(torch.relu(net.inputs(x[v]) + shift))
    width = net.hidden
    for own, messages, norm in zip(net.own, net.messages, net.norms, strict=True):
        new = []
        for v in range(len(x)):
            value = own(h[v])
            for r in range(net.relations):
                links = zip(graph.edge_index.T.tolist(), graph.edge_type.tolist(), strict=True)
                sources = [h[a] for (a, b), t in links if b == v and t == r]
                if sources:
                    total = torch.stack(sources).sum(0) / (len(sources) if net.mean else 1)
                    weight = messages.weight[:, r * width : (r + 1) * width]
                    value = value + weight @ total
            new.append(h[v] + torch.relu(norm(value)))
        h = new
    h = torch.stack(h)
    if net.context is not None:
        members = [graph.node_graph == b for b in range(len(graph.graph_type))]
        pooled = torch.stack([h[m].mean(0) for m in members])
        h = h + net.context(pooled)[graph.node_graph]
    return h


@pytest.mark.parametrize("aggregation", ["sum", "mean"])
@pytest.mark.parametrize("context", [False, True])
def test_backbone_is_its_formula(aggregation, context):
    torch.manual_seed(0)
    net = Backbone(4, 2, 2, hidden=8, aggregation=aggregation, context=context)
    graph = random_graph()
    fast, plain = net(graph), plain_backbone(net, graph)
    torch.testing.assert_close(fast, plain)
    weights = list(net.parameters())
    for a, b in zip(
        torch.autograd.grad(fast.square().sum(), weights),
        torch.autograd.grad(plain.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_wrong_aggregation_is_refused():
    with pytest.raises(ValueError, match="'max'"):
        Backbone(4, aggregation="max")


def test_untrained_policy_follows_the_bias_alone():
    bias = torch.arange(6, dtype=torch.float32)
    policy = Policy(Backbone(4, 2, 2, hidden=8), initial_scale=0.5)
    torch.testing.assert_close(policy(random_graph(action_bias=bias)).logits, 0.5 * bias)


def test_bias_scale_is_learned_for_each_graph_type():
    policy = Policy(Backbone(4, 2, 2, hidden=8))
    policy(random_graph(action_bias=torch.ones(6))).logits.sum().backward()
    assert policy.bias_scale.grad is not None
    assert policy.bias_scale.grad.tolist() == [1.0, 5.0]  # graph 1 is of type 0


def test_heads_of_every_kind_read_their_place():
    torch.manual_seed(0)
    specs = [HeadSpec("node", 2), HeadSpec("edge"), HeadSpec("pair"), HeadSpec("graph", 2)]
    policy = Policy(Backbone(4, 2, 2, hidden=8), specs, flow=True)
    for head in policy.heads:
        torch.nn.init.normal_(head.last.weight)
    graph = random_graph(
        action_head=torch.tensor([0, 1, 3, 0, 2, 2]),
        action_column=torch.tensor([1, 0, 1, 0, 0, 0]),
        pairs=torch.tensor([[4, 8], [8, 4]]),
    )
    graph.action_index[:] = torch.tensor([2, 3, 1, 5, 0, 1])
    h = policy.backbone(graph)
    out = policy(graph)

    def run(head, read):
        return head.last(torch.relu(head.first(read)))

    node, edge, pair, whole = policy.heads
    expected = torch.stack(
        [
            run(node, h[2])[1],
            run(edge, torch.cat([h[0], h[2]]))[0],
            run(whole, h[3])[1],
            run(node, h[5])[0],
            run(pair, torch.cat([h[4] + h[8], h[4] * h[8]]))[0],
            run(pair, torch.cat([h[4] + h[8], h[4] * h[8]]))[0],
        ]
    )
    torch.testing.assert_close(out.logits, expected)
    assert out.log_flow is not None
    assert out.log_flow.shape == (3,)
    with pytest.raises(ValueError, match="one of"):
        HeadSpec("hyperedge")


def test_states_that_share_a_graph_have_flows_of_their_own():
    torch.manual_seed(0)
    policy = Policy(Backbone(4, 2, 2, hidden=8), flow=True)
    for head in (policy.flow, policy.flow_of_node):
        torch.nn.init.normal_(head.last.weight)
    plain = random_graph()
    alone = policy(plain).log_flow
    shared = policy(
        replace(
            plain,
            state_graph=torch.tensor([0, 2, 2, 1]),
            state_node=torch.tensor([-1, 7, -1, -1]),
        )
    ).log_flow
    torch.testing.assert_close(shared[[0, 2, 3]], alone[[0, 2, 1]])
    h = policy.backbone(plain)
    head = policy.flow_of_node
    more = head.last(torch.relu(head.first(h[7])))[0]
    torch.testing.assert_close(shared[1], alone[2] + more)


def test_temperature_divides_the_logits(make_policy, hypergrid):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, random=True)
    graph = grid.graph(grid.initial(3))
    with torch.no_grad():
        plain = policy(graph).logits
        policy.temperature = 1.6
        assert torch.allclose(policy(graph).logits, plain / 1.6)
    assert plain.abs().max() > 0.0


def test_segment_log_softmax_is_stable():
    logits = torch.tensor([1e4, 1e4 - 1.0, -1e4, 3.0, 3.0], requires_grad=True)
    segment = torch.tensor([0, 0, 0, 2, 2])
    log_p = segment_log_softmax(logits, segment, 3)
    expected = torch.cat([torch.log_softmax(logits[:3].double(), 0), torch.full((2,), -np.log(2))])
    torch.testing.assert_close(log_p, expected.double())
    log_p[1].backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_probability_of_a_class_is_the_sum_of_its_actions():
    actions = Actions(np.array([0, 0, 0, 1]), np.arange(4), np.array([0, 1, 0, 0]))
    logits = torch.tensor([0.3, -0.2, 1.0, 5.0], requires_grad=True)
    log_p = class_log_probabilities(logits, actions, 2)
    p = torch.softmax(logits[:3].double(), 0)
    expected = torch.stack([p[0] + p[2], p[1], torch.tensor(1.0).double()])
    torch.testing.assert_close(log_p.exp(), expected)
    grad = torch.autograd.grad(log_p[0], logits, retain_graph=True)[0]
    torch.testing.assert_close(grad, torch.autograd.grad((p[0] + p[2]).log(), logits)[0])
