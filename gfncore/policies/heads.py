"""Heads, which map node embeddings to logits of actions.

The kind of a head determines its input. A head has one or more outputs (columns), for example one
for each element that could be added at a node. The last layer starts at zero: an untrained policy
is uniform, or follows only the environment's `action_bias`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from gfncore.graph_batch import GraphBatch

__all__ = ["Head", "HeadSpec"]

KINDS = ("node", "edge", "pair", "factors", "graph")


@dataclass(frozen=True)
class HeadSpec:
    """Kind of a head (one of `KINDS`) and its number of outputs; "factors" has one."""

    kind: str
    columns: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the kind of a head is {self.kind!r}, but must be one of {KINDS}")
        if self.kind == "factors" and self.columns != 1:
            raise ValueError(f"a head of factors has one output, not {self.columns}")


class Head(nn.Module):
    """A two-layer perceptron whose input depends on the kind of the head.

    node: h_v; edge: (h_source, h_target); pair: (h_u + h_v, h_u * h_v), which is symmetric in the
    two nodes; graph: the mean of the nodes.

    factors: also pairs, but the perceptron runs once per node and gives a vector f and a number g;
    the logit of a pair is sum_k s_k f_uk f_vk + g_u + g_v, with learned s that start at zero. If
    all pairs of nodes of a graph are actions, this costs one product per pair instead of a
    perceptron.
    """

    def __init__(self, spec: HeadSpec, hidden: int) -> None:
        super().__init__()
        self.kind = spec.kind
        width = 2 * hidden if spec.kind in ("edge", "pair") else hidden
        self.first = nn.Linear(width, hidden)
        self.last = nn.Linear(hidden, spec.columns)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.factors = nn.Linear(hidden, hidden) if spec.kind == "factors" else None
        self.sign = nn.Parameter(torch.zeros(hidden)) if spec.kind == "factors" else None

    def forward(
        self,
        nodes: torch.Tensor,
        pooled: torch.Tensor | None,
        graph: GraphBatch,
        index: torch.Tensor,
        column: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the logits of the actions with the inputs `index`; float32 (len(index),).

        Parameters
        ----------
        nodes : Tensor, shape (N, H)
        pooled : Tensor, shape (B, H)
            Means over the graphs; needed only by the kind "graph".
        graph : GraphBatch
        index, column : Tensor, shape (A',), int64
            See `GraphBatch.action_index` and `GraphBatch.action_column`.
        """
        if self.kind == "factors":
            return self._products(nodes, graph, index)
        if column is None:
            return self._outputs(nodes, pooled, graph, index)[:, 0]
        # a network with many outputs runs once for adjacent actions with the same input
        distinct, row = torch.unique_consecutive(index, return_inverse=True)
        out = self._outputs(nodes, pooled, graph, distinct)
        return out.flatten().index_select(0, row * out.shape[1] + column)

    def _outputs(
        self,
        nodes: torch.Tensor,
        pooled: torch.Tensor | None,
        graph: GraphBatch,
        index: torch.Tensor,
    ) -> torch.Tensor:
        """Return all outputs for the inputs `index`; float32 (len(index), columns)."""
        if self.kind == "node":
            read = nodes.index_select(0, index)
        elif self.kind == "edge":
            source, target = graph.edge_index[:, index]
            read = torch.cat([nodes.index_select(0, source), nodes.index_select(0, target)], 1)
        elif self.kind == "pair":
            if graph.pairs is None:
                raise ValueError("the policy has a pair head, but the environment gave no pairs")
            first, second = graph.pairs[:, index]
            u, v = nodes.index_select(0, first), nodes.index_select(0, second)
            read = torch.cat([u + v, u * v], dim=1)
        else:
            assert pooled is not None
            read = pooled.index_select(0, index)
        return self.last(torch.relu(self.first(read)))

    def _products(
        self, nodes: torch.Tensor, graph: GraphBatch, index: torch.Tensor
    ) -> torch.Tensor:
        """Return logits of the pairs ``index`` from factors of nodes; float32 (len(index),)."""
        if graph.pairs is None:
            raise ValueError("the policy has a head of factors, but the environment gave no pairs")
        assert self.factors is not None and self.sign is not None
        read = torch.relu(self.first(nodes))
        own, f = self.last(read)[:, 0], self.factors(read)
        # all products within a graph at once: graphs padded to the largest
        sizes = torch.bincount(graph.node_graph, minlength=len(graph.graph_type))
        starts = torch.cumsum(sizes, 0) - sizes
        place = torch.arange(len(nodes), device=nodes.device) - starts[graph.node_graph]
        widest = int(sizes.max())
        row = graph.node_graph * widest + place
        padded = f.new_zeros(len(sizes) * widest, f.shape[1]).index_copy(0, row, f)
        padded = padded.view(len(sizes), widest, -1)
        gram = torch.bmm(padded * self.sign, padded.transpose(1, 2)).flatten()
        first, second = graph.pairs[:, index]
        products = gram.index_select(0, row[first] * widest + place[second])
        return products + own.index_select(0, first) + own.index_select(0, second)
