"""The head that scores pairs by products of factors, beside plain sums."""

from __future__ import annotations

import pytest
import torch

from gfncore.graph_batch import GraphBatch
from gfncore.policies import Backbone, HeadSpec, Policy


@pytest.fixture
def graph():
    """Graphs of 3, 1 and 4 nodes with all pairs, those of the last one in another order."""
    torch.manual_seed(3)
    pairs = [(0, 1), (0, 2), (1, 2), (6, 7), (4, 5), (4, 6), (4, 7), (5, 6), (5, 7)]
    owner = [0, 0, 0, 2, 2, 2, 2, 2, 2]
    return GraphBatch(
        node_features=torch.randn(8, 5),
        node_graph=torch.tensor([0, 0, 0, 1, 2, 2, 2, 2]),
        graph_type=torch.tensor([1, 0, 1]),
        edge_index=torch.zeros((2, 0), dtype=torch.int64),
        edge_type=torch.zeros(0, dtype=torch.int64),
        action_state=torch.tensor(owner),
        action_index=torch.tensor([2, 0, 1, 3, 8, 7, 6, 5, 4]),
        pairs=torch.tensor(pairs).T.contiguous(),
    )


def random_policy():
    torch.manual_seed(4)
    policy = Policy(Backbone(5, 2, 1, hidden=8, context=True), [HeadSpec("factors")])
    for parameter in policy.heads.parameters():
        torch.nn.init.normal_(parameter)
    return policy


def test_a_pair_is_a_product_of_factors_and_two_numbers(graph):
    policy = random_policy()
    h = policy.backbone(graph)
    head = policy.heads[0]
    read = torch.relu(head.first(h))
    f, g = head.factors(read), head.last(read)[:, 0]
    expected = []
    for k in graph.action_index.tolist():
        u, v = graph.pairs[:, k].tolist()
        expected.append((head.sign * f[u] * f[v]).sum() + g[u] + g[v])
    torch.testing.assert_close(policy(graph).logits, torch.stack(expected))


def test_gradients_reach_every_parameter(graph):
    policy = random_policy()
    (policy(graph).logits * torch.arange(9.0)).sum().backward()
    for name, parameter in policy.named_parameters():
        if "messages" in name or name == "bias_scale":  # no edges here, and no bias
            continue
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name


def test_a_fresh_policy_is_uniform(graph):
    policy = Policy(Backbone(5, 2, 1, hidden=8), [HeadSpec("factors")])
    assert policy(graph).logits.tolist() == [0.0] * 9


def test_factors_need_pairs_and_have_one_output(graph):
    with pytest.raises(ValueError, match="one output"):
        HeadSpec("factors", 2)
    policy = random_policy()
    bare = GraphBatch(**{k: v for k, v in vars(graph).items() if k not in ("pairs", "graph_keys")})
    with pytest.raises(ValueError, match="no pairs"):
        policy(bare)
