"""Bags (multisets): from one order of building an object to the factorial of its size.

As in Shen et al. (2023, arXiv:2305.07170, section 5), with a reward of our own: for counts n_k of
the kinds k, standard normal a_k and b_kl (symmetric),

    log R(x) = coupling (sum_k a_k n_k + 1/2 sum_kl b_kl n_k n_l) / size.
"""

from __future__ import annotations

import numpy as np

from gfncore.environment import Stepped
from gfncore.spaces.vectors import VectorSpace, VectorStates

__all__ = ["Bags"]


class Bags(VectorSpace):
    """Bags of a number of items; action k adds an item of kind k, and takes it out again.

    Parameters
    ----------
    size : int
        Items of a bag that is finished.
    kinds : int
    coupling : float
        How far rewards differ.
    seed : int
        Of the coefficients.
    """

    def __init__(self, size: int = 8, kinds: int = 5, coupling: float = 1.0, seed: int = 0) -> None:
        if size < 1 or kinds < 1:
            raise ValueError(f"a bag has items and kinds, not {size} and {kinds}")
        super().__init__(kinds, size + 1, kinds, kinds)
        self.size, self.kinds, self.coupling = size, kinds, coupling
        generator = np.random.default_rng(seed)
        self.single = generator.standard_normal(kinds)
        pairs = generator.standard_normal((kinds, kinds))
        self.pairs = (pairs + pairs.T) / np.sqrt(2.0)

    def _legal(self, states: VectorStates) -> np.ndarray:
        return np.ones((len(states), self.kinds), bool)

    def _undoable(self, states: VectorStates) -> np.ndarray:
        return states.values > 0

    def step(self, states: VectorStates, action: np.ndarray) -> Stepped:
        """Add an item; the same code takes it out."""
        values = states.values + (action[:, None] == np.arange(self.kinds))
        return Stepped(VectorStates(values, values.sum(axis=1) == self.size), action)

    def backstep(self, states: VectorStates, action: np.ndarray) -> Stepped:
        """Take an item out."""
        values = states.values - (action[:, None] == np.arange(self.kinds))
        return Stepped(VectorStates(values, np.zeros(len(values), bool)), action)

    def log_reward(self, states: VectorStates) -> np.ndarray:
        """Return log R of bags; float64 (B,)."""
        n = states.values.astype(np.float64)
        energy = n @ self.single + 0.5 * ((n @ self.pairs) * n).sum(axis=1)
        return self.coupling * energy / self.size
