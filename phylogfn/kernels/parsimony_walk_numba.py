"""Neighbours of a tree under parsimony: cut a branch, join the two parts anew (TBR).

A branch is cut at node ``v``: part A is what is under v, part B the rest. Each part is an unrooted
tree of its own, and the sets of its branches (see `phylogfn.kernels.fitch_numba`) depend on that
part alone. Joining branch ``a`` of A and branch ``b`` of B costs one step in each character where
their sets do not meet, so every neighbour is scored exactly by one look at two rows. Pruning a
subtree and regrafting it (SPR) is the case in which ``a`` or ``b`` is the place of the cut.

Branch ``a`` is named by the node under it, where v stands for the branch between its two children;
if v hangs from leaf 0, B is that leaf, and its only place is called 0.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from phylogfn.kernels.collapse_numba import clade_hashes
from phylogfn.kernels.fitch_numba import T, branch_sets, copy_row, join, meeting_cost
from phylogfn.kernels.pruning_numba import postorder

__all__ = ["climb", "move_keys", "moved_trees", "near_moves", "ratchet"]


@njit(cache=True, nogil=True)
def _replace_child(children, above, old, new):
    if children[above, 0] == old:
        children[above, 0] = new
    else:
        children[above, 1] = new


@njit(cache=True, nogil=True)
def _reroot_part(parent, children, v, a):
    """Draw part A with its root v on the branch above ``a`` instead of where it is."""
    if a == v or parent[a] == v:
        return
    below = a
    node = parent[a]
    children_of_v = children[v, 0], children[v, 1]
    first = node
    while True:
        above = parent[node]
        if above == v:
            other = children_of_v[1] if children_of_v[0] == node else children_of_v[0]
        else:
            other = above
        _replace_child(children, node, below, other)
        parent[node] = below
        if above == v:
            parent[other] = node
            break
        below = node
        node = above
    parent[first] = v
    parent[a] = v
    children[v, 0] = a
    children[v, 1] = first


@njit(cache=True, nogil=True)
def _detach(parent, children, v):
    """Take the part under v, and v's parent, out of the tree; return the sibling of v."""
    u = parent[v]
    sibling = children[u, 1] if children[u, 0] == v else children[u, 0]
    above = parent[u]
    _replace_child(children, above, u, sibling)
    parent[sibling] = above
    return sibling


@njit(cache=True, nogil=True)
def _attach(parent, children, v, b):
    """Put v's parent, with v, on the branch above b."""
    u = parent[v]
    above = parent[b]
    _replace_child(children, above, b, u)
    parent[u] = above
    parent[b] = u
    children[u, 0] = v
    children[u, 1] = b


@njit(cache=True, nogil=True)
def _move(parent, children, v, a, b):
    """Cut above v and join branch a of the part under v to branch b of the rest."""
    if b != 0:
        _detach(parent, children, v)
        _attach(parent, children, v, b)
    _reroot_part(parent, children, v, a)


@njit(cache=True, nogil=True)
def _refresh(parent, children, down, node, tiles):
    """Make ``down`` right again for a node and all above it."""
    while node > 0:
        x = np.int64(children[node, 0])
        y = np.int64(children[node, 1])
        join(down, x, down, y, down, node, tiles)
        node = np.int64(parent[node])


@njit(cache=True, nogil=True)
def _below_pass(children, n_taxa, node, down, order, tiles):
    """Make ``down`` right for all nodes under a node."""
    count = postorder(children, node, order)
    for i in range(count):
        v = np.int64(order[i])
        if v >= n_taxa:
            x = np.int64(children[v, 0])
            y = np.int64(children[v, 1])
            join(down, x, down, y, down, v, tiles)


