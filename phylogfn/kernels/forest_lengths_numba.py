"""Forests with branch lengths: joins and their undoing, and what is known of lengths.

States are those of `phylogfn.kernels.merging_numba`, and beside the parents (2n) the lengths (2n)
of the branches above the nodes, 0 where there is none. A join of the trees with slots i < j carries
the lengths of the branches above the two, in this order; the last one carries one length.

What is known of the length of a branch comes from weighted trees with lengths: sums over them of 1,
log b and (log b)^2, for the branch (its split), and for the branch with how either of its ends goes
on (the two clades there).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.collapse_numba import mix64
from phylogfn.kernels.forest_numba import SCATTER, _below, _children, _mark_remembered
from phylogfn.kernels.merging_numba import _relabel, _root, _smallest_below, _with_room
from phylogfn.kernels.rates_numba import EMPTY, find_place

__all__ = [
    "FEATURES",
    "collect_lengths",
    "hash_lengths",
    "join",
    "length_features",
    "partials",
    "split",
    "states_of_trees",
    "trees_of_states",
]

FEATURES = 12  # of a length, see `length_features`
NODE_SMOOTHING = 3.0  # trees' worth of a branch's own mean in what is known of it at one end
FURTHEST = 5.0  # spreads that a length is said to be from its place


@njit(cache=True, nogil=True)
def _turn(parent, length, v):
    """Make v the root of its tree: turn the path from it upward; return the root until now."""
    below = -1
    carried = 0.0
    while v >= 0:
        above = parent[v]
        parent[v] = below
        carried, length[v] = length[v], carried
        below = v
        v = above
    return below


@njit(cache=True, nogil=True)
def _relabel_all(parent, length, label, smallest, pending, work, moved):
    """Number the nodes of a forest canonically (in place); the rest is room to work in."""
    work[:] = parent
    _relabel(work, parent.size // 2, label, smallest, pending, parent)
    moved[:] = length
    length[:] = 0.0
    for v in range(parent.size):
        if work[v] >= 0:
            length[label[v]] = moved[v]


@njit(cache=True, nogil=True)
def join(parents, counts, lengths, codes, values, undo):
    """Join two trees of each state (in place) by ``codes`` (B,) with lengths ``values`` (B, 2).

    ``undo`` (B,) is filled with the ways back.
    """
    n = parents.shape[1] // 2
    label = np.empty(2 * n, np.int64)
    smallest = np.empty(2 * n, np.int64)
    pending = np.empty(2 * n, np.int64)
    work = np.empty(2 * n, np.int16)
    moved = np.empty(2 * n)
    for i in range(parents.shape[0]):
        parent = parents[i]
        length = lengths[i]
        first = _root(parent, codes[i] // n)
        slot = codes[i] % n
        second = _root(parent, slot)
        if counts[i] > 2:
            parent[first] = n + slot
            parent[second] = n + slot
            length[first] = values[i, 0]
            length[second] = values[i, 1]
            undo[i] = slot
        else:
            parent[second] = _turn(parent, length, 0)
            length[second] = values[i, 0]
            _relabel_all(parent, length, label, smallest, pending, work, moved)
            undo[i] = label[second]
        counts[i] -= 1


@njit(cache=True, nogil=True)
def split(parents, counts, lengths, codes, redo, values):
    """Undo a join of each state (in place) by ``codes`` (B,).

    ``redo`` (B,) and ``values`` (B, 2) are filled with the ways forward and their lengths.
    """
    n = parents.shape[1] // 2
    label = np.empty(2 * n, np.int64)
    smallest = np.empty(2 * n, np.int64)
    pending = np.empty(2 * n, np.int64)
    work = np.empty(2 * n, np.int16)
    moved = np.empty(2 * n)
    for i in range(parents.shape[0]):
        parent = parents[i]
        length = lengths[i]
        values[i] = 0.0
        if counts[i] == 1:
            v = codes[i]
            redo[i] = _smallest_below(parent, v, n)  # with slot 0
            values[i, 0] = length[v]
            u = parent[v]
            parent[v] = -1
            length[v] = 0.0
            _turn(parent, length, u)  # up to leaf 0
            _relabel_all(parent, length, label, smallest, pending, work, moved)
        else:
            node = n + codes[i]
            redo[i] = _smallest_below(parent, node, n) * n + codes[i]
            second = codes[i]
            while parent[second] != node:
                second = parent[second]
            for v in range(2 * n):
                if parent[v] == node:
                    values[i, 1 if v == second else 0] = length[v]
                    parent[v] = -1
                    length[v] = 0.0
        counts[i] += 1


@njit(cache=True, nogil=True)
def states_of_trees(trees, tree_lengths):
    """Finished states of trees: parents (B, 2n), int16, and lengths (B, 2n).

    ``trees`` (B, 2n-2) are parents drawn at taxon 0, ``tree_lengths`` (B, 2n-2) theirs.
    """
    n = trees.shape[1] // 2 + 1
    out = np.empty((trees.shape[0], 2 * n), np.int16)
    lengths = np.zeros((trees.shape[0], 2 * n))
    label = np.empty(2 * n, np.int64)
    smallest = np.empty(2 * n, np.int64)
    pending = np.empty(2 * n, np.int64)
    work = np.empty(2 * n, np.int16)
    for i in range(trees.shape[0]):
        _with_room(trees[i], n, work)
        _relabel(work, n, label, smallest, pending, out[i])
        for v in range(2 * n - 2):
            if trees[i, v] >= 0:
                lengths[i, label[v if v < n else v + 2]] = tree_lengths[i, v]
    return out, lengths


@njit(cache=True, nogil=True)
def trees_of_states(lengths):
    """Lengths (B, 2n-2) of finished states as `merging_numba.trees_of_states` numbers nodes."""
    n = lengths.shape[1] // 2
    out = np.empty((lengths.shape[0], 2 * n - 2))
    for i in range(lengths.shape[0]):
        for v in range(2 * n - 2):
            out[i, v] = lengths[i, v if v < n else v + 2]
    return out


@njit(cache=True, nogil=True)
def hash_lengths(bits, keys):
    """Mix lengths (B, 2n), seen as uint64, into the keys (B, 2) of their states (in place)."""
    for i in range(bits.shape[0]):
        for v in range(bits.shape[1]):
            if bits[i, v] != np.uint64(0):
                scattered = mix64(bits[i, v] + mix64(np.uint64(v) + SCATTER))
                keys[i, 0] += scattered
                keys[i, 1] += mix64(scattered ^ SCATTER)


@njit(cache=True, nogil=True)
def _tree_hash(children, order, count, n, bits, codes, value):
    """Fill ``value`` with the hashes of the subtrees with lengths; return that of the whole."""
    for i in range(count):
        v = order[i]
        if v < n:
            value[v] = codes[v]
        else:
            x = children[v, 0]
            y = children[v, 1]
            value[v] = mix64(
                mix64(value[x] ^ mix64(bits[x])) + mix64(value[y] ^ mix64(bits[y])) + SCATTER
            )
    return value[order[count - 1]] | np.uint64(1)


@njit(cache=True, nogil=True)
def tree_hashes(parents, bits, state, root, codes):
    """Hashes (N,), uint64, of rooted trees: equal for equal shapes with equal lengths.

    ``bits`` (B, 2n) are the lengths seen as uint64.
    """
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
        out[k] = _tree_hash(children, order, count, n, bits[last], codes, value)
    return out


@njit(cache=True, nogil=True)
def _join_partials(freqs, keep_x, x, keep_y, y, n_patterns, out):
    """Partials of the join of two trees; rows are ``[state, pattern]`` laid flat.

    Over a branch a state is kept with chance ``keep`` or drawn anew (equal input).
    """
    K = freqs.size
    P = n_patterns
    one = np.float32(1.0)
    sums_x = np.zeros(P, np.float32)
    sums_y = np.zeros(P, np.float32)
    total = np.zeros(P, np.float32)
    for s in range(K):
        f = np.float32(freqs[s])
        for p in range(P):
            sums_x[p] += f * x[s * P + p]
            sums_y[p] += f * y[s * P + p]
    for s in range(K):
        for p in range(P):
            value = (keep_x * x[s * P + p] + (one - keep_x) * sums_x[p]) * (
                keep_y * y[s * P + p] + (one - keep_y) * sums_y[p]
            )
            out[s * P + p] = value
            total[p] += value
    for p in range(P):
        # states that exclude each other over branches of no length: nothing is known
        total[p] = one / total[p] if total[p] > np.float32(0.0) else np.float32(0.0)
    for s in range(K):
        for p in range(P):
            out[s * P + p] *= total[p]


@njit(cache=True, nogil=True)
def partials(
    beta, freqs, tips, parents, lengths, bits, state, root, codes, tags, memory, work, out
):  # fmt: skip
    """Partials of rooted trees with lengths, with a memory of those computed before.

    As `forest_numba.partials`, but a branch of length b keeps its state with chance
    exp(-beta b), and ``bits`` (B, 2n) are the lengths seen as uint64.
    """
    n = parents.shape[1] // 2
    n_patterns = tips.shape[1] // freqs.size
    mask = np.uint64(tags.size - 1)
    children = np.empty((2 * n, 2), np.int64)
    order = np.empty(2 * n, np.int64)
    value = np.empty(2 * n, np.uint64)
    known = np.empty(2 * n, np.bool_)
    for k in range(state.size):
        i = state[k]
        _children(parents[i], n, children)
        count = _below(children, root[k], n, order)
        _tree_hash(children, order, count, n, bits[i], codes, value)
        _mark_remembered(children, order, count, n, value, tags, known)
        for j in range(count):
            v = order[j]
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
                x = children[v, 0]
                y = children[v, 1]
                _join_partials(
                    freqs,
                    np.float32(math.exp(-beta * lengths[i, x])),
                    work[x],
                    np.float32(math.exp(-beta * lengths[i, y])),
                    work[y],
                    n_patterns,
                    work[v],
                )
                tags[place] = name
                memory[place] = work[v]
        out[k] = work[root[k]]


@njit(cache=True, nogil=True)
def _branch_key(clade, everything):
    """Key of a branch by the taxa at one side of it."""
    return mix64(mix64(clade) + mix64(everything - clade)) | np.uint64(1)


@njit(cache=True, nogil=True)
def _end_key(beyond, first, second):
    """Key of a branch at the end where two clades hang, the third being beyond the branch."""
    return mix64(mix64(beyond ^ SCATTER) + (mix64(first) + mix64(second))) | np.uint64(1)


@njit(cache=True, nogil=True)
def _add(table, sums, key, weight, y, used):
    place = find_place(table, key)
    if table[place] == EMPTY:
        table[place] = key
        used += 1
    sums[place, 0] += weight
    sums[place, 1] += weight * y
    sums[place, 2] += weight * y * y
    return used


@njit(cache=True, nogil=True)
def collect_lengths(trees, lengths, weights, codes, table, sums, overall):
    """Sums of weighted trees with lengths, for every branch and for every end of one.

    Parameters
    ----------
    trees : ndarray, shape (B, 2n-2), int16
        Parents drawn at taxon 0.
    lengths : ndarray, shape (B, 2n-2)
    weights : ndarray, shape (B,)
    codes : ndarray, shape (n,), uint64
        A clade is called by the sum of the codes of its taxa.
    table : ndarray, shape (2^k,), uint64
        Filled with keys.
    sums : ndarray, shape (2^k, 3)
        Filled: sums of the weight, of log b and of (log b)^2.
    overall : ndarray, shape (2, 3)
        Filled: the same over branches to leaves, and over inner branches.

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
    children = np.empty((n_nodes, 2), np.int64)
    used = 0
    for i in range(trees.shape[0]):
        if 2 * (used + 5 * n) > table.size:
            return -1
        parent = trees[i]
        clade[:] = np.uint64(0)
        for j in range(1, n):
            v = j
            while v > 0:
                clade[v] += codes[j]
                v = parent[v]
        children[:] = -1
        for v in range(1, n_nodes):
            p = parent[v]
            if p > 0:
                if children[p, 0] < 0:
                    children[p, 0] = v
                else:
                    children[p, 1] = v
        for v in range(1, n_nodes):
            y = math.log(lengths[i, v])
            w = weights[i]
            kind = 0 if v < n or parent[v] == 0 else 1
            overall[kind, 0] += w
            overall[kind, 1] += w * y
            overall[kind, 2] += w * y * y
            used = _add(table, sums, _branch_key(clade[v], everything), w, y, used)
            if v >= n:
                key = _end_key(everything - clade[v], clade[children[v, 0]], clade[children[v, 1]])
                used = _add(table, sums, key, w, y, used)
            p = parent[v]
            if p > 0:
                other = children[p, 0] if children[p, 1] == v else children[p, 1]
                key = _end_key(clade[v], clade[other], everything - clade[p])
                used = _add(table, sums, key, w, y, used)
    return used


