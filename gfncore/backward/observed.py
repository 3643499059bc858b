"""Trajectories that were drawn, kept as their objects and the steps that undo them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from gfncore.environment import Environment
from gfncore.exploration.moves import move_backward
from gfncore.keys import unique_keys
from gfncore.trajectories.batch import BackwardTable, Trajectories
from gfncore.trajectories.builder import TrajectoryBuilder

__all__ = ["ObservedTrajectories", "undoing_codes", "undone"]


def undoing_codes(trajectories: Trajectories) -> np.ndarray:
    """Return the codes of the backward actions that undo each trajectory, last step first.

    Returns
    -------
    ndarray, shape (n, T), int64
        -1 is padding, at the end of a row.
    """
    table = trajectories.backward
    assert table is not None
    actions = table.actions
    taken = table.class_index >= 0
    codes = np.where(taken, actions.action[actions.first_of_class[table.class_index]], -1)
    steps = taken.sum(axis=1)[:, None]
    place = steps - 1 - np.arange(codes.shape[1])  # of the step that is undone in each column
    turned = np.take_along_axis(codes, np.maximum(place, 0), axis=1)
    return np.where(place >= 0, turned, -1)


class ObservedTrajectories:
    """The last trajectories that were drawn.

    Parameters
    ----------
    capacity : int
        When full, the oldest are dropped.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self.capacity = capacity
        self._objects: Any = None
        self._codes = np.zeros((0, 0), np.int64)

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, objects: Any, codes: np.ndarray) -> None:
        """Keep trajectories: n objects without temperature, and codes as of `undoing_codes`."""
        if self._objects is not None:
            width = max(codes.shape[1], self._codes.shape[1])
            objects = type(objects).concat([self._objects, objects])
            codes = np.concatenate([_padded(self._codes, width), _padded(codes, width)])
        start = max(0, len(codes) - self.capacity)
        self._objects = objects.take(np.arange(start, len(codes)))
        self._codes = codes[start:]

    def draw(
        self, environment: Environment, n: int, generator: np.random.Generator
    ) -> BackwardTable:
        """Return the backward side of n of them, drawn uniformly with replacement.

        Where states have temperatures, objects get those of s_0 in turn.
        """
        rows = generator.integers(len(self), size=n)
        objects = environment.with_temperature(self._objects.take(rows))
        return undone(environment, objects, self._codes[rows])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content: the arrays of the objects by their names, and ``codes``."""
        if self._objects is None:
            return {}
        values = {field.name: getattr(self._objects, field.name) for field in fields(self._objects)}
        stored = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        return stored | {"codes": self._codes}

    def load_arrays(self, environment: Environment, stored: Mapping[str, np.ndarray]) -> None:
        """Replace the content by what `arrays` returned.

        Raises
        ------
        KeyError, ValueError, TypeError
            The arrays do not fit one another or the environment.
        """
        if not stored:
            self._objects, self._codes = None, np.zeros((0, 0), np.int64)
            return
        values = dict(stored)
        codes = values.pop("codes")
        if codes.ndim != 2 or codes.dtype != np.int64:
            raise ValueError(f"the codes of observed trajectories are {codes.dtype} {codes.shape}")
        if any(len(array) != len(codes) for array in values.values()):
            raise ValueError("the arrays of observed trajectories are not equally long")
        self._objects = replace(environment.inner.initial(0), **values)
        self._codes = codes


def undone(environment: Environment, objects: Any, codes: np.ndarray) -> BackwardTable:
    """Return the backward side of the trajectories of objects with the given undoing codes."""
    builder = TrajectoryBuilder(len(objects))
    first, state = unique_keys(environment.labels(objects))
    states, rows = objects.take(first), np.arange(len(objects))
    for column in codes.T:
        going = column[rows] >= 0
        rows, state = rows[going], state[going]
        if not len(rows):
            break
        used, state = np.unique(state, return_inverse=True)
        states = states.take(used)
        actions = environment.backward_actions(states)
        chosen = actions.class_of_action[actions.find(state, column[rows])]
        builder.add_backward(states, actions, rows, chosen)
        moved = move_backward(environment, states, actions, chosen)
        states, state = moved.states, moved.row
    return builder.build_backward()


def _padded(codes: np.ndarray, width: int) -> np.ndarray:
    return np.pad(codes, ((0, 0), (0, width - codes.shape[1])), constant_values=-1)
