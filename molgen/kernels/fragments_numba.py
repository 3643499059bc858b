"""States of the fragment environment as arrays: legal actions and steps.

Layout: see `molgen.molecules.graph.GraphStates` and `molgen.fragments.vocabulary.Vocabulary`. A
bond's colour is its order, 1..4, plus 8 where it joins two fragments; removing joins leaves the
pieces.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "JOIN",
    "attach",
    "backward_lists",
    "forward_lists",
    "open_left",
    "piece_counts",
    "remove_pieces",
]

JOIN = 8  # added to the colour of a bond between two fragments
STOP_HEAD, MARK_HEAD, ATTACH_HEAD, FIRST_HEAD = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def piece_counts(n_nodes, edges, n_edges):
    """Fragments of each state; int64 (B,)."""
    b = len(n_nodes)
    counts = np.zeros(b, np.int64)
    for i in range(b):
        if n_nodes[i] > 0:
            counts[i] = 1
            for e in range(n_edges[i]):
                counts[i] += edges[i, e, 2] >= JOIN
    return counts


@njit(cache=True, nogil=True)
def open_left(colour, n, edges, m, orbit_open, left):
    """Places left at each atom of one state, into `left`."""
    for u in range(n):
        left[u] = orbit_open[colour[u]]
    for e in range(m):
        if edges[e, 2] >= JOIN:
            left[edges[e, 0]] -= 1
            left[edges[e, 1]] -= 1


@njit(cache=True, nogil=True)
def forward_lists(
    colour,
    n_nodes,
    edges,
    n_edges,
    stage,
    mark,
    node_orbit,
    orbit_open,
    orbit_class,
    must_join,
    closing_size,
    smallest_fit,
    partner_start,
    partners,
    site_atoms,
    site_pieces,
    site_column,
    first_size,
    max_atoms,
    max_fragments,
):
    """Legal forward actions of all states, in ascending order of state, class and code.

    A state may stop when no attachment point that must be joined is open. Room is kept for these:
    an action is legal if afterwards each of them can still be closed by its smallest partner, one
    fragment each, within the limits.

    Parameters
    ----------
    orbit_class : ndarray, shape (O,), int32
        Which orbits fit the same partners.
    must_join : ndarray, shape (O,), int64
        1 where open attachment points may not stay open, else 0.
    closing_size : ndarray, shape (O,), int64
        Atoms of the smallest fragment that closes such a point; 0 for others.
    smallest_fit : ndarray, shape (C, max_fragments + 2), int64
        Least `site_atoms` among the partners of a class whose `site_pieces` is at most the column.
    partner_start, partners : ndarray, shapes (C + 1,) and (Q,), int64 and int32
        The sites that fit each class.
    site_atoms, site_pieces : ndarray, shape (P,), int64
        Atoms and fragments that joining a site adds, with those that then have to follow.
    site_column : ndarray, shape (P,), int64
        The number of its orbit among those with attachment points.
    first_size : ndarray, shape (V,), int64
        Atoms of the fragments to start from, with those that have to follow.

    Returns
    -------
    state, action, action_class, head, node, column : ndarray, shape(A,), dtype=int64
        The node is counted within the state; -1 where the head reads the whole graph.
    """
    b = len(n_nodes)
    left = np.empty(colour.shape[1], np.int16)
    total = 0
    state = np.empty(0, np.int64)
    action = np.empty(0, np.int64)
    action_class = np.empty(0, np.int64)
    head = np.empty(0, np.int64)
    node = np.empty(0, np.int64)
    column = np.empty(0, np.int64)
    for filling in range(2):
        if filling:
            state = np.empty(total, np.int64)
            action = np.empty(total, np.int64)
            action_class = np.empty(total, np.int64)
            head = np.empty(total, np.int64)
            node = np.full(total, -1, np.int64)
            column = np.zeros(total, np.int64)
        k = 0
        for i in range(b):
            n = n_nodes[i]
            if stage[i] == 2:
                continue
            if n == 0:
                for f in range(len(first_size)):
                    if first_size[f] <= max_atoms:
                        if filling:
                            state[k], action[k], action_class[k] = i, f, f
                            head[k], column[k] = FIRST_HEAD, f
                        k += 1
                continue
            open_left(colour[i], n, edges[i], n_edges[i], orbit_open, left)
            pieces, waiting, room = 1, 0, max_atoms - n
            for e in range(n_edges[i]):
                pieces += edges[i, e, 2] >= JOIN
            for u in range(n):
                waiting += left[u] * must_join[colour[i, u]]
                room -= left[u] * closing_size[colour[i, u]]
            spare = max_fragments - pieces - waiting
            if stage[i] == 1:
                u = mark[i]
                orbit = colour[i, u]
                kind = orbit_class[orbit]
                for q in range(partner_start[kind], partner_start[kind + 1]):
                    site = partners[q]
                    if (
                        site_atoms[site] <= room + closing_size[orbit]
                        and site_pieces[site] <= spare + must_join[orbit]
                    ):
                        if filling:
                            state[k], action[k] = i, site
                            action_class[k] = column[k] = site_column[site]
                            head[k], node[k] = ATTACH_HEAD, u
                        k += 1
                continue
            if waiting == 0:
                if filling:
                    state[k], action[k], action_class[k], head[k] = i, 0, 0, STOP_HEAD
                k += 1
            for u in range(n):
                orbit = colour[i, u]
                most = spare + must_join[orbit]
                if (
                    left[u] > 0
                    and most > 0
                    and smallest_fit[orbit_class[orbit], most] <= room + closing_size[orbit]
                ):
                    if filling:
                        state[k], action[k], action_class[k] = i, 1 + u, 1 + node_orbit[i, u]
                        head[k], node[k] = MARK_HEAD, u
                    k += 1
        total = k
    return state, action, action_class, head, node, column


@njit(cache=True, nogil=True)
def _pieces_of(n, edges, m, piece):
    """Number the pieces of one state, into `piece`; returns how many there are."""
    for u in range(n):
        piece[u] = u
    changed = True
    while changed:  # the smallest atom's number spreads over each piece
        changed = False
        for e in range(m):
            if edges[e, 2] < JOIN:
                u, v = edges[e, 0], edges[e, 1]
                if piece[u] < piece[v]:
                    piece[v] = piece[u]
                    changed = True
                elif piece[v] < piece[u]:
                    piece[u] = piece[v]
                    changed = True
    count = 0
    for u in range(n):  # a piece's smallest atom comes first
        if piece[u] == u:
            piece[u] = count
            count += 1
        else:
            piece[u] = piece[piece[u]]
    return count


@njit(cache=True, nogil=True)
def backward_lists(colour, n_nodes, edges, n_edges, stage, node_orbit, orbit_is_core):
    """Legal backward actions: 0 is to undo a stop, a mark or the first fragment, 1 + a to take off
    the outer piece that atom a of it holds.

    Returns
    -------
    state, action, action_class : ndarray, shape(A,), dtype=int64
    """
    b, width = colour.shape
    size = 0
    for i in range(b):
        size += 1 + 2 * n_edges[i]
    state = np.empty(size, np.int64)
    action = np.empty(size, np.int64)
    action_class = np.empty(size, np.int64)
    piece = np.empty(width, np.int64)
    joins = np.empty(width, np.int64)
    outer = np.empty(width, np.bool_)
    k = 0
    for i in range(b):
        n, m = n_nodes[i], n_edges[i]
        if n == 0:
            continue
        if stage[i] != 0:
            state[k], action[k], action_class[k] = i, 0, 0
            k += 1
            continue
        count = _pieces_of(n, edges[i], m, piece)
        if count == 1:
            if not orbit_is_core[colour[i, 0]]:
                state[k], action[k], action_class[k] = i, 0, 0
                k += 1
            continue
        joins[:count] = 0
        outer[:n] = False
        for e in range(m):
            if edges[i, e, 2] >= JOIN:
                for side in range(2):
                    u = edges[i, e, side]
                    joins[piece[u]] += 1
                    outer[u] = not orbit_is_core[colour[i, u]]
        for u in range(n):
            if outer[u] and joins[piece[u]] == 1:
                state[k], action[k], action_class[k] = i, 1 + u, 1 + node_orbit[i, u]
                k += 1
    return state[:k], action[:k], action_class[:k]


@njit(cache=True, nogil=True)
def attach(colour, n_nodes, edges, n_edges, mark, atom, fragment_of, first_atom, atom_orbit,
           first_bond, bonds):  # fmt: skip
    """Join a fragment to the marked atom of each state.

    Parameters
    ----------
    atom : ndarray, shape(B,), dtype=int64
        An atom of the vocabulary; its fragment is joined by it.

    Returns
    -------
    colour, n_nodes, edges, n_edges : ndarray, dtype=int16
    joined : ndarray, shape(B,), dtype=int64
        The atom `atom` in the new state.
    """
    colour, n_nodes = colour.copy(), n_nodes.copy()
    edges, n_edges = edges.copy(), n_edges.copy()
    joined = np.empty(len(atom), np.int64)
    for i in range(len(atom)):
        f = fragment_of[atom[i]]
        n, m = n_nodes[i], n_edges[i]
        begin, end = first_atom[f], first_atom[f + 1]
        for a in range(begin, end):
            colour[i, n + a - begin] = atom_orbit[a]
        for e in range(first_bond[f], first_bond[f + 1]):
            edges[i, m, 0] = n + bonds[e, 0]
            edges[i, m, 1] = n + bonds[e, 1]
            edges[i, m, 2] = bonds[e, 2]
            m += 1
        joined[i] = n + atom[i] - begin
        edges[i, m, 0], edges[i, m, 1], edges[i, m, 2] = mark[i], joined[i], 1 + JOIN
        n_nodes[i], n_edges[i] = n + end - begin, m + 1
    return colour, n_nodes, edges, n_edges, joined


@njit(cache=True, nogil=True)
def remove_pieces(colour, n_nodes, edges, n_edges, atom):
    """Take the outer piece that holds atom `atom` (B,) off each state.

    Returns
    -------
    colour, n_nodes, edges, n_edges : ndarray, dtype=int16
    held : ndarray, shape(B,), dtype=int64
        The atom, in the new state, that the piece was joined to.
    """
    b, width = colour.shape
    new_colour, new_edges = np.full_like(colour, -1), np.full_like(edges, -1)
    new_nodes, new_bonds = np.zeros_like(n_nodes), np.zeros_like(n_edges)
    held = np.empty(b, np.int64)
    piece = np.empty(width, np.int64)
    number = np.empty(width, np.int64)
    for i in range(b):
        n, m = n_nodes[i], n_edges[i]
        _pieces_of(n, edges[i], m, piece)
        gone = piece[atom[i]]
        k = 0
        for u in range(n):
            if piece[u] != gone:
                new_colour[i, k] = colour[i, u]
                number[u] = k
                k += 1
        new_nodes[i] = k
        k = 0
        for e in range(m):
            u, v = edges[i, e, 0], edges[i, e, 1]
            if piece[u] != gone and piece[v] != gone:
                new_edges[i, k, 0], new_edges[i, k, 1] = number[u], number[v]
                new_edges[i, k, 2] = edges[i, e, 2]
                k += 1
            elif piece[u] != gone:
                held[i] = number[u]
            elif piece[v] != gone:
                held[i] = number[v]
        new_bonds[i] = k
    return new_colour, new_nodes, new_edges, new_bonds, held
