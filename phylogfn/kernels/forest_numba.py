"""What the policy reads of a forest: the taxa of its trees, their partials, rates of their joins.

States are those of `phylogfn.kernels.merging_numba`. Partials of a rooted tree are the likelihoods
of each state at its root, one row of K P numbers, normalised at each site pattern; or, with kind
`FITCH`, Fitch's set of states there, as a uniform distribution over it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.collapse_numba import mix64
from phylogfn.kernels.rates_numba import EMPTY, find_place

__all__ = [
    "FELSENSTEIN",
    "FITCH",
    "backward_graph_arrays",
    "collect_joins",
    "graph_arrays",
    "log_join_rates",
    "partials",
    "project",
    "tree_hashes",
    "undone_pairs",
]

FELSENSTEIN, FITCH = 0, 1
SCATTER = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def _children(parent, n, children):
    """Fill the children (2n, 2) of a forest; -1 where there is none."""
    children[:] = -1
    for v in range(2 * n):
        p = parent[v]
        if p >= n:
            if children[p, 0] < 0:
                children[p, 0] = v
            else:
                children[p, 1] = v


@njit(cache=True, nogil=True)
def _below(children, root, n, order):
    """Fill ``order`` with the nodes under a root, children first; return how many."""
    stack = np.empty(2 * n, np.int64)
    stack[0] = root
    top = 1
    count = 0
    while top:
        top -= 1
        v = stack[top]
        order[count] = v
        count += 1
        if v >= n:
            stack[top] = children[v, 0]
            stack[top + 1] = children[v, 1]
            top += 2
    for k in range(count // 2):
        order[k], order[count - 1 - k] = order[count - 1 - k], order[k]
    return count


@njit(cache=True, nogil=True)
def tree_hashes(parents, state, root, codes):
    """Hashes (N,), uint64, of rooted trees: equal for equal shapes on equal taxa."""
    n = parents.shape[1] // 2
    out = np.empty(state.size, np.uint64)
    children = np.empty((2 * n, 2), np.int64)
    order = np.empty(2 * n, np.int64)
    value = np.empty(2 * n, np.uint64)
    last = -1
    for k in range(state.size):
        if state[k] != last:
            last = state[k]
            _children(parents[last], n, children)
        count = _below(children, root[k], n, order)
        for i in range(count):
            v = order[i]
            if v < n:
                value[v] = codes[v]
            else:
                value[v] = mix64(value[children[v, 0]] + value[children[v, 1]] + SCATTER)
        out[k] = value[root[k]] | np.uint64(1)
    return out


@njit(cache=True, nogil=True)
def graph_arrays(parents, state, root, counts):
    """Nodes and pairs of the graphs of forests.

    Parameters
    ----------
    parents, counts : ndarray
    state, root : ndarray, shape (N,)
        From `merging_numba.slots_and_roots`.

    Returns
    -------
    below : ndarray, shape (N, n), float32
        1 for each taxon in the tree.
    pairs : ndarray, shape (2, P), int64
        Nodes, in the order of `merging_numba.forward_codes`.
    owner : ndarray, shape (P,), int64
        State of each pair.
    """
    n = parents.shape[1] // 2
    size = 0
    for i in range(counts.size):
        size += counts[i] * (counts[i] - 1) // 2
    below = np.zeros((state.size, n), np.float32)
    pairs = np.empty((2, size), np.int64)
    owner = np.empty(size, np.int64)
    node_of_root = np.empty(2 * n, np.int64)
    at = 0
    start = 0
    while start < state.size:
        end = start
        i = state[start]
        while end < state.size and state[end] == i:
            node_of_root[root[end]] = end
            end += 1
        parent = parents[i]
        for leaf in range(n):
            v = leaf
            while parent[v] >= 0:
                v = parent[v]
            below[node_of_root[v], leaf] = 1.0
        for a in range(start, end):
            for b in range(a + 1, end):
                pairs[0, at] = a
                pairs[1, at] = b
                owner[at] = i
                at += 1
        start = end
    return below, pairs, owner


@njit(cache=True, nogil=True)
def backward_graph_arrays(parents, counts):
    """Nodes and backward actions of the graphs of forests and finished trees.

    A forest has a node for each of its trees, by their smallest leaves; a finished tree has one for
    each branch, by the node below it, seen from leaf 0.

    Parameters
    ----------
    parents, counts : ndarray
        States, see `phylogfn.kernels.merging_numba`.

    Returns
    -------
    state, root : ndarray, shape (N,), int64
        State of each node, and the root of the rooted tree that it stands for.
    below : ndarray, shape (N, n), float32
        1 for each taxon in that tree.
    owner, node : ndarray, shape (A,), int64
        State and node of each action, in the order of `merging_numba.backward_codes`.
    """
    n = parents.shape[1] // 2
    n_nodes = 0
    n_actions = 0
    for i in range(counts.size):
        if counts[i] == 1:
            n_nodes += 2 * n - 3
            n_actions += 2 * n - 3
        else:
            n_nodes += counts[i]
            n_actions += min(counts[i], n - counts[i])  # at most
    state = np.empty(n_nodes, np.int64)
    root = np.empty(n_nodes, np.int64)
    below = np.zeros((n_nodes, n), np.float32)
    owner = np.empty(n_actions, np.int64)
    node = np.empty(n_actions, np.int64)
    node_of_root = np.empty(2 * n, np.int64)
    end = 0
    at = 0
    for i in range(counts.size):
        parent = parents[i]
        node_of_root[:] = -1
        first = end
        if counts[i] == 1:
            for v in range(1, 2 * n):
                if parent[v] >= 0:
                    node_of_root[v] = end
                    root[end] = v
                    end += 1
            for leaf in range(1, n):
                v = leaf
                while v > 0:
                    below[node_of_root[v], leaf] = 1.0
                    v = parent[v]
        else:
            for leaf in range(n):
                v = leaf
                while parent[v] >= 0:
                    v = parent[v]
                if node_of_root[v] < 0:
                    node_of_root[v] = end
                    root[end] = v
                    end += 1
                below[node_of_root[v], leaf] = 1.0
        state[first:end] = i
        for v in range(1 if counts[i] == 1 else n, 2 * n):
            if node_of_root[v] >= 0:
                owner[at] = i
                node[at] = node_of_root[v]
                at += 1
    return state, root, below, owner[:at], node[:at]


@njit(cache=True, nogil=True)
def undone_pairs(parents, counts, owner, root):
    """The two clades that each backward action takes apart.

    Parameters
    ----------
    parents, counts : ndarray
    owner : ndarray, shape (A,)
        State of each action.
    root : ndarray, shape (A,)
        In a forest the root that goes; in a finished tree the node below the branch.

    Returns
    -------
    ndarray, shape (2 A, n), float32
        1 for each taxon; rows 2 k and 2 k + 1 are of action k, that with the smallest leaf first.
    """
    n = parents.shape[1] // 2
    out = np.zeros((2 * owner.size, n), np.float32)
    for k in range(owner.size):
        parent = parents[owner[k]]
        v = root[k]
        if counts[owner[k]] == 1:
            for leaf in range(n):
                x = leaf
                while x > 0 and x != v:
                    x = parent[x]
                out[2 * k + (1 if x == v else 0), leaf] = 1.0
            continue
        first = -1
        for leaf in range(n):
            x = leaf
            while x >= 0 and parent[x] != v:
                x = parent[x]
            if x < 0:  # in another tree
                continue
            if first < 0:
                first = x
            out[2 * k + (0 if x == first else 1), leaf] = 1.0
    return out


@njit(cache=True, nogil=True)
def _join_partials(kind, keep, freqs, x, y, n_patterns, out):
    """Partials of the join of two trees; rows are ``[state, pattern]`` laid flat.

    Over each of the two branches a state is kept with chance ``keep`` or drawn anew (equal input).
    """
    K = freqs.size
    P = n_patterns
    for p in range(P):
        sum_x = 0.0
        sum_y = 0.0
        for s in range(K):
            sum_x += freqs[s] * x[s * P + p]
            sum_y += freqs[s] * y[s * P + p]
        total = 0.0
        for s in range(K):
            if kind == FITCH:
                value = x[s * P + p] * y[s * P + p]
            else:
                value = (keep * x[s * P + p] + (1.0 - keep) * sum_x) * (
                    keep * y[s * P + p] + (1.0 - keep) * sum_y
                )
            out[s * P + p] = value
            total += value
        if total == 0.0:  # Fitch's sets do not meet: their union
            for s in range(K):
                value = 1.0 if x[s * P + p] + y[s * P + p] > 0.0 else 0.0
                out[s * P + p] = value
                total += value
        elif kind == FITCH:
            total = 0.0
            for s in range(K):
                value = 1.0 if out[s * P + p] > 0.0 else 0.0
                out[s * P + p] = value
                total += value
        for s in range(K):
            out[s * P + p] /= total


@njit(cache=True, nogil=True)
def _mark_remembered(children, order, count, n, value, tags, known):
    """Set ``known`` of the nodes of a tree that lie under a tree that is in memory.

    These need not be looked at. ``order`` and ``count`` are those of `_below`.
    """
    mask = np.uint64(tags.size - 1)
    known[order[count - 1]] = False
    for i in range(count - 1, -1, -1):
        v = order[i]
        if v >= n:
            name = value[v] | np.uint64(1)
            found = known[v] or tags[(name >> np.uint64(1)) & mask] == name
            known[children[v, 0]] = found
            known[children[v, 1]] = found


@njit(cache=True, nogil=True)
def partials(kind, keep, freqs, tips, parents, state, root, codes, tags, memory, work, out):
    """Partials of rooted trees, with a memory of those computed before.

    Parameters
    ----------
    kind : int
    keep : float
    freqs : ndarray, shape (K,)
    tips : ndarray, shape (n, K P), float32
        Partials of the leaves, normalised.
    parents : ndarray
    state, root : ndarray, shape (M,)
    codes : ndarray, shape (n,), uint64
    tags : ndarray, shape (2^k,), uint64
        Hash of the tree in each place of the memory; changed.
    memory : ndarray, shape (2^k, K P), float32
        Changed; a tree has one place, and the last one put there stays.
    work : ndarray, shape (2n, K P), float32
        Working space.
    out : ndarray, shape (M, K P), float32
        Filled.
    """
    n = parents.shape[1] // 2
    n_patterns = tips.shape[1] // freqs.size
    mask = np.uint64(tags.size - 1)
    children = np.empty((2 * n, 2), np.int64)
    order = np.empty(2 * n, np.int64)
    value = np.empty(2 * n, np.uint64)
    known = np.empty(2 * n, np.bool_)
    for k in range(state.size):
        _children(parents[state[k]], n, children)
        count = _below(children, root[k], n, order)
        for i in range(count):
            v = order[i]
            if v < n:
                value[v] = codes[v]
            else:
                value[v] = mix64(value[children[v, 0]] + value[children[v, 1]] + SCATTER)
        _mark_remembered(children, order, count, n, value, tags, known)
        for i in range(count):
            v = order[i]
            if v != root[k] and known[v]:
                continue
            if v < n:
                work[v] = tips[v]
                continue
            name = value[v] | np.uint64(1)
            place = (name >> np.uint64(1)) & mask
            if tags[place] == name:
                work[v] = memory[place]
            else:
                _join_partials(
                    kind, keep, freqs, work[children[v, 0]], work[children[v, 1]], n_patterns,
                    work[v],
                )  # fmt: skip
                tags[place] = name
                memory[place] = work[v]
        out[k] = work[root[k]]


@njit(cache=True, nogil=True)
def project(raw, mean, basis, out):
    """Fill ``out`` (M, D), float32, with (raw - mean) @ basis.

    Row by row and term by term: a product of matrices would round a row by what stands beside it,
    and a resumed run would not repeat the uninterrupted one.
    """
    for i in range(raw.shape[0]):
        row = out[i]
        row[:] = np.float32(0.0)
        for k in range(raw.shape[1]):
            x = raw[i, k] - mean[k]
            for j in range(basis.shape[1]):
                row[j] += x * basis[k, j]


@njit(cache=True, nogil=True)
def _add(table, weight, key, value, used):
    place = find_place(table, key)
    if table[place] == EMPTY:
        table[place] = key
        used += 1
    weight[place] += value
    return used


@njit(cache=True, nogil=True)
def _clade_key(clade):
    return mix64(clade) | np.uint64(1)


@njit(cache=True, nogil=True)
def _pair_key(first, second):
    return mix64(mix64(first) + mix64(second) + SCATTER) | np.uint64(1)


@njit(cache=True, nogil=True)
def collect_joins(trees, shares, codes, table, weight):
    """Weights of the clades of topologies, and of the pairs of clades that meet at a node.

    Every branch has a clade at either side, every inner node three pairs of clades that it joins
    when the tree is rooted beyond the third.

    Parameters
    ----------
    trees : ndarray, shape (B, 2n-2), int16
        Parents drawn at taxon 0.
    shares : ndarray, shape (B,)
    codes : ndarray, shape (n,), uint64
        A clade is called by the sum of the codes of its taxa.
    table : ndarray, shape (2^k,), uint64
        Filled.
    weight : ndarray, shape (2^k,), float64
        Filled.

    Returns
    -------
    int
        Entries in use; -1 if the table was too small.
    """
    n_nodes = trees.shape[1]
    n = n_nodes // 2 + 1
    everything = np.uint64(0)
    for j in range(n):
        everything += codes[j]
    clade = np.empty(n_nodes, np.uint64)
    first = np.empty(n_nodes, np.int64)
    used = 0
    for i in range(trees.shape[0]):
        if 2 * (used + 10 * n) > table.size:
            return -1
        parent = trees[i]
        clade[:] = np.uint64(0)
        for j in range(1, n):
            v = j
            while v > 0:
                clade[v] += codes[j]
                v = parent[v]
        first[:] = -1
        for v in range(1, n_nodes):
            used = _add(table, weight, _clade_key(clade[v]), shares[i], used)
            used = _add(table, weight, _clade_key(everything - clade[v]), shares[i], used)
            p = parent[v]
            if p == 0:
                continue
            if first[p] < 0:
                first[p] = v
                continue
            a = clade[first[p]]
            b = clade[v]
            above = everything - clade[p]
            used = _add(table, weight, _pair_key(a, b), shares[i], used)
            used = _add(table, weight, _pair_key(a, above), shares[i], used)
            used = _add(table, weight, _pair_key(b, above), shares[i], used)
    return used


@njit(cache=True, nogil=True)
def log_join_rates(below, pairs, owner, counts, codes, table, weight, smoothing, unseen):
    """Log rate (P,), float32, at which two trees of a forest are joined.

    The weight of the pair over that of the rarer of its two clades, smoothed towards ``unseen``
    over the number of other trees.
    """
    clade = np.zeros(below.shape[0], np.uint64)
    for k in range(below.shape[0]):
        for j in range(below.shape[1]):
            if below[k, j] > 0.0:
                clade[k] += codes[j]
    own = np.empty(below.shape[0])
    for k in range(below.shape[0]):
        place = find_place(table, _clade_key(clade[k]))
        own[k] = weight[place] if table[place] != EMPTY else 0.0
    out = np.empty(pairs.shape[1], np.float32)
    for k in range(pairs.shape[1]):
        a = pairs[0, k]
        b = pairs[1, k]
        place = find_place(table, _pair_key(clade[a], clade[b]))
        met = weight[place] if table[place] != EMPTY else 0.0
        prior = unseen / counts[owner[k]]
        out[k] = math.log((met + smoothing * prior) / (min(own[a], own[b]) + smoothing))
    return out