@njit(cache=True, nogil=True)
def _branch_moments(table, sums, key, overall, smoothing):
    """Mean and variance of log b of a branch, and the weight that they rest on."""
    mean = overall[1] / overall[0]
    variance = overall[2] / overall[0] - mean * mean
    place = find_place(table, key)
    if table[place] == EMPTY:
        return mean, max(variance, 1e-4), 0.0
    w = sums[place, 0]
    centre = (sums[place, 1] + smoothing * mean) / (w + smoothing)
    square = sums[place, 2] - 2.0 * centre * sums[place, 1] + w * centre * centre
    spread = (square + smoothing * variance) / (w + smoothing)
    return centre, max(spread, 1e-4), w


@njit(cache=True, nogil=True)
def _end_moments(table, sums, key, mean, variance, smoothing):
    """How far mean (and half the log variance) at one end are from those of the branch."""
    place = find_place(table, key)
    if table[place] == EMPTY:
        return 0.0, 0.0
    w = sums[place, 0]
    c = NODE_SMOOTHING * smoothing
    centre = (sums[place, 1] + c * mean) / (w + c)
    square = sums[place, 2] - 2.0 * centre * sums[place, 1] + w * centre * centre
    spread = max((square + c * variance) / (w + c), 1e-5)
    return centre - mean, 0.5 * math.log(spread / variance)


