"""The policy: backbone, heads, the learned scale of the environment's bias, optional state flow."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import nn

from gfncore.environment import Actions
from gfncore.graph_batch import GraphBatch
from gfncore.keys import key_bytes
from gfncore.policies.backbone import Backbone, group_matrix, product
from gfncore.policies.conditioning import CONDITIONINGS, ConditionEmbedding, LogitScale
from gfncore.policies.heads import Head, HeadSpec
from gfncore.policies.values import ValueHead, ValueSpec

__all__ = ["Policy", "PolicyOutput", "class_log_probabilities", "segment_log_softmax"]


@dataclass(frozen=True)
class PolicyOutput:
    """Output of a policy for a batch of graphs.

    Attributes
    ----------
    logits : Tensor, shape (A,), float32
    log_flow : Tensor, shape (S,), float32, optional
        log F of the states, of which several may share a graph.
    values : Tensor, shape (Q, 2), float64, optional
        Values of the actions in the queries, as given or as drawn.
    log_density : Tensor, shape (Q,), float64, optional
        Log-densities of the values.
    """

    logits: torch.Tensor
    log_flow: torch.Tensor | None = None
    values: torch.Tensor | None = None
    log_density: torch.Tensor | None = None


class Policy(nn.Module):
    """A distribution over the legal actions of each state.

    logit(a) = f(log beta) (head(a) + scale[graph_type] * action_bias(a))

    f is 1 without conditioning, see `gfncore.policies.conditioning`.

    Parameters
    ----------
    backbone : Backbone
    heads : sequence of HeadSpec
        `GraphBatch.action_head` refers to this order.
    initial_scale : float
        Initial value of the learned scales of the bias, one for each graph type.
    flow : bool
        Whether to compute log F of each state (for objectives that need it).
    conditioning : {"none", "input", "scaling", "both"}
        Effect of `GraphBatch.condition`. An untrained policy is the same with all four. "scaling"
        cannot be combined with `flow`, because log F would not depend on the temperature.
    values : ValueSpec, optional
        Densities of the values, for environments whose actions carry values.

    Attributes
    ----------
    temperature : float
        Divisor of the logits; initially 1. Softening an overconfident policy improves importance
        sampling. Densities of values are softened as well.
    defence : float
        Share of each choice that follows the normalised square roots of the probabilities: choices
        that training considered impossible keep a positive probability, so that importance weights
        have no long tail. Initially 0; see `gfncore.trajectories.scoring.state_log_probabilities`.
    pool : Executor, optional
        Threads that share large batches (see `gfncore.policies.chunks`). Its tasks must not use
        this policy.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: Sequence[HeadSpec] = (HeadSpec("node"),),
        initial_scale: float = 0.15,
        flow: bool = False,
        conditioning: str = "none",
        values: ValueSpec | None = None,
    ) -> None:
        super().__init__()
        if conditioning not in CONDITIONINGS:
            known = ", ".join(CONDITIONINGS)
            raise ValueError(f"conditioning is {conditioning!r}, but must be one of {known}")
        if flow and conditioning == "scaling":
            raise ValueError("log F reads no temperature with conditioning='scaling': use 'both'")
        self.backbone = backbone
        self.heads = nn.ModuleList(Head(spec, backbone.hidden) for spec in heads)
        self.flow = Head(HeadSpec("graph"), backbone.hidden) if flow else None
        self.value_head = ValueHead(values, backbone.hidden) if values is not None else None
        self.bias_scale = nn.Parameter(
            torch.full((backbone.types.num_embeddings,), float(initial_scale))
        )
        self.conditioning = conditioning
        self.condition_embedding = (
            ConditionEmbedding(backbone.hidden) if conditioning in ("input", "both") else None
        )
        self.logit_scale = LogitScale() if conditioning in ("scaling", "both") else None
        self.flow_of_node = Head(HeadSpec("node"), backbone.hidden) if flow else None
        self.pool: Executor | None = None
        self.temperature = 1.0
        self.defence = 0.0
        self._pools = flow or any(spec.kind == "graph" for spec in heads)
        # embeddings of the graphs of the last batch without gradient, and of this one
        self._last: dict[bytes, tuple[torch.Tensor, int, int]] = {}
        self._current: dict[bytes, tuple[torch.Tensor, int, int]] = {}
        self._version = -1
        # what an embedding depends on; listed once, since every step of sampling asks for versions
        self._embedding_parameters = list(backbone.parameters())
        if self.condition_embedding is not None:
            self._embedding_parameters += self.condition_embedding.parameters()

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.bias_scale.device

    def new_batch(self) -> None:
        """Start a batch without gradient, reusing embeddings of the previous one.

        Consecutive batches share graphs, because some actions change a state but not its graph. The
        embeddings are discarded when the parameters change.
        """
        version = sum(p._version for p in self._embedding_parameters)
        self._last = self._current if version == self._version else {}
        self._current, self._version = {}, version

    def _embed(self, graph: GraphBatch) -> torch.Tensor:
        if self.condition_embedding is None:
            return self.backbone(graph)
        return self.backbone(graph, self.condition_embedding(_condition_of_graphs(graph)))

    def _names(self, graph: GraphBatch) -> list[bytes]:
        """Return identifiers of the graphs: their keys, and log beta if it is used."""
        assert graph.graph_keys is not None
        names = key_bytes(graph.graph_keys.cpu().numpy())
        if self.condition_embedding is None or graph.condition is None:
            return names
        conditions = _condition_of_graphs(graph).cpu().numpy()
        return [name + one.tobytes() for name, one in zip(names, conditions, strict=True)]

    def _embedded(self, graph: GraphBatch) -> torch.Tensor:
        """Return embeddings of the nodes, reused if the last batch had all these graphs."""
        if graph.graph_keys is None or torch.is_grad_enabled():
            return self._embed(graph)
        names = self._names(graph)
        known = [self._last.get(name) for name in names]
        if None in known:
            nodes = self._embed(graph)
            sizes = torch.bincount(graph.node_graph, minlength=len(names)).tolist()
            start = 0
            for name, size in zip(names, sizes, strict=True):
                self._current[name] = (nodes, start, size)
                start += size
            return nodes
        return torch.cat([k[0].narrow(0, k[1], k[2]) for k in known if k is not None])

    def _check_condition(self, graph: GraphBatch) -> None:
        if self.conditioning == "none":
            if graph.condition is not None:
                raise ValueError(
                    "the states have temperatures, but the policy was made with conditioning='none'"
                )
            return
        if graph.condition is None:
            raise ValueError(
                f"the policy was made with conditioning={self.conditioning!r}, but the states have "
                "no temperatures: wrap the environment in a TemperedEnvironment"
            )
        if self.condition_embedding is not None:
            _condition_of_graphs(graph)

    def forward(self, graph: GraphBatch) -> PolicyOutput:
        """Return logits in the order of the actions; the batch is moved to this device.

        Raises
        ------
        ValueError
            If the batch has a condition and the policy reads none, or the other way round; or if
            the policy reads it as an input of graphs that several states share.
        """
        self._check_condition(graph)
        graph = graph.to(self.device)
        nodes = self._embedded(graph)
        pooled = product(group_matrix(graph), nodes, mean=True) if self._pools else None
        if graph.action_head is None:
            head = self.heads[0]
            logits = head(nodes, pooled, graph, graph.action_index, graph.action_column)
        else:
            logits = nodes.new_zeros(len(graph.action_index))
            for i, head in enumerate(self.heads):
                rows = torch.nonzero(graph.action_head == i).squeeze(1)
                column = None if graph.action_column is None else graph.action_column[rows]
                values = head(nodes, pooled, graph, graph.action_index[rows], column)
                logits = logits.index_put((rows,), values)
        if graph.action_bias is not None:
            scale = self.bias_scale.index_select(0, graph.graph_type[graph.action_state])
            logits = logits + scale * graph.action_bias
        if self.logit_scale is not None:
            assert graph.condition is not None
            factor = self.logit_scale(graph.condition)
            logits = logits * factor.index_select(0, graph.action_state)
        if self.temperature != 1.0:
            logits = logits / self.temperature
        log_flow = self._log_flow(nodes, pooled, graph)
        values = log_density = None
        if graph.queries is not None:
            if self.value_head is None:
                raise ValueError("values were asked for, but the policy was made without them")
            values, log_density = self.value_head(nodes, graph, self.temperature)
        return PolicyOutput(logits, log_flow, values, log_density)

    def _log_flow(
        self, nodes: torch.Tensor, pooled: torch.Tensor | None, graph: GraphBatch
    ) -> torch.Tensor | None:
        """Return log F of the states; float32 (S,). None without a flow head.

        That of the graph, and of the node that tells a state from others with the same graph.
        """
        if self.flow is None or self.flow_of_node is None:
            return None
        states = graph.state_graph
        if states is None:
            states = torch.arange(len(graph.graph_type), device=self.device)
        log_flow = self.flow(nodes, pooled, graph, states, None)
        if graph.state_node is not None:
            rows = torch.nonzero(graph.state_node >= 0).squeeze(1)
            more = self.flow_of_node(nodes, pooled, graph, graph.state_node[rows], None)
            log_flow = log_flow.index_add(0, rows, more)
        return log_flow


