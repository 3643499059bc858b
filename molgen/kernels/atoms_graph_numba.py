"""What a policy reads of graphs that are built atom by atom; see `atoms_numba` for the codes."""

from __future__ import annotations

import numpy as np
from numba import njit

from molgen.kernels.skeleton_numba import neighbours, paths, ring_sizes, row_of_bond

__all__ = ["CLOSE_COLUMNS", "N_FEATURES", "RAISE_COLUMNS", "graph_arrays"]

STOP, ADD, CLOSE, RAISE, FIRST = 0, 1, 2, 3, 4  # heads of the policy
CLOSE_COLUMNS = 28  # distances 2, ..., 8 and more; shortest paths: one or several, all single?
RAISE_COLUMNS = 6  # for each bond order: smallest ring none, 3, ..., 7 and more

# Features of a node before its kind: 0 no atom (empty state), 1-5 free valence 0, ..., 4 and more,
# 6-10 degree likewise, 11-15 sizes of its smallest rings 3, ..., 7 and more, 16 ring bonds,
# 17 core, 18 atoms of the graph, 19 rings of the graph, 20 and 21 atoms at distance 2 and 3,
# 22 mean distance, 23 largest distance, 24-27 closed walks of 3, ..., 6 steps, weighted by bond
# orders and kinds (log). The last four tell apart atoms, and graphs, that message passing cannot.
N_FEATURES = 28


@njit(cache=True, nogil=True)
def graph_arrays(
    colour, n_nodes, edges, n_edges, state, code, limits, cap, core, kind, n_features
):  # fmt: skip
    """What a policy reads of the states and their forward actions.

    Parameters
    ----------
    state, code : ndarray, shape(A,), dtype=int64
        The forward actions.
    kind : ndarray, dtype=int64
        Kind of atom of each colour.
    n_features : int
        `N_FEATURES` and one for each kind of atom.

    Returns
    -------
    features : ndarray, shape(N, n_features), dtype=float32
    node_graph : ndarray, shape(N,), dtype=int64
    edge_index : ndarray, shape(2, E), dtype=int64
        Both directions of each bond.
    edge_type : ndarray, shape(E,), dtype=int64
        Bond order less one.
    index, head, column : ndarray, shape(A,), dtype=int64
        See `gfncore.graph_batch.GraphBatch`; heads are numbered as `AtomEnvironment.heads`.
    pairs : ndarray, shape(2, P), dtype=int64
        The ends of the bonds that would be added or raised.
    """
    kinds, width = limits[0], limits[1]
    b, room = len(n_nodes), edges.shape[1]
    total, bonds = 0, 0
    for i in range(b):
        total += max(np.int64(n_nodes[i]), 1)
        bonds += np.int64(n_edges[i])
    n_pairs = 0
    for a in range(len(code)):
        n_pairs += code[a] > width * kinds
    features = np.zeros((total, n_features), np.float32)
    node_graph = np.empty(total, np.int64)
    edge_index, edge_type = np.empty((2, 2 * bonds), np.int64), np.empty(2 * bonds, np.int64)
    index, head = np.empty(len(code), np.int64), np.empty(len(code), np.int64)
    column, pairs = np.zeros(len(code), np.int64), np.empty((2, n_pairs), np.int64)
    near, order = np.empty((width, width), np.int64), np.empty((width, width), np.int64)
    degree, queue = np.empty(width, np.int64), np.empty(width, np.int64)
    far = np.empty((width, width), np.int64)
    ways, heavy = np.empty((width, width), np.int64), np.empty((width, width), np.int64)
    weight, walks = np.empty(width, np.float64), np.empty((3, width), np.float64)
    ring = np.empty(room, np.int64)
    base, e0, a, p = 0, 0, 0, 0
    for i in range(b):
        n, m = np.int64(n_nodes[i]), np.int64(n_edges[i])
        neighbours(n, edges[i], m, near, degree, order)
        ring_sizes(n, edges[i], m, near, degree, ring, far[0], queue)
        for u in range(n):
            weight[u] = 1.0 + 0.5 * kind[colour[i, u]] / kinds
        for u in range(n):
            paths(u, n, near, degree, order, far[u], ways[u], heavy[u], queue)
            node_graph[base + u] = i
            row = features[base + u]
            row[N_FEATURES + kind[colour[i, u]]] = 1.0
            _describe_atom(u, n, near, degree, order, far[u], cap[colour[i, u]], weight, walks, row)
            row[17] = 1.0 if core[colour[i, u]] else 0.0
            row[18] = n / width
            row[19] = (m - n + 1) / 4.0
        for e in range(m):
            u, v = np.int64(edges[i, e, 0]), np.int64(edges[i, e, 1])
            edge_index[0, e0], edge_index[1, e0] = base + u, base + v
            edge_index[0, e0 + 1], edge_index[1, e0 + 1] = base + v, base + u
            edge_type[e0], edge_type[e0 + 1] = edges[i, e, 2] - 1, edges[i, e, 2] - 1
            e0 += 2
            if ring[e] > 0:
                flag = 8 + min(ring[e], 7)
                for w in (u, v):
                    features[base + w, flag] = 1.0
                    features[base + w, 16] += 0.25
        if n == 0:
            node_graph[base] = i
            features[base, 0] = 1.0
        while a < len(code) and state[a] == i:
            if n == 0:
                head[a], index[a], column[a] = FIRST, i, code[a] - 1
            elif code[a] == 0:
                head[a], index[a] = STOP, i
            elif code[a] <= width * kinds:
                head[a], index[a] = ADD, base + (code[a] - 1) // kinds
                column[a] = (code[a] - 1) % kinds
            else:
                u = (code[a] - 1 - width * kinds) // width
                v = (code[a] - 1 - width * kinds) % width
                pairs[0, p], pairs[1, p] = base + u, base + v
                index[a] = p
                p += 1
                if order[u, v] == 0:
                    head[a] = CLOSE
                    column[a] = 4 * (min(far[u, v], 8) - 2)
                    column[a] += (1 if ways[u, v] > 1 else 0) + (
                        2 if heavy[u, v] > ways[u, v] else 0
                    )
                else:
                    head[a] = RAISE
                    size = min(ring[row_of_bond(edges[i], m, u, v)], 7)
                    column[a] = (order[u, v] - 1) * 6 + max(size - 2, 0)
            a += 1
        base += max(n, 1)
    return features, node_graph, edge_index, edge_type, index, head, column, pairs


