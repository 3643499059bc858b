"""Steps of starting trees that display the splits of a constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phylogfn.kernels.constraints_numba import allowed_places
from phylogfn.kernels.fitch_numba import insertion_costs

if TYPE_CHECKING:
    from phylogfn.parsimony.scores import PackedCharacters, Workspace
    from phylogfn.trees.constraints.splits import Constraints

__all__ = ["ClusterJoins", "constrained_addition_tree"]


def constrained_addition_tree(
    packed: PackedCharacters,
    space: Workspace,
    constraints: Constraints,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return parents (2n-2,), int16, of a stepwise-addition tree that displays all splits.

    Taxa are added in random order, each to the branch where it costs the fewest steps, among those
    that keep the splits; ties are broken at random.
    """
    n = packed.n_taxa
    sequence = np.concatenate([[0], 1 + rng.permutation(n - 1)])
    nodes = 2 * n - 2
    parent = np.full(nodes, -1, np.int32)
    children = np.full((nodes, 2), -1, np.int32)
    order, costs = np.empty(nodes, np.int32), np.empty(nodes)
    below = np.empty(nodes, np.int64)
    spanned, reached, allowed = (np.empty(nodes, bool) for _ in range(3))
    children[0, 0] = sequence[1]
    parent[sequence[1]] = 0
    for k in range(2, n):
        taxon = int(sequence[k])
        count = insertion_costs(
            children, n, taxon, space.down, space.up, space.edge, packed.tiles, order, costs
        )
        part = np.array([taxon], np.int32)
        allowed_places(
            parent, order, count, 0, part, 1, constraints.sides, below, spanned, reached, allowed
        )
        places = order[:count][allowed[order[:count]]]
        place = int(rng.choice(places[costs[places] == costs[places].min()]))
        node, above = n + k - 2, int(parent[place])
        children[above, int(children[above, 0] != place)] = node
        parent[node], parent[place], parent[taxon] = above, node, node
        children[node] = place, taxon
    return parent.astype(np.int16)


class ClusterJoins:
    """Which clusters of taxa can be joined so that all splits can still be displayed.

    Parameters
    ----------
    constraints : Constraints

    Notes
    -----
    The rule is that of `phylogfn.kernels.constraints_numba.legal_joins`. Clusters are called by
    nodes: at first the taxa.
    """

    def __init__(self, constraints: Constraints):
        sides = constraints.sides
        has = np.stack([(sides == side).T for side in (0, 1)], axis=2).astype(np.int64)
        self._whole = has.sum(axis=0)
        self._has = np.zeros((2 * len(has), *has.shape[1:]), np.int64)
        self._has[: len(has)] = has

    def join(self, first: int, second: int, node: int) -> None:
        """Join two clusters to one."""
        self._has[node] = self._has[first] + self._has[second]

    def legal(self, clusters: np.ndarray) -> np.ndarray:
        """Return whether clusters (k,) can be joined in pairs, bool (k, k)."""
        legal = np.ones((len(clusters), len(clusters)), bool)
        for s, whole in enumerate(self._whole):
            has = self._has[clusters, s]
            both = has[:, None] + has[None, :]
            legal &= ~((both > 0) & (both < whole)).all(axis=2)
        return legal
