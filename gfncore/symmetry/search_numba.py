"""Search tree of individualisation and refinement for coloured graphs of up to 64 nodes, compiled.

The idea is McKay's (McKay and Piperno, Practical graph isomorphism II, J. Symb. Comput. 60, 2014).
A node of the tree is an ordered sequence of individualised nodes with the partition that refinement
makes of it; a leaf is a numbering of the graph. The canonical numbering is that of the leaf of the
largest (trace, numbered graph). Two leaves of the same numbered graph differ by an automorphism,
and these prune the tree. The first path that was gone down is the base of the stabiliser chain: at
each of its nodes, deepest first, every other choice is followed until an automorphism onto the
first path is found or the subtree is done.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gfncore.symmetry.permutations_numba import (
    compare,
    equivalent_to_tried,
    find_root,
    individualise,
    is_automorphism,
    mapping,
    members,
    record,
    target_cell,
)
from gfncore.symmetry.refinement_numba import ONE, ZERO, cell_length, lowest_bit, refine

__all__ = ["search"]


@njit(cache=True, nogil=True)
def search(
    n,
    edges,
    offset,
    neighbour,
    weight,
    edge_of,
    row_of,
    starts,
    first_lab,
    first_cell,
    labs,
    cells,
    words,
    small,
    sums,
    keys,
    node_roots,
    edge_roots,
    generators,
    factors,
):
    """Canonical numbering, orbits and stabiliser chain of one graph.

    Parameters
    ----------
    n : int
        Number of nodes, at least 1.
    edges, offset, neighbour, weight, edge_of, row_of
        As `load_graph` leaves them.
    starts : uint64
        Cells of the partition to begin with, which is in row 0 of `first_lab` and `first_cell`.
    first_lab, first_cell, labs, cells : ndarray, shape(65, 64)
        Partitions along the first path and along the present one, written.
    words : ndarray, shape(8, 65), dtype=uint64
        Scratch space.
    small : ndarray, shape(8, 65), dtype=int64
        Scratch space; on return row 0 has the canonical position of each node.
    sums, keys : ndarray, shape(64,), dtype=uint64
        Scratch space for `refine`.
    node_roots, edge_roots : ndarray, dtype=int32
        Every node and edge its own root, joined into orbits.
    generators : ndarray, shape(128, 64), dtype=int8
        Automorphisms that generate the group, written.
    factors : ndarray, shape(>= n,)
        All 1; size of the orbit of each base point under the stabiliser of those before, written.

    Returns
    -------
    n_generators : int
    """
    first_starts, best_starts, now_starts = words[0], words[1], words[2]
    first_trace, best_trace, now_trace = words[3], words[4], words[5]
    todo, tried = words[6], words[7]
    best_cell, best_lab, best_path, path = small[0], small[1], small[2], small[3]
    image, like_first, like_best, base = small[4], small[5], small[6], small[7]

    starts, _ = refine(
        n, first_lab[0], first_cell[0], starts, starts, offset, neighbour, weight, sums, keys
    )
    first_starts[0] = starts
    depth = 0
    while True:
        place = target_cell(starts, n)
        if place < 0:
            break
        for i in range(n):
            first_lab[depth + 1, i] = first_lab[depth, i]
            first_cell[depth + 1, i] = first_cell[depth, i]
        base[depth] = first_lab[depth, place]
        depth += 1
        lab, cell = first_lab[depth], first_cell[depth]
        starts, place = individualise(n, lab, cell, starts, base[depth - 1])
        starts, first_trace[depth] = refine(
            n, lab, cell, starts, ONE << np.uint64(place), offset, neighbour, weight, sums, keys
        )
        first_starts[depth] = starts
        best_starts[depth] = now_starts[depth] = starts
        best_trace[depth] = now_trace[depth] = first_trace[depth]
        best_path[depth - 1] = base[depth - 1]
    for i in range(n):
        best_cell[i] = first_cell[depth, i]
        best_lab[i] = first_lab[depth, i]

    n_generators = 0
    for top in range(depth - 1, -1, -1):
        place = target_cell(first_starts[top], n)
        length = cell_length(first_starts[top], place, n)
        for level in range(top):
            path[level] = base[level]
        for i in range(n):
            labs[top, i] = first_lab[top, i]
            cells[top, i] = first_cell[top, i]
        now_starts[top] = first_starts[top]
        like_first[top], like_best[top] = 1, 0
        done = ONE << np.uint64(base[top])
        for choice in range(place, place + length):
            v = np.int64(first_lab[top, choice])
            root = find_root(node_roots, v)
            known = False
            others = done
            while others != ZERO and not known:
                known = find_root(node_roots, lowest_bit(others)) == root
                others &= others - ONE
            if known:
                continue
            done |= ONE << np.uint64(v)
            level = top
            todo[top] = ONE << np.uint64(v)
            while level >= top:
                if todo[level] == ZERO:
                    level -= 1
                    continue
                u = lowest_bit(todo[level])
                todo[level] &= todo[level] - ONE
                if level > top:
                    if tried[level] != ZERO and equivalent_to_tried(
                        u, tried[level], generators, n_generators, path, level
                    ):
                        continue
                    tried[level] |= ONE << np.uint64(u)
                path[level] = u
                lab, cell = labs[level + 1], cells[level + 1]
                for i in range(n):
                    lab[i] = labs[level, i]
                    cell[i] = cells[level, i]
                starts, place_u = individualise(n, lab, cell, now_starts[level], u)
                work = ONE << np.uint64(place_u)
                starts, trace = refine(
                    n, lab, cell, starts, work, offset, neighbour, weight, sums, keys
                )
                below = level + 1
                now_starts[below], now_trace[below] = starts, trace
                like_first[below] = (
                    like_first[level] == 1
                    and trace == first_trace[below]
                    and starts == first_starts[below]
                )
                like_best[below] = like_best[level]
                if like_best[level] == 0:
                    if trace != best_trace[below]:
                        like_best[below] = 1 if trace > best_trace[below] else -1
                    elif starts != best_starts[below]:
                        like_best[below] = 1 if starts > best_starts[below] else -1
                if like_best[below] < 0 and like_first[below] == 0:
                    continue
                if like_first[below] == 1:
                    mapping(n, starts, first_lab[below], lab, image)
                    if is_automorphism(n, image, edges, offset, neighbour, edge_of, row_of):
                        n_generators = record(
                            n, image, offset, neighbour, edge_of, row_of,
                            node_roots, edge_roots, generators, n_generators,
                        )  # fmt: skip
                        break
                place_u = target_cell(starts, n)
                if place_u >= 0:
                    todo[below] = members(lab, place_u, cell_length(starts, place_u, n))
                    tried[below] = ZERO
                    level = below
                    continue
                if like_best[below] < 0:
                    continue
                sign = like_best[below]
                if sign == 0:
                    sign = compare(
                        n, lab, cell, best_lab, best_cell, edges, offset, neighbour, row_of
                    )
                if sign > 0:
                    for i in range(n):
                        best_cell[i] = cell[i]
                        best_lab[i] = lab[i]
                    for i in range(below):
                        best_path[i] = path[i]
                        best_trace[i + 1] = now_trace[i + 1]
                        best_starts[i + 1] = now_starts[i + 1]
                        like_best[i + 1] = 0
                elif sign == 0:
                    for i in range(n):
                        image[best_lab[i]] = lab[i]
                    n_generators = record(
                        n, image, offset, neighbour, edge_of, row_of,
                        node_roots, edge_roots, generators, n_generators,
                    )  # fmt: skip
                    # what is left below the parting of the ways is the image of what was done
                    level = top
                    while path[level] == best_path[level]:
                        level += 1
        root = find_root(node_roots, base[top])
        factors[top] = 0
        for i in range(place, place + length):
            if find_root(node_roots, np.int64(first_lab[top, i])) == root:
                factors[top] += 1
    return n_generators
