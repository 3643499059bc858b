"""Starting trees: stepwise-addition parsimony, neighbour joining, random.

Under constraints, each step has only the choices that keep the splits: a taxon is added to one of
the branches, or a pair is joined, from which all splits can still be displayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.exploration.constrained_starts import ClusterJoins, constrained_addition_tree
from phylogfn.parsimony.scores import Workspace, addition_tree, pack
from phylogfn.trees.tree import random_topology

if TYPE_CHECKING:
    from phylogfn.alignments.patterns import SitePatterns
    from phylogfn.trees.constraints.splits import Constraints

__all__ = [
    "StartingTrees",
    "neighbour_joining",
    "overdispersed_starts",
    "parsimony_tree",
    "pattern_distances",
]

RANDOM_SHARE = 0.25  # of starting trees


class StartingTrees:
    """Starting trees of an alignment, drawn one after another.

    Parameters
    ----------
    patterns : SitePatterns
    constraints : Constraints, optional
        Splits that all trees display; None: there are none.
    """

    def __init__(self, patterns: SitePatterns, constraints: Constraints | None = None):
        self._constraints = constraints
        self._n_taxa = patterns.masks.shape[0]
        weights = np.asarray(patterns.weights, float)
        self._packed = pack(patterns.masks, weights, patterns.n_states)
        self._workspace = Workspace(self._packed)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a random tree or a parsimony tree; return its parents, shape (2n-2,), int16."""
        return self.random_tree(rng) if rng.random() < RANDOM_SHARE else self.parsimony_tree(rng)

    def random_tree(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a tree uniformly; return its parents."""
        if self._constraints is not None:
            return self._constraints.random_topology(rng)
        return random_topology(self._n_taxa, rng).parent.astype(np.int16)

    def parsimony_tree(self, rng: np.random.Generator) -> np.ndarray:
        """Build a tree by stepwise addition, taxa in random order; return its parents."""
        if self._constraints is not None:
            return constrained_addition_tree(self._packed, self._workspace, self._constraints, rng)
        return addition_tree(self._packed, self._workspace, rng)


def parsimony_tree(patterns: SitePatterns, rng: np.random.Generator) -> np.ndarray:
    """Return parents (2n-2,), int16, of a stepwise-addition parsimony tree in random order."""
    return StartingTrees(patterns).parsimony_tree(rng)


def pattern_distances(patterns: SitePatterns) -> np.ndarray:
    """Return pairwise distances (n, n): Poisson-corrected share of sites with disjoint state sets.

    Sites at which either taxon has no information are left out; pairs without a common site get
    the largest distance of the others.
    """
    masks = np.asarray(patterns.masks, np.uint32)
    k = patterns.n_states
    missing = masks == np.uint32(2**k - 1)
    weights = np.asarray(patterns.weights, float)
    n = len(masks)
    distances = np.zeros((n, n))
    for i in range(n):
        known = ~missing[i] & ~missing  # n x P
        differ = (masks[i] & masks) == 0
        total = known @ weights
        with np.errstate(invalid="ignore"):
            share = (known & differ) @ weights / total
        saturation = (k - 1) / k
        share = np.minimum(share, 0.95 * saturation)
        distances[i] = -saturation * np.log1p(-share / saturation)
    largest = np.nanmax(distances, initial=0.0)
    distances = np.where(np.isnan(distances), largest, distances)
    np.fill_diagonal(distances, 0.0)
    return distances


def neighbour_joining(distances: np.ndarray, constraints: Constraints | None = None) -> np.ndarray:
    """Return the neighbour-joining tree (Saitou & Nei 1987): parents (2n-2,), int16.

    Parameters
    ----------
    distances : ndarray, shape (n, n), float64
    constraints : Constraints, optional
        Splits that the tree displays; None: there are none.
    """
    n = len(distances)
    joins = None if constraints is None else ClusterJoins(constraints)
    links: list[tuple[int, int]] = []
    active = list(range(n))
    d = np.zeros((2 * n - 2, 2 * n - 2))
    d[:n, :n] = distances
    node = n
    while len(active) > 3:
        index = np.array(active)
        sub = d[np.ix_(index, index)]
        total = sub.sum(axis=1)
        q = (len(active) - 2) * sub - total[:, None] - total[None, :]
        np.fill_diagonal(q, np.inf)
        if joins is not None:
            q[~joins.legal(index)] = np.inf
        i, j = np.unravel_index(np.argmin(q), q.shape)
        a, b = active[int(i)], active[int(j)]
        links += [(a, node), (b, node)]
        if joins is not None:
            joins.join(a, b, node)
        d[node, index] = d[index, node] = 0.5 * (d[a, index] + d[b, index] - d[a, b])
        active = [x for x in active if x not in (a, b)] + [node]
        node += 1
    links += [(x, node) for x in active]
    neighbours: dict[int, list[int]] = {}
    for a, b in links:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    parent = np.full(2 * n - 2, -1, np.int16)
    stack = [0]
    while stack:
        v = stack.pop()
        for x in neighbours[v]:
            if x != parent[v]:
                parent[x] = v
                stack.append(x)
    return parent


def overdispersed_starts(
    patterns: SitePatterns,
    n_starts: int,
    rng: np.random.Generator,
    until: Callable[[], bool] | None = None,
    constraints: Constraints | None = None,
) -> np.ndarray:
    """Return starting topologies from different sources, shape (n_starts, 2n-2), int16.

    The first is the neighbour-joining tree, every fourth is random, the rest are parsimony trees.
    Once ``until``, called after each, returns True, the trees built so far are repeated. All
    display the splits of ``constraints``, if there are any.
    """
    source = StartingTrees(patterns, constraints)
    starts = []
    for i in range(n_starts):
        if starts and until is not None and until():
            starts += [starts[k % i] for k in range(n_starts - i)]
            break
        if i == 0:
            starts.append(neighbour_joining(pattern_distances(patterns), constraints))
        elif i % 4 == 3:
            starts.append(source.random_tree(rng))
        else:
            starts.append(source.parsimony_tree(rng))
    return np.stack(starts)
