"""Batches of graphs that a policy reads, and the values that it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["GraphBatch", "ValueQueries"]


@dataclass(frozen=True)
class ValueQueries:
    """Actions of a batch of graphs that carry values, which are to be scored or drawn.

    Attributes
    ----------
    action : Tensor, shape(Q,), dtype=int64
        Row in the batch's list of actions.
    features : Tensor, shape(Q, 2, F), dtype=float32
        Of each value; the first two are place and log spread of its logarithm.
    present : Tensor, shape(Q, 2), dtype=bool
        Which values the action has.
    values : Tensor, shape(Q, 2), dtype=float64, optional
        What is to be scored. None: they are drawn.
    noise : Tensor, shape(Q, 2, 2), dtype=float64, optional
        Uniform numbers to draw from.
    """

    action: torch.Tensor
    features: torch.Tensor
    present: torch.Tensor
    values: torch.Tensor | None = None
    noise: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> ValueQueries:
        """The same on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in values.items() if v is not None})


@dataclass(frozen=True)
class GraphBatch:
    """What the policy reads: the graphs of B states laid end to end, and their A actions.

    Attributes
    ----------
    node_features : Tensor, shape(N, F), dtype=float32
    node_graph : Tensor, shape(N,), dtype=int64
        Row of the graph that a node belongs to; sorted. Every graph has at least one node.
    graph_type : Tensor, shape(B,), dtype=int64
        States that read the same may share a graph, where nothing is asked of states themselves
        (no `action_bias`, no flow): then there are fewer graphs than states.
        A category of the state, embedded and added to its nodes (e.g. which taxon comes next).
    edge_index : Tensor, shape(2, E), dtype=int64
        Source and target node of directed edges, as PyTorch Geometric has them.
    edge_type : Tensor, shape(E,), dtype=int64
        The relation of each edge, 0..R-1; each has weights of its own.
    action_state : Tensor, shape(A,), dtype=int64
        As in the environment's list of actions, and in its order.
    action_index : Tensor, shape(A,), dtype=int64
        What the action's head reads: the node, the column of `edge_index`, the column of `pairs`,
        or the graph, by the kind of the head.
    action_head : Tensor, shape(A,), dtype=int64, optional
        Which of the policy's heads gives the logit. None: head 0 for all.
    action_column : Tensor, shape(A,), dtype=int64, optional
        Which output of that head. None: output 0 for all.
    pairs : Tensor, shape(2, P), dtype=int64, optional
        Unordered pairs of nodes, for heads of kind "pair".
    action_bias : Tensor, shape(A,), dtype=float32, optional
        A data-informed logit; the policy adds it times a learned scale.
    graph_keys : Tensor, shape(G, 2), dtype=int64, optional
        Equal for graphs that are equal in all that the backbone reads, numbering of nodes included,
        and for no others: a graph that was embedded just before need not be embedded again.
    condition : Tensor, shape(B,), dtype=float32, optional
        log of the inverse temperature of each state; for a policy that is conditioned on it.
        `graph_keys` do not count it.
    queries : ValueQueries, optional
        Actions whose values a policy with densities is to score or to draw.
    """

    node_features: torch.Tensor
    node_graph: torch.Tensor
    graph_type: torch.Tensor
    edge_index: torch.Tensor
    edge_type: torch.Tensor
    action_state: torch.Tensor
    action_index: torch.Tensor
    action_head: torch.Tensor | None = None
    action_column: torch.Tensor | None = None
    pairs: torch.Tensor | None = None
    action_bias: torch.Tensor | None = None
    graph_keys: torch.Tensor | None = None
    condition: torch.Tensor | None = None
    queries: ValueQueries | None = None

    def to(self, device: torch.device | str) -> GraphBatch:
        """The same batch on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in values.items() if v is not None})