@njit(cache=True, nogil=True)
def _sets_under(children, n_taxa, v, down, up, edge, order, tiles):
    """Sets of the branches of part A; fill ``order`` with their names and return their number.

    ``order`` has twice the room for all nodes: each post-order is written from the back.
    """
    copy_row(down, v, edge, v, tiles)
    order[0] = v
    if v < n_taxa:
        return 1
    x = np.int64(children[v, 0])
    y = np.int64(children[v, 1])
    copy_row(down, y, up, x, tiles)
    copy_row(down, x, up, y, tiles)
    at = 1
    for side in range(2):
        count = postorder(children, children[v, side], order[at:])
        branch_sets(children, n_taxa, order[at:], count, down, up, edge, tiles)
        at += count - 1  # the branch above a child of v is the branch v
    return at


@njit(cache=True, nogil=True)
def _cut(parent, children, n_taxa, v, down, up, edge, order_a, order_b, tiles):
    """Cut above v, and fill the sets of the branches of both parts.

    Returns their numbers, the sibling of v (0: v hangs from leaf 0) and the cost of joining the
    parts as they were. ``children`` and ``down`` are those of the cut tree until `_mend`.
    """
    if parent[v] == 0:
        copy_row(down, 0, edge, 0, tiles)
        order_b[0] = 0
        count_b = 1
        sibling = 0
    else:
        above = np.int64(parent[parent[v]])
        sibling = np.int64(_detach(parent, children, v))
        _refresh(parent, children, down, above, tiles)
        top = np.int64(children[0, 0])
        count_b = postorder(children, top, order_b)
        copy_row(down, 0, up, top, tiles)
        branch_sets(children, n_taxa, order_b, count_b, down, up, edge, tiles)
    count_a = _sets_under(children, n_taxa, v, down, up, edge, order_a, tiles)
    cost = meeting_cost(edge, v, edge, sibling, tiles, np.inf)
    return count_a, count_b, sibling, cost


@njit(cache=True, nogil=True)
def _mend(parent, children, v, sibling, down, tiles):
    """Undo `_cut`."""
    if sibling != 0:
        _attach(parent, children, v, sibling)
        _refresh(parent, children, down, np.int64(parent[v]), tiles)


@njit(cache=True, nogil=True)
def _places(count_a, count_b, most_pairs, regrafts):
    """How many branches of A are joined to one branch of B, from the first on (which is v).

    All of them if there are few pairs, or if the branch of B is where A was (``regrafts``).
    """
    return count_a if regrafts or count_a * count_b <= most_pairs else 1


@njit(cache=True, nogil=True)
def climb(parent, children, tolerance, most_pairs, down, up, edge, tiles):
    """Improve a tree, in place, until no neighbour is better.

    Branches are cut in random order (of the calling thread's generator in compiled code); of each
    cut's neighbours the best is taken (ties at random), if it is better than the tree.

    Parameters
    ----------
    parent : ndarray, shape (2n-2,), int32
    children : ndarray, shape (2n-2, 2), int32
        Children of a node in any order.
    tolerance : float
        A neighbour must be better by more than this.
    most_pairs : int
        Where a cut has more pairs of branches than this, only those of SPR are looked at.
    down, up, edge : ndarray, shape ((2n-2) * W,), uint64
        ``down`` holds the leaves.
    tiles : Tiles

    Returns
    -------
    gain : float
        Weighted steps by which the tree became better.
    n_costs : int
        Neighbours scored.
    """
    n_nodes = parent.size
    n = n_nodes // 2 + 1
    order_a = np.empty(2 * n_nodes, np.int32)
    order_b = np.empty(n_nodes, np.int32)
    _below_pass(children, n, np.int64(children[0, 0]), down, order_a, tiles)
    gain = 0.0
    n_costs = 0
    improved = True
    while improved:
        improved = False
        cuts = np.random.permutation(n_nodes - 1)
        for i in range(n_nodes - 1):
            v = cuts[i] + 1
            count_a, count_b, sibling, before = _cut(
                parent, children, n, v, down, up, edge, order_a, order_b, tiles
            )
            best = before - tolerance
            ties = 0
            place_a = v
            place_b = sibling
            if before > 0.0:
                for j in range(count_b):
                    b = np.int64(order_b[j])
                    n_a = _places(count_a, count_b, most_pairs, b == sibling)
                    n_costs += n_a
                    for k in range(n_a):
                        a = np.int64(order_a[k])
                        cost = meeting_cost(edge, a, edge, b, tiles, best)
                        if cost < best:
                            best = cost
                            ties = 1
                        elif ties > 0 and cost == best:
                            ties += 1
                            if np.random.randint(ties) > 0:
                                continue
                        else:
                            continue
                        place_a = a
                        place_b = b
            if ties == 0:
                _mend(parent, children, v, sibling, down, tiles)
                continue
            improved = True
            gain += before - best
            if sibling != 0:
                _attach(parent, children, v, place_b)
            _reroot_part(parent, children, v, place_a)
            _below_pass(children, n, v, down, order_a, tiles)
            _refresh(parent, children, down, np.int64(parent[v]), tiles)
    return gain, n_costs


