"""Coloured graphs as arrays: renumbering and hashing.

Layout of a batch: colours (B, N), edges (B, M, 3) as rows u, v, colour; padding is -1.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["hash_states", "perfect_matchings", "renumber"]


@njit(cache=True, nogil=True)
def renumber(colour, n_nodes, edges, n_edges, position, node_orbit, edge_orbit):
    """Put the nodes of each graph at their positions, edges u < v in lexicographic order.

    Parameters
    ----------
    colour : ndarray, shape (B, N), int16 or int32
    n_nodes, n_edges : ndarray, shape (B,), int16
    edges : ndarray, shape (B, M, 3), int16
    position : ndarray, shape(B, N), dtype=int32
        New number of each node.
    node_orbit : ndarray, shape(B, N), dtype=int32
        An old number that stands for the orbit of each node.
    edge_orbit : ndarray, shape(B, M), dtype=int32
        An old row that stands for the orbit of each edge.

    Returns
    -------
    colour, edges, node_orbit, edge_orbit : ndarray, shaped as the input
        The colour keeps its type, the others are int16. Orbits are named by the smallest new
        number (row) in them.
    """
    b, width = colour.shape
    rows = edges.shape[1]
    new_colour = np.full((b, width), -1, colour.dtype)
    new_edges = np.full((b, rows, 3), -1, np.int16)
    new_nodes = np.full((b, width), -1, np.int16)
    new_bonds = np.full((b, rows), -1, np.int16)
    least = np.empty(max(width, rows), np.int16)
    order = np.empty(rows, np.int64)
    names = np.empty(rows, np.int64)
    for i in range(b):
        n, m = n_nodes[i], n_edges[i]
        least[:n] = 32767
        for u in range(n):
            p = position[i, u]
            new_colour[i, p] = colour[i, u]
            o = node_orbit[i, u]
            least[o] = min(least[o], p)
        for u in range(n):
            new_nodes[i, position[i, u]] = least[node_orbit[i, u]]
        for e in range(m):
            p, q = position[i, edges[i, e, 0]], position[i, edges[i, e, 1]]
            name = min(p, q) * width + max(p, q)
            place = e
            while place > 0 and names[place - 1] > name:
                names[place] = names[place - 1]
                order[place] = order[place - 1]
                place -= 1
            names[place], order[place] = name, e
        least[:m] = 32767
        for e in range(m):
            old = order[e]
            new_edges[i, e, 0] = names[e] // width
            new_edges[i, e, 1] = names[e] % width
            new_edges[i, e, 2] = edges[i, old, 2]
            o = edge_orbit[i, old]
            least[o] = min(least[o], e)
        for e in range(m):
            new_bonds[i, e] = least[edge_orbit[i, order[e]]]
    return new_colour, new_edges, new_nodes, new_bonds


@njit(cache=True, nogil=True)
def _mixed(x):
    """A bijection of 64-bit words that spreads every bit (the finaliser of SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def hash_states(colour, n_nodes, edges, n_edges, stage, mark):
    """Two independent 64-bit hashes of the arrays of each state; uint64 (B, 2).

    Padding does not enter: states of wider arrays keep their keys.
    """
    b = len(n_nodes)
    keys = np.empty((b, 2), np.uint64)
    for i in range(b):
        n, m = n_nodes[i], n_edges[i]
        head = np.uint64(n | (m << 16) | (np.int64(stage[i]) << 32) | ((mark[i] + 1) << 40))
        for lane in range(2):
            step = np.uint64(0x9E3779B97F4A7C15) if lane == 0 else np.uint64(0xD1342543DE82EF95)
            x = _mixed(head + step)
            for u in range(n):
                x = _mixed((x + step) ^ np.uint64(colour[i, u]))
            for e in range(m):
                word = np.int64(edges[i, e, 0]) << 32
                word |= np.int64(edges[i, e, 1]) << 16
                word |= np.int64(edges[i, e, 2])
                x = _mixed((x + step) ^ np.uint64(word))
            keys[i, lane] = x
    return keys


@njit(cache=True, nogil=True)
def perfect_matchings(wanted, ends, most):
    """All sets of edges that meet each wanted node exactly once.

    Parameters
    ----------
    wanted : ndarray, shape(n,), dtype=int64
        1 for nodes to be met; no edge has an end at another one.
    ends : ndarray, shape(m, 2), dtype=int64
    most : int
        The search ends when it has found so many.

    Returns
    -------
    ndarray, shape(k, m), dtype=bool
    """
    n, m = len(wanted), len(ends)
    found = np.zeros((4, m), np.bool_)
    k = 0
    met = np.zeros(n, np.bool_)
    chosen = np.full(n // 2 + 1, -1, np.int64)  # the edge taken at each depth
    node = np.zeros(n // 2 + 1, np.int64)  # the node it was taken for
    depth, fresh = 0, True
    while depth >= 0 and k < most:
        if fresh:  # the first node that is not met yet
            node[depth] = -1
            for u in range(n):
                if wanted[u] == 1 and not met[u]:
                    node[depth] = u
                    break
            chosen[depth] = -1
            if node[depth] < 0:
                if k == len(found):
                    found = np.concatenate((found, np.zeros_like(found)))
                for d in range(depth):
                    found[k, chosen[d]] = True
                k += 1
        elif chosen[depth] >= 0:
            met[ends[chosen[depth], 0]] = met[ends[chosen[depth], 1]] = False
        fresh = False
        u, taken = node[depth], -1
        if u >= 0:
            for e in range(chosen[depth] + 1, m):
                a, b = ends[e, 0], ends[e, 1]
                if (a == u or b == u) and not met[a] and not met[b]:
                    taken = e
                    break
        if taken < 0:
            depth -= 1
        else:
            chosen[depth] = taken
            met[ends[taken, 0]] = met[ends[taken, 1]] = True
            depth += 1
            fresh = True
    return found[:k]
