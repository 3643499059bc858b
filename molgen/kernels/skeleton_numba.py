"""Neighbours, distances and rings of one graph, for the kernels of the atom environment.

Bonds come as rows u, v, order; ``near`` (W, W) and ``degree`` (W,) are neighbour lists; ``queue``
(W,) is room to work in.
"""

from __future__ import annotations

from numba import njit

__all__ = ["FAR", "neighbours", "paths", "ring_size", "ring_sizes", "row_of_bond", "spread"]

FAR = 10_000  # a distance where there is no path


@njit(cache=True, nogil=True)
def neighbours(n, edges, m, near, degree, order):
    """Fill neighbour lists (W, W), degrees (W,) and bond orders (W, W) of one graph."""
    for u in range(n):
        degree[u] = 0
        for v in range(n):
            order[u, v] = 0
    for e in range(m):
        u, v, k = edges[e, 0], edges[e, 1], edges[e, 2]
        near[u, degree[u]], near[v, degree[v]] = v, u
        degree[u] += 1
        degree[v] += 1
        order[u, v], order[v, u] = k, k


@njit(cache=True, nogil=True)
def spread(start, n, near, degree, a, b, far, queue):
    """Distances from `start` into `far`, without the bond (a, b); -1: with all bonds."""
    for u in range(n):
        far[u] = FAR
    far[start] = 0
    queue[0] = start
    head, tail = 0, 1
    while head < tail:
        u = queue[head]
        head += 1
        for k in range(degree[u]):
            v = near[u, k]
            if far[v] != FAR or (u == a and v == b) or (u == b and v == a):
                continue
            far[v] = far[u] + 1
            queue[tail] = v
            tail += 1


@njit(cache=True, nogil=True)
def ring_size(u, v, n, near, degree, c, d, far, queue):
    """Smallest ring through the bond (u, v) once bond (c, d) is gone; 0: none."""
    for w in range(n):
        far[w] = FAR
    far[u], queue[0] = 0, u
    head, tail = 0, 1
    while head < tail and far[v] == FAR:
        a = queue[head]
        head += 1
        for k in range(degree[a]):
            b = near[a, k]
            if far[b] != FAR or (a == u and b == v) or (a == c and b == d) or (a == d and b == c):
                continue
            far[b] = far[a] + 1
            queue[tail] = b
            tail += 1
    return far[v] + 1 if far[v] < FAR else 0


@njit(cache=True, nogil=True)
def ring_sizes(n, edges, m, near, degree, ring, far, queue):
    """Smallest ring of each bond into `ring`; 0: none."""
    for e in range(m):
        u, v = edges[e, 0], edges[e, 1]
        if m < n or degree[u] == 1 or degree[v] == 1:
            ring[e] = 0
        else:
            ring[e] = ring_size(u, v, n, near, degree, -1, -1, far, queue)


@njit(cache=True, nogil=True)
def paths(start, n, near, degree, order, far, ways, heavy, queue):
    """Distances from `start` in a connected graph, and its shortest paths.

    ``ways`` counts them; in ``heavy`` each counts as the product of its bond orders.
    """
    for u in range(n):
        far[u], ways[u], heavy[u] = FAR, 0, 0
    far[start], ways[start], heavy[start], queue[0] = 0, 1, 1, start
    head, tail = 0, 1
    while head < tail:
        u = queue[head]
        head += 1
        step = far[u] + 1
        for k in range(degree[u]):
            v = near[u, k]
            if far[v] == FAR:
                far[v] = step
                queue[tail] = v
                tail += 1
            if far[v] == step:
                ways[v] += ways[u]
                heavy[v] += heavy[u] * order[u, v]


@njit(cache=True, nogil=True)
def row_of_bond(edges, m, u, v):
    """The row of the bond u < v; -1 if there is none."""
    for e in range(m):
        if edges[e, 0] == u and edges[e, 1] == v:
            return e
    return -1
