"""Fitch scores of trees: characters packed into bit slices, batches of trees on several threads.

Before characters are packed, what every tree shares is taken out of them, without changing a score
by more than a constant:

* a state that stands only in sets where another state stands too can be replaced by that one;
* a state that is the whole set of one taxon and stands in no other taxon's set costs one step on
  every tree, and the taxon may then have any state.

What is left of a character has as few states as possible, and so takes few words; a character with
one state left takes none.
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
    from phylogfn.characters import Characters

__all__ = [
    "PackedCharacters",
    "ParsimonyScorer",
    "Workspace",
    "addition_tree",
    "pack",
    "reduce_states",
]

CHUNK = 64  # trees that one thread takes at a time
TILE = 64 * fitch_numba.T  # characters of a tile
MOST_COPIES = 2**20  # characters that weights may be written out as
SETS_AT_ONCE = 2**24  # entries of the boolean sets that are reduced in one go


def _occurrences(masks: np.ndarray, n_states: int) -> np.ndarray:
    """Sets (characters, states, taxa), bool, of ``masks`` (taxa, characters)."""
    return (masks.T[:, None, :] >> np.arange(n_states, dtype=np.uint32)[:, None]) & 1 == 1


def _reduce(present: np.ndarray) -> np.ndarray:
    """Reduce sets (characters, states, taxa), in place; return the steps taken out of each."""
    steps = np.zeros(len(present))
    n_states = present.shape[1]
    numbers = np.arange(n_states)
    while True:
        counts = present.sum(axis=2)  # characters x states
        common = np.matmul(present.astype(np.float32), present.astype(np.float32).swapaxes(1, 2))
        within = (common == counts[:, :, None]) & (numbers[:, None] != numbers[None, :])
        equal = counts[:, :, None] == counts[:, None, :]
        # Of two equal states the first stays.
        within &= ~equal | (numbers[:, None] > numbers[None, :])
        dropped = within.any(axis=2) & (counts > 0)
        present &= ~dropped[:, :, None]
        alone = (present.sum(axis=1) == 1)[:, None, :] & present  # the whole set of a taxon
        single = (present.sum(axis=2) == 1) & alone.any(axis=2)
        several = present.any(axis=2).sum(axis=1) > 1
        single &= several[:, None]
        # One at a time: without it, another state may stand in all sets.
        first = single & (np.cumsum(single, axis=1) == 1)
        which, state = np.nonzero(first)
        if not dropped.any() and which.size == 0:
            return steps
        taxon = alone[which, state].argmax(axis=1)
        steps[which] += 1.0
        left = present.any(axis=2)[which]
        left[np.arange(len(which)), state] = False
        present[which, :, taxon] = left


def reduce_states(masks: np.ndarray, n_states: int) -> tuple[np.ndarray, np.ndarray]:
    """Take out of characters what costs the same on every tree.

    Parameters
    ----------
    masks : ndarray, shape (n, C), uint32
        Sets of states, none of them empty.
    n_states : int

    Returns
    -------
    masks : ndarray, shape (n, C), uint32
        Sets of the states that are left, numbered 0, 1, ... in each character.
    steps : ndarray, shape (C,)
        Steps of each character that were taken out.
    """
    out = np.empty_like(masks, np.uint32)
    steps = np.empty(masks.shape[1])
    stride = max(1, SETS_AT_ONCE // (len(masks) * n_states))
    for start in range(0, masks.shape[1], stride):
        part = slice(start, start + stride)
        present = _occurrences(masks[:, part], n_states)
        steps[part] = _reduce(present)
        used = present.any(axis=2)
        number = np.where(used, np.cumsum(used, axis=1) - 1, 0).astype(np.uint32)
        bits = np.where(present, np.left_shift(np.uint32(1), number)[:, :, None], np.uint32(0))
        out[:, part] = np.bitwise_or.reduce(bits, axis=1).T
    return out, steps


def _states_left(masks: np.ndarray) -> np.ndarray:
    """Number of states of each reduced character."""
    union = np.bitwise_or.reduce(masks, axis=0) if len(masks) else masks
    return np.bitwise_count(union).astype(np.int64)


def _copies(weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ways to write weighted characters: (index, weight) of what is packed."""
    ways = [(np.arange(weights.size), weights)]
    whole = np.rint(weights).astype(np.int64)
    if weights.size == 0 or np.any(whole != weights):
        return ways
    if whole.sum() <= MOST_COPIES:
        index = np.repeat(np.arange(weights.size), whole)
        ways.append((index, np.ones(index.size)))
    digits = [np.flatnonzero(whole >> d & 1) for d in range(int(whole.max()).bit_length())]
    values = [np.full(len(index), 2.0**d) for d, index in enumerate(digits)]
    ways.append((np.concatenate(digits), np.concatenate(values)))
    return ways


