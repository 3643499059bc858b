"""Fitch scores of trees: characters packed into bit slices, batches of trees on several threads.

A state that occurs only in tips that may have any state needs no words. Other parts common to all
trees are removed by `phylogfn.alignments.characters`.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.kernels import fitch_numba
from phylogfn.kernels.fitch_numba import Tiles

if TYPE_CHECKING:
    from phylogfn.alignments.characters import Characters

__all__ = [
    "PackedCharacters",
    "ParsimonyScorer",
    "Workspace",
    "addition_tree",
    "pack",
]

CHUNK = 64  # trees that one thread takes at a time
TILE = 64 * fitch_numba.T  # characters of a tile
LARGEST_INTEGER = 2.0**53  # weights up to it are exact
MOST_COPIES = 2**20  # characters that weights may be written out as


def _renumbered(masks: np.ndarray, n_states: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the states of each character that any tip is held to from 0 on.

    Returns the sets (n, C) of these, and how many there are (C,).
    """
    everything = np.uint32((1 << n_states) - 1)
    kept = np.bitwise_or.reduce(np.where(masks == everything, np.uint32(0), masks), axis=0)
    out = np.zeros_like(masks)
    number = np.zeros(masks.shape[1], np.uint32)
    for state in range(n_states):
        out |= ((masks & kept) >> np.uint32(state) & np.uint32(1)) << number
        number += kept >> np.uint32(state) & np.uint32(1)
    return out, number.astype(np.int64)