def _condition_of_graphs(graph: GraphBatch) -> torch.Tensor:
    """Return log beta of each graph, float32 (G,), which its states have in common.

    Raises
    ------
    ValueError
        If states of different temperatures share a graph.
    """
    condition, shared = graph.condition, graph.state_graph
    assert condition is not None
    n = len(graph.graph_type)
    if shared is None and len(condition) == n:
        return condition
    if shared is not None:
        of_graph = condition.new_zeros(n).index_put((shared,), condition)
        if torch.equal(of_graph[shared], condition):
            return of_graph
    raise ValueError(
        f"{len(condition)} states share {n} graphs, which then have no temperature of their own: "
        "make the policy with conditioning='scaling'"
    )


def segment_log_softmax(logits: torch.Tensor, segment: torch.Tensor, n: int) -> torch.Tensor:
    """Return the log softmax within segments, in float64.

    Parameters
    ----------
    logits : Tensor, shape (A,)
    segment : Tensor, shape (A,), int64
        Segment of each entry, 0..n-1.
    n : int
        Number of segments; some may be empty.

    Returns
    -------
    Tensor, shape (A,), float64
    """
    values = logits.double()
    with torch.no_grad():
        top = values.new_full((n,), -torch.inf).scatter_reduce(0, segment, values, "amax")
    centred = values - top[segment]
    total = values.new_zeros(n).index_add(0, segment, centred.exp())
    return centred - total.log().index_select(0, segment)


def class_log_probabilities(logits: torch.Tensor, actions: Actions, n: int) -> torch.Tensor:
    """Return the log-probability of each class, the sum over the probabilities of its actions.

    Parameters
    ----------
    logits : Tensor, shape (A,)
        In the order of `actions`.
    actions : Actions
        Of `n` states.
    n : int

    Returns
    -------
    Tensor, shape (C,), float64
    """
    state = torch.from_numpy(actions.state).to(logits.device)
    log_p = segment_log_softmax(logits, state, n)
    if actions.action_class is None:
        return log_p
    rows = torch.from_numpy(actions.class_of_action).to(logits.device)
    c = len(actions.first_of_class)
    if c == len(actions):
        return log_p.new_zeros(c).index_put((rows,), log_p)
    with torch.no_grad():
        top = log_p.new_full((c,), -torch.inf).scatter_reduce(0, rows, log_p, "amax")
    total = log_p.new_zeros(c).index_add(0, rows, (log_p - top[rows]).exp())
    return total.log() + top
