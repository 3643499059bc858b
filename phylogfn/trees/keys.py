"""Keys of topologies that do not depend on how their nodes are numbered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phylogfn.kernels.topology_numba import topology_keys

__all__ = ["UnionOfTopologies", "keys_of", "taxon_codes"]

_CODES_SEED = 20240229  # any fixed number: keys must agree between runs that share a checkpoint


def taxon_codes(n_taxa: int) -> np.ndarray:
    """Return fixed random codes of the taxa, shape (n_taxa, 2), uint64."""
    rng = np.random.default_rng(_CODES_SEED)
    return rng.integers(0, 2**64, size=(n_taxa, 2), dtype=np.uint64)


def keys_of(parents: np.ndarray) -> np.ndarray:
    """Return a key of each topology, shape (B, 2), uint64, from parents, shape (B, 2n-2)."""
    codes = taxon_codes(parents.shape[1] // 2 + 1)
    return topology_keys(np.ascontiguousarray(parents, np.int16), codes)


@dataclass(frozen=True, eq=False)
class UnionOfTopologies:
    """The distinct topologies of several lists.

    Attributes
    ----------
    parents : ndarray, shape (T, 2n-2)
        Each topology once, in the order of first occurrence.
    rows : tuple of ndarray, shape (T_i,), int64
        For each list, the rows of its topologies.
    """

    parents: np.ndarray
    rows: tuple[np.ndarray, ...]

    @classmethod
    def from_lists(cls, lists: Sequence[np.ndarray]) -> UnionOfTopologies:
        """Return the union of lists of parents, shape (T_i, 2n-2) each."""
        parents = np.concatenate(lists)
        _, first, inverse = np.unique(
            keys_of(parents), axis=0, return_index=True, return_inverse=True
        )
        order = np.argsort(first, kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        ends = np.cumsum([len(one) for one in lists])[:-1]
        return cls(parents[first[order]], tuple(np.split(rank[inverse.reshape(-1)], ends)))

    def spread(self, values: Sequence[np.ndarray], fill: float = 0.0) -> np.ndarray:
        """Return values of the lists by topology, shape (number of lists, T)."""
        table = np.full((len(self.rows), len(self.parents)), fill)
        for line, rows, own in zip(table, self.rows, values, strict=True):
            line[rows] = own
        return table
