"""From parent arrays to sets of splits, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.phylogfn.conditional_clades import clade_masks
from benchmarks.phylogfn.reference import Topology

__all__ = ["keys_of_parents", "parents_of_key"]


def keys_of_parents(parents: NDArray[np.integer]) -> list[Topology]:
    """Sets of non-trivial splits of many trees.

    Parameters
    ----------
    parents : ndarray, shape (S, 2n-2)
        Parent arrays, rooted at leaf 0.

    Returns
    -------
    keys : list of frozenset of int
        Masks of the sides without taxon 0, as `reference.topology_key` makes them.
    """
    n_taxa = parents.shape[1] // 2 + 1
    words = clade_masks(parents)[:, n_taxa:].astype("<u8")
    whole = (1 << n_taxa) - 2
    return [
        frozenset(int.from_bytes(row.tobytes(), "little") for row in tree) - {whole}
        for tree in words
    ]


def parents_of_key(key: Topology, n_taxa: int) -> NDArray[np.int32]:
    """Parent array, shape (2n-2,), of a resolved topology given by its splits.

    Raises
    ------
    ValueError
        If the splits are not those of a resolved tree.
    """
    if len(key) != n_taxa - 3:
        raise ValueError(f"{len(key)} splits, but a resolved tree has {n_taxa - 3}")
    clades = sorted([*key, (1 << n_taxa) - 2], key=int.bit_count)
    parents = np.full(2 * n_taxa - 2, -1, dtype=np.int32)
    parents[2 * n_taxa - 3] = 0
    for number, clade in enumerate([*(1 << leaf for leaf in range(1, n_taxa)), *clades[:-1]]):
        node = number + 1
        wider = clades[max(node - n_taxa + 1, 0) :]
        parents[node] = (
            2 * n_taxa
            - 2
            - len(wider)
            + next(place for place, other in enumerate(wider) if other & clade == clade)
        )
    if np.any(np.bincount(parents[1:], minlength=2 * n_taxa - 2)[n_taxa:] != 2):
        raise ValueError("the splits contradict one another")
    return parents
