"""Trajectories put together step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfncore.environment import Actions
from gfncore.trajectories.batch import (
    BackwardTable,
    Trajectories,
)

__all__ = ["TrajectoryBuilder"]


class TrajectoryBuilder:
    """Collects the steps of trajectories, each step with its distinct states, into one batch.

    Parameters
    ----------
    n : int
        Number of trajectories.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._forward: list[tuple[Any, Actions, np.ndarray]] = []
        self._values: list[np.ndarray] = []
        self._backward: list[tuple[Any, Actions, np.ndarray]] = []

    def add_forward(
        self,
        states: Any,
        actions: Actions,
        rows: np.ndarray,
        state: np.ndarray,
        chosen: np.ndarray,
        values: np.ndarray | None = None,
    ) -> None:
        """Add a step: trajectories `rows` are at `state` of `states` and take class `chosen`.

        The action carries ``values``, float64 (len(rows), 2), if it carries anything.
        """
        columns = np.full((self.n, 2), -1, np.int64)
        columns[rows, 0], columns[rows, 1] = state, chosen
        self._forward.append((states, actions, columns))
        if values is not None:
            column = np.zeros((self.n, 2))
            column[rows] = values
            self._values.append(column)

    def add_backward(
        self, states: Any, actions: Actions, rows: np.ndarray, chosen: np.ndarray
    ) -> None:
        """Add the backward side of a step: backward class `chosen` of `states` undoes it."""
        columns = np.full((self.n, 1), -1, np.int64)
        columns[rows, 0] = chosen
        self._backward.append((states, actions, columns))

    @staticmethod
    def _join(steps: list[tuple[Any, Actions, np.ndarray]]) -> tuple[Any, Actions, np.ndarray]:
        """Lay the states of all steps end to end; columns become (n, T, 2 or 1)."""
        sizes = [len(states) for states, _, _ in steps]
        classes = [len(actions.first_of_class) for _, actions, _ in steps]
        table = np.stack([columns for _, _, columns in steps], axis=1)  # (n, T, 2 or 1)
        shifts = [np.cumsum([0, *classes[:-1]])]
        if table.shape[2] == 2:
            shifts.insert(0, np.cumsum([0, *sizes[:-1]]))
        table = np.where(table >= 0, table + np.stack(shifts, axis=1)[None], -1)
        states = type(steps[0][0]).concat([states for states, _, _ in steps])
        return states, Actions.concat([actions for _, actions, _ in steps], sizes), table

    def _backward_table(self, reverse: bool) -> BackwardTable:
        states, actions, column = self._join(self._backward)
        return BackwardTable(states, actions, _aligned(column[:, :, 0], reverse))

    def build_backward(self) -> BackwardTable:
        """The backward side alone; steps were added from the last one to the first."""
        return self._backward_table(reverse=True)

    def build(
        self, terminals: Any, log_pf: np.ndarray | None = None, reverse: bool = False
    ) -> Trajectories:
        """The batch; with `reverse`, steps were added from the last one to the first."""
        states, actions, table = self._join(self._forward)
        backward = self._backward_table(reverse) if self._backward else None
        values = None
        if self._values:
            values = np.stack(self._values, axis=1)
            order = _alignment(table[:, :, 0], reverse)
            values = values[:, ::-1] if reverse else values
            values = np.take_along_axis(values, order[:, :, None], axis=1)
        return Trajectories(
            states,
            actions,
            _aligned(table[:, :, 0], reverse),
            _aligned(table[:, :, 1], reverse),
            terminals,
            log_pf,
            backward,
            values,
        )


def _alignment(index: np.ndarray, reverse: bool) -> np.ndarray:
    """Order of the columns, first put in order of time, with each row's padding at its end."""
    return np.argsort((index[:, ::-1] if reverse else index) < 0, axis=1, kind="stable")


def _aligned(index: np.ndarray, reverse: bool) -> np.ndarray:
    """Padding moved to the end of each row, after the columns were put in order of time."""
    order = _alignment(index, reverse)
    index = index[:, ::-1] if reverse else index
    return np.ascontiguousarray(np.take_along_axis(index, order, axis=1))
