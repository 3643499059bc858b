"""The contract between the engine and an environment.

An environment describes how an object x is built step by step, s_0 -> ... -> s_n = x, and what
log R(x) is. It knows nothing of networks. It owns its states as struct-of-arrays batches; all its
arrays are numpy, except the :class:`GraphBatch`, which is what a policy reads.

Glossary: B states in a batch, A legal actions of them in one flat list, C classes of actions in
one flat list, N nodes, E directed edges, F node features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = [
    "Actions",
    "Conditioned",
    "Environment",
    "FlowScaled",
    "GraphBatch",
    "LearnedBackward",
    "ManyObjectives",
    "ManyRepresentations",
    "States",
    "ValueQueries",
    "ValuedActions",
    "representation_keys",
]

DENSE_LABELS = 16  # labels an action up to which they are numbered by a table


class States(Protocol):
    """A batch of states of one environment: a frozen dataclass of arrays, treated as immutable.

    Fields that are numpy arrays have the batch as their first axis; a checkpoint keeps those, and
    takes all other fields from `Environment.initial`.
    """

    def __len__(self) -> int: ...

    def take(self, index: np.ndarray) -> Self:
        """Rows `index` (int64, repeats allowed) as a new batch."""
        ...

    @staticmethod
    def concat(parts: Sequence[Any]) -> Any:
        """One batch out of several, in order."""
        ...


@dataclass(frozen=True)
class Actions:
    """The legal actions of a batch of states as one flat list.

    Attributes
    ----------
    state : ndarray, shape(A,), dtype=int64
        Row of the state that the action belongs to; sorted.
    action : ndarray, shape(A,), dtype=int64
        The environment's own code, which `step` (or `backstep`) understands; unique in a state.
    action_class : ndarray, shape(A,), dtype=int64, optional
        Actions of one state with the same number lead to isomorphic states: probabilities are of
        classes. None: every action is a class of its own. Two classes may lead to isomorphic
        states too, if as many backward classes lead back from there: parallel edges.
    """

    state: np.ndarray
    action: np.ndarray
    action_class: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.state)

    @cached_property
    def class_of_action(self) -> np.ndarray:
        """Row of each action in the flat list of classes; int64 (A,), classes sorted by state."""
        if self.action_class is None or len(self) == 0:
            return np.arange(len(self))
        span = int(self.action_class.max()) + 1
        label = self.state * span + self.action_class
        n_labels = (int(self.state[-1]) + 1) * span
        if n_labels > DENSE_LABELS * len(self):
            return np.unique(label, return_inverse=True)[1].reshape(-1)
        used = np.zeros(n_labels, bool)  # few labels: numbered without sorting
        used[label] = True
        return (np.cumsum(used) - 1)[label]

    @cached_property
    def first_of_class(self) -> np.ndarray:
        """Row of the first action of each class; int64 (C,)."""
        if self.action_class is None or len(self) == 0:
            return np.arange(len(self))
        rows = self.class_of_action
        first = np.empty(int(rows.max()) + 1, np.int64)
        first[rows[::-1]] = np.arange(len(self))[::-1]  # of equal rows the last one written stays
        return first

    @cached_property
    def state_of_class(self) -> np.ndarray:
        """Row of the state of each class; int64 (C,), sorted."""
        return self.state[self.first_of_class]

    def classes_per_state(self, n_states: int) -> np.ndarray:
        """Number of classes of each of `n_states` states; int64 (n_states,)."""
        return np.bincount(self.state_of_class, minlength=n_states)

    def find(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Rows of the given (state, code) pairs in the flat list.

        Raises
        ------
        ValueError
            If a pair is not among the legal actions.
        """
        span = max(int(self.action.max(initial=0)), int(np.max(action, initial=0))) + 1
        known = self.state * span + self.action
        order = np.argsort(known, kind="stable")
        wanted = state * span + action
        place = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
        rows = order[place]
        if not np.array_equal(known[rows], wanted):
            raise ValueError("an action was asked for that is not legal in its state")
        return rows

    @staticmethod
    def concat(parts: Sequence[Actions], n_states: Sequence[int]) -> Actions:
        """One list out of several, whose states are laid end to end (`n_states` in each part)."""
        offsets = np.cumsum([0, *n_states[:-1]])
        merged = all(part.action_class is not None for part in parts)
        return Actions(
            np.concatenate([part.state + o for part, o in zip(parts, offsets, strict=True)]),
            np.concatenate([part.action for part in parts]),
            np.concatenate([part.action_class for part in parts if part.action_class is not None])
            if merged
            else None,
        )


