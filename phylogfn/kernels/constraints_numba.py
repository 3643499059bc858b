"""Places and joins that keep the splits of a constraint.

A constraint has m splits of the same taxa, ``sides`` (m, n), int8: 0 and 1 are the two sides of a
split, -1 taxa that it leaves free. A tree *displays* a split if the part of the tree that connects
one side (the smallest subtree with these leaves) has no node in common with the part that connects
the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["allowed_places", "legal_insertions", "legal_joins"]


@njit(cache=True, nogil=True)
def _restrict(parent, order, count, root, n, side, far, below, spanned, reached, allowed):
    """Clear ``allowed`` for branches at which a taxon of the side ``1 - far`` has no place.

    The taxon has to be attached without touching what connects the other side: in that component
    of the rest of the tree that has its own side, or to the branch that leads there.

    Parameters
    ----------
    parent : ndarray, shape (N,)
        A tree drawn at leaf ``root``; leaves are nodes below n.
    order : ndarray
        Its other nodes, children first, in the first ``count`` places.
    side : ndarray, shape (n,), int8
        One split, which the tree displays.
    far : int
        0 or 1.
    below : ndarray, shape (N,), int64
        Working space.
    spanned, reached : ndarray, shape (N,), bool
        Working space.
    allowed : ndarray, shape (N,), bool
        By the node below a branch.
    """
    below[root] = 0
    spanned[root] = False
    reached[root] = side[root] == 1 - far
    others = 1 if side[root] == far else 0
    own = 1 if reached[root] else 0
    for k in range(count):
        x = order[k]
        below[x] = 0
        spanned[x] = False
        reached[x] = False
    for k in range(count):
        x = order[k]
        if x < n:
            if side[x] == far:
                below[x] = 1
                others += 1
            elif side[x] == 1 - far:
                reached[x] = True
                own += 1
        below[parent[x]] += below[x]
    if others < 2 or own < 1:
        return
    for k in range(count):
        x = order[k]
        if 0 < below[x] < others:
            spanned[x] = True
            spanned[parent[x]] = True
    for k in range(count):
        x = order[k]
        if reached[x] and not spanned[parent[x]]:
            reached[parent[x]] = True
    for k in range(count - 1, -1, -1):
        x = order[k]
        if reached[parent[x]] and not spanned[x]:
            reached[x] = True
    for k in range(count):
        x = order[k]
        if not reached[x] and not reached[parent[x]]:
            allowed[x] = False


@njit(cache=True, nogil=True)
def allowed_places(
    parent, order, count, root, part, size, sides, below, spanned, reached, allowed
):  # fmt: skip
    """Fill ``allowed`` (N,), bool: branches of a tree to which a cut subtree can be regrafted.

    The tree that the subtree was cut from displays all splits, and so does every result. A split
    of which the subtree has both sides is displayed wherever it is attached.

    Parameters
    ----------
    parent, order, count, root
        The rest of the tree, see `_restrict`.
    part : ndarray
        Nodes of the subtree, in the first ``size`` places.
    sides : ndarray, shape (m, n), int8
    below, spanned, reached : ndarray
        Working space, see `_restrict`.
    allowed : ndarray
    """
    n = sides.shape[1]
    allowed[:] = True
    for s in range(sides.shape[0]):
        has = 0
        for k in range(size):
            if part[k] < n and sides[s, part[k]] >= 0:
                has |= 1 << sides[s, part[k]]
        if has == 1 or has == 2:
            _restrict(
                parent, order, count, root, n, sides[s], 2 - has, below, spanned, reached, allowed
            )


@njit(cache=True, nogil=True)
def _leaves_to_root(parent, first, pending, order):
    """Fill ``order`` with the nodes of a tree drawn at leaf 0, children first; return their number.

    ``first`` is the number of leaves of the tree, which are nodes 0..first-1; ``pending`` (N,) is
    working space. Leaf 0 is left out.
    """
    pending[:] = 2
    count = 0
    for leaf in range(1, first):
        v = leaf
        while True:
            order[count] = v
            count += 1
            v = parent[v]
            if v == 0:
                break
            pending[v] -= 1
            if pending[v] > 0:
                break
    return count


@njit(cache=True, nogil=True)
def legal_insertions(parents, counts, sides):
    """Branches into which the next taxon can be inserted, bool (B, 2n-2), by the node below.

    Parameters
    ----------
    parents, counts : ndarray
        States of `phylogfn.kernels.insertion_numba` that display all splits.
    sides : ndarray, shape (m, n), int8
        By the position of the taxa.
    """
    n_nodes = parents.shape[1]
    n = n_nodes // 2 + 1
    legal = np.zeros(parents.shape, np.bool_)
    pending = np.empty(n_nodes, np.int64)
    order = np.empty(n_nodes, np.int64)
    below = np.empty(n_nodes, np.int64)
    spanned = np.empty(n_nodes, np.bool_)
    reached = np.empty(n_nodes, np.bool_)
    for i in range(parents.shape[0]):
        count = _leaves_to_root(parents[i], counts[i], pending, order)
        for k in range(count):
            legal[i, order[k]] = True
        if counts[i] == n:
            continue
        for s in range(sides.shape[0]):
            own = sides[s, counts[i]]
            if own >= 0:
                _restrict(
                    parents[i], order, count, 0, n, sides[s], 1 - own, below, spanned, reached,
                    legal[i],
                )  # fmt: skip
    return legal


@njit(cache=True, nogil=True)
def legal_joins(parents, counts, sides):
    """Pairs of trees whose join keeps all splits, bool (A,), of unfinished forests.

    The taxa of the joined tree are on one side of a branch of the finished tree. They are
    compatible with a split unless they are part of both of its sides, and the whole of neither.
    A forest whose trees are compatible with all splits, which are so with each other, can be
    completed (Buneman, in: Mathematics in the Archaeological and Historical Sciences, 387, 1971).

    Parameters
    ----------
    parents, counts : ndarray
        States of `phylogfn.kernels.merging_numba`; the order of pairs is that of
        `phylogfn.kernels.merging_numba.forward_codes`.
    sides : ndarray, shape (m, n), int8
    """
    n = parents.shape[1] // 2
    m = sides.shape[0]
    whole = np.zeros((m, 2), np.int64)
    for s in range(m):
        for j in range(n):
            if sides[s, j] >= 0:
                whole[s, sides[s, j]] += 1
    size = 0
    for i in range(parents.shape[0]):
        if counts[i] > 1:
            size += counts[i] * (counts[i] - 1) // 2
    legal = np.empty(size, np.bool_)
    place = np.empty(2 * n, np.int64)
    has = np.empty((n, m, 2), np.int64)
    at = 0
    for i in range(parents.shape[0]):
        if counts[i] < 2:
            continue
        place[:] = -1
        has[:] = 0
        many = 0
        for leaf in range(n):
            v = leaf
            while parents[i, v] >= 0:
                v = parents[i, v]
            if place[v] < 0:  # trees are called by their smallest leaves
                place[v] = many
                many += 1
            for s in range(m):
                if sides[s, leaf] >= 0:
                    has[place[v], s, sides[s, leaf]] += 1
        for a in range(many):
            for b in range(a + 1, many):
                fine = True
                for s in range(m):
                    one = has[a, s, 0] + has[b, s, 0]
                    other = has[a, s, 1] + has[b, s, 1]
                    if 0 < one < whole[s, 0] and 0 < other < whole[s, 1]:
                        fine = False
                        break
                legal[at] = fine
                at += 1
    return legal
