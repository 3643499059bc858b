"""Entropies of restricted topologies, for `phylogfn.environments.taxon_order`."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.collapse_numba import mix64

__all__ = ["entropy_order"]


@njit(cache=True, nogil=True)
def _restricted_key(hashes, sizes, full, full_size):
    """Key of one unrooted topology restricted to a set of taxa.

    ``hashes``, ``sizes`` (2n-2,) are those of the restricted clades below each node; a split is
    named by the smaller of the hashes of its two sides, and counts once however many branches carry
    it.
    """
    seen = np.empty(hashes.size, np.uint64)
    count = 0
    for v in range(hashes.size):
        if sizes[v] < 2 or sizes[v] > full_size - 2:
            continue
        other = full ^ hashes[v]
        seen[count] = min(hashes[v], other)
        count += 1
    part = np.sort(seen[:count])
    key = np.uint64(0)
    for i in range(count):
        if i == 0 or part[i] != part[i - 1]:
            key += mix64(part[i])
    return key


@njit(cache=True, nogil=True)
def _entropy(keys, weights):
    order = np.argsort(keys)
    total = 0.0
    run = 0.0
    for i in range(keys.size):
        run += weights[order[i]]
        if i + 1 == keys.size or keys[order[i + 1]] != keys[order[i]]:
            if run > 0.0:
                total -= run * math.log(run)
            run = 0.0
    return total


@njit(cache=True, nogil=True)
def _below(tree, codes, present, hashes, sizes):
    """Hash and size of the present taxa below each node."""
    n = codes.shape[0]
    hashes[:] = np.uint64(0)
    sizes[:] = 0
    for t in range(n):
        if not present[t]:
            continue
        v = t
        while v >= 0:
            hashes[v] ^= codes[t, 0]
            sizes[v] += 1
            v = tree[v]


@njit(cache=True, nogil=True)
def entropy_order(trees, weights, codes):
    """Taxa (n,), int64; each but the first three chosen, from the last, to leave least entropy."""
    m, n_nodes = trees.shape
    n = codes.shape[0]
    order = np.empty(n, np.int64)
    present = np.ones(n, np.bool_)
    keys = np.empty((n, m), np.uint64)
    hashes = np.empty(n_nodes, np.uint64)
    sizes = np.empty(n_nodes, np.int64)
    less = np.empty(n_nodes, np.uint64)
    fewer = np.empty(n_nodes, np.int64)
    for last in range(n - 1, 2, -1):
        full = np.uint64(0)
        for t in range(n):
            if present[t]:
                full ^= codes[t, 0]
        for i in range(m):
            _below(trees[i], codes, present, hashes, sizes)
            for t in range(n):
                if not present[t]:
                    continue
                less[:] = hashes
                fewer[:] = sizes
                v = t
                while v >= 0:
                    less[v] ^= codes[t, 0]
                    fewer[v] -= 1
                    v = trees[i, v]
                keys[t, i] = _restricted_key(less, fewer, full ^ codes[t, 0], last)
        best = np.inf
        choice = -1
        for t in range(n):
            if present[t]:
                entropy = _entropy(keys[t], weights)
                if entropy < best - 1e-12:
                    best = entropy
                    choice = t
        order[last] = choice
        present[choice] = False
    at = 0
    for t in range(n):
        if present[t]:
            order[at] = t
            at += 1
    return order
