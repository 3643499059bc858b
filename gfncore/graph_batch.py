"""Batches of graphs that a policy reads, and the values that it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["GraphBatch", "ValueQueries"]


@dataclass(frozen=True)
class ValueQueries:
    """Actions of a batch of graphs whose values are to be scored or drawn.

    Attributes
    ----------
    action : Tensor, shape (Q,), int64
        Row in the batch's list of actions.
    features : Tensor, shape (Q, 2, F), float32
        Features of each value; the first two are location and log scale of its logarithm.
    present : Tensor, shape (Q, 2), bool
        Whether the action has each value.
    values : Tensor, shape (Q, 2), float64, optional
        Values to score. If None, values are drawn.
    noise : Tensor, shape (Q, 2, 2), float64, optional
        Uniform random numbers for drawing.
    """

    action: torch.Tensor
    features: torch.Tensor
    present: torch.Tensor
    values: torch.Tensor | None = None
    noise: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> ValueQueries:
        """Return a copy on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in values.items() if v is not None})


@dataclass(frozen=True)
class GraphBatch:
    """Input of the policy: the concatenated graphs of B states, and their A actions.

    Attributes
    ----------
    node_features : Tensor, shape (N, F), float32
    node_graph : Tensor, shape (N,), int64
        Row of the graph of each node; sorted. Every graph has at least one node.
    graph_type : Tensor, shape (B,), int64
        A category of the state, embedded and added to its nodes (e.g. the next taxon). States with
        the same input may share a graph if there is no `action_bias`: there are then fewer graphs
        than states, and `state_graph` is given.
    edge_index : Tensor, shape (2, E), int64
        Source and target nodes of directed edges, as in PyTorch Geometric.
    edge_type : Tensor, shape (E,), int64
        The relation of each edge, 0..R-1; each relation has its own weights.
    action_state : Tensor, shape (A,), int64
        State of each action, in the order of the environment's list of actions.
    action_index : Tensor, shape (A,), int64
        Input of the action's head, depending on its kind: the node, the column of `edge_index`, the
        column of `pairs`, or the graph.
    action_head : Tensor, shape (A,), int64, optional
        Head of the policy that computes the logit. Default: head 0 for all.
    action_column : Tensor, shape (A,), int64, optional
        Output of that head. Default: output 0 for all.
    pairs : Tensor, shape (2, P), int64, optional
        Unordered pairs of nodes, for heads of kind "pair".
    action_bias : Tensor, shape (A,), float32, optional
        A data-informed logit, which the policy adds with a learned scale.
    graph_keys : Tensor, shape (G, 2), int64, optional
        Equal if and only if two graphs are identical in all inputs of the backbone, including the
        numbering of nodes, so that a graph embedded just before can be reused.
    condition : Tensor, shape (B,), float32, optional
        log of the inverse temperature of each state, for conditioned policies. It is not part of
        `graph_keys`.
    queries : ValueQueries, optional
        Actions whose values are scored or drawn by a policy with densities.
    state_graph : Tensor, shape (S,), int64, optional
        Row of the graph of each state, where several share one. Default: one each, in order.
    state_node : Tensor, shape (S,), int64, optional
        The node that tells a state from others with the same graph; -1: none. Log flows read it.
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
    state_graph: torch.Tensor | None = None
    state_node: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> GraphBatch:
        """Return a copy of the batch on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in values.items() if v is not None})
