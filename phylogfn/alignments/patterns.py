"""Site patterns: the different columns of an alignment, or of each of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
class PartitionedPatterns:
    """The site patterns of several parts of an alignment; parts may differ in their states.

    Parameters
    ----------
    parts : tuple of SitePatterns
        All of the same taxa.
    """

    parts: tuple[SitePatterns, ...]

    @property
    def n_taxa(self) -> int:
        """The number of sequences."""
        return self.parts[0].n_taxa

    @property
    def n_patterns(self) -> int:
        """The number of different columns, of all parts together."""
        return sum(part.n_patterns for part in self.parts)

    @property
    def n_states(self) -> int:
        """The largest number of states."""
        return max(part.n_states for part in self.parts)

    @property
    def weights(self) -> NDArray[np.float64]:
        """How many sites show each pattern, shape (n_patterns,), part by part."""
        return np.concatenate([part.weights for part in self.parts])

    @cached_property
    def masks(self) -> NDArray[np.uint32]:
        """The columns, shape (n_taxa, n_patterns), part by part; missing data have all bits set."""
        every = np.uint32((1 << self.n_states) - 1)
        columns = []
        for part in self.parts:
            missing = part.masks == np.uint32((1 << part.n_states) - 1)
            columns.append(np.where(missing, every, part.masks))
        return np.concatenate(columns, axis=1)


def compress(alignment: Alignment) -> SitePatterns:
    """Return the site patterns of an alignment."""
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