def _copies(weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return representations of weighted characters: (index, weight) of the packed characters."""
    ways = [(np.arange(weights.size), weights)]
    if weights.size == 0 or weights.max() > LARGEST_INTEGER or np.any(weights != np.rint(weights)):
        return ways
    whole = weights.astype(np.int64)
    if whole.sum() <= MOST_COPIES:
        index = np.repeat(np.arange(weights.size), whole)
        ways.append((index, np.ones(index.size)))
    digits = [np.flatnonzero(whole >> d & 1) for d in range(int(whole.max()).bit_length())]
    values = [np.full(len(index), 2.0**d) for d, index in enumerate(digits)]
    ways.append((np.concatenate(digits), np.concatenate(values)))
    return ways


@dataclass(frozen=True)
class _Tile:
    """Up to `TILE` characters of one weight, and how many states they need."""

    characters: np.ndarray
    weight: float
    n_states: int


def _tiles(index: np.ndarray, weights: np.ndarray, states: np.ndarray) -> list[_Tile]:
    """Cut characters into tiles of equal weight and of similar numbers of states."""
    tiles = []
    for weight in np.unique(weights):
        same = index[weights == weight]
        same = same[np.argsort(-states[same], kind="stable")]
        for i in range(0, same.size, TILE):
            tiles.append(_Tile(same[i : i + TILE], float(weight), int(states[same[i]])))
    return tiles


@dataclass(frozen=True)
class PackedCharacters:
    """Characters as the kernels take them; see `phylogfn.kernels.fitch_numba`.

    Attributes
    ----------
    leaves : ndarray, shape (n, W), uint64
    tiles : Tiles
    """

    leaves: np.ndarray
    tiles: Tiles

    @property
    def n_taxa(self) -> int:
        """Number of leaves."""
        return len(self.leaves)


def pack(masks: np.ndarray, weights: np.ndarray, n_states: int) -> PackedCharacters:
    """Return the bit slices of characters.

    Integer weights are represented by copies, by binary digits (a character of weight 5 is among
    those of weight 4 and of weight 1), or by tiles for each weight, whichever needs the fewest
    words.

    Parameters
    ----------
    masks : ndarray, shape (n, C), uint32
        Non-empty sets of states.
    weights : ndarray, shape (C,), float64
        Non-negative weights.
    n_states : int
        The set of all states is uninformative.
    """
    masks, states = _renumbered(np.asarray(masks, np.uint32), n_states)
    kept = np.flatnonzero((states > 1) & (weights > 0))
    ways = [_tiles(kept[copies], values, states) for copies, values in _copies(weights[kept])]
    tiles = min(ways, key=lambda way: sum(tile.n_states for tile in way))
    counts = np.array([tile.n_states for tile in tiles], np.int64)
    ends = np.cumsum(counts * fitch_numba.T)
    width = int(ends[-1]) if tiles else 0
    leaves = np.empty((len(masks), width), np.uint64)
    for tile, end in zip(tiles, ends, strict=True):
        bits = np.ones((len(masks), tile.n_states, TILE), bool)  # places left over: all states
        sets = masks[:, tile.characters]
        for state in range(tile.n_states):
            bits[:, state, : tile.characters.size] = (sets >> np.uint32(state)) & 1
        words = np.packbits(bits, axis=-1, bitorder="little").view("<u8")
        leaves[:, end - tile.n_states * fitch_numba.T : end] = words.reshape(len(masks), -1)
    values = np.array([tile.weight for tile in tiles], float)
    return PackedCharacters(leaves, Tiles(ends - counts * fitch_numba.T, counts, values, width))


class Workspace:
    """Rows for the sets of one tree of `PackedCharacters`; ``down`` begins with the leaves.

    Attributes
    ----------
    down, up, edge : ndarray, shape ((2n-2) * W,), uint64
    """

    def __init__(self, packed: PackedCharacters):
        size = (2 * packed.n_taxa - 2) * packed.tiles.width
        self.down = np.zeros(size, np.uint64)
        self.down[: packed.leaves.size] = packed.leaves.ravel()
        self.up = np.zeros(size, np.uint64)
        self.edge = np.zeros(size, np.uint64)


def addition_tree(
    packed: PackedCharacters, space: Workspace, rng: np.random.Generator
) -> np.ndarray:
    """Return parents (2n-2,), int16, of a stepwise-addition tree with random order and ties."""
    sequence = np.concatenate([[0], 1 + rng.permutation(packed.n_taxa - 1)]).astype(np.int64)
    seed = int(rng.integers(2**31))
    return fitch_numba.stepwise_addition(
        sequence, seed, space.down, space.up, space.edge, packed.tiles
    )


class ParsimonyScorer:
    """Parsimony scores of topologies.

    Parameters
    ----------
    characters : Characters
    threads : int

    Attributes
    ----------
    n_taxa : int
    packed : PackedCharacters
    constant : float
        Steps of every tree in addition to those counted by the kernels.
    tolerance : float
        Largest difference of scores that are considered equal; 0 if all weights are integers.
    n_scores : int
        Number of trees, and of positions of subtrees, scored so far.
    """

    def __init__(self, characters: Characters, threads: int):
        weights = np.asarray(characters.weights, float)
        self.n_taxa = len(characters.masks)
        self.packed = pack(characters.masks, weights, characters.n_states)
        self.constant = float(characters.constant_steps)
        whole = bool(np.all(weights == np.rint(weights)))
        self.tolerance = 0.0 if whole else 1e-9 * self.n_taxa * max(float(weights.sum()), 1.0)
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)
        self.n_scores = 0
        self._local = threading.local()

    def workspace(self) -> Workspace:
        """Return the calling thread's working space."""
        if not hasattr(self._local, "space"):
            self._local.space = Workspace(self.packed)
        return self._local.space

    def scores(self, parents: np.ndarray) -> np.ndarray:
        """Return scores (B,) of topologies ``parents`` (B, 2n-2), drawn at taxon 0."""
        parents = np.ascontiguousarray(parents, np.int16)
        out = np.empty(len(parents))

        def task(start: int) -> None:
            part = slice(start, start + CHUNK)
            fitch_numba.scores(
                parents[part], self.n_taxa, self.workspace().down, self.packed.tiles, out[part]
            )

        if len(parents) <= CHUNK or self.threads == 1:
            for start in range(0, len(parents), CHUNK):
                task(start)
        else:
            list(self.pool.map(task, range(0, len(parents), CHUNK)))
        self.n_scores += len(parents)
        return out + self.constant
