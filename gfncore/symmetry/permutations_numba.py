"""Cells, numberings and automorphisms of coloured graphs of up to 64 nodes, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from gfncore.symmetry.refinement_numba import ONE, ZERO, cell_length, lowest_bit

__all__ = [
    "compare",
    "equivalent_to_tried",
    "find_root",
    "individualise",
    "is_automorphism",
    "mapping",
    "members",
    "record",
    "target_cell",
]


@njit(cache=True, nogil=True)
def find_root(parents, x):
    """Root of x in a forest whose roots are the smallest of their trees; shortens the path."""
    while parents[x] != x:
        parents[x] = parents[parents[x]]
        x = parents[x]
    return x


@njit(cache=True, nogil=True)
def _join(parents, x, y):
    """Make one tree of those of x and y; whether they were two."""
    x, y = find_root(parents, x), find_root(parents, y)
    if x == y:
        return False
    parents[max(x, y)] = min(x, y)
    return True


@njit(cache=True, nogil=True)
def target_cell(starts, n):
    """First of the smallest cells of several nodes, or -1."""
    best, size = -1, 65
    inner = ~starts & ((ONE << np.uint64(n)) - ONE if n < 64 else ~ZERO)
    shared = starts & (inner >> ONE)
    while shared != ZERO:
        first = lowest_bit(shared)
        shared &= shared - ONE
        length = cell_length(starts, first, n)
        if length < size:
            best, size = first, length
            if size == 2:
                break
    return best


@njit(cache=True, nogil=True)
def members(lab, first, length):
    """Nodes of the cell that begins at place `first`, as bits."""
    bits = ZERO
    for i in range(first, first + length):
        bits |= ONE << np.uint64(lab[i])
    return bits


@njit(cache=True, nogil=True)
def individualise(n, lab, cell, starts, v):
    """Put v alone at the front of its cell; returns the cells and the place of v."""
    first = np.int64(cell[v])
    i = first
    while lab[i] != v:
        i += 1
    lab[i] = lab[first]
    lab[first] = v
    for i in range(first + 1, first + cell_length(starts, first, n)):
        cell[lab[i]] = first + 1
    return starts | (ONE << np.uint64(first + 1)), first


@njit(cache=True, nogil=True)
def mapping(n, starts, source, target, image):
    """Map cells of one partition to those of another, what they share to itself."""
    first = 0
    while first < n:
        length = cell_length(starts, first, n)
        if length == 1:
            image[source[first]] = target[first]
        else:
            a, b = members(source, first, length), members(target, first, length)
            common = a & b
            a, b = a & ~common, b & ~common
            while common != ZERO:
                v = lowest_bit(common)
                common &= common - ONE
                image[v] = v
            while a != ZERO:
                image[lowest_bit(a)] = lowest_bit(b)
                a &= a - ONE
                b &= b - ONE
        first += length


@njit(cache=True, nogil=True)
def is_automorphism(n, image, edges, offset, neighbour, edge_of, row_of):
    """Whether a permutation that keeps the colours of nodes keeps the edges too."""
    for u in range(n):
        a = image[u]
        if a == u:
            continue
        if offset[a + 1] - offset[a] != offset[u + 1] - offset[u]:
            return False
        for p in range(offset[u], offset[u + 1]):
            row = row_of[a, image[neighbour[p]]]
            if row == 0 or edges[row - 1, 2] != edges[edge_of[p], 2]:
                return False
    return True


@njit(cache=True, nogil=True)
def record(
    n, image, offset, neighbour, edge_of, row_of, node_roots, edge_roots, generators, n_generators
):
    """Join the orbits that an automorphism maps to one another, and keep it.

    Those that join orbits of nodes generate the group, and there are fewer than 64 of them. Others
    only help to prune and are kept while half of the room is free.

    Returns
    -------
    n_generators : int
    """
    joined = False
    for u in range(n):
        a = np.int64(image[u])
        if a == u:
            continue
        joined |= _join(node_roots, u, a)
        for p in range(offset[u], offset[u + 1]):
            row = np.int64(row_of[a, image[neighbour[p]]]) - 1
            _join(edge_roots, np.int64(edge_of[p]), row)
    if not joined and 2 * n_generators >= len(generators):
        return n_generators
    for u in range(n):
        generators[n_generators, u] = image[u]
    return n_generators + 1


@njit(cache=True, nogil=True)
def compare(n, lab_a, cell_a, lab_b, cell_b, edges, offset, neighbour, row_of):
    """Sign of the lexicographic comparison of two numbered graphs."""
    for i in range(n):
        a, b = lab_a[i], lab_b[i]
        ends_a = ends_b = ZERO
        for p in range(offset[a], offset[a + 1]):
            ends_a |= ONE << np.uint64(cell_a[neighbour[p]])
        for p in range(offset[b], offset[b + 1]):
            ends_b |= ONE << np.uint64(cell_b[neighbour[p]])
        if ends_a != ends_b:
            return 1 if ends_a > ends_b else -1
        while ends_a != ZERO:
            j = lowest_bit(ends_a)
            ends_a &= ends_a - ONE
            colour_a = edges[row_of[a, lab_a[j]] - 1, 2]
            colour_b = edges[row_of[b, lab_b[j]] - 1, 2]
            if colour_a != colour_b:
                return 1 if colour_a > colour_b else -1
    return 0


@njit(cache=True, nogil=True)
def equivalent_to_tried(v, tried, generators, n_generators, path, depth):
    """Whether generators that fix the path map v to a node that was tried."""
    orbit = ONE << np.uint64(v)
    new = orbit
    while new != ZERO:
        u = lowest_bit(new)
        new &= new - ONE
        for g in range(n_generators):
            a = ONE << np.uint64(generators[g, u])
            if orbit & a != ZERO:
                continue
            fixes = True
            for level in range(depth):
                if generators[g, path[level]] != path[level]:
                    fixes = False
                    break
            if fixes:
                orbit |= a
                new |= a
                if orbit & tried != ZERO:
                    return True
    return False