@njit(cache=True, nogil=True)
def _describe_atom(u, n, near, degree, order, far, cap, weight, walks, row):
    """Features 1 to 10 and 20 to 27 of atom u: see `N_FEATURES`."""
    free = cap
    for k in range(degree[u]):
        free -= order[u, near[u, k]]
    row[1 + min(free, 4)] = 1.0
    row[6 + min(degree[u], 4)] = 1.0
    total, furthest = 0, 0
    for v in range(n):
        total += far[v]
        furthest = max(furthest, far[v])
        if far[v] == 2 or far[v] == 3:
            row[18 + far[v]] += 0.25
        walks[0, v] = order[u, v] * weight[v]
    row[22] = total / (4.0 * n)
    row[23] = furthest / 8.0
    for length in (1, 2):  # walks of 2 and 3 steps from u, after those of 1 step
        for v in range(n):
            walks[length, v] = 0.0
            for k in range(degree[v]):
                w = near[v, k]
                walks[length, v] += walks[length - 1, w] * order[v, w]
            walks[length, v] *= weight[v]
    for shorter, longer in ((0, 1), (1, 1), (1, 2), (2, 2)):  # closed walks of 3, 4, 5, 6 steps
        closed = 0.0
        for v in range(n):
            closed += walks[shorter, v] * walks[longer, v] / weight[v]
        row[24 + shorter + longer - 1] = np.log1p(closed) / 4.0
