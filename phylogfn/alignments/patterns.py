"""Site patterns: the different columns of an alignment, or of each of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phylogfn.alignments.alignment import Alignment
from phylogfn.alignments.nexus.assumptions import Assumptions
from phylogfn.errors import AlignmentError

__all__ = [
    "CharacterPatterns",
    "PartitionedPatterns",
    "SitePatterns",
    "compress",
    "distinct_columns",
]


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
    def classes(self) -> tuple[tuple[int, bool], ...]:
        """Number of states, and whether they are ordered, of each class of characters."""
        return ((self.n_states, False),)

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


@dataclass(frozen=True, eq=False)
class CharacterPatterns(PartitionedPatterns):
    """The patterns of a morphological matrix, one class of characters behind another.

    Characters of a class have the same number of states, and all or none of them are ordered. A
    character has the states up to the highest that is possible in one of the taxa, missing data
    apart, and at least two, as in MrBayes. Two states are never ordered.

    Parameters
    ----------
    columns : tuple of ndarray, shape (n_sites of the class,), int64
        The characters of each class, ascending.
    ordered : tuple of bool
        Whether each class is ordered.
    """

    columns: tuple[NDArray[np.int64], ...]
    ordered: tuple[bool, ...]

    @classmethod
    def from_characters(
        cls, masks: NDArray[np.uint32], n_states: int, ordered: NDArray[np.bool_] | None
    ) -> CharacterPatterns:
        """Return the patterns of some characters.

        Parameters
        ----------
        masks : ndarray, shape (n_taxa, n_sites), uint32
        n_states : int
            Of the alphabet; missing data have all of its bits set.
        ordered : ndarray, shape (n_sites,), bool, or None
            Whether each character is ordered; None: none is.
        """
        missing = np.uint32((1 << n_states) - 1)
        seen = np.bitwise_or.reduce(np.where(masks == missing, np.uint32(0), masks), axis=0)
        sizes = np.array([max(2, int(states).bit_length()) for states in seen])
        strict = np.zeros(sizes.size, bool) if ordered is None else ordered & (sizes > 2)
        found = sorted(set(zip(strict.tolist(), sizes.tolist(), strict=True)))
        columns = [np.flatnonzero((strict == own) & (sizes == k)) for own, k in found]
        groups = [
            _patterns(masks[:, own] & np.uint32((1 << k) - 1), k)
            for own, (_, k) in zip(columns, found, strict=True)
        ]
        joined = PartitionedPatterns.from_groups(groups)
        sites = np.empty_like(joined.site_to_pattern)
        sites[np.concatenate(columns)] = joined.site_to_pattern
        return cls(
            joined.masks,
            joined.weights,
            sites,
            joined.n_states,
            joined.groups,
            tuple(columns),
            tuple(own for own, _ in found),
        )

    @property
    def classes(self) -> tuple[tuple[int, bool], ...]:
        """Number of states, and whether they are ordered, of each class."""
        sizes = (group.n_states for group in self.groups)
        return tuple(zip(sizes, self.ordered, strict=True))


def compress(alignment: Alignment) -> SitePatterns:
    """Return the site patterns of an alignment.

    They are `PartitionedPatterns` if it has parts, and `CharacterPatterns` of standard data.

    Raises
    ------
    AlignmentError
        The types of characters in the file cannot be used, and the data are standard.
    """
    if alignment.parts:
        groups = [compress(alignment.of_part(part)) for part in alignment.parts]
        return PartitionedPatterns.from_groups(groups)
    if alignment.alphabet.name == "standard":
        said = alignment.assumptions or Assumptions()
        if said.problem:
            raise AlignmentError(said.problem)
        return CharacterPatterns.from_characters(
            alignment.masks, alignment.alphabet.n_states, said.ordered
        )
    return _patterns(alignment.masks, alignment.alphabet.n_states)


def _patterns(columns: NDArray[np.uint32], n_states: int) -> SitePatterns:
    masks, site_to_pattern = distinct_columns(columns)
    return SitePatterns(
        masks=masks,
        weights=np.bincount(site_to_pattern, minlength=masks.shape[1]).astype(np.float64),
        site_to_pattern=site_to_pattern,
        n_states=n_states,
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