@njit(cache=True, nogil=True)
def length_features(
    parents, counts, lengths, codes_of_action, codes, table, sums, overall, smoothing, out, present
):  # fmt: skip
    """What is known of the lengths that one join of each state carries.

    Parameters
    ----------
    parents, counts, lengths : ndarray
        Unfinished states.
    codes_of_action : ndarray, shape (B,)
    codes, table, sums, overall : ndarray
        See `collect_lengths`.
    smoothing : float
        Weight of what branches have in common.
    out : ndarray, shape (B, 2, FEATURES), float32
        Filled: place and log spread of log b; how far the mean, and the log spread, are from these
        at either end (lower, upper: four); log of 1 plus the weight in units of the smoothing;
        whether a leaf hangs at the lower end; standardised log lengths of the two branches there,
        and for the last join of those at the other end.
    present : ndarray, shape (B, 2), bool
        Filled.
    """
    n = parents.shape[1] // 2
    everything = np.uint64(0)
    for j in range(n):
        everything += codes[j]
    children = np.empty((2 * n, 2), np.int64)
    order = np.empty(2 * n, np.int64)
    clade = np.empty(2 * n, np.uint64)
    roots = np.empty(2, np.int64)
    out[:] = np.float32(0.0)
    for i in range(parents.shape[0]):
        _children(parents[i], n, children)
        roots[0] = _root(parents[i], codes_of_action[i] // n)
        roots[1] = _root(parents[i], codes_of_action[i] % n)
        last = counts[i] == 2
        for k in range(2):
            count = _below(children, roots[k], n, order)
            for j in range(count):
                v = order[j]
                clade[v] = codes[v] if v < n else clade[children[v, 0]] + clade[children[v, 1]]
        for k in range(2):
            present[i, k] = k == 0 or not last
            own = roots[k]
            other = roots[1 - k]
            kind = 0 if own < n or (last and other < n) else 1
            mean, variance, weight = _branch_moments(
                table, sums, _branch_key(clade[own], everything), overall[kind], smoothing
            )
            row = out[i, k]
            for end in range(2):  # the lower end, then the upper
                shift = 0.0
                widening = 0.0
                v = own if end == 0 else other
                if end == 0 or last:
                    if v >= n:
                        x = children[v, 0]
                        y = children[v, 1]
                        shift, widening = _end_moments(
                            table, sums, _end_key(everything - clade[v], clade[x], clade[y]),
                            mean, variance, smoothing,
                        )  # fmt: skip
                        for side in range(2):
                            z = x if side == 0 else y
                            centre, spread, _ = _branch_moments(
                                table, sums, _branch_key(clade[z], everything),
                                overall[0 if z < n else 1], smoothing,
                            )  # fmt: skip
                            z_score = (math.log(lengths[i, z]) - centre) / math.sqrt(spread)
                            row[8 + 2 * end + side] = min(max(z_score, -FURTHEST), FURTHEST)
                else:
                    rest = everything - clade[own] - clade[other]
                    shift, widening = _end_moments(
                        table, sums, _end_key(clade[own], clade[other], rest), mean, variance,
                        smoothing,
                    )  # fmt: skip
                row[2 + end] = shift
                row[4 + end] = widening
            row[0] = mean + row[2] + row[3]
            row[1] = 0.5 * math.log(variance)
            row[6] = math.log1p(weight / smoothing)
            row[7] = 1.0 if own < n else 0.0
