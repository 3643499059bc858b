"""Batches of coloured graphs: symmetry, orbits of pairs and graphs in canonical order, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from gfncore.symmetry.permutations_numba import find_root
from gfncore.symmetry.refinement_numba import (
    ONE,
    ZERO,
    clear_graph,
    initial_partition,
    load_graph,
    lowest_bit,
    mix,
)
from gfncore.symmetry.search_numba import search

__all__ = ["MAX_NODES", "analyse_batch", "reorder_batch"]

MAX_NODES = 64
MAX_GENERATORS = 2 * MAX_NODES  # see `record`
ROUNDS = 2
SEED_LOW = np.uint64(0x243F6A8885A308D3)
SEED_HIGH = np.uint64(0x13198A2E03707344)
ODD = np.uint64(0x9FB21C651E98DF25)


@njit(cache=True, nogil=True)
def _absorb(low, high, word):
    return mix(low ^ word), mix(high * ODD + word)


@njit(cache=True, nogil=True)
def _key(n, m, colours, edges, lab, cell, offset, neighbour, row_of):
    """Two hashes of the graph in canonical order, each a chain over all its colours and edges."""
    low, high = _absorb(SEED_LOW, SEED_HIGH, np.uint64(n) << np.uint64(32) | np.uint64(m))
    for i in range(n):
        v = lab[i]
        low, high = _absorb(low, high, np.uint64(colours[v]))
        ends = ZERO
        for p in range(offset[v], offset[v + 1]):
            ends |= ONE << np.uint64(cell[neighbour[p]])
        ends &= ~((ONE << np.uint64(i)) - ONE)
        while ends != ZERO:
            j = lowest_bit(ends)
            ends &= ends - ONE
            colour = np.uint64(edges[row_of[v, lab[j]] - 1, 2])
            place = np.uint64(64 * i + j)
            low, high = _absorb(low, high, place << np.uint64(32) | colour)
    return low, high


@njit(cache=True, nogil=True)
def analyse_batch(
    colours,
    n_nodes,
    edges,
    n_edges,
    keys,
    position,
    node_orbits,
    edge_orbits,
    factors,
    pairs,
):
    """Symmetry of every graph of a batch.

    Parameters
    ----------
    colours, n_nodes, edges, n_edges
        As in `gfncore.symmetry.graphs.ColouredGraphs`.
    keys : ndarray, shape(B, 2), dtype=uint64, written
    position, node_orbits, factors : ndarray, shape(B, N), dtype=int32, written
        Must have the values of padding.
    edge_orbits : ndarray, shape(B, M), dtype=int32, written
        Must have the values of padding.
    pairs : ndarray, shape(B or 0, N, N), dtype=int32, written
        Orbits of pairs; left out if there are none. Must be -1.

    Returns
    -------
    graph, problem : int
        The first graph that cannot be read, and the code of `load_graph`; -1 and 0 if all is well.
    """
    n_max = max(1, edges.shape[1])
    offset = np.zeros(MAX_NODES + 2, np.int64)
    neighbour = np.zeros(2 * n_max, np.int32)
    weight = np.zeros(2 * n_max, np.uint64)
    edge_of = np.zeros(2 * n_max, np.int32)
    row_of = np.zeros((MAX_NODES, MAX_NODES), np.int16)
    hashes = np.zeros(MAX_NODES, np.uint64)
    sums = np.zeros(MAX_NODES, np.uint64)
    sort_keys = np.zeros(MAX_NODES, np.uint64)
    first_lab = np.zeros((MAX_NODES + 1, MAX_NODES), np.int32)
    first_cell = np.zeros((MAX_NODES + 1, MAX_NODES), np.int32)
    labs = np.zeros((MAX_NODES + 1, MAX_NODES), np.int32)
    cells = np.zeros((MAX_NODES + 1, MAX_NODES), np.int32)
    words = np.zeros((8, MAX_NODES + 1), np.uint64)
    small = np.zeros((8, MAX_NODES + 1), np.int64)
    generators = np.zeros((MAX_GENERATORS, MAX_NODES), np.int8)
    stack = np.zeros(MAX_NODES * MAX_NODES, np.int64)
    for b in range(len(n_nodes)):
        n, m = np.int64(n_nodes[b]), np.int64(n_edges[b])
        problem = load_graph(
            n, m, colours[b], edges[b], offset, neighbour, weight, edge_of, row_of, hashes
        )
        if problem != 0:
            return b, problem
        for v in range(n):
            node_orbits[b, v] = v
        for e in range(m):
            edge_orbits[b, e] = e
        n_generators = 0
        if n > 0:
            starts = initial_partition(
                n, ROUNDS, colours[b], offset, neighbour, weight, hashes, sums, sort_keys,
                first_lab[0], first_cell[0],
            )  # fmt: skip
            sums[:n] = ZERO
            n_generators = search(
                n, edges[b], offset, neighbour, weight, edge_of, row_of, starts,
                first_lab, first_cell, labs, cells, words, small, sums, sort_keys,
                node_orbits[b], edge_orbits[b], generators, factors[b],
            )  # fmt: skip
        best_cell, best_lab = small[0], small[1]
        keys[b, 0], keys[b, 1] = _key(
            n, m, colours[b], edges[b], best_lab, best_cell, offset, neighbour, row_of
        )
        for v in range(n):
            position[b, v] = best_cell[v]
            node_orbits[b, v] = find_root(node_orbits[b], v)
        for e in range(m):
            edge_orbits[b, e] = find_root(edge_orbits[b], e)
        if len(pairs) > 0:
            _pair_orbits(n, generators, n_generators, stack, pairs[b])
        clear_graph(m, edges[b], row_of)
    return -1, 0


@njit(cache=True, nogil=True)
def _pair_orbits(n, generators, n_generators, stack, pairs):
    """Flood every orbit of unordered pairs from its smallest pair."""
    width = pairs.shape[1]
    moved = ZERO
    for g in range(n_generators):
        for v in range(n):
            if generators[g, v] != v:
                moved |= ONE << np.uint64(v)
    for u in range(n):
        for v in range(u + 1, n):
            if pairs[u, v] >= 0:
                continue
            name = u * width + v
            pairs[u, v] = pairs[v, u] = name
            if (moved >> np.uint64(u) | moved >> np.uint64(v)) & ONE == ZERO:
                continue
            stack[0] = u << 6 | v
            top = 1
            while top > 0:
                top -= 1
                x, y = stack[top] >> 6, stack[top] & 63
                for g in range(n_generators):
                    a, c = np.int64(generators[g, x]), np.int64(generators[g, y])
                    if pairs[a, c] < 0:
                        pairs[a, c] = pairs[c, a] = name
                        stack[top] = a << 6 | c
                        top += 1


@njit(cache=True, nogil=True)
def reorder_batch(colours, n_nodes, edges, n_edges, position, new_colours, new_edges):
    """Graphs with the nodes at the given positions and sorted edges u < v.

    Parameters
    ----------
    colours, n_nodes, edges, n_edges, position
        As in `gfncore.symmetry.graphs`.
    new_colours, new_edges : ndarray, dtype=int32, written
        Of the shapes of `colours` and `edges`; must be -1.
    """
    row_of = np.zeros((MAX_NODES, MAX_NODES), np.int16)
    ends = np.zeros(MAX_NODES, np.uint64)
    for b in range(len(n_nodes)):
        n = n_nodes[b]
        for v in range(n):
            new_colours[b, position[b, v]] = colours[b, v]
            ends[v] = ZERO
        for e in range(n_edges[b]):
            u, v = position[b, edges[b, e, 0]], position[b, edges[b, e, 1]]
            u, v = min(u, v), max(u, v)
            row_of[u, v] = e
            ends[u] |= ONE << np.uint64(v)
        row = 0
        for u in range(n):
            while ends[u] != ZERO:
                v = lowest_bit(ends[u])
                ends[u] &= ends[u] - ONE
                new_edges[b, row, 0] = u
                new_edges[b, row, 1] = v
                new_edges[b, row, 2] = edges[b, row_of[u, v], 2]
                row += 1
