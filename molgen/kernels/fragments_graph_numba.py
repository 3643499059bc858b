"""What a policy reads of states of the fragment environment.

Layout: see `molgen.kernels.fragments_numba`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from molgen.kernels.fragments_numba import JOIN, open_left

__all__ = ["graph_arrays"]

NEAR, FAR = 0.6, 0.9  # what a bond's distance takes from the weight of an atom


@njit(cache=True, nogil=True)
def _add_sums(colour, n, edges, m, orbit_weight, features, column):
    """For each atom, sum over all atoms of their weights times NEAR (FAR) ** distance in bonds."""
    n_weights = orbit_weight.shape[1]
    start = np.zeros(n + 1, np.int64)
    for e in range(m):
        start[edges[e, 0] + 1] += 1
        start[edges[e, 1] + 1] += 1
    for u in range(n):
        start[u + 1] += start[u]
    place = start[:n].copy()
    neighbour = np.empty(2 * m, np.int64)
    for e in range(m):
        u, v = edges[e, 0], edges[e, 1]
        neighbour[place[u]], neighbour[place[v]] = v, u
        place[u] += 1
        place[v] += 1
    queue = np.empty(n, np.int64)
    distance = np.empty(n, np.int64)
    near, far = np.empty(n), np.empty(n)  # what the weights are multiplied by at each distance
    near[0], far[0] = 1.0 - NEAR, 1.0 - FAR  # a long chain sums up to about 1
    for d in range(1, n):
        near[d], far[d] = near[d - 1] * NEAR, far[d - 1] * FAR
    sums = np.empty(2 * n_weights)
    for source in range(n):
        distance[:] = -1
        distance[source], queue[0], end = 0, source, 1
        for k in range(n):
            u = queue[k]
            for p in range(start[u], start[u + 1]):
                v = neighbour[p]
                if distance[v] < 0:
                    distance[v] = distance[u] + 1
                    queue[end] = v
                    end += 1
        sums[:] = 0.0
        for u in range(n):
            weight = orbit_weight[colour[u]]
            a, b = near[distance[u]], far[distance[u]]
            for w in range(n_weights):
                sums[w] += a * weight[w]
                sums[n_weights + w] += b * weight[w]
        for w in range(2 * n_weights):
            features[source, column + w] = sums[w]


@njit(cache=True, nogil=True)
def graph_arrays(
    colour,
    n_nodes,
    edges,
    n_edges,
    orbit_kind,
    orbit_open,
    orbit_hydrogens,
    orbit_is_core,
    orbit_weight,
    n_kinds,
    max_atoms,
    max_fragments,
):
    """What the policy reads of each molecule; one blank node stands for the empty state.

    Messages reach a few bonds far, so each node also has sums of `orbit_weight` over all atoms
    (columns: quantities), which count less the further they are.

    Returns
    -------
    features : ndarray, shape(N, n_kinds + 6 + 2 W), dtype=float32
        Kind of atom as one-hot; hydrogens, places left, core, empty; atoms and pieces of
        the state as shares of the most there may be; the sums, for both rates of decay.
    first_node : ndarray, shape(B + 1,), dtype=int64
    node_graph : ndarray, shape(N,), dtype=int64
    graph_type : ndarray, shape(B,), dtype=int64
        Number of pieces.
    edge_index : ndarray, shape(2, E), dtype=int64
        Each bond in both directions.
    edge_type : ndarray, shape(E,), dtype=int64
        Order less one (aromatic 3), or 4 for a join.
    """
    b = len(n_nodes)
    first_node = np.zeros(b + 1, np.int64)
    total = 0
    for i in range(b):
        first_node[i + 1] = first_node[i] + max(1, n_nodes[i])
        total += 2 * n_edges[i]
    n_weights = orbit_weight.shape[1]
    features = np.zeros((first_node[b], n_kinds + 6 + 2 * n_weights), np.float32)
    node_graph = np.empty(first_node[b], np.int64)
    graph_type = np.empty(b, np.int64)
    edge_index = np.empty((2, total), np.int64)
    edge_type = np.empty(total, np.int64)
    left = np.empty(colour.shape[1], np.int16)
    k = 0
    for i in range(b):
        n, m, start = n_nodes[i], n_edges[i], first_node[i]
        pieces = min(1, n)
        for e in range(m):
            u, v = start + edges[i, e, 0], start + edges[i, e, 1]
            order = edges[i, e, 2]
            kind = 4 if order >= JOIN else order - 1
            pieces += order >= JOIN
            edge_index[0, k], edge_index[1, k], edge_type[k] = u, v, kind
            edge_index[0, k + 1], edge_index[1, k + 1], edge_type[k + 1] = v, u, kind
            k += 2
        graph_type[i] = pieces
        node_graph[start : first_node[i + 1]] = i
        if n == 0:
            features[start, n_kinds + 3] = 1.0
            continue
        open_left(colour[i], n, edges[i], m, orbit_open, left)
        for u in range(n):
            orbit = colour[i, u]
            row = features[start + u]
            row[orbit_kind[orbit]] = 1.0
            row[n_kinds] = (orbit_hydrogens[orbit] + left[u]) / 3.0
            row[n_kinds + 1] = left[u]
            row[n_kinds + 2] = orbit_is_core[orbit]
            row[n_kinds + 4] = n / max_atoms
            row[n_kinds + 5] = pieces / max_fragments
        _add_sums(colour[i], n, edges[i], m, orbit_weight, features[start:], n_kinds + 6)
    return features, first_node, node_graph, graph_type, edge_index, edge_type
