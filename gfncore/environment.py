"""The contract between the engine and an environment.

An environment describes how an object x is built step by step, s_0 -> ... -> s_n = x, and what
log R(x) is. It knows nothing of networks. It owns its states as struct-of-arrays batches; all its
arrays are numpy, except the ``gfncore.graph_batch.GraphBatch``, which is what a policy reads.

Glossary: B states in a batch, A legal actions of them in one flat list, C classes of actions in
one flat list, N nodes, E directed edges, F node features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from gfncore.graph_batch import GraphBatch

__all__ = ["Actions", "Environment", "OneHot", "States", "Stepped", "state_arrays"]

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


def state_arrays(states: States) -> dict[str, np.ndarray]:
    """Return the fields of states that a checkpoint keeps, by name."""
    values = {field.name: getattr(states, field.name) for field in fields(states)}  # pyright: ignore
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


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


class Stepped(NamedTuple):
    """States after one action each.

    Attributes
    ----------
    states : States
        B states.
    inverse : ndarray, shape(B,), dtype=int64
        Codes of the actions that lead back from them.
    values : ndarray, shape(B, 2), dtype=float64, optional
        After a step backward where actions carry values: those of the action that is undone.
    """

    states: Any
    inverse: np.ndarray
    values: np.ndarray | None = None


class OneHot(NamedTuple):
    """States that a policy reads as one-hot vectors, see `Environment.one_hot`.

    Attributes
    ----------
    values : ndarray, shape(B, d), dtype=int64
        Entries from 0 to base - 1.
    base : int
    legal : ndarray, shape(B, n), dtype=bool
        Whether the action with the code of the column is legal; of no meaning for terminal states.
    """

    values: np.ndarray
    base: int
    legal: np.ndarray


class Environment(ABC):
    """How objects are built, and their reward.

    What follows the abstract methods is neutral: an environment overrides that which it has more
    of, and the engine asks no environment of which class it is.

    Attributes
    ----------
    is_tree : bool
        True when every state has exactly one parent: log P_B = 0, and no backward policy exists.
    carries_values : bool
        Whether each action carries one or two positive real numbers. `step` then takes them as a
        third argument, float64 (B, 2), 0 where there is none. States hold the values they were
        built with, so that the way back is as discrete as elsewhere.
    is_conditioned : bool
        Whether each state has an inverse temperature beta. There are as many states s_0 as
        temperatures; objects are those of `inner`. See `gfncore.tempering`.
    """

    is_tree: bool = False
    carries_values: bool = False
    is_conditioned: bool = False

    @abstractmethod
    def initial(self, n: int) -> Any:
        """Return `n` copies of the state s_0."""

    @abstractmethod
    def is_terminal(self, states: Any) -> np.ndarray:
        """Return which states are finished objects; bool (B,). These have no forward action."""

    @abstractmethod
    def forward_actions(self, states: Any) -> Actions:
        """Return the legal forward actions; none of terminal states, one or more of others."""

    @abstractmethod
    def step(self, states: Any, action: np.ndarray) -> Stepped:
        """Apply one forward action code a state, int64 (B,)."""

    @abstractmethod
    def backward_actions(self, states: Any) -> Actions:
        """Return the legal backward actions; none of s_0 alone."""

    @abstractmethod
    def backstep(self, states: Any, action: np.ndarray) -> Stepped:
        """Apply one backward action code a state, int64 (B,)."""

    @abstractmethod
    def graph(self, states: Any) -> GraphBatch:
        """Return the graphs of the states, with forward actions in `forward_actions` order."""

    def graph_apart(self, states: Any, group: np.ndarray) -> GraphBatch:
        """Return `graph`, in which no states of different groups share a graph.

        A policy may read the temperature of a graph, so that states of two temperatures need one
        each. Here every state has its own, see `GraphBatch.state_graph`.

        Parameters
        ----------
        states : States
            B states.
        group : ndarray, shape (B,), int64
        """
        return self.graph(states)

    @abstractmethod
    def log_reward(self, states: Any) -> np.ndarray:
        """Return log R of terminal states, in nats; float64 (B,), finite or -inf, never NaN.

        Local search and exact distributions take -inf, a reward of zero; objectives that read
        rewards need finite values, and `Trainer` stops at others.
        """

    @abstractmethod
    def keys(self, states: Any) -> np.ndarray:
        """Return canonical keys, equal for isomorphic states alone; uint64 (B, 2)."""

    def labels(self, states: Any) -> np.ndarray:
        """Return keys that are equal for states that share every action code; uint64 (B, 2).

        The engine embeds equal states of a step once. Where isomorphic states may be numbered in
        different ways these are keys of the very arrays; here they are `keys`.
        """
        return self.keys(states)

    def energy(self, states: Any) -> np.ndarray | None:
        """Return the energy of intermediate states, nats, float64 (B,); None: they have none."""
        return None

    def stop_actions(self, states: Any) -> np.ndarray | None:
        """Return the forward action that finishes each state as it is; int64 (B,).

        -1 where a state cannot be finished so; the finished state has its only backward action
        back to it. None: no action only stops; here always.
        """
        return None

    def one_hot(self, states: Any) -> OneHot | None:
        """Return the states as vectors, if they are no more than that to a policy; here None.

        `graph` then returns one node a state without edges and biases, with the feature
        ``i * base + v`` set where entry i is v. Codes of actions are columns of its head, and each
        action is a class of its own. Trajectories are drawn much faster from such states.
        """
        return None

    def log_count_correction(self, states: Any) -> np.ndarray:
        """Return the terms of `log_reward` that correct for counting; nats, float64 (B,), here 0.

        An object that is several terminal states, or whose actions are counted raw, has the log of
        a ratio of counts in its log R. These are no part of the reward: at another temperature
        they are the same.
        """
        return np.zeros(len(states))

    def log_scale(self, states: Any) -> np.ndarray:
        """Return the log of the scale of each state's flow; float64 (B,), zero at s_0.

        For actions that are counted raw, not by class: a class of raw actions is then too heavy or
        too light by a ratio of automorphism counts, and ``log_scale(s') - log_scale(s)``, added to
        log P_B of each step s -> s', puts it right.
        """
        return np.zeros(len(states))

    def backward_graph(self, states: Any) -> GraphBatch:
        """Return what a learned backward policy reads, with actions in `backward_actions` order.

        Raises
        ------
        TypeError
            The environment offers none.
        """
        raise TypeError("a learned backward policy needs an environment with backward_graph")

    def value_features(self, states: Any, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features, float32 (B, 2, F), of what one action a state carries; which exist.

        See `gfncore.graph_batch.ValueQueries`.

        Raises
        ------
        TypeError
            Actions carry no values.
        """
        raise TypeError("values were asked for, but the actions of the environment carry none")

    @property
    def has_objectives(self) -> bool:
        """Whether objects have figures of merit beside log R."""
        return False

    def objectives(self, states: Any) -> np.ndarray:
        """Return figures of merit of terminal states, each to be made large; float64 (B, K).

        Raises
        ------
        TypeError
            There are none.
        """
        raise TypeError("figures of merit were asked for, and the environment has none")

    @property
    def inner(self) -> Environment:
        """The environment without temperatures; its log R is that of beta = 1."""
        return self

    def condition(self, states: Any) -> np.ndarray | None:
        """Return log beta of each state, float64 (B,); None where there are no temperatures."""
        return None

    def without_temperature(self, states: Any) -> Any:
        """Return the states of `inner`."""
        return states

    def with_temperature(self, states: Any, inverse_temperatures: Any = None) -> Any:
        """Return states of `inner` with a temperature each; None: those of s_0 in turn."""
        return states

    def temper(self, states: Any, log_reward: np.ndarray) -> np.ndarray:
        """Return log R of terminal states at their temperatures, from that of `inner`.

        Parameters
        ----------
        states : States
            B terminal states.
        log_reward : ndarray, shape (B,), float64
            log R of `inner`, nats.
        """
        return log_reward

    def set_temperatures(self, inverse_temperatures: Any) -> None:
        """Let the states s_0 have these inverse temperatures, in turn.

        Raises
        ------
        TypeError
            There are no temperatures here.
        """
        raise TypeError("temperatures were given, but the environment has none")
