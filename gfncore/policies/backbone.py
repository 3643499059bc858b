"""The message-passing network for the graphs of all environments.

Relational graph convolution (Schlichtkrull 2018): a round computes, for each node v,

    h_v <- h_v + relu(LayerNorm(W_0 h_v + sum_r W_r agg_{u -r-> v} h_u + b))

On a CPU this is limited by memory bandwidth, so all relations are aggregated by one sparse product:
in the adjacency of shape (N R, N), row v R + r collects the sources of relation r at v, and the
result, viewed as (N, R H), is multiplied by one matrix. PyTorch Geometric's `EdgeIndex` computes
the sparse product and stores the transposed adjacency for the backward pass.

PyTorch Geometric's own layer, `RGCNConv`, loops over the relations and scatters, which takes more
time for the same outputs (`benchmarks.gfncore.backbone`). Since it would also change the digits of
every seed and the names in every checkpoint, this layer is used.

Rows are always selected by `index_select`: the gradient of plain indexing in float32 depends on the
order of additions by threads, so runs would not be reproducible.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from gfncore.graph_batch import GraphBatch

if TYPE_CHECKING:
    from torch_geometric import EdgeIndex

__all__ = ["Backbone", "group_matrix", "relation_matrix"]


@functools.cache
def _edge_index() -> type[EdgeIndex]:
    """Import PyTorch Geometric: a second or more that a run ending with an error need not take."""
    with warnings.catch_warnings():
        # it still calls torch.jit.script, which torch deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch_geometric import EdgeIndex

        # torch warns of the first CSR tensor of a process (beta; not checked). It is made here, as
        # filters belong to the process: those set by the threads of a policy might stay
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1))
    return EdgeIndex


def _sorted_edge_index(
    row: torch.Tensor, column: torch.Tensor, shape: tuple[int, int]
) -> EdgeIndex:
    """Return a (row, column) index with sorted rows; with its transpose if needed."""
    order = torch.argsort(row, stable=True)
    index = torch.stack([row[order], column[order]])
    edges = _edge_index()(index, sparse_size=shape, sort_order="row")  # pyright: ignore
    return edges.fill_cache_() if torch.is_grad_enabled() else edges


def relation_matrix(graph: GraphBatch, relations: int) -> EdgeIndex:
    """Return the adjacency of shape (N R, N); row v R + r has the sources of relation r at v."""
    n = graph.node_features.shape[0]
    row = graph.edge_index[1] * relations + graph.edge_type
    return _sorted_edge_index(row, graph.edge_index[0], (n * relations, n))


def group_matrix(graph: GraphBatch) -> EdgeIndex:
    """Return the matrix of shape (B, N) that sums the nodes of each graph."""
    n, b = graph.node_features.shape[0], graph.graph_type.shape[0]
    nodes = torch.arange(n, device=graph.node_graph.device)
    return _sorted_edge_index(graph.node_graph, nodes, (b, n))


def product(edges: EdgeIndex, x: torch.Tensor, mean: bool) -> torch.Tensor:
    """Sum (or mean) of the rows of `x` that each row of `edges` names; zero where it names none."""
    out = edges.matmul(x)
    assert isinstance(out, torch.Tensor)
    if mean:
        pointer = edges.get_csr()[0][0]
        count = (pointer[1:] - pointer[:-1]).clamp(min=1)
        out = out / count.unsqueeze(1).to(out.dtype)
    return out


class Backbone(nn.Module):
    """Node embeddings of a graph batch.

    Parameters
    ----------
    node_features : int
        F, width of the input features.
    graph_types : int
        How many categories `GraphBatch.graph_type` can take.
    relations : int
        R, how many values `GraphBatch.edge_type` can take.
    hidden : int
        H, width of the embeddings.
    rounds : int
        Rounds of message passing.
    aggregation : {"sum", "mean"}
        How the messages of one relation at one node are put together.
    normalise : bool
        Layer normalisation before the nonlinearity of each round.
    context : bool
        After the rounds, add a linear map of the mean over the graph to each of its nodes.
    """

    def __init__(
        self,
        node_features: int,
        graph_types: int = 1,
        relations: int = 1,
        hidden: int = 64,
        rounds: int = 2,
        aggregation: str = "sum",
        normalise: bool = True,
        context: bool = False,
    ) -> None:
        super().__init__()
        _edge_index()  # here, and not by a thread of the policy
        if aggregation not in ("sum", "mean"):
            raise ValueError(f"aggregation is {aggregation!r}, but must be 'sum' or 'mean'")
        self.relations = relations
        self.hidden = hidden
        self.mean = aggregation == "mean"
        self.inputs = nn.Linear(node_features, hidden)
        self.types = nn.Embedding(graph_types, hidden)
        self.own = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(rounds))
        self.messages = nn.ModuleList(
            nn.Linear(relations * hidden, hidden, bias=False) for _ in range(rounds)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(hidden) if normalise else nn.Identity() for _ in range(rounds)
        )
        self.context = nn.Linear(hidden, hidden) if context else None

    def forward(self, graph: GraphBatch, added: torch.Tensor | None = None) -> torch.Tensor:
        """Return the embeddings of the nodes; float32 (N, H).

        Parameters
        ----------
        graph : GraphBatch
        added : Tensor, shape (B, H), optional
            Added to the input of the nodes of each graph, in addition to the embedding of its type.
        """
        n = graph.node_features.shape[0]
        # graphs without edges: messages are zero
        edges = relation_matrix(graph, self.relations) if graph.edge_type.shape[0] else None
        shift = self.types(graph.graph_type)  # (B, H)
        if added is not None:
            shift = shift + added
        if n > len(shift):  # otherwise each graph is one node, in the same order
            shift = shift.index_select(0, graph.node_graph)
        h = torch.relu(self.inputs(graph.node_features) + shift)
        for own, messages, norm in zip(self.own, self.messages, self.norms, strict=True):
            update = own(h)
            if edges is not None:
                collected = product(edges, h, self.mean).view(n, self.relations * self.hidden)
                update = update + messages(collected)
            h = h + torch.relu(norm(update))
        if self.context is not None:
            pooled = product(group_matrix(graph), h, mean=True)  # (B, H)
            h = h + self.context(pooled).index_select(0, graph.node_graph)
        return h
