"""Fitch parsimony on state sets, for starting trees.

Sets are bit masks per site pattern. ``below[v]`` is Fitch's set of the subtree under v,
``above[v]`` the set of everything else, at the upper end of v's branch (Fitch 1971). The set of a
branch is Fitch's join of the two, and a taxon that is inserted there costs one step in each pattern
where its own set does not meet it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from phylogfn.kernels.pruning_numba import postorder

__all__ = ["insertion_costs", "stepwise_addition"]


@njit(cache=True, nogil=True)
def _join(x, y, out):
    for p in range(out.size):
        both = x[p] & y[p]
        out[p] = both if both != 0 else x[p] | y[p]


@njit(cache=True, nogil=True)
def insertion_costs(masks, weights, children, top, root, taxon, below, above, order, costs):
    """Extra steps of inserting ``taxon`` into each branch of a tree of other taxa.

    Parameters
    ----------
    masks : ndarray, shape (n, P), uint32
    weights : ndarray, shape (P,), float64
    children : ndarray, shape (nodes, 2), int32
    top, root : int
        The root leaf and its only neighbour.
    taxon : int
    below, above : ndarray, shape (nodes, P), uint32
        Working space.
    order : ndarray, shape (nodes,), int32
        Filled with the nodes of the tree, children first.
    costs : ndarray, shape (nodes,), float64
        Filled for the nodes in ``order``: steps, weighted by the sites of each pattern.

    Returns
    -------
    int
        Number of nodes in ``order``.
    """
    n = masks.shape[0]
    count = postorder(children, top, order)
    for k in range(count):
        v = order[k]
        if v < n:
            below[v] = masks[v]
        else:
            _join(below[children[v, 0]], below[children[v, 1]], below[v])
    above[top] = masks[root]
    for k in range(count - 1, -1, -1):
        v = order[k]
        if v >= n:
            x = children[v, 0]
            y = children[v, 1]
            _join(above[v], below[y], above[x])
            _join(above[v], below[x], above[y])
        steps = 0.0
        for p in range(weights.size):
            both = below[v, p] & above[v, p]
            here = both if both != 0 else below[v, p] | above[v, p]
            if here & masks[taxon, p] == 0:
                steps += weights[p]
        costs[v] = steps
    return count


@njit(cache=True, nogil=True)
def stepwise_addition(masks, weights, sequence, seed):
    """Parents (2n-2,), int16, of a tree made by inserting taxa where they cost fewest steps.

    ``sequence`` (n,) is the order of the taxa, its first entry 0 (where the tree is drawn). Ties
    are broken at random, by ``seed``.
    """
    np.random.seed(seed)
    n, P = masks.shape
    nodes = 2 * n - 2
    parent = np.full(nodes, -1, np.int16)
    children = np.full((nodes, 2), -1, np.int32)
    below = np.empty((nodes, P), np.uint32)
    above = np.empty((nodes, P), np.uint32)
    order = np.empty(nodes, np.int32)
    costs = np.empty(nodes)
    first = sequence[1]
    children[0, 0] = first
    parent[first] = 0
    for k in range(2, n):
        taxon = sequence[k]
        count = insertion_costs(
            masks, weights, children, children[0, 0], 0, taxon, below, above, order, costs
        )
        best = np.inf
        ties = 0
        place = -1
        for i in range(count):
            v = order[i]
            if costs[v] < best:
                best = costs[v]
                ties = 1
                place = v
            elif costs[v] == best:
                ties += 1
                if np.random.randint(ties) == 0:
                    place = v
        node = n + k - 2
        up = parent[place]
        if children[up, 0] == place:
            children[up, 0] = node
        else:
            children[up, 1] = node
        parent[node] = up
        parent[place] = node
        parent[taxon] = node
        children[node, 0] = place
        children[node, 1] = taxon
    return parent
