"""All ways in which a molecule falls into fragments of a vocabulary.

A placement is a fragment laid on atoms of the molecule: same kinds and bonds, no other bonds among
these atoms, and as many places at each atom as it has neighbours outside. A cover is a set of
placements, in which every atom is in one, whose joins are single bonds between places that fit,
one fewer than the fragments.

An atom set is one 64-bit number, so a molecule has at most 64 atoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["covers_of_molecules"]

ONE = np.uint64(1)


@njit(cache=True, nogil=True)
def _grown(array):
    """The array with twice the room."""
    shape = (2 * len(array),) + array.shape[1:]
    out = np.empty(shape, array.dtype)
    out[: len(array)] = array
    return out


@njit(cache=True, nogil=True)
def _placements(
    n,
    kind,
    bond,
    neighbours,
    degree,
    counts,
    needed_start,
    needed,
    first_atom,
    walk,
    walk_parent,
    square_start,
    squares,
    atom_orbit,
    orbit_kind,
    orbit_open,
    orbit_degree,
    must_join,
    largest,
    sets,
    orbits,
    core,
):
    """Placements of all fragments on one molecule; returns (count, sets, orbits, core).

    ``sets[p]`` is the set of atoms, ``orbits[p, v]`` the orbit at atom v (-1 outside), and
    ``core[p]`` whether it is the last fragment of the vocabulary.
    """
    count = 0
    image = np.empty(n, np.int64)
    choice = np.empty(n, np.int64)
    taken = np.zeros(n, np.bool_)
    for f in range(len(first_atom) - 1):
        begin = first_atom[f]
        size = first_atom[f + 1] - begin
        if size > n or size > largest:
            continue
        possible = True
        for q in range(needed_start[f], needed_start[f + 1]):
            if counts[needed[q, 0]] < needed[q, 1]:
                possible = False
                break
        if not possible:
            continue
        of_fragment = count
        depth = 0
        choice[0] = 0
        while depth >= 0:
            # the next atom of the molecule for the walk's atom number `depth`
            a = walk[begin + depth]
            orbit = atom_orbit[begin + a]
            up = walk_parent[begin + depth]
            limit = n if up < 0 else degree[image[up]]
            found = False
            while choice[depth] < limit and not found:
                v = choice[depth] if up < 0 else neighbours[image[up], choice[depth]]
                choice[depth] += 1
                outside = degree[v] - orbit_degree[orbit]
                if taken[v] or kind[v] != orbit_kind[orbit]:
                    continue
                if outside < 0 or outside > orbit_open[orbit]:
                    continue
                if must_join[orbit] and outside < orbit_open[orbit]:
                    continue
                found = True
                row = square_start[f] + a * size
                for d in range(depth):
                    if squares[row + walk[begin + d]] != bond[v, image[d]]:
                        found = False
                        break
                if found:
                    image[depth] = v
            if not found:
                depth -= 1
                if depth >= 0:
                    taken[image[depth]] = False
                continue
            if depth + 1 < size:
                taken[image[depth]] = True
                depth += 1
                choice[depth] = 0
                continue
            if count == len(sets):
                sets, orbits, core = _grown(sets), _grown(orbits), _grown(core)
            atoms = np.uint64(0)
            orbits[count, :n] = -1
            for d in range(size):
                atoms |= ONE << np.uint64(image[d])
                orbits[count, image[d]] = atom_orbit[begin + walk[begin + d]]
            new = True
            for p in range(of_fragment, count):  # the fragment's own automorphisms
                if sets[p] == atoms:
                    same = True
                    for d in range(size):
                        if orbits[p, image[d]] != orbits[count, image[d]]:
                            same = False
                            break
                    if same:
                        new = False
                        break
            if new:
                sets[count] = atoms
                core[count] = f == len(first_atom) - 2
                count += 1
    return count, sets, orbits, core


@njit(cache=True, nogil=True)
def covers_of_molecules(
    kinds,
    n_nodes,
    edges,
    n_edges,
    needed_start,
    needed,
    first_atom,
    walk,
    walk_parent,
    square_start,
    squares,
    atom_orbit,
    orbit_kind,
    orbit_open,
    orbit_degree,
    must_join,
    orbit_class,
    joins_allowed,
    has_core,
    max_fragments,
):
    """Covers of each molecule by at most `max_fragments` fragments.

    Parameters
    ----------
    kinds : ndarray, shape(B, N), dtype=int16
        Kinds of atom, as numbered in the vocabulary.
    n_nodes, n_edges : ndarray, shape(B,), dtype=int16
    edges : ndarray, shape(B, M, 3), dtype=int16
        u, v, order (1..3, aromatic 4).
    needed_start, needed : ndarray, shapes (V + 1,) and (Q, 2)
        Kinds, and how many of each, that each fragment has.
    walk, walk_parent : ndarray, shape(A,)
        The atoms of each fragment, counted within it, in an order in which each is bonded to one
        before it, whose place in that order is `walk_parent` (-1 for the first).
    square_start, squares : ndarray
        Bond orders between all atoms of each fragment, as a matrix laid flat; 0: none.
    must_join : ndarray, shape (O,), int64
        1 where all attachment points have a neighbour, else 0.
    orbit_class, joins_allowed : ndarray, shapes (O,) and (C, C)
        Class of each orbit, and which classes may be joined.
    has_core : bool
        Exactly one piece must be the vocabulary's last fragment.

    Returns
    -------
    molecule : ndarray, shape(C,), dtype=int64
        Ascending.
    orbits, pieces : ndarray, shape (C, N), int32 and int16
        Orbit and number of the piece of each atom; padding -1.
    """
    b, width = kinds.shape
    total = 0
    molecule = np.empty(b + 1, np.int64)
    all_orbits = np.empty((b + 1, width), np.int32)
    all_pieces = np.empty((b + 1, width), np.int16)
    sets = np.empty(64, np.uint64)
    orbits = np.empty((64, width), np.int32)
    core = np.empty(64, np.bool_)
    counts = np.empty(orbit_kind.max() + 2, np.int64)
    bond = np.empty((width, width), np.int16)
    neighbours = np.empty((width, width), np.int16)
    degree = np.empty(width, np.int64)
    colour = np.empty(width, np.int32)
    piece = np.empty(width, np.int16)
    cursor = np.empty(max_fragments + 1, np.int64)
    stop = np.empty(max_fragments + 1, np.int64)
    placed = np.empty(max_fragments + 1, np.int64)
    joined = np.empty(max_fragments + 2, np.int64)
    first_with = np.empty(width + 1, np.int64)
    largest = first_atom[1:] - first_atom[:-1]
    for i in range(b):
        n = n_nodes[i]
        if n == 0:
            continue
        kind = kinds[i]
        counts[:] = 0
        bond[:n, :n] = 0
        degree[:n] = 0
        for u in range(n):
            counts[kind[u]] += 1
        for e in range(n_edges[i]):
            u, v = edges[i, e, 0], edges[i, e, 1]
            bond[u, v] = bond[v, u] = edges[i, e, 2]
            neighbours[u, degree[u]], neighbours[v, degree[v]] = v, u
            degree[u] += 1
            degree[v] += 1
        count, sets, orbits, core = _placements(
            n, kind, bond, neighbours, degree, counts, needed_start, needed, first_atom, walk,
            walk_parent, square_start, squares, atom_orbit, orbit_kind, orbit_open, orbit_degree,
            must_join, largest.max(), sets, orbits, core,
        )  # fmt: skip

        # placements by the smallest of their atoms
        lowest = np.empty(count, np.int64)
        first_with[: n + 1] = 0
        for p in range(count):
            u = 0
            while not (sets[p] >> np.uint64(u)) & ONE:
                u += 1
            lowest[p] = u
            first_with[u + 1] += 1
        for u in range(n):
            first_with[u + 1] += first_with[u]
        order = np.argsort(lowest, kind="mergesort")

        # depth first: the smallest uncovered atom is the smallest of the next placement
        covered: Any = np.uint64(0)
        depth, cores = 0, 0
        cursor[0], stop[0], joined[0] = first_with[0], first_with[1], 0
        colour[:n] = -1
        while depth >= 0:
            if cursor[depth] == stop[depth]:
                depth -= 1
                if depth >= 0:
                    p = placed[depth]
                    covered ^= sets[p]
                    cores -= core[p] and has_core
                    for v in range(n):
                        if orbits[p, v] >= 0:
                            colour[v] = -1
                continue
            p = order[cursor[depth]]
            cursor[depth] += 1
            if sets[p] & covered or (has_core and core[p] and cores):
                continue
            joins, fits = joined[depth], True
            for v in range(n):
                if orbits[p, v] < 0:
                    continue
                for q in range(degree[v]):
                    w = neighbours[v, q]
                    if colour[w] >= 0:
                        joins += 1
                        fits &= (
                            bond[v, w] == 1
                            and joins_allowed[orbit_class[orbits[p, v]], orbit_class[colour[w]]]
                        )
            if not fits or joins > depth:
                continue
            for v in range(n):
                if orbits[p, v] >= 0:
                    colour[v], piece[v] = orbits[p, v], depth
            covered |= sets[p]
            cores += core[p] and has_core
            placed[depth] = p
            u = 0
            while u < n and colour[u] >= 0:
                u += 1
            if u == n and joins == depth and (cores == 1 or not has_core):
                if total == len(molecule):
                    molecule = _grown(molecule)
                    all_orbits, all_pieces = _grown(all_orbits), _grown(all_pieces)
                molecule[total] = i
                all_orbits[total, :n], all_pieces[total, :n] = colour[:n], piece[:n]
                all_orbits[total, n:], all_pieces[total, n:] = -1, -1
                total += 1
            if u == n or depth + 1 == max_fragments:
                covered ^= sets[p]
                cores -= core[p] and has_core
                for v in range(n):
                    if orbits[p, v] >= 0:
                        colour[v] = -1
                continue
            depth += 1
            joined[depth] = joins
            cursor[depth], stop[depth] = first_with[u], first_with[u + 1]
    return molecule[:total], all_orbits[:total], all_pieces[:total]
