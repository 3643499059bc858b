"""Environments whose states are vectors of small integers, which a policy reads one-hot.

Such a state is a graph of one node without edges, so that the message-passing network is a
multilayer perceptron.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gfncore.environment import Actions, Environment, OneHot
from gfncore.graph_batch import GraphBatch
from gfncore.policies import Backbone, HeadSpec, Policy

__all__ = ["VectorSpace", "VectorStates", "vector_keys"]


@dataclass(frozen=True)
class VectorStates:
    """A batch of vectors.

    Attributes
    ----------
    values : ndarray, shape (B, d), int64
    finished : ndarray, shape (B,), bool
        Which are objects.
    """

    values: np.ndarray
    finished: np.ndarray

    def __len__(self) -> int:
        return len(self.finished)

    def take(self, index: np.ndarray) -> VectorStates:
        """Return rows as a new batch."""
        return VectorStates(self.values[index], self.finished[index])

    @staticmethod
    def concat(parts: Sequence[VectorStates]) -> VectorStates:
        """Return one batch out of several."""
        return VectorStates(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.finished for part in parts]),
        )


def vector_keys(values: np.ndarray, base: int) -> np.ndarray:
    """Return distinct keys, uint64 (B, 2), of vectors (B, d) with values from 0 to base - 1.

    Raises
    ------
    ValueError
        If there are more vectors than keys.
    """
    d = values.shape[1]
    half = (d + 1) // 2
    if base**half > 2**64:
        raise ValueError(f"{base}^{d} vectors are more than there are keys of 128 bits")
    keys = np.zeros((len(values), 2), np.uint64)
    for column, digits in enumerate((values[:, :half], values[:, half:])):
        weights = np.array([base**i for i in range(digits.shape[1])], np.uint64)
        keys[:, column] = (digits.astype(np.uint64) * weights).sum(axis=1, dtype=np.uint64)
    return keys


class VectorSpace(Environment):
    """Vectors of d values from 0 to base - 1, and actions that are numbers.

    A subclass gives `_legal` and `_undoable`, `step`, `backstep` and `log_reward`.

    Parameters
    ----------
    length : int
        d.
    base : int
        Number of values.
    n_actions, n_backward_actions : int
        Codes of actions are 0 to these less one.
    """

    def __init__(self, length: int, base: int, n_actions: int, n_backward_actions: int) -> None:
        self.length = length
        self.base = base
        self.n_actions = n_actions
        self.n_backward_actions = n_backward_actions
        vector_keys(np.zeros((1, length + 1), np.int64), base)  # there are enough of them
        names = ("graph", "_graph", "forward_actions")
        self._is_one_hot = all(getattr(type(self), n) is getattr(VectorSpace, n) for n in names)

    @abstractmethod
    def _legal(self, states: VectorStates) -> np.ndarray:
        """Return which actions are legal, bool (B, n_actions), of unfinished states."""

    @abstractmethod
    def _undoable(self, states: VectorStates) -> np.ndarray:
        """Return which backward actions are legal, bool (B, n_backward_actions)."""

    @property
    def features(self) -> int:
        """Width of what a policy reads of a state."""
        return self.length * self.base

    def make_policy(
        self, hidden: int = 64, rounds: int = 2, flow: bool = False, backward: bool = False
    ) -> Policy:
        """Return an untrained policy, uniform over the legal actions; or a backward policy."""
        columns = self.n_backward_actions if backward else self.n_actions
        backbone = Backbone(self.features, hidden=hidden, rounds=rounds)
        return Policy(backbone, [HeadSpec("node", columns)], flow=flow)

    def initial(self, n: int) -> VectorStates:
        """Return n vectors of zeros."""
        return VectorStates(np.zeros((n, self.length), np.int64), np.zeros(n, bool))

    def is_terminal(self, states: VectorStates) -> np.ndarray:
        """Return which states are finished."""
        return states.finished

    def forward_actions(self, states: VectorStates) -> Actions:
        """Return the legal actions of unfinished states."""
        return Actions(*np.nonzero(self._legal(states) & ~states.finished[:, None]))

    def one_hot(self, states: VectorStates) -> OneHot | None:
        """Return the vectors with their legal actions; None if a subclass draws other graphs."""
        if not self._is_one_hot:
            return None
        return OneHot(states.values, self.base, self._legal(states))

    def backward_actions(self, states: VectorStates) -> Actions:
        """Return the actions that can be undone."""
        return Actions(*np.nonzero(self._undoable(states)))

    def graph(self, states: VectorStates) -> GraphBatch:
        """Return a node a state, with forward actions."""
        return self._graph(states, self.forward_actions(states))

    def backward_graph(self, states: VectorStates) -> GraphBatch:
        """Return a node a state, with backward actions."""
        return self._graph(states, self.backward_actions(states))

    def _graph(self, states: VectorStates, actions: Actions) -> GraphBatch:
        import torch

        n = len(states)
        node_features = np.zeros((n, self.length, self.base), np.float32)
        row, place = np.repeat(np.arange(n), self.length), np.tile(np.arange(self.length), n)
        node_features[row, place, states.values.ravel()] = 1.0
        state = torch.from_numpy(actions.state)
        return GraphBatch(
            node_features=torch.from_numpy(node_features.reshape(n, -1)),
            node_graph=torch.arange(n),
            graph_type=torch.zeros(n, dtype=torch.int64),
            edge_index=torch.zeros((2, 0), dtype=torch.int64),
            edge_type=torch.zeros(0, dtype=torch.int64),
            action_state=state,
            action_index=state,
            action_column=torch.from_numpy(actions.action),
        )

    def keys(self, states: VectorStates) -> np.ndarray:
        """Return distinct keys of distinct states; uint64 (B, 2)."""
        digits = np.concatenate([states.values, states.finished[:, None]], axis=1)
        return vector_keys(digits, self.base)
