"""Equitable refinement of coloured graphs of up to 64 nodes, compiled.

A partition is `lab`, the nodes cell after cell; `cell`, the first place of each node's cell; and
`starts`, a word whose bit i says that a cell begins at place i. Whatever decides the order of cells
depends on the graph alone and not on the numbering of its nodes. Colours enter by 64-bit hashes: a
collision would leave a partition coarser than it could be and costs time, never correctness.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["cell_length", "initial_partition", "load_graph", "lowest_bit", "mix", "refine"]

ONE = np.uint64(1)
ZERO = np.uint64(0)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _lowest_bit(_typing_context, _word):
    """Index (int64) of the lowest bit that is set in a uint64; 64 if none is."""

    def generate(context, builder, _signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    return types.int64(types.uint64), generate


lowest_bit: Any = intrinsic(_lowest_bit)


@njit(cache=True, nogil=True)
def mix(word):
    """One-to-one scrambling of a uint64."""
    word ^= word >> np.uint64(32)
    word *= np.uint64(0xD6E8FEB86659FD93)
    word ^= word >> np.uint64(29)
    word *= np.uint64(0xA3B195354A39B70D)
    word ^= word >> np.uint64(32)
    return word


@njit(cache=True, nogil=True)
def cell_length(starts, first, n):
    """Number of nodes of the cell that begins at place `first`."""
    later = (starts >> np.uint64(first)) >> ONE
    return lowest_bit(later) + 1 if later != ZERO else n - first


@njit(cache=True, nogil=True)
def load_graph(n, m, colours, edges, offset, neighbour, weight, edge_of, row_of, hashes):
    """Neighbour lists and the table of edges of one graph.

    Parameters
    ----------
    n, m : int
        Numbers of nodes and edges.
    colours : ndarray, shape(N,)
    edges : ndarray, shape(M, 3)
        Both ends and the colour.
    offset : ndarray, shape(>= n + 1,), dtype=int64, written
        Where the neighbours of each node begin.
    neighbour, weight, edge_of : ndarray, shape(>= 2m,), written
        Neighbours; hashes of the edge colours, different for different colours; rows of the edges.
    row_of : ndarray, shape(64, 64), dtype=int16, must be 0, written
        One more than the row of the edge between two nodes; 0 if there is none.
    hashes : ndarray, shape(>= n,), dtype=uint64, written
        Hashes of the node colours.

    Returns
    -------
    int
        0, or what is wrong: 1 a negative node colour, 2 an end out of range, 3 a loop, 4 a negative
        edge colour, 5 two edges between the same nodes. `row_of` is 0 again if anything is wrong.
    """
    problem = 0
    for v in range(n):
        if colours[v] < 0:
            problem = 1
        hashes[v] = mix(np.uint64(colours[v]) + GOLDEN)
    for v in range(n + 1):
        offset[v] = 0
    loaded = 0
    for e in range(m):
        u, v = np.int64(edges[e, 0]), np.int64(edges[e, 1])
        if u < 0 or v < 0 or u >= n or v >= n:
            problem = 2
        elif u == v:
            problem = 3
        elif edges[e, 2] < 0:
            problem = 4
        elif row_of[u, v] != 0:
            problem = 5
        if problem != 0:
            break
        row_of[u, v] = row_of[v, u] = e + 1
        offset[u] += 1
        offset[v] += 1
        loaded += 1
    if problem != 0:
        clear_graph(loaded, edges, row_of)
        return problem
    total = 0
    for v in range(n):
        total += offset[v]
        offset[v] = total
    offset[n] = total
    for e in range(m):
        u, v = np.int64(edges[e, 0]), np.int64(edges[e, 1])
        heavy = mix(np.uint64(edges[e, 2]) + ONE)
        for a, b in ((u, v), (v, u)):
            offset[a] -= 1
            p = offset[a]
            neighbour[p] = b
            weight[p] = heavy
            edge_of[p] = e
    return 0


@njit(cache=True, nogil=True)
def clear_graph(m, edges, row_of):
    """Set the table of edges back to 0."""
    for e in range(m):
        u, v = np.int64(edges[e, 0]), np.int64(edges[e, 1])
        row_of[u, v] = row_of[v, u] = 0


@njit(cache=True, nogil=True)
def initial_partition(
    n, rounds, colours, offset, neighbour, weight, hashes, others, keys, lab, cell
):
    """Partition by colour, then by hashes of the surroundings of radius `rounds`.

    Returns
    -------
    starts : uint64
        The cells; all of them have still to be used by `refine`.
    """
    for _ in range(rounds):
        for v in range(n):
            total = ZERO
            for p in range(offset[v], offset[v + 1]):
                total += mix(hashes[neighbour[p]] ^ weight[p])
            others[v] = mix(hashes[v] * GOLDEN + total)
        for v in range(n):
            hashes[v] = others[v]
    for v in range(n):
        key = (np.uint64(colours[v]) << np.uint64(33)) | (hashes[v] >> np.uint64(31))
        i = v
        while i > 0 and keys[i - 1] > key:
            keys[i] = keys[i - 1]
            lab[i] = lab[i - 1]
            i -= 1
        keys[i] = key
        lab[i] = v
    starts = ZERO
    first = 0
    for i in range(n):
        if i == 0 or keys[i] != keys[i - 1]:
            first = i
            starts |= ONE << np.uint64(i)
        cell[lab[i]] = first
    return starts


@njit(cache=True, nogil=True)
def refine(n, lab, cell, starts, work, offset, neighbour, weight, sums, keys):
    """Split cells until the nodes of each have like edges into every cell, or all are single.

    Parameters
    ----------
    lab, cell : ndarray, shape(>= n,), changed
    starts : uint64
    work : uint64
        The cells to split by, by the places where they begin.
    sums : ndarray, shape(>= n,), dtype=uint64
        Must be 0; is 0 afterwards.
    keys : ndarray, shape(>= n,), dtype=uint64
        Scratch space.

    Returns
    -------
    starts : uint64
    trace : uint64
        Hash of all that was seen, the same for isomorphic graphs with isomorphic partitions.
    """
    full = (ONE << np.uint64(n)) - ONE if n < 64 else ~ZERO
    trace = GOLDEN
    while work != ZERO and starts != full:
        splitter = lowest_bit(work)
        work &= work - ONE
        touched = ZERO
        for i in range(splitter, splitter + cell_length(starts, splitter, n)):
            w = lab[i]
            for p in range(offset[w], offset[w + 1]):
                u = neighbour[p]
                sums[u] += weight[p]
                touched |= ONE << np.uint64(cell[u])
        trace = (trace ^ np.uint64(splitter)) * GOLDEN
        while touched != ZERO:
            first = lowest_bit(touched)
            touched &= touched - ONE
            length = cell_length(starts, first, n)
            last = first + length
            lowest = sums[lab[first]]
            different = False
            for i in range(first, last):
                u = lab[i]
                keys[i] = sums[u]
                sums[u] = ZERO
                different |= keys[i] != lowest
            if not different:
                trace = (trace ^ (lowest + np.uint64(first))) * GOLDEN
                trace ^= trace >> np.uint64(29)
                continue
            for i in range(first + 1, last):
                key, u = keys[i], lab[i]
                j = i
                while j > first and keys[j - 1] > key:
                    keys[j] = keys[j - 1]
                    lab[j] = lab[j - 1]
                    j -= 1
                keys[j] = key
                lab[j] = u
            parts = ZERO
            largest, size, begin = first, 0, first
            for i in range(first, last):
                if i > first and keys[i] != keys[i - 1]:
                    begin = i
                if i == begin:
                    parts |= ONE << np.uint64(i)
                    trace = (trace ^ (keys[i] + np.uint64(i))) * GOLDEN
                    trace ^= trace >> np.uint64(29)
                if i - begin + 1 > size:
                    largest, size = begin, i - begin + 1
                cell[lab[i]] = begin
            starts |= parts
            # edges into the largest part follow from those into the whole and into the others
            if (work >> np.uint64(first)) & ONE == ZERO:
                parts &= ~(ONE << np.uint64(largest))
            work |= parts
    return starts, trace
