"""Supports and branch lengths of the splits of a weighted set of trees.

Splits are integers: bit i is set if taxon i is on the side without taxon 0 (see
:mod:`phylogfn.trees.tree`). Branch lengths are expected substitutions per site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from phylogfn.trees.tree import children_from_parents

__all__ = [
    "SplitIncidence",
    "SplitProbabilities",
    "SplitTable",
    "split_incidence",
    "split_supports",
    "tabulate_splits",
]

_CHUNK = 2**20  # words of bits held at a time
_WORD = 64  # bits


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
    errors : mapping of int to float
        Standard errors of the supports; empty if unknown.
    """

    names: tuple[str, ...]
    supports: Mapping[int, float]
    mean_lengths: Mapping[int, float]
    sd_lengths: Mapping[int, float]
    errors: Mapping[int, float] = field(default_factory=dict)

    @property
    def n_taxa(self) -> int:
        """The number of taxa."""
        return len(self.names)


@dataclass(frozen=True, eq=False)
class SplitProbabilities:
    """Estimated probabilities of non-trivial splits, with their standard errors.

    Attributes
    ----------
    splits : tuple of int, length M
    probabilities, errors : ndarray, shape (M,), float64
        NaN where an error is unknown.
    """

    splits: tuple[int, ...]
    probabilities: NDArray[np.float64]
    errors: NDArray[np.float64]

    def without_errors(self) -> SplitProbabilities:
        """Return the same probabilities with unknown errors."""
        return replace(self, errors=np.full(len(self.splits), np.nan))

    def __post_init__(self) -> None:
        expected = (len(self.splits),)
        for name in ("probabilities", "errors"):
            found = np.shape(getattr(self, name))
            if found != expected:
                raise ValueError(f"{name} has shape {found}, but {expected} was expected")


@dataclass(frozen=True, eq=False)
class SplitIncidence:
    """Which topology contains which non-trivial split, as pairs of indices.

    Attributes
    ----------
    splits : tuple of int, length M
        The distinct splits, in the order of their first occurrence.
    topologies, columns : ndarray, shape (E,), int64
        Topology ``topologies[e]`` contains ``splits[columns[e]]``. Topologies are in ascending
        order, each with its n - 3 splits.
    """

    splits: tuple[int, ...]
    topologies: NDArray[np.int64]
    columns: NDArray[np.int64]

    def sums(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each split the sum of the weights (T,) of its topologies, shape (M,)."""
        sums = np.bincount(self.columns, weights[self.topologies], minlength=len(self.splits))
        return sums.astype(np.float64)


def split_incidence(parents: NDArray[np.int32]) -> SplitIncidence:
    """Return the non-trivial splits of topologies.

    Parameters
    ----------
    parents : ndarray, shape (T, 2n-2), int
        The topologies, drawn at taxon 0, their inner nodes numbered in any order.

    Examples
    --------
    >>> found = split_incidence(np.array([[-1, 5, 4, 4, 5, 0], [-1, 4, 4, 5, 5, 0]]))
    >>> [bin(split) for split in found.splits], found.columns.tolist()
    (['0b1100', '0b110'], [0, 1])
    """
    n_topologies, n_nodes = parents.shape
    n_words = -(-(n_nodes // 2 + 1) // _WORD)
    together = max(1, _CHUNK // (n_nodes * n_words))
    numbers: dict[bytes, int] = {}
    columns = [np.zeros(0, np.int64)]
    for start in range(0, n_topologies, together):
        rows = _inner_masks(parents[start : start + together], n_words)
        keys = np.ascontiguousarray(rows).view(np.dtype((np.void, 8 * n_words))).ravel()
        distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        names = [key.tobytes() for key in distinct]
        for index in np.argsort(first, kind="stable").tolist():
            numbers.setdefault(names[index], len(numbers))
        number = np.array([numbers[name] for name in names], np.int64)
        columns.append(number[inverse.ravel()])
    per_topology = n_nodes // 2 - 2
    return SplitIncidence(
        tuple(int.from_bytes(name, "little") for name in numbers),
        np.repeat(np.arange(n_topologies), max(per_topology, 0)),
        np.concatenate(columns),
    )


def _inner_masks(parents: NDArray[np.int32], n_words: int) -> NDArray[np.uint64]:
    """Return the taxa below the inner branches, as words of bits, shape (T * (n-3), n_words)."""
    n_rows, n_nodes = parents.shape
    n = n_nodes // 2 + 1
    if n < 4:
        return np.zeros((0, n_words), "<u8")
    children = children_from_parents(parents)
    depth = np.zeros(parents.shape, np.int64)
    up = parents.astype(np.int64)
    above = up
    while (alive := above > 0).any():
        depth += alive
        above = np.where(alive, np.take_along_axis(up, np.maximum(above, 0), 1), -1)
    masks = np.zeros((n_rows, n_nodes, n_words), "<u8")
    taxa = np.arange(1, n)
    masks[:, taxa, taxa // _WORD] = np.left_shift(np.uint64(1), (taxa % _WORD).astype(np.uint64))
    inner = depth[:, n:]
    order = np.argsort(-inner, axis=None, kind="stable")  # the deepest nodes first
    level = inner.ravel()[order]
    ends = [0, *(np.flatnonzero(np.diff(level)) + 1).tolist(), len(order)]
    for begin, end in zip(ends[:-1], ends[1:], strict=True):
        row, node = np.divmod(order[begin:end], n - 2)
        node += n
        pair = children[row, node]
        masks[row, node] = masks[row, pair[:, 0]] | masks[row, pair[:, 1]]
    return masks[:, n:][inner > 0]  # all but the neighbour of taxon 0, whose branch is trivial


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
    shares = np.ones(len(parents)) if weights is None else np.asarray(weights, float)
    total = float(shares.sum())
    if not total > 0:
        raise ValueError("no topologies, or all of them have weight zero")
    found = split_incidence(parents)
    supports = np.minimum(found.sums(shares) / total, 1.0)
    return dict(zip(found.splits, supports.tolist(), strict=True))
