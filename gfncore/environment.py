"""The contract between the engine and an environment.

An environment describes how an object x is built step by step, s_0 -> ... -> s_n = x, and what
log R(x) is. It knows nothing of networks. It owns its states as struct-of-arrays batches; all its
arrays are numpy, except the ``gfncore.graph_batch.GraphBatch``, which is what a policy reads.

Glossary: B states in a batch, A legal actions of them in one flat list, C classes of actions in
one flat list, N nodes, E directed edges, F node features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np

from gfncore.graph_batch import GraphBatch

if TYPE_CHECKING:
    pass

__all__ = [
    "Actions",
    "Conditioned",
    "Environment",
    "FlowScaled",
    "LearnedBackward",
    "ManyObjectives",
    "ManyRepresentations",
    "States",
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
            raise ValueError("an action is not legal in its state")
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