@dataclass(frozen=True)
class ValueQueries:
    """Actions of a batch of graphs whose values are to be scored or drawn; see `ValuedActions`.

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


class Environment(Protocol):
    """How objects are built, and their reward.

    Attributes
    ----------
    is_tree : bool
        True when every state has exactly one parent: log P_B = 0, and no backward policy exists.
    """

    is_tree: bool

    def initial(self, n: int) -> Any:
        """`n` copies of the state s_0."""
        ...

    def is_terminal(self, states: Any) -> np.ndarray:
        """Which states are finished objects; bool (B,). A terminal state has no forward action."""
        ...

    def forward_actions(self, states: Any) -> Actions:
        """The legal forward actions; none for terminal states, at least one for the others."""
        ...

    def step(self, states: Any, action: np.ndarray) -> Any:
        """Apply one forward action code a state; int64 (B,) -> states."""
        ...

    def backward_actions(self, states: Any) -> Actions:
        """The legal backward actions; none for s_0 alone."""
        ...

    def backstep(self, states: Any, action: np.ndarray) -> Any:
        """Apply one backward action code a state; int64 (B,) -> states."""
        ...

    def forward_of_backward(self, states: Any, action: np.ndarray) -> np.ndarray:
        """Codes that, applied to ``backstep(states, action)``, lead back; int64 (B,)."""
        ...

    def backward_of_forward(self, states: Any, action: np.ndarray) -> np.ndarray:
        """Codes that, applied to ``step(states, action)``, lead back; int64 (B,)."""
        ...

    def graph(self, states: Any) -> GraphBatch:
        """The graphs of the states, with their forward actions in `forward_actions` order."""
        ...

    def log_reward(self, states: Any) -> np.ndarray:
        """log R of terminal states, in nats; float64 (B,), finite or -inf, never NaN.

        Local search and exact distributions take -inf, a reward of zero; objectives that read
        rewards need finite values, and `Trainer` stops at others.
        """
        ...

    def energy(self, states: Any) -> np.ndarray | None:
        """Energy of intermediate states, in nats; float64 (B,), or None where there is none."""
        ...

    def keys(self, states: Any) -> np.ndarray:
        """Canonical keys, equal for isomorphic states alone; uint64 (B, 2)."""
        ...


@runtime_checkable
class ManyRepresentations(Protocol):
    """Extension for environments where isomorphic states may be numbered in different ways.

    The engine embeds equal states of a step once. There an action code must mean the same, so it
    compares `labels` where this method exists, and `keys` elsewhere.
    """

    def labels(self, states: Any) -> np.ndarray:
        """Keys of the very arrays: equal for states that share every action code; uint64 (B, 2)."""
        ...


@runtime_checkable
class LearnedBackward(Protocol):
    """Extension for environments that offer a learned backward policy something to read."""

    def backward_graph(self, states: Any) -> GraphBatch:
        """The graphs of the states, with backward actions in `backward_actions` order."""
        ...


@runtime_checkable
class ValuedActions(Protocol):
    """Extension for environments whose actions carry one or two positive real numbers each.

    `step` then takes them as a third argument, float64 (B, 2), 0 where there is none. States hold
    what they were built with, so that the way back is as discrete as elsewhere: what an undone
    action had carried can be read off.
    """

    def value_features(self, states: Any, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features, float32 (B, 2, F), of the values of one forward action a state; which exist.

        See `ValueQueries`.
        """
        ...

    def undone_values(self, states: Any, action: np.ndarray) -> np.ndarray:
        """Values of the step that one backward action a state undoes; float64 (B, 2)."""
        ...


@runtime_checkable
class FlowScaled(Protocol):
    """Extension for environments whose actions are counted raw, not by class.

    A class of raw actions is then too heavy or too light by a ratio of automorphism counts, and
    ``log_scale(s') - log_scale(s)``, added to log P_B of each step s -> s', puts it right.
    """

    def log_scale(self, states: Any) -> np.ndarray:
        """log of the scale of each state's flow; float64 (B,), zero at s_0."""
        ...


@runtime_checkable
class ManyObjectives(Protocol):
    """Extension for environments whose objects have several figures of merit."""

    def objectives(self, states: Any) -> np.ndarray:
        """Figures of merit of terminal states, each to be made large; float64 (B, K)."""
        ...


@runtime_checkable
class Conditioned(Protocol):
    """Extension for environments whose states each have an inverse temperature beta.

    There are as many states s_0 as there are temperatures. Objects are those of the environment
    `inner`, which knows of no temperature; replay keeps these. See `gfncore.tempering`.

    Attributes
    ----------
    inner : Environment
        Its log R is that of beta = 1.
    inverse_temperatures : ndarray, shape(K,), dtype=float64
        beta of the states s_0, in turn; may be set between steps of training.
    """

    inner: Any
    inverse_temperatures: Any

    def condition(self, states: Any) -> np.ndarray:
        """log beta of each state; float64 (B,)."""
        ...

    def without_temperature(self, states: Any) -> Any:
        """The states of `inner`."""
        ...

    def with_temperature(self, states: Any, inverse_temperatures: Any = None) -> Any:
        """States of `inner` with a temperature each; None: those of the environment in turn."""
        ...


def representation_keys(environment: Environment, states: Any) -> np.ndarray:
    """Keys by which the engine treats two states as one; uint64 (B, 2)."""
    # at every move of every walker: not by isinstance, which looks through all of the protocol
    labels = getattr(environment, "labels", None)
    return environment.keys(states) if labels is None else labels(states)
