"""Forests as arrays, for building a tree by joining rooted trees.

A state of n taxa is an int16 array of parents (2n). Leaves are nodes 0..n-1. The join of two rooted
trees whose smallest leaves are i < j is node n + j: each leaf but the smallest of a tree is passed
over exactly once, so that a forest has one representation, however it was built. Nodes that do not
exist, and roots, have parent -1. A tree of a forest is called by its smallest leaf, its *slot*.

The last join makes an unrooted tree. It is drawn at leaf 0 as in `phylogfn.trees.tree`, with the
same rule for its nodes, which then are n + 2..2n - 1: two less, and they are the numbers of a tree.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from phylogfn.kernels.collapse_numba import mix64

__all__ = [
    "backward_codes",
    "forward_codes",
    "join",
    "slots_and_roots",
    "split",
    "state_keys",
    "states_of_trees",
    "trees_of_states",
]


@njit(cache=True, nogil=True)
def _relabel(parent, n, label, smallest, pending, out):
    """Write the forest (or drawn tree) ``parent`` (2n,) into ``out`` with its nodes renumbered.

    ``label``, ``smallest``, ``pending`` (2n,) are working space; ``label`` is filled with the new
    number of each node, for nodes that exist.
    """
    pending[:] = -1
    out[:] = -1
    queue = np.empty(2 * n, np.int64)
    for i in range(n):
        label[i] = i
        smallest[i] = i
        queue[i] = i
    end = n
    at = 0
    while at < end:
        v = queue[at]
        at += 1
        p = parent[v]
        if p < n:  # a root, or below leaf 0
            continue
        if pending[p] < 0:
            pending[p] = smallest[v]
        else:
            first = pending[p]
            second = smallest[v]
            smallest[p] = min(first, second)
            label[p] = n + max(first, second)
            queue[end] = p
            end += 1
    for k in range(end):
        v = queue[k]
        p = parent[v]
        if p >= n:
            out[label[v]] = label[p]
        else:
            out[label[v]] = p


@njit(cache=True, nogil=True)
def _root(parent, v):
    while parent[v] >= 0:
        v = parent[v]
    return v


@njit(cache=True, nogil=True)
def _slots(parent, n, used, slots, roots):
    """Fill the slots of a forest, ascending, and their roots; return how many there are."""
    used[:] = False
    for v in range(2 * n):
        p = parent[v]
        if p >= n:
            used[p - n] = True
    count = 0
    for i in range(n):
        if not used[i]:
            slots[count] = i
            roots[count] = _root(parent, i)
            count += 1
    return count


@njit(cache=True, nogil=True)
def slots_and_roots(parents, counts):
    """Slots and roots of the trees of unfinished states, laid end to end.

    Returns
    -------
    state, slot, root : ndarray, shape (N,), int64
    """
    n = parents.shape[1] // 2
    size = 0
    for i in range(parents.shape[0]):
        if counts[i] > 1:
            size += counts[i]
    state = np.empty(size, np.int64)
    slot = np.empty(size, np.int64)
    root = np.empty(size, np.int64)
    used = np.empty(n, np.bool_)
    at = 0
    for i in range(parents.shape[0]):
        if counts[i] > 1:
            many = _slots(parents[i], n, used, slot[at:], root[at:])
            state[at : at + many] = i
            at += many
    return state, slot, root


@njit(cache=True, nogil=True)
def forward_codes(parents, counts):
    """Pairs of slots i < j of unfinished states: state (A,) and code i n + j (A,), int64."""
    n = parents.shape[1] // 2
    size = 0
    for i in range(parents.shape[0]):
        size += counts[i] * (counts[i] - 1) // 2
    state = np.empty(size, np.int64)
    code = np.empty(size, np.int64)
    used = np.empty(n, np.bool_)
    slots = np.empty(n, np.int64)
    at = 0
    for i in range(parents.shape[0]):
        if counts[i] < 2:
            continue
        used[:] = False
        for v in range(2 * n):
            p = parents[i, v]
            if p >= n:
                used[p - n] = True
        many = 0
        for j in range(n):
            if not used[j]:
                slots[many] = j
                many += 1
        for a in range(many):
            for b in range(a + 1, many):
                state[at] = i
                code[at] = slots[a] * n + slots[b]
                at += 1
    return state, code


@njit(cache=True, nogil=True)
def backward_codes(parents, counts):
    """What can be undone: state (A,) and code (A,), int64.

    In a forest, the slot j that the join at a root n + j passed over; in a finished tree the node
    below the branch that came last, any of the 2n - 3.
    """
    n = parents.shape[1] // 2
    size = 0
    for i in range(parents.shape[0]):
        if counts[i] == 1:
            size += 2 * n - 3
        else:
            size += n - counts[i]  # at most
    state = np.empty(size, np.int64)
    code = np.empty(size, np.int64)
    inner = np.empty(n, np.bool_)
    at = 0
    for i in range(parents.shape[0]):
        if counts[i] == 1:
            for v in range(1, 2 * n):
                if parents[i, v] >= 0:
                    state[at] = i
                    code[at] = v
                    at += 1
            continue
        inner[:] = False
        for v in range(2 * n):
            p = parents[i, v]
            if p >= n and parents[i, p] < 0:
                inner[p - n] = True
        for j in range(n):
            if inner[j]:
                state[at] = i
                code[at] = j
                at += 1
    return state[:at], code[:at]


@njit(cache=True, nogil=True)
def join(parents, counts, codes, undo):
    """Join two trees of each state (in place) by ``codes`` (B,); fill ``undo``, the ways back."""
    n = parents.shape[1] // 2
    label = np.empty(2 * n, np.int64)
    smallest = np.empty(2 * n, np.int64)
    pending = np.empty(2 * n, np.int64)
    work = np.empty(2 * n, np.int16)
    for i in range(parents.shape[0]):
        parent = parents[i]
        first = _root(parent, codes[i] // n)
        slot = codes[i] % n
        second = _root(parent, slot)
        if counts[i] > 2:
            parent[first] = n + slot
            parent[second] = n + slot
            undo[i] = slot
        else:
            v = 0  # turn the path from leaf 0 to the root of its tree
            above = parent[0]
            parent[0] = -1
            while above >= 0:
                following = parent[above]
                parent[above] = v
                v = above
                above = following
            parent[second] = v
            work[:] = parent
            _relabel(work, n, label, smallest, pending, parent)
            undo[i] = label[second]
        counts[i] -= 1


@njit(cache=True, nogil=True)
def _smallest_below(parent, v, n):
    for leaf in range(n):
        x = leaf
        while x >= 0:
            if x == v:
                return leaf
            x = parent[x]
    return -1


@njit(cache=True, nogil=True)
def split(parents, counts, codes, redo):
    """Undo a join of each state (in place) by ``codes`` (B,); fill ``redo`` (B,): ways forward."""
    n = parents.shape[1] // 2
    label = np.empty(2 * n, np.int64)
    smallest = np.empty(2 * n, np.int64)
    pending = np.empty(2 * n, np.int64)
    work = np.empty(2 * n, np.int16)
    for i in range(parents.shape[0]):
        parent = parents[i]
        if counts[i] == 1:
            v = codes[i]
            redo[i] = _smallest_below(parent, v, n)  # with slot 0
            u = parent[v]
            parent[v] = -1
            below = -1  # turn the path from u up to leaf 0
            while u >= 0:
                above = parent[u]
                parent[u] = below
                below = u
                u = above
            work[:] = parent
            _relabel(work, n, label, smallest, pending, parent)
        else:
            node = n + codes[i]
            redo[i] = _smallest_below(parent, node, n) * n + codes[i]
            for v in range(2 * n):
                if parent[v] == node:
                    parent[v] = -1
        counts[i] += 1


@njit(cache=True, nogil=True)
def _with_room(tree, n, parent):
    """Fill the parents (2n) of a tree (2n-2) with two nodes unused, as states have them."""
    parent[:] = -1
    for v in range(2 * n - 2):
        p = tree[v]
        parent[v if v < n else v + 2] = p if p < n else p + 2


@njit(cache=True, nogil=True)
def states_of_trees(trees):
    """Finished states (B, 2n), int16, of ``trees`` (B, 2n-2), parents drawn at taxon 0."""
    n = trees.shape[1] // 2 + 1
    out = np.empty((trees.shape[0], 2 * n), np.int16)
    label = np.empty(2 * n, np.int64)
    smallest = np.empty(2 * n, np.int64)
    pending = np.empty(2 * n, np.int64)
    work = np.empty(2 * n, np.int16)
    for i in range(trees.shape[0]):
        _with_room(trees[i], n, work)
        _relabel(work, n, label, smallest, pending, out[i])
    return out


@njit(cache=True, nogil=True)
def trees_of_states(parents):
    """Parents (B, 2n-2), int16, drawn at taxon 0, of finished states."""
    n = parents.shape[1] // 2
    out = np.empty((parents.shape[0], 2 * n - 2), np.int16)
    for i in range(parents.shape[0]):
        for v in range(2 * n - 2):
            p = parents[i, v if v < n else v + 2]
            out[i, v] = p if p < n else p - 2
    return out


@njit(cache=True, nogil=True)
def state_keys(parents, counts):
    """Keys (B, 2), uint64, equal for equal states alone."""
    keys = np.empty((parents.shape[0], 2), np.uint64)
    for i in range(parents.shape[0]):
        first = np.uint64(counts[i])
        second = np.uint64(0x9E3779B97F4A7C15)
        for v in range(parents.shape[1]):
            p = parents[i, v]
            if p >= 0:
                scattered = mix64(np.uint64(v) * np.uint64(65536) + np.uint64(p) + np.uint64(1))
                first += scattered
                second += mix64(scattered ^ np.uint64(0xD1B54A32D192ED03))
        keys[i, 0] = first
        keys[i, 1] = second
    return keys
