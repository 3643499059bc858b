"""Legal moves, and moves, of graphs that are built atom by atom.

A batch is as in `molgen.molecules.graph.GraphStates`. Rules that do not change within an
environment come in arrays: ``limits`` = (kinds of atom T, most atoms W, largest bond order, most
rings, whether ring atoms may have two double bonds or a triple bond in rings), ``cap`` (largest sum
of bond orders by colour), ``valence`` (by colour), ``core`` (bool by colour), ``allowed`` (bool by
ring size, or empty: any ring).

Codes of forward actions: 0 stop; 1 + u T + t an atom of kind t by a single bond at u (from the
empty state, u = 0: the first atom); 1 + W T + u W + v, u < v, a bond more between u and v, which
closes a ring or raises the order of a bond. Codes of backward actions: 0 go back from stop;
1 + u remove leaf u; 1 + W + u W + v a bond less between u and v.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from molgen.kernels.skeleton_numba import (
    FAR,
    neighbours,
    ring_size,
    ring_sizes,
    row_of_bond,
    spread,
)

__all__ = ["backward_codes", "forward_codes", "keeps_rules", "moved_back", "moved_on"]


@njit(cache=True, nogil=True)
def _rings(n, edges, m, near, degree, from_u, from_v, ring, queue):
    """Smallest ring of each bond into `ring` (0: none), and the distances from its ends.

    ``from_u[e]`` and ``from_v[e]`` are the distances from the two ends of bond e without it.
    """
    for e in range(m):
        u, v = edges[e, 0], edges[e, 1]
        spread(u, n, near, degree, u, v, from_u[e], queue)
        spread(v, n, near, degree, u, v, from_v[e], queue)
        ring[e] = from_u[e, v] + 1 if from_u[e, v] < FAR else 0


@njit(cache=True, nogil=True)
def _in_rings(colour, n, edges, m, ring, extra):
    """Sum over the ring bonds of each atom of the bond order less one."""
    for u in range(n):
        extra[u] = 0
    for e in range(m):
        if ring[e] > 0:
            extra[edges[e, 0]] += edges[e, 2] - 1
            extra[edges[e, 1]] += edges[e, 2] - 1


@njit(cache=True, nogil=True)
def _may_close(u, v, colour, n, edges, m, ring, from_u, from_v, extra, new, strained, tables):
    """Whether a bond between u and v leaves all rings of allowed sizes, and unstrained."""
    valence, core, allowed = tables
    sized = allowed.size > 0
    for w in range(n):
        new[w] = 0
    for e in range(m):
        a, b = edges[e, 0], edges[e, 1]
        across = min(from_u[e, u] + from_v[e, v], from_u[e, v] + from_v[e, u]) + 2
        if across >= FAR and ring[e] == 0:
            continue
        size = across if ring[e] == 0 else min(across, ring[e])
        if sized and size != ring[e] and not (core[colour[a]] and core[colour[b]]):
            if not allowed[size]:
                return False
        new[a] += edges[e, 2] - 1
        new[b] += edges[e, 2] - 1
    if not strained:
        for w in range(n):
            if new[w] > 1 and new[w] > extra[w] and valence[colour[w]] <= 4:
                return False
    return True


@njit(cache=True, nogil=True)
def forward_codes(colour, n_nodes, edges, n_edges, stage, limits, cap, valence, core, allowed):
    """All legal forward actions; state and code, int64 (A,), sorted by state."""
    kinds, width, top, most_rings, strained = limits
    b, room = len(n_nodes), edges.shape[1]
    bound = 0
    for i in range(b):
        n = np.int64(n_nodes[i])
        bound += max(kinds, 1 + n * kinds + n * (n - 1) // 2)
    state, code = np.empty(bound, np.int64), np.empty(bound, np.int64)
    near, order = np.empty((width, width), np.int64), np.empty((width, width), np.int64)
    degree, queue = np.empty(width, np.int64), np.empty(width, np.int64)
    free, far = np.empty(width, np.int64), np.empty(width, np.int64)
    from_u, from_v = np.empty((room, width), np.int64), np.empty((room, width), np.int64)
    ring = np.empty(room, np.int64)
    extra, new = np.empty(width, np.int64), np.empty(width, np.int64)
    sized = allowed.size > 0
    tables = (valence, core, allowed)
    a = 0
    for i in range(b):
        n, m = np.int64(n_nodes[i]), np.int64(n_edges[i])
        if stage[i] != 0:
            continue
        if n == 0:
            for t in range(kinds):
                state[a], code[a] = i, 1 + t
                a += 1
            continue
        state[a], code[a] = i, 0
        a += 1
        neighbours(n, edges[i], m, near, degree, order)
        for u in range(n):
            free[u] = cap[colour[i, u]]
            for k in range(degree[u]):
                free[u] -= order[u, near[u, k]]
            if free[u] > 0 and n < width:
                for t in range(kinds):
                    state[a], code[a] = i, 1 + u * kinds + t
                    a += 1
        checked = sized or strained == 0
        if checked:
            _rings(n, edges[i], m, near, degree, from_u, from_v, ring, queue)
            _in_rings(colour[i], n, edges[i], m, ring, extra)
        closes = m - n + 1 < most_rings and m < room
        for u in range(n):
            if free[u] < 1:
                continue
            if sized:
                spread(u, n, near, degree, -1, -1, far, queue)
            for v in range(u + 1, n):
                if free[v] < 1 or (core[colour[i, u]] and core[colour[i, v]]):
                    continue
                k = order[u, v]
                if k > 0:
                    if k >= top:
                        continue
                    if strained == 0:
                        e = row_of_bond(edges[i], m, u, v)
                        if ring[e] > 0 and (
                            (extra[u] > 0 and valence[colour[i, u]] <= 4)
                            or (extra[v] > 0 and valence[colour[i, v]] <= 4)
                        ):
                            continue
                elif not closes:
                    continue
                elif sized and not allowed[far[v] + 1]:
                    continue
                elif checked and not _may_close(
                    u, v, colour[i], n, edges[i], m, ring, from_u, from_v, extra, new,
                    strained == 1, tables,
                ):  # fmt: skip
                    continue
                state[a], code[a] = i, 1 + width * kinds + u * width + v
                a += 1
    return state[:a].copy(), code[:a].copy()


@njit(cache=True, nogil=True)
def backward_codes(colour, n_nodes, edges, n_edges, stage, limits, core, allowed):
    """All legal backward actions: state and code, int64 (A,), sorted by state."""
    width = limits[1]
    b = len(n_nodes)
    bound = 0
    for i in range(b):
        bound += np.int64(n_nodes[i]) + np.int64(n_edges[i]) + 1
    state, code = np.empty(bound, np.int64), np.empty(bound, np.int64)
    near, order = np.empty((width, width), np.int64), np.empty((width, width), np.int64)
    degree, queue = np.empty(width, np.int64), np.empty(width, np.int64)
    far, ring = np.empty(width, np.int64), np.empty(edges.shape[1], np.int64)
    a = 0
    for i in range(b):
        n, m = np.int64(n_nodes[i]), np.int64(n_edges[i])
        if stage[i] != 0:
            state[a], code[a] = i, 0
            a += 1
            continue
        neighbours(n, edges[i], m, near, degree, order)
        ring_sizes(n, edges[i], m, near, degree, ring, far, queue)
        for u in range(n):
            if core[colour[i, u]]:
                continue
            if n == 1 or (degree[u] == 1 and order[u, near[u, 0]] == 1):
                state[a], code[a] = i, 1 + u
                a += 1
        for e in range(m):
            u, v = np.int64(edges[i, e, 0]), np.int64(edges[i, e, 1])
            if core[colour[i, u]] and core[colour[i, v]]:
                continue
            if edges[i, e, 2] == 1:
                if ring[e] == 0:
                    continue  # it holds the graph together
                if allowed.size > 0 and not _stays_sized(
                    e, colour[i], n, edges[i], m, near, degree, ring, core, allowed, far, queue
                ):
                    continue
            state[a], code[a] = i, 1 + width + u * width + v
            a += 1
    return state[:a].copy(), code[:a].copy()


@njit(cache=True, nogil=True)
def _stays_sized(gone, colour, n, edges, m, near, degree, ring, core, allowed, far, queue):
    """Whether all ring bonds have an allowed smallest ring once bond `gone` is removed."""
    if m == n:
        return True  # it was the only ring
    c, d = edges[gone, 0], edges[gone, 1]
    for e in range(m):
        u, v = edges[e, 0], edges[e, 1]
        if e == gone or ring[e] == 0 or (core[colour[u]] and core[colour[v]]):
            continue
        size = ring_size(u, v, n, near, degree, c, d, far, queue)
        if size > 0 and not allowed[size]:
            return False
    return True


@njit(cache=True, nogil=True)
def moved_on(colour, n_nodes, edges, n_edges, stage, limits, codes):
    """Apply forward actions in place; the numbering of the given atoms stays as it is."""
    kinds, width = limits[0], limits[1]
    for i in range(len(codes)):
        code = codes[i]
        n, m = n_nodes[i], n_edges[i]
        if code == 0:
            stage[i] = 2
        elif code <= width * kinds:
            u, t = (code - 1) // kinds, (code - 1) % kinds
            colour[i, n] = t
            if n > 0:
                edges[i, m, 0], edges[i, m, 1], edges[i, m, 2] = u, n, 1
                n_edges[i] += 1
            n_nodes[i] += 1
        else:
            pair = code - 1 - width * kinds
            e = row_of_bond(edges[i], m, pair // width, pair % width)
            if e >= 0:
                edges[i, e, 2] += 1
            else:
                edges[i, m, 0], edges[i, m, 1], edges[i, m, 2] = pair // width, pair % width, 1
                n_edges[i] += 1


@njit(cache=True, nogil=True)
def moved_back(colour, n_nodes, edges, n_edges, stage, limits, codes):
    """Apply backward actions in place; atoms behind a removed one move up by one.

    Returns
    -------
    redo : ndarray, shape(B, 2), dtype=int64
        What undoes each: an atom that was left and the removed kind, the two ends of a bond
        (in the numbering of the arrays as they are now), or zeros.
    """
    width = limits[1]
    redo = np.zeros((len(codes), 2), np.int64)
    for i in range(len(codes)):
        code = codes[i]
        n, m = n_nodes[i], n_edges[i]
        if code == 0:
            stage[i] = 0
        elif code <= width:
            gone = code - 1
            redo[i, 1] = colour[i, gone]
            for u in range(gone, n - 1):
                colour[i, u] = colour[i, u + 1]
            colour[i, n - 1] = -1
            n_nodes[i] -= 1
            kept = 0
            for e in range(m):
                u, v, k = edges[i, e, 0], edges[i, e, 1], edges[i, e, 2]
                if u == gone or v == gone:
                    other = u + v - gone
                    redo[i, 0] = other - (1 if other > gone else 0)
                    continue
                edges[i, kept, 0] = u - (1 if u > gone else 0)
                edges[i, kept, 1] = v - (1 if v > gone else 0)
                edges[i, kept, 2] = k
                kept += 1
            n_edges[i] = kept
            edges[i, kept:m] = -1
        else:
            u, v = (code - 1 - width) // width, (code - 1 - width) % width
            redo[i, 0], redo[i, 1] = u, v
            e = row_of_bond(edges[i], m, u, v)
            edges[i, e, 2] -= 1
            if edges[i, e, 2] == 0:
                edges[i, e] = edges[i, m - 1]
                edges[i, m - 1] = -1
                n_edges[i] -= 1
    return redo


@njit(cache=True, nogil=True)
def keeps_rules(colour, n, edges, m, limits, valence, core, allowed):
    """Whether one graph has only rings of allowed sizes, and no strained ones if so ruled.

    Bonds between core atoms are as they are; of strain, core atoms may have what those bonds give.
    """
    strained, width, room = limits[4], limits[1], len(edges)
    near, order = np.empty((width, width), np.int64), np.empty((width, width), np.int64)
    degree, queue = np.empty(width, np.int64), np.empty(width, np.int64)
    from_u, from_v = np.empty((room, width), np.int64), np.empty((room, width), np.int64)
    ring, extra = np.empty(room, np.int64), np.empty(width, np.int64)
    neighbours(n, edges, m, near, degree, order)
    _rings(n, edges, m, near, degree, from_u, from_v, ring, queue)
    for e in range(m):
        within = core[colour[edges[e, 0]]] and core[colour[edges[e, 1]]]
        if allowed.size > 0 and ring[e] > 0 and not within and not allowed[ring[e]]:
            return False
    if strained == 0:
        _in_rings(colour, n, edges, m, ring, extra)
        for u in range(n):
            if extra[u] > 1 and valence[colour[u]] <= 4 and not core[colour[u]]:
                return False
    return True
