"""Conditional clade distribution (CCD1), the control that the network has to beat.

A tree on n taxa is taken as rooted at taxon 0, so that every internal node is
a clade of the other n - 1 taxa. The distribution of a clade's split into two
child clades is its relative frequency in a (weighted) sample of trees, and
splits of different clades are independent:

    q(tree) = product over clades C of  f(A, B | C) / f(C).

Sources: Hohna & Drummond 2012 (Syst. Biol. 61:1-11, conditional clades),
Larget 2013 (Syst. Biol. 62:501-511, exact on splits given the clade); the name
CCD1 is of Berling et al. 2025. It is also the maximum likelihood estimate of
an unrestricted subsplit Bayesian network without parent-dependence
(Zhang & Matsen 2018). Density and sampling are exact, and everything runs over
all trees at once in numpy. There is no smoothing: a tree with a split that the
sample does not hold has density zero.

Dimensions: S trees, n taxa, W = ceil(n / 64) words of a clade's bit mask,
C distinct clades, K distinct splits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConditionalClades", "clade_masks", "fit_conditional_clades"]


def clade_masks(parents: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Taxa below each node, of many trees at once.

    Parameters
    ----------
    parents : ndarray, shape (S, 2n-2), dtype=int32
        Parent arrays, rooted at leaf 0 (``parents[:, 0] == -1``).

    Returns
    -------
    masks : ndarray, shape (S, 2n-2, W), dtype=uint64
        Bit i % 64 of word i // 64 is set if taxon i lies at or below the node.
        Leaf 0 is given only its own bit.
    """
    n_trees, n_nodes = parents.shape
    n_taxa = n_nodes // 2 + 1
    masks = np.zeros((n_trees, n_nodes, (n_taxa + 63) // 64), dtype=np.uint64)
    masks[:, 0, 0] = 1
    for leaf in range(1, n_taxa):
        word, bit = leaf // 64, np.uint64(1 << (leaf % 64))
        tree = np.arange(n_trees)
        node = np.full(n_trees, leaf)
        while tree.size:
            masks[tree, node, word] |= bit
            node = parents[tree, node]
            climbing = node > 0
            tree, node = tree[climbing], node[climbing]
    return masks


def _row_keys(rows: NDArray[np.uint64]) -> NDArray:
    """View each row of words as one comparable item."""
    rows = np.ascontiguousarray(rows)
    if rows.shape[1] == 1:
        return rows[:, 0]
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]


def _tree_splits(
    parents: NDArray[np.integer],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """Clade and two child clades of each internal node.

    Returns
    -------
    clade, first, second : ndarray, shape (S * (n-2), W), dtype=uint64
        `first` is the child with the smallest taxon. Rows of a tree are contiguous.
    """
    n_trees, n_nodes = parents.shape
    n_taxa = n_nodes // 2 + 1
    masks = clade_masks(parents)
    n_words = masks.shape[2]
    clade = masks[:, n_taxa:]  # (S, n-2, W)
    smallest = np.full((n_trees, n_nodes), n_taxa, dtype=np.int64)
    for leaf in range(n_taxa - 1, 0, -1):
        below = (masks[:, :, leaf // 64] >> np.uint64(leaf % 64)) & np.uint64(1)
        smallest[below == 1] = leaf
    # the first child is the one that shares its parent's smallest taxon
    tree, node = np.nonzero(parents > 0)
    parent = parents[tree, node]
    is_first = smallest[tree, node] == smallest[tree, parent]
    first = np.zeros_like(clade)
    first[tree[is_first], parent[is_first] - n_taxa] = masks[tree[is_first], node[is_first]]
    second = clade & ~first
    return (
        clade.reshape(-1, n_words),
        first.reshape(-1, n_words),
        second.reshape(-1, n_words),
    )


def _numbers_in(table: NDArray[np.uint64], queries: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Row number in `table` of each query row, -1 where it is absent."""
    keys = np.concatenate([_row_keys(table), _row_keys(queries)])
    distinct, inverse = np.unique(keys, return_inverse=True)
    number = np.full(len(distinct), -1, dtype=np.int64)
    number[inverse[: len(table)]] = np.arange(len(table))
    return number[inverse[len(table) :]]


@dataclass(frozen=True)
class ConditionalClades:
    """An exact distribution over topologies.

    Attributes
    ----------
    n_taxa : int
        Number of taxa.
    clades : ndarray, shape (C, W), dtype=uint64
        Bit masks of the distinct clades, leaves included.
    split_clade, split_first, split_second : ndarray, shape (K,), dtype=int64
        Clade numbers of a split and of its two children, sorted by clade and first child.
    split_log_probability : ndarray, shape (K,), dtype=float64
        Log probability of the split given its clade.
    """

    n_taxa: int
    clades: NDArray[np.uint64]
    split_clade: NDArray[np.int64]
    split_first: NDArray[np.int64]
    split_second: NDArray[np.int64]
    split_log_probability: NDArray[np.float64]

    def log_density(self, parents: NDArray[np.integer]) -> NDArray[np.float64]:
        """Log probability of each topology.

        Parameters
        ----------
        parents : ndarray, shape (S, 2n-2), dtype=int32
            Parent arrays, rooted at leaf 0.

        Returns
        -------
        log_density : ndarray, shape (S,), dtype=float64
            Nats; -inf outside the support.
        """
        clade, first, _ = _tree_splits(parents)
        n_clades = len(self.clades)
        clade_number = _numbers_in(self.clades, clade)
        first_number = _numbers_in(self.clades, first)
        known = (clade_number >= 0) & (first_number >= 0)
        code = clade_number * n_clades + first_number
        table = self.split_clade * n_clades + self.split_first
        place = np.minimum(np.searchsorted(table, code), len(table) - 1)
        known &= table[place] == code
        terms = np.where(known, self.split_log_probability[place], -np.inf)
        return terms.reshape(len(parents), -1).sum(axis=1)

    def sample(
        self, n_draws: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Draw topologies.

        Returns
        -------
        parents : ndarray, shape (n_draws, 2n-2), dtype=int32
            Parent arrays, rooted at leaf 0, internal nodes in pre-order.
        log_density : ndarray, shape (n_draws,), dtype=float64
            Their log probabilities.
        """
        n_taxa = self.n_taxa
        parents = np.full((n_draws, 2 * n_taxa - 2), -1, dtype=np.int32)
        log_density = np.zeros(n_draws)
        size = np.bitwise_count(self.clades).sum(axis=1).astype(np.int64)
        taxon = _lowest_bit(self.clades)
        cumulative = np.cumsum(np.exp(self.split_log_probability))
        begin = np.searchsorted(self.split_clade, np.arange(len(self.clades)))
        end = np.searchsorted(self.split_clade, np.arange(len(self.clades)), side="right")
        base = np.concatenate([[0.0], cumulative])

        draw = np.arange(n_draws)
        clade = np.full(n_draws, int(np.argmax(size)))
        node = np.full(n_draws, n_taxa)
        parents[:, n_taxa] = 0
        while draw.size:
            low, high = base[begin[clade]], base[end[clade]]
            target = low + rng.random(draw.size) * (high - low)
            split = np.searchsorted(cumulative, target, side="right")
            split = np.clip(split, begin[clade], end[clade] - 1)
            np.add.at(log_density, draw, self.split_log_probability[split])
            first, second = self.split_first[split], self.split_second[split]
            # pre-order: a clade of k taxa takes k - 1 internal numbers, its own the first
            first_node = np.where(size[first] == 1, taxon[first], node + 1)
            second_node = np.where(size[second] == 1, taxon[second], node + size[first])
            parents[draw, first_node] = node
            parents[draw, second_node] = node
            children = np.concatenate([first, second])
            inner = size[children] > 1
            draw = np.concatenate([draw, draw])[inner]
            node = np.concatenate([first_node, second_node])[inner]
            clade = children[inner]
        return parents, log_density


def _lowest_bit(masks: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number of the lowest bit set in each row of words; rows must not be zero."""
    word = np.argmax(masks != 0, axis=1)
    value = masks[np.arange(len(masks)), word]
    below = (value & (~value + np.uint64(1))) - np.uint64(1)
    return 64 * word + np.bitwise_count(below).astype(np.int64)


def fit_conditional_clades(
    parents: NDArray[np.integer], weights: NDArray[np.float64] | None = None
) -> ConditionalClades:
    """Fit the distribution to a sample of trees.

    Parameters
    ----------
    parents : ndarray, shape (S, 2n-2), dtype=int32
        Parent arrays, rooted at leaf 0.
    weights : ndarray, shape (S,), dtype=float64, optional
        Non-negative weights of the trees; equal if not given. Trees of weight
        zero are left out.

    Returns
    -------
    distribution : ConditionalClades
        The fitted distribution.

    Raises
    ------
    ValueError
        If there is no tree of positive weight, or weights are negative.
    """
    if weights is None:
        weights = np.ones(len(parents))
    if len(weights) != len(parents) or np.any(weights < 0.0):
        raise ValueError("weights must be one non-negative number a tree")
    parents, weights = parents[weights > 0.0], weights[weights > 0.0]
    if not len(parents):
        raise ValueError("no tree of positive weight to fit the distribution to")
    n_taxa = parents.shape[1] // 2 + 1
    clade, first, second = _tree_splits(parents)
    n_rows = len(clade)
    stacked = np.concatenate([clade, first, second])
    _, representative, number = np.unique(
        _row_keys(stacked), return_index=True, return_inverse=True
    )
    clades = stacked[representative]
    clade_number, first_number = number[:n_rows], number[n_rows : 2 * n_rows]
    second_number = number[2 * n_rows :]
    code = clade_number * len(clades) + first_number
    _, row, split_number = np.unique(code, return_index=True, return_inverse=True)
    count = np.bincount(split_number, weights=np.repeat(weights, n_taxa - 2))
    total = np.bincount(clade_number[row], weights=count, minlength=len(clades))
    return ConditionalClades(
        n_taxa=n_taxa,
        clades=clades,
        split_clade=clade_number[row],
        split_first=first_number[row],
        split_second=second_number[row],
        split_log_probability=np.log(count) - np.log(total[clade_number[row]]),
    )
