"""A small hypergrid (Bengio et al. 2021): several parents a state, so P_B matters.

Its symmetric version takes cells that differ by the order of their coordinates as one object, as
molecules do with the numbering of their atoms: equal keys, several representations, and classes of
actions that lead to isomorphic states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gfncore.environment import Actions, Environment, Stepped
from gfncore.graph_batch import GraphBatch


@dataclass(frozen=True)
class GridStates:
    """Coordinates int64 (B, d) and whether the walk has stopped, bool (B,)."""

    position: np.ndarray
    stopped: np.ndarray

    def __len__(self):
        return len(self.stopped)

    def take(self, index):
        return GridStates(self.position[index], self.stopped[index])

    @staticmethod
    def concat(parts):
        return GridStates(
            np.concatenate([p.position for p in parts]), np.concatenate([p.stopped for p in parts])
        )


class Hypergrid(Environment):
    """From the origin, action k < d increments coordinate k, action d stops."""

    def __init__(self, side=8, dimensions=2, floor=0.1, duplicates=False):
        self.side, self.d, self.floor = side, dimensions, floor
        self.duplicates = duplicates  # list the stop action twice, as one class

    @property
    def features(self):
        return self.side + self.d + 1

    def initial(self, n):
        return GridStates(np.zeros((n, self.d), np.int64), np.zeros(n, bool))

    def is_terminal(self, states):
        return states.stopped

    def forward_actions(self, states):
        legal = np.concatenate(
            [states.position < self.side - 1, np.ones((len(states), 1), bool)], 1
        )
        legal &= ~states.stopped[:, None]
        if self.duplicates:
            legal = np.concatenate([legal, legal[:, -1:]], axis=1)
        state, action = np.nonzero(legal)
        return Actions(state, action, self._classes(states, state, action))

    def _classes(self, states, state, action):
        return np.minimum(action, self.d) if self.duplicates else None

    def step(self, states, action):
        move = (action[:, None] == np.arange(self.d)).astype(np.int64)
        return Stepped(
            GridStates(states.position + move, action >= self.d), np.minimum(action, self.d)
        )

    def backward_actions(self, states):
        legal = (states.position > 0) & ~states.stopped[:, None]
        legal = np.concatenate([legal, states.stopped[:, None]], axis=1)
        state, action = np.nonzero(legal)
        return Actions(state, action, self._classes(states, state, action))

    def backstep(self, states, action):
        move = (action[:, None] == np.arange(self.d)).astype(np.int64)
        return Stepped(GridStates(states.position - move, np.zeros(len(states), bool)), action)

    def _graph(self, states, actions):
        b, d = len(states), self.d
        x = np.zeros((b, d + 1, self.features), np.float32)
        row, column = np.repeat(np.arange(b), d), np.tile(np.arange(d), b)
        x[row, column, states.position.ravel()] = 1
        x[:, np.arange(d + 1), self.side + np.arange(d + 1)] = 1
        hub = np.arange(b)[:, None] * (d + 1) + d
        leaf = np.arange(b)[:, None] * (d + 1) + np.arange(d)
        up = np.stack([leaf.ravel(), np.repeat(hub.ravel(), d)])
        t = torch.from_numpy
        return GraphBatch(
            node_features=t(x.reshape(-1, self.features)),
            node_graph=t(np.repeat(np.arange(b), d + 1)),
            graph_type=t(np.zeros(b, np.int64)),
            edge_index=t(np.concatenate([up, up[::-1]], axis=1)),
            edge_type=t(np.repeat([0, 1], b * d)),
            action_state=t(actions.state),
            action_index=t(actions.state * (d + 1) + np.minimum(actions.action, d)),
        )

    def graph(self, states):
        return self._graph(states, self.forward_actions(states))

    def backward_graph(self, states):
        return self._graph(states, self.backward_actions(states))

    def stop_actions(self, states):
        return np.where(states.stopped, -1, self.d)

    def log_reward(self, states):
        away = np.abs(states.position / (self.side - 1) - 0.5)
        inner = ((away > 0.3) & (away < 0.4)).all(axis=1)
        return np.log(self.floor + 0.5 * (away > 0.25).all(axis=1) + 2.0 * inner)

    def keys(self, states):
        code = (states.position * self.side ** np.arange(self.d)).sum(axis=1)
        return np.stack([code, states.stopped], axis=1).astype(np.uint64)


class SymmetricHypergrid(Hypergrid):
    """The grid up to the order of coordinates: a class of moves is the coordinate it changes."""

    def _classes(self, states, state, action):
        stop = action >= self.d
        return np.where(stop, self.side, states.position[state, np.where(stop, 0, action)])

    def _graph(self, states, actions):
        graph = super()._graph(states, actions)
        graph.node_features[:, self.side : self.side + self.d] = 0  # coordinates have no number
        return graph

    def labels(self, states):
        return super().keys(states)

    def keys(self, states):
        return super().keys(GridStates(np.sort(states.position, axis=1), states.stopped))
