"""Bit sequences (Malkin et al. 2022, arXiv:2201.13259, section 5.2): modes in a large flat space.

A sequence of n bits is written in words of k bits. Left to right there is one way to each sequence
and the space is a tree; in any order (Tiapkin et al. 2024, arXiv:2310.12934, appendix) there are
(n / k)!. With modes m_j drawn at random,

    log R(x) = -sharpness min_j d(x, m_j),      d the Hamming distance.
"""

from __future__ import annotations

import numpy as np

from gfncore.environment import Stepped
from gfncore.spaces.vectors import VectorSpace, VectorStates

__all__ = ["BitSequences"]


class BitSequences(VectorSpace):
    """Sequences of words; action p 2^k + w writes the word w to place p, and p erases it.

    Values of a state are 0 for an empty place and 1 + w for a word.

    Parameters
    ----------
    bits, word : int
        n and k; k divides n.
    modes : int
        Number of modes, drawn by ``seed``.
    any_order : bool
        Whether places are filled in any order, or from left to right.
    sharpness : float
    seed : int

    Attributes
    ----------
    mode_bits : ndarray, shape (modes, n), bool
    """

    def __init__(
        self,
        bits: int = 12,
        word: int = 2,
        modes: int = 4,
        any_order: bool = True,
        sharpness: float = 1.0,
        seed: int = 0,
    ) -> None:
        if word < 1 or bits < word or bits % word or modes < 1:
            raise ValueError(
                f"{bits} bits cannot be written in words of {word}, with {modes} modes"
            )
        places = bits // word
        super().__init__(places, 2**word + 1, places * 2**word, places)
        self.bits, self.word, self.places = bits, word, places
        self.is_tree = not any_order
        self.sharpness = sharpness
        self.mode_bits = np.random.default_rng(seed).random((modes, bits)) < 0.5

    def _open(self, states: VectorStates) -> np.ndarray:
        """Return the places that can be filled, bool (B, places)."""
        empty = states.values == 0
        return empty & (np.cumsum(empty, axis=1) == 1) if self.is_tree else empty

    def _legal(self, states: VectorStates) -> np.ndarray:
        return np.repeat(self._open(states), 2**self.word, axis=1)

    def _undoable(self, states: VectorStates) -> np.ndarray:
        filled = states.values > 0
        if self.is_tree:
            filled &= np.cumsum(filled[:, ::-1], axis=1)[:, ::-1] == 1
        return filled

    def step(self, states: VectorStates, action: np.ndarray) -> Stepped:
        """Write a word."""
        place, word = np.divmod(action, 2**self.word)
        values = states.values.copy()
        values[np.arange(len(values)), place] = 1 + word
        return Stepped(VectorStates(values, np.asarray((values > 0).all(axis=1))), place)

    def backstep(self, states: VectorStates, action: np.ndarray) -> Stepped:
        """Erase a word."""
        values, rows = states.values.copy(), np.arange(len(states))
        word = values[rows, action] - 1
        values[rows, action] = 0
        return Stepped(
            VectorStates(values, np.zeros(len(values), bool)), action * 2**self.word + word
        )

    def sequences(self, states: VectorStates) -> np.ndarray:
        """Return the bits of finished sequences, the highest bit of each word first; (B, n)."""
        shifts = np.arange(self.word)[::-1]
        return ((states.values - 1)[:, :, None] >> shifts & 1).astype(bool).reshape(len(states), -1)

    def log_reward(self, states: VectorStates) -> np.ndarray:
        """Return log R of sequences; float64 (B,)."""
        found = self.sequences(states)
        apart = (found[:, None, :] != self.mode_bits).sum(axis=2).min(axis=1)
        return -self.sharpness * apart
