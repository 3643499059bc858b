"""Site patterns: the different columns of an alignment, or of each of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phylogfn.alignments.alignment import Alignment

__all__ = ["PartitionedPatterns", "SitePatterns", "compress", "distinct_columns"]


@dataclass(frozen=True, eq=False)
class SitePatterns:
    """The different columns of an alignment, in the order in which they first occur.

    Parameters
    ----------
    masks : ndarray, shape (n_taxa, n_patterns), uint32
        The columns, as in `Alignment.masks`.
    weights : ndarray, shape (n_patterns,), float64
        How many sites show each.
    site_to_pattern : ndarray, shape (n_sites,), int32
        The pattern of each site.
    n_states : int
        The number of states of the alphabet.
    """

    masks: NDArray[np.uint32]
    weights: NDArray[np.float64]
    site_to_pattern: NDArray[np.int32]
    n_states: int

    @property
    def parts(self) -> tuple[SitePatterns, ...]:
        """The patterns themselves: the only part."""
        return (self,)

    @property
    def n_taxa(self) -> int:
        """The number of sequences."""
        return self.masks.shape[0]

    @property
    def n_patterns(self) -> int:
        """The number of different columns."""
        return self.masks.shape[1]

    def tip_partials(self) -> NDArray[np.float64]:
        """Return the likelihoods at the leaves, 0 or 1, shape(n_taxa, n_states, n_patterns)."""
        bits = np.arange(self.n_states, dtype=np.uint32)[None, :, None]
        return ((self.masks[:, None, :] >> bits) & 1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class PartitionedPatterns(SitePatterns):
    """The site patterns of the parts of an alignment, one part behind another.

    `n_states` is the largest number of states of a part, and missing data have all of its bits set.

    Parameters
    ----------
    groups : tuple of SitePatterns
        Those of each part. Some may have parts themselves.
    """

    groups: tuple[SitePatterns, ...]

    @classmethod
    def from_groups(cls, groups: Sequence[SitePatterns]) -> PartitionedPatterns:
        """Return the patterns of several parts with the same taxa."""
        n_states = max(group.n_states for group in groups)
        every = np.uint32((1 << n_states) - 1)
        masks = []
        for group in groups:
            missing = group.masks == np.uint32((1 << group.n_states) - 1)
            masks.append(np.where(missing, every, group.masks))
        first = np.cumsum([0, *(group.n_patterns for group in groups)])
        sites = [group.site_to_pattern + first[i] for i, group in enumerate(groups)]
        return cls(
            np.concatenate(masks, axis=1),
            np.concatenate([group.weights for group in groups]),
            np.concatenate(sites).astype(np.int32),
            n_states,
            tuple(groups),
        )

    @property
    def parts(self) -> tuple[SitePatterns, ...]:
        """All parts of all groups."""
        return tuple(part for group in self.groups for part in group.parts)


def compress(alignment: Alignment) -> SitePatterns:
    """Return the site patterns of an alignment; `PartitionedPatterns` if it has parts."""
    if alignment.parts:
        groups = [compress(alignment.of_part(part)) for part in alignment.parts]
        return PartitionedPatterns.from_groups(groups)
    masks, site_to_pattern = distinct_columns(alignment.masks)
    return SitePatterns(
        masks=masks,
        weights=np.bincount(site_to_pattern, minlength=masks.shape[1]).astype(np.float64),
        site_to_pattern=site_to_pattern,
        n_states=alignment.alphabet.n_states,
    )


def distinct_columns(
    masks: NDArray[np.uint32],
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Return the different columns, in the order in which they first occur, and where each is.

    Parameters
    ----------
    masks : ndarray, shape (n, n_sites), uint32

    Returns
    -------
    distinct : ndarray, shape (n, n_distinct), uint32
    places : ndarray, shape (n_sites,), int32
        The place of each column among them.
    """
    columns = np.ascontiguousarray(masks.T)
    rows = columns.view(np.dtype((np.void, columns.itemsize * columns.shape[1]))).ravel()
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return np.ascontiguousarray(masks[:, first[order]]), rank[inverse.ravel()]
