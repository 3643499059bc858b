"""How often a taxon attached to a branch that looked like this: counts over prefix states.

A branch of a partial tree is looked at in three ways, each finer than the one before: by the
positions below it; and the positions below the branch above it; and how those below it are split.
For each way and each next taxon, ``total`` is the flow of the states in which such a branch was
there, ``taken`` the flow that took it. A rate is taken over total, smoothed towards the coarser:

    rate_l = (taken_l + c rate_{l-1}) / (total_l + c)

Counts lie in one open-addressing hash table; the hash of a set of positions is the xor of their
codes.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.collapse_numba import mix64

__all__ = ["EMPTY", "LEVELS", "collect", "find_place", "log_rates"]

LEVELS = 3
EMPTY = np.uint64(0)


@njit(cache=True, nogil=True)
def _below_hashes(parent, count, codes, hashes, first):
    """Xor of the codes of the positions below each node, and the least of its children's."""
    hashes[:] = np.uint64(0)
    for j in range(1, count):
        v = j
        while v > 0:
            hashes[v] ^= codes[j]
            v = parent[v]
    first[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
    for v in range(1, parent.size):
        p = parent[v]
        if p > 0 and hashes[v] < first[p]:
            first[p] = hashes[v]


@njit(cache=True, nogil=True)
def _keys(v, parent, count, hashes, first, keys):
    """Keys of the three ways to look at branch v when the next position is ``count``."""
    own = mix64(hashes[v] ^ mix64(np.uint64(count)))
    keys[0] = own | np.uint64(1)
    p = parent[v]
    above = hashes[p] if p > 0 else np.uint64(12345)
    keys[1] = mix64(own ^ mix64(above + np.uint64(1))) | np.uint64(1)
    keys[2] = mix64(keys[1] ^ mix64(first[v] + np.uint64(2))) | np.uint64(1)


@njit(cache=True, nogil=True)
def find_place(table, key):
    """Place of a key in an open-addressing table of 2^k keys, or the empty place it would take."""
    mask = np.uint64(table.size - 1)
    at = (key >> np.uint64(1)) & mask
    while table[at] != EMPTY and table[at] != key:
        at = (at + np.uint64(1)) & mask
    return at


@njit(cache=True, nogil=True)
def collect(parents, counts, flows, owner, action, probability, codes, table, total, taken, used):
    """Add states to the counts, until the table is half full.

    Parameters
    ----------
    parents, counts : ndarray
        States, see `phylogfn.kernels.insertion_numba`.
    flows : ndarray, shape (B,)
    owner, action, probability : ndarray, shape (D,)
        Choices made there: state (sorted), branch, share.
    codes : ndarray, shape (n,), uint64
    table, total, taken : ndarray, shape (2^k,)
    used : int
        Entries in use.

    Returns
    -------
    used : int
        -1 if the table was too small.
    """
    n_nodes = parents.shape[1]
    hashes = np.empty(n_nodes, np.uint64)
    first = np.empty(n_nodes, np.uint64)
    keys = np.empty(LEVELS, np.uint64)
    share = np.zeros(n_nodes)
    at = 0
    for i in range(parents.shape[0]):
        if 2 * used > table.size:
            return -1
        _below_hashes(parents[i], counts[i], codes, hashes, first)
        start = at
        while at < owner.size and owner[at] == i:
            share[action[at]] = probability[at]
            at += 1
        for v in range(1, n_nodes):
            if parents[i, v] < 0:
                continue
            _keys(v, parents[i], counts[i], hashes, first, keys)
            for level in range(LEVELS):
                place = find_place(table, keys[level])
                if table[place] == EMPTY:
                    table[place] = keys[level]
                    used += 1
                total[place] += flows[i]
                taken[place] += flows[i] * share[v]
        for k in range(start, at):
            share[action[k]] = 0.0
    return used


@njit(cache=True, nogil=True)
def log_rates(parents, counts, codes, table, total, taken, smoothing, unseen):
    """Log rate of each branch of some states, in order of state and node; float32 (N,).

    ``unseen`` is the rate, times the number of branches, of a branch that never was there.
    """
    n_nodes = parents.shape[1]
    size = 0
    for i in range(parents.shape[0]):
        size += 2 * counts[i] - 3
    out = np.empty(size, np.float32)
    hashes = np.empty(n_nodes, np.uint64)
    first = np.empty(n_nodes, np.uint64)
    keys = np.empty(LEVELS, np.uint64)
    at = 0
    for i in range(parents.shape[0]):
        _below_hashes(parents[i], counts[i], codes, hashes, first)
        for v in range(1, n_nodes):
            if parents[i, v] < 0:
                continue
            _keys(v, parents[i], counts[i], hashes, first, keys)
            rate = unseen / (2 * counts[i] - 3)
            for level in range(LEVELS):
                place = find_place(table, keys[level])
                if table[place] == EMPTY:
                    break
                rate = (taken[place] + smoothing * rate) / (total[place] + smoothing)
            out[at] = math.log(rate)
            at += 1
    return out
