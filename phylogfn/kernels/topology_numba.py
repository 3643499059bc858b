"""Topologies as arrays: keys, children, prefixes of an insertion order.

A topology of n taxa is an int16 array of parents (2n-2), drawn at taxon 0 as in
`phylogfn.trees.tree`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from phylogfn.kernels.collapse_numba import clade_hashes
from phylogfn.kernels.pruning_numba import postorder

__all__ = ["children_batch", "topology_keys"]


@njit(cache=True, nogil=True)
def _children(parent, out):
    out[:, :] = -1
    for v in range(parent.size):
        p = parent[v]
        if p >= 0:
            if out[p, 0] < 0:
                out[p, 0] = v
            else:
                out[p, 1] = v


@njit(cache=True, nogil=True)
def children_batch(parents):
    """Children arrays (B, 2n-2, 2), int32, of ``parents`` (B, 2n-2)."""
    out = np.empty((parents.shape[0], parents.shape[1], 2), np.int32)
    for i in range(parents.shape[0]):
        _children(parents[i], out[i])
    return out


@njit(cache=True, nogil=True)
def topology_keys(parents, codes):
    """Keys (B, 2), uint64, equal for equal topologies, of ``parents`` (B, 2n-2), int16."""
    n_nodes = parents.shape[1]
    keys = np.empty((parents.shape[0], 2), np.uint64)
    children = np.empty((n_nodes, 2), np.int32)
    order = np.empty(n_nodes, np.int32)
    hashes = np.empty((n_nodes, 2), np.uint64)
    for i in range(parents.shape[0]):
        _children(parents[i], children)
        count = postorder(children, children[0, 0], order)
        clade_hashes(children, order, count, codes, hashes, keys[i])
    return keys
