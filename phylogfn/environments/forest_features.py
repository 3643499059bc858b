"""Features of rooted trees for the policy of the merging environment.

A tree is embedded once: its partials (one number per state and site pattern) are projected on a few
principal components of the partials of subtrees of known topologies, and the projection is stored
by the hash of the tree. Both are kept in a cache of fixed size; dropped entries are recomputed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.kernels import forest_lengths_numba, forest_numba, merging_numba

if TYPE_CHECKING:
    from phylogfn.alignments.patterns import SitePatterns

__all__ = ["ForestFeatures"]

COMPONENTS = 48
SUBTREES = 1200  # whose principal components are taken
REMEMBERED = 2**17  # projections
MEMORY_BYTES = 2**28  # of partials
CHUNK = 256  # trees whose partials are held at a time


class ForestFeatures:
    """Projected partials of rooted trees.

    Parameters
    ----------
    patterns : SitePatterns
    frequencies : ndarray, shape (K,)
        Of the states.
    keep : float, optional
        Chance that a branch keeps its state, under the equal-input model with these frequencies at
        a branch of typical length. None: Fitch's sets instead (parsimony).
    projection : tuple of ndarray, optional
        Mean (K P,) and basis (K P, width), float32, as `fit` made them before.
    beta : float
        Rate at which a branch forgets its state, where trees have lengths: a branch of length b
        keeps it with chance exp(-beta b).

    Attributes
    ----------
    projection : tuple of ndarray
        Mean and basis; without columns until `fit`.
    """

    def __init__(
        self,
        patterns: SitePatterns,
        frequencies: np.ndarray,
        keep: float | None,
        projection: tuple[np.ndarray, np.ndarray] | None = None,
        beta: float = 0.0,
    ):
        n = patterns.n_taxa
        tips = patterns.tip_partials().reshape(n, -1).astype(np.float32)
        total = patterns.tip_partials().sum(axis=1)
        tips /= np.tile(total, (1, patterns.n_states)).astype(np.float32)
        self._kind = forest_numba.FITCH if keep is None else forest_numba.FELSENSTEIN
        self._keep = 1.0 if keep is None else keep
        self._beta = beta
        self._frequencies = np.ascontiguousarray(frequencies, np.float64)
        self._tips = tips
        self.codes = np.random.default_rng(n).integers(0, 2**64, size=n, dtype=np.uint64)
        row_bytes = tips.shape[1] * tips.itemsize
        places = 2 ** max(6, int(np.log2(MEMORY_BYTES / row_bytes)))
        self._tags = np.zeros(places, np.uint64)
        self._memory = np.zeros((places, tips.shape[1]), np.float32)
        self._work = np.empty((2 * n, tips.shape[1]), np.float32)
        self._lock = threading.Lock()  # graphs are made on several threads
        self._scale = np.sqrt(np.tile(patterns.weights, patterns.n_states)).astype(np.float32)
        self._project(projection or (np.zeros(tips.shape[1]), np.zeros((tips.shape[1], 0))))

    def _project(self, projection: tuple[np.ndarray, np.ndarray]) -> None:
        mean, basis = (np.ascontiguousarray(x, np.float32) for x in projection)
        self.projection = (mean, basis)
        self._names = np.zeros(REMEMBERED, np.uint64)
        self._rows = np.zeros((REMEMBERED, self.width), np.float32)

    @property
    def width(self) -> int:
        """Features of a tree."""
        return self.projection[1].shape[1]

    def fit(self, trees: np.ndarray, generator: np.random.Generator) -> None:
        """Choose the projection: principal components of the partials of subtrees.

        Parameters
        ----------
        trees : ndarray, shape (B, 2n-2), int16
            Topologies, parents drawn at taxon 0.
        generator : numpy.random.Generator
        """
        n = self._tips.shape[0]
        picked = generator.integers(len(trees), size=max(1, SUBTREES // n))
        parents = merging_numba.states_of_trees(np.ascontiguousarray(trees[picked], np.int16))
        counts = np.ones(len(parents), np.int64)
        roots: list[np.ndarray] = [self._tips]
        while counts[0] < n:  # on the way back to single taxa
            state, code = merging_numba.backward_codes(parents, counts)
            ends = np.searchsorted(state, np.arange(len(parents)), side="right")
            starts = np.searchsorted(state, np.arange(len(parents)), side="left")
            chosen = code[generator.integers(starts, ends)]
            undo = np.empty(len(parents), np.int64)
            merging_numba.split(parents, counts, chosen, undo)
            owner, _, root = merging_numba.slots_and_roots(parents, counts)
            inner = np.flatnonzero(root >= n)
            first = inner[np.unique(owner[inner], return_index=True)[1]]
            if first.size:
                roots.append(self._partials(parents, owner[first], root[first]))
        sample = np.concatenate(roots)[: 2 * SUBTREES]
        mean = sample.mean(axis=0)
        centred = (sample - mean) * self._scale
        values, vectors = np.linalg.eigh(centred @ centred.T)
        kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1][:COMPONENTS]
        spread = np.sqrt(values[kept])
        basis = self._scale[:, None] * (centred.T @ (vectors[:, kept] / spread))
        # the first component has variance one, the others keep their proportions' square roots
        factor = np.sqrt(len(sample)) / np.sqrt(spread * spread[0])
        self._project((mean, basis * factor))

    def _partials(self, parents: np.ndarray, state: np.ndarray, root: np.ndarray) -> np.ndarray:
        out = np.empty((len(state), self._tips.shape[1]), np.float32)
        forest_numba.partials(
            self._kind,
            self._keep,
            self._frequencies,
            self._tips,
            parents,
            state,
            root,
            self.codes,
            self._tags,
            self._memory,
            self._work,
            out,
        )
        return out

    @property
    def component_scales(self) -> np.ndarray:
        """Return the scale of each component, a unit vector of weighted partials, (width,)."""
        directions = self.projection[1] / self._scale[:, None]
        return np.sqrt(np.square(directions, dtype=np.float64).sum(axis=0))

    def rows(self, parents: np.ndarray, state: np.ndarray, root: np.ndarray) -> np.ndarray:
        """Return features (N, width), float32, of the trees under the given roots.

        Parameters
        ----------
        parents : ndarray, shape (B, 2n), int16
            Forests, see `phylogfn.kernels.merging_numba`.
        state, root : ndarray, shape (N,), int64
        """
        hashes = forest_numba.tree_hashes(parents, state, root, self.codes)

        def raw(where: np.ndarray) -> np.ndarray:
            return self._partials(parents, state[where], root[where])

        return self._projected(hashes, raw)

    def rows_with_lengths(
        self, parents: np.ndarray, lengths: np.ndarray, state: np.ndarray, root: np.ndarray
    ) -> np.ndarray:
        """Return `rows` of trees with branch lengths (B, 2n), under the equal-input model.

        An object is asked for one of the two kinds of rows only: they have one memory.
        """
        bits = np.ascontiguousarray(lengths).view(np.uint64)
        hashes = forest_lengths_numba.tree_hashes(parents, bits, state, root, self.codes)

        def raw(where: np.ndarray) -> np.ndarray:
            out = np.empty((len(where), self._tips.shape[1]), np.float32)
            forest_lengths_numba.partials(
                self._beta,
                self._frequencies,
                self._tips,
                parents,
                lengths,
                bits,
                state[where],
                root[where],
                self.codes,
                self._tags,
                self._memory,
                self._work,
                out,
            )
            return out

        return self._projected(hashes, raw)

    def _projected(self, hashes: np.ndarray, raw: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return features of trees by their hashes; ``raw`` computes missing partials."""
        names, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        place = (names >> np.uint64(1)) & np.uint64(REMEMBERED - 1)
        mean, basis = self.projection
        with self._lock:
            found = self._names[place] == names
            values = self._rows[place]
            missing = np.flatnonzero(~found)
            for begin in range(0, len(missing), CHUNK):
                part = missing[begin : begin + CHUNK]
                out = np.empty((len(part), self.width), np.float32)
                forest_numba.project(raw(first[part]), mean, basis, out)
                values[part] = out
            self._names[place[missing]] = names[missing]
            self._rows[place[missing]] = values[missing]
        return values[inverse]
