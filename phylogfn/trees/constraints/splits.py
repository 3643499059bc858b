"""Constraints on topologies: splits, of all taxa or of some, that every tree displays.

The splits are those of a tree of any degree, the constraint tree. If it lacks taxa, these are free:
a topology of all taxa agrees with it if removing the free taxa leaves a resolution of the
constraint tree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phylogfn.kernels.constraints_numba import legal_insertions, legal_joins
from phylogfn.kernels.insertion_numba import insert, trees_of_states
from phylogfn.trees.tree import Tree, node_splits

__all__ = ["Constraints", "incompatible_pair"]


def incompatible_pair(splits: Sequence[int], taxa: int) -> tuple[int, int] | None:
    """Return the indices of two splits that cannot be in one tree, or None.

    Splits are compatible if they are so in pairs, that is, if one of the four intersections of
    their sides is empty (Buneman, in: Mathematics in the Archaeological and Historical Sciences,
    387, 1971).

    Parameters
    ----------
    splits : sequence of int
        One side of each, bit i for taxon i.
    taxa : int
        All taxa of the splits.
    """
    for j, other in enumerate(splits):
        for i, one in enumerate(splits[:j]):
            quarters = one & other, one & ~other, ~one & other, taxa & ~one & ~other
            if all(quarter & taxa for quarter in quarters):
                return i, j
    return None


@dataclass(frozen=True, eq=False)
class Constraints:
    """Splits that every topology displays.

    Parameters
    ----------
    sides : ndarray, shape (m, n), int8
        The side, 0 or 1, of each taxon; -1 if the taxon is free. All splits are of the same taxa,
        different, compatible, and have at least two taxa on each side.
    source : str
        Name of the file for messages.
    notes : tuple of str
        Notes for the user about reading the file.

    Examples
    --------
    >>> constraints = Constraints.from_splits(5, [0b00110, 0b00111])
    >>> round(math.exp(constraints.log_n_topologies))
    1
    """

    sides: NDArray[np.int8]
    source: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_splits(
        cls, n_taxa: int, splits: Sequence[int], taxa: int | None = None, source: str = ""
    ) -> Constraints:
        """Return the constraints of splits, given by one side each.

        Parameters
        ----------
        n_taxa : int
        splits : sequence of int
            Bit i is set if taxon i is on the side; repeated splits count once.
        taxa : int, optional
            The taxa of the splits; the others are free. Default: all.
        source : str

        Raises
        ------
        ValueError
            A side has fewer than two taxa, or two splits are incompatible.
        """
        taxa = (1 << n_taxa) - 1 if taxa is None else taxa
        lowest = taxa & -taxa
        ones = list(dict.fromkeys(s & taxa if not s & lowest else taxa & ~s for s in splits))
        ones.sort(key=lambda split: (split.bit_count(), split))
        if any(min(one.bit_count(), (taxa & ~one).bit_count()) < 2 for one in ones):
            raise ValueError("a split has fewer than two taxa on one side")
        if incompatible_pair(ones, taxa) is not None:
            raise ValueError("two splits are incompatible")
        sides = np.full((len(ones), n_taxa), -1, np.int8)
        for row, one in enumerate(ones):
            for taxon in range(n_taxa):
                if taxa >> taxon & 1:
                    sides[row, taxon] = one >> taxon & 1
        return cls(sides, source)

    def __len__(self) -> int:
        return len(self.sides)

    @property
    def n_taxa(self) -> int:
        """The number of taxa, n."""
        return self.sides.shape[1]

    @property
    def n_free(self) -> int:
        """The number of taxa that the splits do not have."""
        return int((self.sides[0] < 0).sum()) if len(self) else self.n_taxa

    @cached_property
    def log_n_topologies(self) -> float:
        """Log of the number of topologies that display all splits.

        A node of degree d of the constraint tree has (2d - 5)!! resolutions; afterwards, a free
        taxon has 2k - 3 places in a tree of k taxa, wherever the ones before it are.
        """
        bound = self.n_taxa - self.n_free
        degrees = self._degrees()
        resolved = sum(math.log(2 * k - 5) for degree in degrees for k in range(4, degree + 1))
        return resolved + sum(
            math.log(2 * k - 5) for k in range(max(bound, 3) + 1, self.n_taxa + 1)
        )

    def _degrees(self) -> list[int]:
        """Return the degrees of the inner nodes of the constraint tree."""
        masks = [_bits(row == 1) for row in self.sides]
        bound = _bits(self.sides[0] >= 0) if masks else 0
        top = bound & ~(bound & -bound)  # without the taxon that is on no side called 1
        parts = {1 << taxon for taxon in range(self.n_taxa) if top >> taxon & 1}
        degrees = []
        for mask in [*sorted(masks, key=int.bit_count), top]:
            inside = {part for part in parts if part & mask}
            degrees.append(len(inside) + 1)
            parts = (parts - inside) | {mask}
        return degrees if bound else []

    def checksum(self) -> str:
        """Return a checksum, hexadecimal, of the splits, not of how they were written."""
        rows = sorted(row.tobytes() for row in self.sides)
        return hashlib.sha256(repr(self.sides.shape).encode() + b"".join(rows)).hexdigest()

    def hold(self, trees: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether topologies ``trees`` (B, 2n-2), parents drawn at taxon 0, display all."""
        bits = [(_bits(row == 0), _bits(row == 1)) for row in self.sides]
        return np.array([self._holds(tree, bits) for tree in trees], bool)

    def _holds(self, tree: NDArray[Any], bits: list[tuple[int, ...]]) -> bool:
        found = node_splits(Tree.from_parents(tree))
        return all(
            any(mask & (one | other) in (one, other) for mask in found[1:]) for one, other in bits
        )

    def random_topology(self, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw a topology uniformly from those that display all splits; return its parents.

        The taxa of the splits are inserted first, each into a random one of the branches that keep
        the splits, then the free ones. As long as there are no free taxa, the number of such
        branches is the same in all trees of the same taxa, so all results are equally probable.
        """
        n = self.n_taxa
        bound = np.flatnonzero(self.sides[0] >= 0) if len(self) else np.arange(n)
        order = np.concatenate([bound, np.setdiff1d(np.arange(n), bound)])
        sides = self.of_order(order)
        states = np.full((1, 2 * n - 2), -1, np.int16)
        states[0, 1] = 0
        for position in range(2, n):
            counts = np.array([position])
            (places,) = np.nonzero(legal_insertions(states, counts, sides)[0])
            insert(states, counts, np.array([rng.choice(places)]))
        return trees_of_states(states, order)[0]

    def of_order(self, order: NDArray[Any]) -> NDArray[np.int8]:
        """Return the sides (m, n) by position, where ``order`` (n,) has the taxon at each."""
        return np.ascontiguousarray(self.sides[:, order])

    def legal_insertions(
        self, parents: NDArray[np.int16], counts: NDArray[np.int64], order: NDArray[Any]
    ) -> NDArray[np.bool_]:
        """Return into which branches the next taxon can be inserted, bool (B, 2n-2).

        See `phylogfn.kernels.constraints_numba.legal_insertions`; ``order`` (n,) is the taxon at
        each position of the insertion states.
        """
        return legal_insertions(parents, counts, self.of_order(order))

    def legal_joins(
        self, parents: NDArray[np.int16], counts: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which pairs of trees of forests can be joined, bool (A,).

        See `phylogfn.kernels.constraints_numba.legal_joins`.
        """
        return legal_joins(parents, counts, self.sides)


def _bits(taxa: NDArray[np.bool_]) -> int:
    """Return a set of taxa, bool (n,), as bits."""
    return sum(1 << int(taxon) for taxon in np.flatnonzero(taxa))
