"""Supports and branch lengths of the splits of a weighted set of trees.

Splits are integers: bit i is set if taxon i is on the side without taxon 0 (see
:mod:`phylogfn.trees.tree`). Branch lengths are expected substitutions per site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phylogfn.trees.tree import Tree, splits

__all__ = ["SplitTable", "split_supports", "tabulate_splits"]


@dataclass(frozen=True)
class SplitTable:
    """Supports and branch lengths of the splits of a weighted set of trees.

    Parameters
    ----------
    names : tuple of str
        The taxa; bit i of a split is taxon i.
    supports : mapping of int to float
        Share of the trees (by weight) that contain each non-trivial split.
    mean_lengths, sd_lengths : mapping of int to float
        Mean and standard deviation of the length of the branch, over the trees that contain it,
        including branches to leaves. Empty if the trees have no lengths.
    """

    names: tuple[str, ...]
    supports: Mapping[int, float]
    mean_lengths: Mapping[int, float]
    sd_lengths: Mapping[int, float]

    @property
    def n_taxa(self) -> int:
        """The number of taxa."""
        return len(self.names)


def tabulate_splits(
    names: tuple[str, ...],
    trees: Iterable[tuple[float, Mapping[int, float | None]]],
) -> SplitTable:
    """Return the table of a weighted set of trees.

    Parameters
    ----------
    names : tuple of str, length n
        The taxa.
    trees : iterable of (weight, branches)
        ``branches`` maps each split of a tree, including those of the leaves, to the length of the
        branch, or to None.
    """
    n = len(names)
    weights: dict[int, float] = {}
    sums: dict[int, list[float]] = {}
    total = 0.0
    for weight, branches in trees:
        total += weight
        for split, length in branches.items():
            weights[split] = weights.get(split, 0.0) + weight
            if length is not None:
                entry = sums.setdefault(split, [0.0, 0.0, 0.0])
                entry[0] += weight
                entry[1] += weight * length
                entry[2] += weight * length * length
    if total <= 0:
        raise ValueError("no trees, or all of them have weight zero")
    means = {split: s[1] / s[0] for split, s in sums.items() if s[0] > 0}
    deviations = {
        split: max(sums[split][2] / sums[split][0] - mean * mean, 0.0) ** 0.5
        for split, mean in means.items()
    }
    supports = {
        split: min(weight / total, 1.0)
        for split, weight in weights.items()
        if 2 <= split.bit_count() <= n - 2
    }
    return SplitTable(names, supports, means, deviations)


def split_supports(
    parents: NDArray[np.int32], weights: NDArray[np.float64] | None = None
) -> dict[int, float]:
    """Return the support of each non-trivial split among weighted topologies.

    Parameters
    ----------
    parents : ndarray, shape (T, 2n-2), int32
        The topologies.
    weights : ndarray, shape (T,), float64, optional
        Their weights; need not sum to one. Default: equal.
    """
    unique: dict[bytes, float] = {}
    first: dict[bytes, int] = {}
    shares = np.full(len(parents), 1.0) if weights is None else np.asarray(weights, float)
    for index, row in enumerate(parents):
        key = row.tobytes()
        first.setdefault(key, index)
        unique[key] = unique.get(key, 0.0) + float(shares[index])
    total = sum(unique.values())
    if not total > 0:
        raise ValueError("no topologies, or all of them have weight zero")
    supports: dict[int, float] = {}
    for key, weight in unique.items():
        for split in splits(Tree.from_parents(parents[first[key]])):
            supports[split] = supports.get(split, 0.0) + weight / total
    return {split: min(support, 1.0) for split, support in supports.items()}
