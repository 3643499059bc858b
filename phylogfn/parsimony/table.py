"""A table of distinct topologies with their parsimony scores."""

from __future__ import annotations

import numpy as np

from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.trees.keys import taxon_codes

__all__ = ["ParsimonyTable"]

KEY_BYTES = 16


class ParsimonyTable:
    """Distinct topologies and their scores, in order of addition.

    Rows are found by the keys of `phylogfn.exploration.topologies`.

    Attributes
    ----------
    n_taxa : int
    codes : ndarray, shape (n_taxa, 2), uint64
        Codes from which keys are computed.
    parents : ndarray, shape (size, 2n-2), int16
        Drawn at taxon 0.
    scores : ndarray, shape (size,), float64
        Weighted steps.
    """

    def __init__(self, n_taxa: int):
        self.n_taxa = n_taxa
        self.codes = taxon_codes(n_taxa)
        self._rows: dict[bytes, int] = {}
        self._parents = np.zeros((64, 2 * n_taxa - 2), np.int16)
        self._scores = np.zeros(64)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def parents(self) -> np.ndarray:
        """Parents of all topologies."""
        return self._parents[: len(self)]

    @property
    def scores(self) -> np.ndarray:
        """Scores of all topologies."""
        return self._scores[: len(self)]

    def unknown(self, keys: np.ndarray) -> np.ndarray:
        """Return positions in ``keys`` (B, 2) of missing topologies, each topology once."""
        text = keys.tobytes()
        seen: set[bytes] = set()
        found = []
        for i in range(len(keys)):
            name = text[KEY_BYTES * i : KEY_BYTES * (i + 1)]
            if name not in self._rows and name not in seen:
                seen.add(name)
                found.append(i)
        return np.array(found, np.int64)

    def add(self, parents: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Add topologies ``parents`` (B, 2n-2) that are not there yet; return the rows of all."""
        parents = np.ascontiguousarray(parents, np.int16)
        keys = topology_keys(parents, self.codes)
        rows = np.empty(len(keys), np.int64)
        for i, key in enumerate(keys):
            size = len(self._rows)
            row = self._rows.setdefault(key.tobytes(), size)
            if row == size:
                if size == len(self._parents):
                    self._grow()
                self._parents[row] = parents[i]
                self._scores[row] = scores[i]
            rows[i] = row
        return rows

    def _grow(self) -> None:
        self._parents = np.concatenate([self._parents, np.zeros_like(self._parents)])
        self._scores = np.concatenate([self._scores, np.zeros_like(self._scores)])

    def within(self, limit: float) -> ParsimonyTable:
        """Return a table of the topologies with a score of at most ``limit``, in the same order."""
        table = ParsimonyTable(self.n_taxa)
        kept = np.flatnonzero(self.scores <= limit)
        table.add(self.parents[kept], self.scores[kept])
        return table
