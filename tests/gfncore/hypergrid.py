"""A hypergrid as a graph of a node a coordinate and a hub, for policies that pass messages.

Its symmetric version takes cells that differ by the order of their coordinates as one object, as
molecules do with the numbering of their atoms: equal keys, several representations, and classes of
actions that lead to isomorphic states.
"""

from __future__ import annotations

import numpy as np
import torch

from gfncore.environment import Actions, Stepped
from gfncore.graph_batch import GraphBatch
from gfncore.spaces import Hypergrid as VectorHypergrid
from gfncore.spaces import VectorStates as GridStates


class Hypergrid(VectorHypergrid):
    """From the origin, action k < d increments coordinate k, action d stops."""

    def __init__(self, side=8, dimensions=2, floor=0.1, duplicates=False):
        super().__init__(side, dimensions, floor)
        self.d = dimensions
        self.duplicates = duplicates  # list the stop action twice, as one class

    @property
    def features(self):
        return self.side + self.d + 1

    def forward_actions(self, states):
        legal = self._legal(states) & ~states.finished[:, None]
        if self.duplicates:
            legal = np.concatenate([legal, legal[:, -1:]], axis=1)
        state, action = np.nonzero(legal)
        return Actions(state, action, self._classes(states, state, action))

    def _classes(self, states, state, action):
        return np.minimum(action, self.d) if self.duplicates else None

    def step(self, states, action):
        return super().step(states, np.minimum(action, self.d))

    def backward_actions(self, states):
        state, action = np.nonzero(self._undoable(states))
        return Actions(state, action, self._classes(states, state, action))

    def backstep(self, states, action):
        return Stepped(super().backstep(states, action).states, action)

    def _graph(self, states, actions):
        b, d = len(states), self.d
        x = np.zeros((b, d + 1, self.features), np.float32)
        row, column = np.repeat(np.arange(b), d), np.tile(np.arange(d), b)
        x[row, column, states.values.ravel()] = 1
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


class SymmetricHypergrid(Hypergrid):
    """The grid up to the order of coordinates: a class of moves is the coordinate it changes."""

    def _classes(self, states, state, action):
        stop = action >= self.d
        return np.where(stop, self.side, states.values[state, np.where(stop, 0, action)])

    def _graph(self, states, actions):
        graph = super()._graph(states, actions)
        graph.node_features[:, self.side : self.side + self.d] = 0  # coordinates have no number
        return graph

    def labels(self, states):
        return super().keys(states)

    def keys(self, states):
        return super().keys(GridStates(np.sort(states.values, axis=1), states.finished))
