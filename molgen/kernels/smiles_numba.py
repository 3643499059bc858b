"""SMILES strings of fragment states, written from their arrays."""

from __future__ import annotations

import numpy as np
from numba import njit

from molgen.kernels.fragments_numba import JOIN

__all__ = ["write_smiles"]


@njit(cache=True, nogil=True)
def write_smiles(colour, n_nodes, edges, n_edges, orbit_open, tokens, aromatic):
    """A SMILES of each state, of any numbering, with hydrogens at the places that are left.

    Parameters
    ----------
    colour, n_nodes, edges, n_edges : ndarray
        See `molgen.molecules.graph.GraphStates`.
    orbit_open : ndarray, shape(O,), dtype=int16
    tokens : ndarray, shape (O, k + 1, L), uint8
        See `molgen.fragments.vocabulary.Vocabulary.tokens`.
    aromatic : ndarray, shape(O,), dtype=bool
        A single bond between two aromatic atoms is written, others are not.

    Returns
    -------
    text : ndarray, shape(L,), dtype=uint8
        The strings end to end.
    ends : ndarray, shape(B,), dtype=int64
    """
    b, width = colour.shape
    rows = edges.shape[1]
    text = np.empty(b * ((tokens.shape[2] + 2) * width + 8 * rows), np.uint8)
    ends = np.empty(b, np.int64)
    start = np.empty(width + 1, np.int64)
    neighbour = np.empty(2 * rows, np.int64)
    bond = np.empty(2 * rows, np.int64)
    left = np.empty(width, np.int64)
    parent = np.empty(width, np.int64)
    rank = np.empty(width, np.int64)
    pointer = np.empty(width, np.int64)
    children = np.empty(width, np.int64)
    ring = np.empty(rows, np.int64)
    used = np.empty(100, np.bool_)
    k = 0
    for i in range(b):
        n, m = n_nodes[i], n_edges[i]
        if n == 0:
            ends[i] = k
            continue
        for u in range(n):
            left[u] = orbit_open[colour[i, u]]
        start[: n + 1] = 0
        for e in range(m):
            for side in range(2):
                u = edges[i, e, side]
                start[u + 1] += 1
                if edges[i, e, 2] >= JOIN:
                    left[u] -= 1
        for u in range(n):
            start[u + 1] += start[u]
            pointer[u] = start[u]
        for e in range(m):
            for side in range(2):
                u = edges[i, e, side]
                neighbour[pointer[u]], bond[pointer[u]] = edges[i, e, 1 - side], e
                pointer[u] += 1

        # depth first: what is not a tree bond closes a ring to an ancestor
        for u in range(n):
            rank[u], pointer[u], children[u], parent[u] = -1, start[u], 0, -1
        rank[0], count, u = 0, 1, 0
        while u >= 0:
            if pointer[u] == start[u + 1]:
                u = parent[u]
                continue
            v = neighbour[pointer[u]]
            pointer[u] += 1
            if rank[v] < 0:
                rank[v], parent[v] = count, u
                children[u] += 1
                count += 1
                u = v

        used[:] = False
        for u in range(n):
            pointer[u] = start[u]
        u, arriving = 0, True
        while u >= 0:
            if arriving:
                token = tokens[colour[i, u], left[u]]
                for c in range(len(token)):
                    if token[c] == 0:
                        break
                    text[k] = token[c]
                    k += 1
                for p in range(start[u], start[u + 1]):
                    v, e = neighbour[p], bond[p]
                    if parent[v] == u or parent[u] == v:
                        continue
                    opens = rank[v] > rank[u]
                    if opens:
                        number = 1
                        while used[number]:
                            number += 1
                        used[number], ring[e] = True, number
                        k = _bond(
                            text, k, edges[i, e, 2], aromatic[colour[i, u]], aromatic[colour[i, v]]
                        )
                    number = ring[e]
                    if number > 9:
                        text[k], text[k + 1] = 37, 48 + number // 10
                        k += 2
                    text[k] = 48 + number % 10
                    k += 1
                    if not opens:
                        used[number] = False
            arriving = False
            while pointer[u] < start[u + 1] and parent[neighbour[pointer[u]]] != u:
                pointer[u] += 1
            if pointer[u] == start[u + 1]:
                v, u = u, parent[u]
                if u >= 0 and children[u] > 0:  # others follow: it was a branch
                    text[k] = 41
                    k += 1
                continue
            v, e = neighbour[pointer[u]], bond[pointer[u]]
            pointer[u] += 1
            children[u] -= 1
            if children[u] > 0:
                text[k] = 40
                k += 1
            k = _bond(text, k, edges[i, e, 2], aromatic[colour[i, u]], aromatic[colour[i, v]])
            u, arriving = v, True
        ends[i] = k
    return text[:k], ends


@njit(cache=True, nogil=True)
def _bond(text, k, order, aromatic_u, aromatic_v):
    """Write a bond's sign where one is needed; returns the new end of the text."""
    order %= JOIN
    if order == 1 and aromatic_u and aromatic_v:
        text[k] = 45
        return k + 1
    if order == 2:
        text[k] = 61
        return k + 1
    if order == 3:
        text[k] = 35
        return k + 1
    return k
