"""The hypergrid (Bengio et al. 2021, arXiv:2106.04399, section 4.1): modes far apart at corners.

From the origin of {0, ..., side - 1}^d an action increments one coordinate or stops. With
a_i = |x_i / (side - 1) - 1/2|,

    R(x) = r_0 + r_1 prod_i 1{a_i > .25} + r_2 prod_i 1{.3 < a_i < .4},

so that plateaus around the 2^d corners are separated by a plain of reward r_0.
"""

from __future__ import annotations

import numpy as np

from gfncore.environment import Stepped
from gfncore.spaces.vectors import VectorSpace, VectorStates

__all__ = ["Hypergrid"]


class Hypergrid(VectorSpace):
    """A hypergrid; the action k below d increments coordinate k, and d stops.

    Parameters
    ----------
    side : int
        Two or more.
    dimensions : int
        d.
    floor, plateau, peak : float
        r_0, above 0, r_1 and r_2.

    Examples
    --------
    >>> import numpy as np
    >>> grid = Hypergrid(8)
    >>> corner = grid.step(grid.initial(1), np.array([2])).states
    >>> np.exp(grid.log_reward(corner)).round(3)
    array([0.6])
    """

    def __init__(
        self,
        side: int = 8,
        dimensions: int = 2,
        floor: float = 0.1,
        plateau: float = 0.5,
        peak: float = 2.0,
    ) -> None:
        if side < 2 or dimensions < 1 or floor <= 0.0:
            raise ValueError(
                "a hypergrid has a side of 2 or more, a dimension, and a floor above 0"
            )
        super().__init__(dimensions, side, dimensions + 1, dimensions + 1)
        self.side, self.dimensions = side, dimensions
        self.floor, self.plateau, self.peak = floor, plateau, peak
        self._axes = np.arange(dimensions)

    def _legal(self, states: VectorStates) -> np.ndarray:
        legal = np.ones((len(states), self.dimensions + 1), bool)
        np.less(states.values, self.side - 1, out=legal[:, : self.dimensions])
        return legal

    def _undoable(self, states: VectorStates) -> np.ndarray:
        stopped = states.finished[:, None]
        return np.concatenate([(states.values > 0) & ~stopped, stopped], axis=1)

    def step(self, states: VectorStates, action: np.ndarray) -> Stepped:
        """Increment a coordinate or stop; the same code leads back."""
        values = states.values + (action[:, None] == self._axes)
        return Stepped(VectorStates(values, action == self.dimensions), action)

    def backstep(self, states: VectorStates, action: np.ndarray) -> Stepped:
        """Decrement a coordinate or go on after a stop."""
        values = states.values - (action[:, None] == self._axes)
        return Stepped(VectorStates(values, np.zeros(len(states), bool)), action)

    def stop_actions(self, states: VectorStates) -> np.ndarray:
        """Return the action that stops, -1 where the walk has stopped; int64 (B,)."""
        return np.where(states.finished, -1, self.dimensions)

    def log_reward(self, states: VectorStates) -> np.ndarray:
        """Return log R of cells; float64 (B,)."""
        away = np.abs(states.values / (self.side - 1) - 0.5)
        inner = ((away > 0.3) & (away < 0.4)).all(axis=1)
        outer = (away > 0.25).all(axis=1)
        return np.log(self.floor + self.plateau * outer + self.peak * inner)
