"""Insertion states as arrays.

Taxa are numbered here by their *position* in the insertion order. A state with k taxa is an int16
array of parents (2n-2), drawn at position 0: leaf j is node j, and the node that the insertion of
position j made is node n + j - 2, so that every topology has exactly one representation. Nodes that
do not exist yet have parent -1. A branch is named by the node below it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "actions_of_trees",
    "graph_arrays",
    "insert",
    "remove_last",
    "states_of_actions",
    "trees_of_states",
]


@njit(cache=True, nogil=True)
def _insert(parent, n, position, branch):
    node = n + position - 2
    parent[node] = parent[branch]
    parent[branch] = node
    parent[position] = node


@njit(cache=True, nogil=True)
def insert(parents, counts, actions):
    """Insert the next position of each state (in place) into the branch ``actions`` (B,)."""
    n = parents.shape[1] // 2 + 1
    for i in range(parents.shape[0]):
        _insert(parents[i], n, counts[i], actions[i])
        counts[i] += 1


@njit(cache=True, nogil=True)
def remove_last(parents, counts, branches):
    """Undo the last insertion of each state (in place); fill ``branches`` (B,): where it was."""
    for i in range(parents.shape[0]):
        parent = parents[i]
        position = counts[i] - 1
        node = parent[position]
        for v in range(parent.size):
            if v != position and parent[v] == node:
                branches[i] = v
                parent[v] = parent[node]
                break
        parent[node] = -1
        parent[position] = -1
        counts[i] = position


@njit(cache=True, nogil=True)
def states_of_actions(actions, depths):
    """States (B, 2n-2), int16, after ``depths`` (B,) insertions of ``actions`` (B, n-3)."""
    n = actions.shape[1] + 3
    parents = np.full((actions.shape[0], 2 * n - 2), -1, np.int16)
    for i in range(actions.shape[0]):
        parents[i, 1] = 0
        _insert(parents[i], n, 2, 1)
        for j in range(depths[i]):
            _insert(parents[i], n, 3 + j, actions[i, j])
    return parents


@njit(cache=True, nogil=True)
def actions_of_trees(trees, order):
    """Insertions (B, n-3), int16, that build ``trees`` (B, 2n-2), parents drawn at taxon 0.

    ``order`` (n,) holds the taxon at each position.
    """
    n_nodes = trees.shape[1]
    n = n_nodes // 2 + 1
    out = np.empty((trees.shape[0], n - 3), np.int16)
    parent = np.empty(n_nodes, np.int64)
    near = np.empty((n_nodes, 3), np.int64)
    name = np.empty(n_nodes, np.int64)
    for j in range(n):
        name[order[j]] = j
    for i in range(trees.shape[0]):
        _hang(trees[i], order[0], near, parent)
        # take positions off from the last: the node that goes with one is the node it made
        for j in range(n - 1, 1, -1):
            leaf = order[j]
            node = parent[leaf]
            up = parent[node]
            sibling = -1
            for c in range(3):
                x = near[node, c]
                if x != leaf and x != up:
                    sibling = x
            name[node] = n + j - 2
            if j >= 3:
                out[i, j - 3] = sibling  # a node of the tree; renamed below
            parent[sibling] = up
            for c in range(3):
                if near[up, c] == node:
                    near[up, c] = sibling
                if near[sibling, c] == node:
                    near[sibling, c] = up
        for j in range(n - 3):
            out[i, j] = name[out[i, j]]
    return out


@njit(cache=True, nogil=True)
def _hang(tree, root, near, parent):
    """Neighbours (2n-2, 3) and parents (2n-2,) of a tree of given parents, drawn at ``root``."""
    near[:, :] = -1
    filled = np.zeros(tree.size, np.int64)
    for v in range(tree.size):
        p = tree[v]
        if p >= 0:
            near[v, filled[v]] = p
            filled[v] += 1
            near[p, filled[p]] = v
            filled[p] += 1
    stack = np.empty(tree.size, np.int64)
    stack[0] = root
    parent[root] = -1
    depth = 1
    while depth > 0:
        depth -= 1
        v = stack[depth]
        for c in range(filled[v]):
            x = near[v, c]
            if x != parent[v]:
                parent[x] = v
                stack[depth] = x
                depth += 1


@njit(cache=True, nogil=True)
def trees_of_states(parents, order):
    """Parents (B, 2n-2), int16, of complete states, taxa by their own number, drawn at taxon 0."""
    n_nodes = parents.shape[1]
    n = n_nodes // 2 + 1
    out = np.empty(parents.shape, np.int16)
    near = np.empty((n_nodes, 3), np.int64)
    hung = np.empty(n_nodes, np.int64)
    named = np.empty(n_nodes, np.int64)
    for i in range(parents.shape[0]):
        for v in range(n_nodes):
            named[v] = -1
        for v in range(n_nodes):
            p = parents[i, v]
            if p >= 0:
                named[order[v] if v < n else v] = order[p] if p < n else p
        _hang(named, 0, near, hung)
        for v in range(n_nodes):
            out[i, v] = hung[v]
    return out


@njit(cache=True, nogil=True)
def graph_arrays(parents, counts):
    """What the policy reads of incomplete states.

    Returns
    -------
    below : ndarray, shape (N, n), float32
        For each branch of each state, in order of its node: which positions lie below.
    node_state : ndarray, shape (N,), int64
    names : ndarray, shape (N,), int64
        The node that names the branch.
    edges : ndarray, shape (2, E), int64
        Source and target rows: to the parent's branch, and back.
    edge_type : ndarray, shape (E,), int64
        0 towards the root, 1 away from it.
    """
    n_nodes = parents.shape[1]
    n = n_nodes // 2 + 1
    total = 0
    links = 0
    for i in range(parents.shape[0]):
        total += 2 * counts[i] - 3
        links += 2 * (2 * counts[i] - 4)
    below = np.zeros((total, n), np.float32)
    node_state = np.empty(total, np.int64)
    names = np.empty(total, np.int64)
    edges = np.empty((2, links), np.int64)
    edge_type = np.empty(links, np.int64)
    row = np.empty(n_nodes, np.int64)
    at = 0
    e = 0
    for i in range(parents.shape[0]):
        parent = parents[i]
        for v in range(1, n_nodes):
            if parent[v] >= 0:
                row[v] = at
                node_state[at] = i
                names[at] = v
                at += 1
        for v in range(1, n_nodes):
            p = parent[v]
            if p > 0:
                edges[0, e] = row[v]
                edges[1, e] = row[p]
                edge_type[e] = 0
                edges[0, e + 1] = row[p]
                edges[1, e + 1] = row[v]
                edge_type[e + 1] = 1
                e += 2
        for j in range(1, counts[i]):
            v = j
            while v > 0:
                below[row[v], j] = 1.0
                v = parent[v]
    return below, node_state, names, edges, edge_type