@njit(cache=True, nogil=True)
def _leave_out(leaves, down, tiles):
    """Copy the leaves to ``down`` without a random quarter of the characters (all states)."""
    n = leaves.shape[0]
    masks = np.empty(T, np.uint64)
    for i in range(tiles.starts.size):
        for j in range(T):
            both = np.uint64(2**64 - 1)
            for _ in range(2):
                high = np.uint64(np.random.randint(0, 2**32))
                low = np.uint64(np.random.randint(0, 2**32))
                both &= (high << np.uint64(32)) | low
            masks[j] = both
        for v in range(n):
            for k in range(tiles.states[i]):
                at = tiles.starts[i] + k * T
                for j in range(T):
                    down[v * tiles.width + at + j] = leaves[v, at + j] | masks[j]


@njit(cache=True, nogil=True)
def ratchet(
    parent,
    children,
    score,
    seed,
    tolerance,
    most_pairs,
    leaves,
    down,
    up,
    edge,
    tiles,
    kept,
    scores,
):
    """Rounds of the parsimony ratchet (Nixon 1999); the first only climbs.

    Each round climbs with a random quarter of the characters left out, climbs again with all, and
    goes back to the tree before it if that was better.

    Parameters
    ----------
    parent, children
        The tree, replaced by the last one accepted.
    score : float
        Of the tree, without constant steps. inf: climb first, in a round of its own.
    seed : int
    tolerance, most_pairs, down, up, edge, tiles
        As for `climb`.
    leaves : ndarray, shape (n, W), uint64
    kept : ndarray, shape (rounds, 2n-2), int16
        Filled with the tree that each round ends at.
    scores : ndarray, shape (rounds,), float64
        Filled with their scores, without constant steps.

    Returns
    -------
    int
        Neighbours scored.
    """
    np.random.seed(seed)
    old_parent = parent.copy()
    old_children = children.copy()
    n_costs = 0
    for i in range(scores.size):
        if score < np.inf:
            _leave_out(leaves, down, tiles)
            n_costs += climb(parent, children, tolerance, most_pairs, down, up, edge, tiles)[1]
            for j in range(leaves.size):
                down[j] = leaves.flat[j]
        n_costs += climb(parent, children, tolerance, most_pairs, down, up, edge, tiles)[1]
        # ``down`` is right for the whole tree: its steps once more, from the sets
        new = 0.0
        for v in range(leaves.shape[0], parent.size):
            x = np.int64(children[v, 0])
            y = np.int64(children[v, 1])
            new += meeting_cost(down, x, down, y, tiles, np.inf)
        new += meeting_cost(down, 0, down, np.int64(children[0, 0]), tiles, np.inf)
        scores[i] = new
        for j in range(parent.size):
            kept[i, j] = parent[j]
        if new <= score + tolerance:
            score = new
            old_parent[:] = parent
            old_children[:, :] = children
        else:
            parent[:] = old_parent
            children[:, :] = old_children
    return n_costs


