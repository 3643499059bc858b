"""What a join adds to the length of a tree, for `phylogfn.join_costs`."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["join_excess"]


@njit(cache=True, nogil=True)
def _pendant_lengths(distance):
    """Lengths (k,) of the branches to the k > 3 nodes of their neighbour-joining tree.

    Saitou & Nei 1987, with the sums of Studier & Keppler 1988. ``distance`` (k, k) is overwritten.
    """
    k = distance.shape[0]
    length = np.zeros(k)
    node = np.arange(k)  # whose row of `distance` it is; -1: an inner node of the tree
    alive = np.arange(k)
    left = k
    total = distance.sum(axis=1)
    while left > 2:
        best, i, j = np.inf, 0, 0
        for a in range(left):
            for b in range(a):
                u, v = alive[a], alive[b]
                criterion = (left - 2) * distance[u, v] - total[u] - total[v]
                if criterion < best:
                    best, i, j = criterion, u, v
        between = distance[i, j]
        to_i = 0.5 * between + 0.5 * (total[i] - total[j]) / (left - 2)
        if node[i] >= 0:
            length[node[i]] = to_i
        if node[j] >= 0:
            length[node[j]] = between - to_i
        node[i] = -1
        joined, kept = 0.0, 0
        for a in range(left):
            u = alive[a]
            if u != j:
                alive[kept] = u
                kept += 1
            if u == i or u == j:
                continue
            reduced = 0.5 * (distance[i, u] + distance[j, u] - between)
            total[u] += reduced - distance[i, u] - distance[j, u]
            distance[i, u] = distance[u, i] = reduced
            joined += reduced
        total[i] = joined
        left -= 1
    i, j = alive[0], alive[1]
    if node[i] >= 0:
        length[node[i]] = distance[i, j]
    elif node[j] >= 0:
        length[node[j]] = distance[i, j]
    return length


@njit(cache=True, nogil=True)
def join_excess(places, counts, pairs, out):
    """How much longer a tree gets if two trees of a forest are joined: ``out`` (P,), float32.

    The distance of two trees is half the squared distance of their places; the excess of a pair is
    the length of the path between the points where the neighbour-joining tree has the two: their
    distance less the branches to both. It is 0 for neighbours there, and for all pairs of three
    trees or two, which make one topology.

    Parameters
    ----------
    places : ndarray, shape (N, F), float32
        Of the roots, forest by forest.
    counts : ndarray, shape (B,), int64
        Trees of each forest.
    pairs : ndarray, shape (2, P), int64
        Rows of `places`, forest by forest.
    out : ndarray, shape (P,), float32
    """
    start, done = 0, 0
    for forest in range(counts.size):
        k = counts[forest]
        end = done + k * (k - 1) // 2
        if k <= 3:
            out[done:end] = 0.0
        else:
            distance = np.zeros((k, k))
            for i in range(k):
                for j in range(i):
                    total = 0.0
                    for f in range(places.shape[1]):
                        apart = places[start + i, f] - places[start + j, f]
                        total += apart * apart
                    distance[i, j] = distance[j, i] = 0.5 * total
            length = _pendant_lengths(distance.copy())
            for pair in range(done, end):
                i, j = pairs[0, pair] - start, pairs[1, pair] - start
                out[pair] = max(0.0, distance[i, j] - length[i] - length[j])
        start += k
        done = end