def _tiles(index: np.ndarray, weights: np.ndarray, states: np.ndarray) -> list[np.ndarray]:
    """Cut characters into tiles of equal weight and of similar numbers of states."""
    found = []
    for weight in np.unique(weights):
        same = index[weights == weight]
        same = same[np.argsort(-states[same], kind="stable")]
        found += [same[i : i + TILE] for i in range(0, same.size, TILE)]
    return found


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


def pack(masks: np.ndarray, weights: np.ndarray) -> PackedCharacters:
    """Bit slices of reduced characters.

    Integer weights are met by copies, by binary digits (a character of weight 5 stands among those
    of weight 4 and of weight 1), or by tiles for each weight: whichever takes fewest words.

    Parameters
    ----------
    masks : ndarray, shape (n, C), uint32
        As `reduce_states` returns them.
    weights : ndarray, shape (C,), float64
    """
    states = _states_left(masks)
    kept = np.flatnonzero((states > 1) & (weights > 0))
    best: tuple[list[np.ndarray], list[float]] | None = None
    fewest = np.inf
    for copies, values in _copies(weights[kept]):
        tiles = _tiles(kept[copies], values, states)
        words = sum(int(states[tile].max()) for tile in tiles)
        if words < fewest:
            fewest = words
            each = np.repeat(
                np.unique(values),
                [-(-int(count) // TILE) for count in np.unique(values, return_counts=True)[1]],
            )
            best = tiles, each.tolist()
    assert best is not None
    tiles, values = best
    k = np.array([int(states[tile].max()) for tile in tiles], np.int64)
    starts = np.concatenate([[0], np.cumsum(k * fitch_numba.T)]).astype(np.int64)
    width = max(int(starts[-1]), 1)
    leaves = np.full((len(masks), width), 2**64 - 1, np.uint64)
    for tile, start, n_states in zip(tiles, starts, k, strict=False):
        bits = np.ones((len(masks), int(n_states), TILE), bool)
        sets = masks[:, tile]
        for state in range(int(n_states)):
            bits[:, state, : tile.size] = (sets >> np.uint32(state)) & 1
        words = np.packbits(bits, axis=-1, bitorder="little").view(np.uint64)
        leaves[:, start : start + int(n_states) * fitch_numba.T] = words.reshape(len(masks), -1)
    layout = Tiles(starts[:-1].copy(), k, np.array(values, float), width)
    return PackedCharacters(leaves, layout)


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
    """Parents (2n-2,), int16, of a stepwise-addition tree, taxa in random order, ties at random."""
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
        Steps that every tree has beside those that the kernels count.
    tolerance : float
        Scores that differ by no more are equal; 0 where all weights are integers.
    n_scores : int
        Trees scored, and places for a subtree scored, so far.
    """

    def __init__(self, characters: Characters, threads: int):
        weights = np.asarray(characters.weights, float)
        masks, steps = reduce_states(
            np.ascontiguousarray(characters.masks, np.uint32), characters.n_states
        )
        self.masks = masks
        self.weights = weights
        self.n_taxa = len(masks)
        self.packed = pack(masks, weights)
        self.constant = float(characters.constant_steps) + float(steps @ weights)
        whole = bool(np.all(weights == np.rint(weights)))
        self.tolerance = 0.0 if whole else 1e-9 * self.n_taxa * max(float(weights.sum()), 1.0)
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)
        self.n_scores = 0
        self._local = threading.local()

    def workspace(self) -> Workspace:
        """The calling thread's working space."""
        if not hasattr(self._local, "space"):
            self._local.space = Workspace(self.packed)
        return self._local.space

    def scores(self, parents: np.ndarray) -> np.ndarray:
        """Scores (B,) of topologies ``parents`` (B, 2n-2), drawn at taxon 0."""
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