@njit(cache=True, nogil=True)
def near_moves(parent, children, allowed, most_pairs, down, up, edge, tiles, moves, changes):
    """Moves to neighbours that are worse by at most ``allowed`` weighted steps.

    Parameters
    ----------
    parent, children
        A tree, changed and restored.
    allowed : float
    most_pairs, down, up, edge, tiles
        As for `climb`.
    moves : ndarray, shape (M, 3), int16
        Filled with (v, a, b); different moves may make the same tree.
    changes : ndarray, shape (M,), float64
        Filled with the score of the neighbour less that of the tree.

    Returns
    -------
    found : int
        Moves found; only the first M are written. Once there are more, no further cut is made.
    n_costs : int
        Neighbours scored.
    """
    n_nodes = parent.size
    n = n_nodes // 2 + 1
    order_a = np.empty(2 * n_nodes, np.int32)
    order_b = np.empty(n_nodes, np.int32)
    _below_pass(children, n, np.int64(children[0, 0]), down, order_a, tiles)
    found = 0
    n_costs = 0
    for v in range(1, n_nodes):
        count_a, count_b, sibling, before = _cut(
            parent, children, n, v, down, up, edge, order_a, order_b, tiles
        )
        bound = before + allowed
        for j in range(count_b):
            b = np.int64(order_b[j])
            n_a = _places(count_a, count_b, most_pairs, b == sibling)
            n_costs += n_a
            for k in range(n_a):
                a = np.int64(order_a[k])
                cost = meeting_cost(edge, a, edge, b, tiles, bound)
                if cost > bound or (a == v and b == sibling):
                    continue
                if found < changes.size:
                    moves[found, 0] = v
                    moves[found, 1] = a
                    moves[found, 2] = b
                    changes[found] = cost - before
                found += 1
        _mend(parent, children, v, sibling, down, tiles)
        if found > changes.size:
            break
    return found, n_costs


@njit(cache=True, nogil=True)
def _moved(parent, children, move, new_parent, new_children):
    """Write the tree that a move (3,) makes."""
    new_parent[:] = parent
    new_children[:, :] = children
    _move(new_parent, new_children, np.int64(move[0]), np.int64(move[1]), np.int64(move[2]))


@njit(cache=True, nogil=True)
def move_keys(parent, children, moves, codes, keys):
    """Fill ``keys`` (M, 2), uint64, with those of the trees that moves make of one tree.

    Parameters
    ----------
    parent, children
        The tree.
    moves : ndarray, shape (M, 3), int16
        As `near_moves` fills them.
    codes : ndarray, shape (n, 2), uint64
        See `phylogfn.trees.keys.taxon_codes`.
    keys : ndarray, shape (M, 2), uint64
        Those of `phylogfn.kernels.topology_numba.topology_keys`.
    """
    n_nodes = parent.size
    new_parent = np.empty(n_nodes, np.int32)
    new_children = np.empty((n_nodes, 2), np.int32)
    order = np.empty(n_nodes, np.int32)
    hashes = np.empty((n_nodes, 2), np.uint64)
    for i in range(moves.shape[0]):
        _moved(parent, children, moves[i], new_parent, new_children)
        count = postorder(new_children, new_children[0, 0], order)
        clade_hashes(new_children, order, count, codes, hashes, keys[i])


@njit(cache=True, nogil=True)
def moved_trees(parent, children, moves, parents):
    """Fill ``parents`` (M, 2n-2), int16, with the trees that moves make of one tree."""
    new_parent = np.empty(parent.size, np.int32)
    new_children = np.empty((parent.size, 2), np.int32)
    for i in range(moves.shape[0]):
        _moved(parent, children, moves[i], new_parent, new_children)
        for v in range(parent.size):
            parents[i, v] = new_parent[v]
