"""Fitch parsimony on bit-sliced state sets (Fitch 1971): 64 characters a word, `T` words a tile.

A tile holds 64 T characters of one weight. For each of its ``k`` states there are T words, and
bit i of them says whether the state belongs to the set of character i; bits of no character have
all states, and never cost a step. The sets of a node are one row of ``sets`` (rows, W), uint64:
rows 0..n-1 the leaves, then the inner nodes. Kernels take the rows laid end to end and the number
of a row.

Where both sets of two subtrees meet, their join is what they share, elsewhere it is the union, and
a step is counted. ``down[v]`` is Fitch's set of the subtree under v, ``up[v]`` that of everything
else, at the upper end of v's branch; the set of the branch is the join of the two, and a subtree
that is attached there costs one step in each character where its own set does not meet it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from phylogfn.kernels.pruning_numba import postorder

__all__ = [
    "T",
    "Tiles",
    "branch_sets",
    "insertion_costs",
    "join",
    "meeting_cost",
    "scores",
    "stepwise_addition",
]

T = 4  # words of a vector: 256 characters, one register of AVX2
UNROLLED = (2, 3, 4, 5)  # numbers of states with code of their own


class Tiles(NamedTuple):
    """Where the tiles of a row lie.

    Attributes
    ----------
    starts : ndarray, shape (tiles,), int64
        First word of each tile; its states follow one another, T words each.
    states : ndarray, shape (tiles,), int64
    weights : ndarray, shape (tiles,), float64
        Cost of one step in one character.
    width : int
        Words of a row.
    """

    starts: np.ndarray
    states: np.ndarray
    weights: np.ndarray
    width: int


_VECTOR = ir.VectorType(ir.IntType(64), T)


def _place(context: Any, builder: Any, array_type: Any, array: Any, start: Any) -> Any:
    """Pointer to vectors, at element ``start`` of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [start]), _VECTOR.as_pointer())


def _load(builder: Any, place: Any, state: Any) -> Any:
    return builder.load(builder.gep(place, [state]), align=8)


def _bits(builder: Any, vector: Any) -> Any:
    """Number of set bits of a vector, as int64."""
    function = ir.FunctionType(_VECTOR, [_VECTOR])
    count = cgutils.get_or_insert_function(builder.module, function, f"llvm.ctpop.v{T}i64")
    counts = builder.call(count, [vector])
    total = builder.extract_element(counts, ir.Constant(ir.IntType(32), 0))
    for i in range(1, T):
        lane = builder.extract_element(counts, ir.Constant(ir.IntType(32), i))
        total = builder.add(total, lane)
    return total


def _each_state(context: Any, builder: Any, k: Any, n_states: int, do: Callable) -> None:
    """Emit ``do(state)`` for each state: unrolled if their number is known, else as a loop."""
    if n_states:
        for state in range(n_states):
            do(context.get_constant(types.int64, state))
    else:
        with cgutils.for_range(builder, k, intp=ir.IntType(64)) as loop:
            do(loop.index)


def _apart(context: Any, builder: Any, x: Any, y: Any, k: Any, n_states: int) -> Any:
    """Vector of the characters whose sets at ``x`` and ``y`` do not meet."""
    shared = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None))

    def gather(state: Any) -> None:
        both = builder.and_(_load(builder, x, state), _load(builder, y, state))
        builder.store(builder.or_(builder.load(shared), both), shared)

    _each_state(context, builder, k, n_states, gather)
    return builder.not_(builder.load(shared))


def _join_tile(n_states: int) -> Any:
    def emit(context, builder, signature, arguments):
        kind = signature.args
        x = _place(context, builder, kind[0], arguments[0], arguments[1])
        y = _place(context, builder, kind[2], arguments[2], arguments[3])
        out = _place(context, builder, kind[4], arguments[4], arguments[5])
        k = arguments[6]
        apart = _apart(context, builder, x, y, k, n_states)

        def put(state: Any) -> None:
            a, b = _load(builder, x, state), _load(builder, y, state)
            union = builder.and_(builder.or_(a, b), apart)
            value = builder.or_(builder.and_(a, b), union)
            builder.store(value, builder.gep(out, [state]), align=8)

        _each_state(context, builder, k, n_states, put)
        return _bits(builder, apart)

    def typed(typing, xs, x, ys, y, out, o, k):
        arguments = (xs, types.int64, ys, types.int64, out, types.int64, types.int64)
        return types.int64(*arguments), emit

    return intrinsic(typed)


def _cost_tile(n_states: int) -> Any:
    def emit(context, builder, signature, arguments):
        kind = signature.args
        x = _place(context, builder, kind[0], arguments[0], arguments[1])
        y = _place(context, builder, kind[2], arguments[2], arguments[3])
        return _bits(builder, _apart(context, builder, x, y, arguments[4], n_states))

    def typed(typing, xs, x, ys, y, k):
        return types.int64(xs, types.int64, ys, types.int64, types.int64), emit

    return intrinsic(typed)


_join2, _join3, _join4, _join5 = (_join_tile(k) for k in UNROLLED)
_cost2, _cost3, _cost4, _cost5 = (_cost_tile(k) for k in UNROLLED)
_join_any, _cost_any = _join_tile(0), _cost_tile(0)


@njit(cache=True, nogil=True)
def join(xs, x, ys, y, out, row, tiles):
    """Write the join of row ``x`` of ``xs`` and row ``y`` of ``ys`` into a row; return its steps.

    Parameters
    ----------
    xs, ys, out : ndarray, shape (rows * W,), uint64
        They may be one array, and the row written one of those read.
    x, y, row : int
    tiles : Tiles

    Returns
    -------
    float
        Weighted steps: the cost of the characters whose sets do not meet.
    """
    steps = 0.0
    x0 = x * tiles.width
    y0 = y * tiles.width
    o0 = row * tiles.width
    for i in range(tiles.starts.size):
        at = tiles.starts[i]
        k = tiles.states[i]
        if k == 2:
            apart = _join2(xs, x0 + at, ys, y0 + at, out, o0 + at, k)
        elif k == 3:
            apart = _join3(xs, x0 + at, ys, y0 + at, out, o0 + at, k)
        elif k == 4:
            apart = _join4(xs, x0 + at, ys, y0 + at, out, o0 + at, k)
        elif k == 5:
            apart = _join5(xs, x0 + at, ys, y0 + at, out, o0 + at, k)
        else:
            apart = _join_any(xs, x0 + at, ys, y0 + at, out, o0 + at, k)
        steps += apart * tiles.weights[i]
    return steps


@njit(cache=True, nogil=True)
def meeting_cost(xs, x, ys, y, tiles, bound):
    """Steps of the join of two rows, which is not written; some number above ``bound`` if more."""
    steps = 0.0
    x0 = x * tiles.width
    y0 = y * tiles.width
    for i in range(tiles.starts.size):
        at = tiles.starts[i]
        k = tiles.states[i]
        if k == 2:
            apart = _cost2(xs, x0 + at, ys, y0 + at, k)
        elif k == 3:
            apart = _cost3(xs, x0 + at, ys, y0 + at, k)
        elif k == 4:
            apart = _cost4(xs, x0 + at, ys, y0 + at, k)
        elif k == 5:
            apart = _cost5(xs, x0 + at, ys, y0 + at, k)
        else:
            apart = _cost_any(xs, x0 + at, ys, y0 + at, k)
        steps += apart * tiles.weights[i]
        if steps > bound:
            break
    return steps


@njit(cache=True, nogil=True)
def scores(parents, n_taxa, down, tiles, out):
    """Fill ``out`` (B,) with the weighted steps of trees ``parents`` (B, 2n-2).

    ``down`` (rows * W,) holds the leaves; the rows of the inner nodes are overwritten.
    """
    n_nodes = parents.shape[1]
    waiting = np.empty(n_nodes, np.int64)  # a node's first child that is done, -1 before
    for b in range(parents.shape[0]):
        parent = parents[b]
        waiting[:] = -1
        steps = 0.0
        # No order is needed: a node whose second child is done goes on to its own parent.
        for leaf in range(1, n_taxa):
            v = np.int64(leaf)
            while True:
                p = np.int64(parent[v])
                if p == 0:
                    steps += meeting_cost(down, v, down, 0, tiles, np.inf)
                    break
                if waiting[p] < 0:
                    waiting[p] = v
                    break
                steps += join(down, waiting[p], down, v, down, p, tiles)
                v = p
        out[b] = steps


@njit(cache=True, nogil=True)
def copy_row(source, x, out, row, tiles):
    """Copy a row of ``source`` to a row of ``out``."""
    width = tiles.width
    for i in range(width):
        out[row * width + i] = source[x * width + i]


@njit(cache=True, nogil=True)
def branch_sets(children, n_taxa, order, count, down, up, edge, tiles):
    """Fill ``up`` and ``edge``, the sets of branches, for the nodes ``order[:count]``.

    ``order`` is a post-order of nodes under a root whose ``down`` sets are known, ``up`` of its
    last is known too.
    """
    # Rows are int64 everywhere, so that `join` is compiled for one type of row.
    for i in range(count - 1, -1, -1):
        v = np.int64(order[i])
        if v >= n_taxa:
            x = np.int64(children[v, 0])
            y = np.int64(children[v, 1])
            join(up, v, down, y, up, x, tiles)
            join(up, v, down, x, up, y, tiles)
        join(up, v, down, v, edge, v, tiles)


@njit(cache=True, nogil=True)
def insertion_costs(children, n_taxa, taxon, down, up, edge, tiles, order, costs):
    """Extra steps of inserting a taxon, or a pruned subtree, into each branch of a tree.

    Parameters
    ----------
    children : ndarray, shape (nodes, 2), int32
        A tree drawn at leaf 0, of some of the taxa.
    n_taxa : int
    taxon : int
        What is inserted: a leaf, or a node that is not in the tree and whose ``down`` set is known.
    down, up, edge : ndarray, shape (nodes * W,), uint64
        ``down`` holds the leaves; the rest is working space.
    tiles : Tiles
    order : ndarray, shape (nodes,), int32
        Filled with the nodes of the tree, children first.
    costs : ndarray, shape (nodes,), float64
        Filled for the nodes in ``order``: weighted steps.

    Returns
    -------
    int
        Number of nodes in ``order``.
    """
    top = np.int64(children[0, 0])
    count = postorder(children, top, order)
    for i in range(count):
        v = np.int64(order[i])
        if v >= n_taxa:
            x = np.int64(children[v, 0])
            y = np.int64(children[v, 1])
            join(down, x, down, y, down, v, tiles)
    copy_row(down, 0, up, top, tiles)
    branch_sets(children, n_taxa, order, count, down, up, edge, tiles)
    for i in range(count):
        v = np.int64(order[i])
        costs[v] = meeting_cost(edge, v, down, taxon, tiles, np.inf)
    return count


@njit(cache=True, nogil=True)
def stepwise_addition(sequence, seed, down, up, edge, tiles):
    """Parents (2n-2,), int16, of a tree made by inserting taxa where they cost fewest steps.

    ``sequence`` (n,) is the order of the taxa, its first entry 0 (where the tree is drawn). Ties
    are broken at random, by ``seed``. The other arguments are those of `insertion_costs`.
    """
    np.random.seed(seed)
    n = sequence.size
    nodes = 2 * n - 2
    parent = np.full(nodes, -1, np.int16)
    children = np.full((nodes, 2), -1, np.int32)
    order = np.empty(nodes, np.int32)
    costs = np.empty(nodes)
    first = sequence[1]
    children[0, 0] = first
    parent[first] = 0
    for k in range(2, n):
        taxon = sequence[k]
        count = insertion_costs(children, n, taxon, down, up, edge, tiles, order, costs)
        best = np.inf
        ties = 0
        place = -1
        for i in range(count):
            v = order[i]
            if costs[v] < best:
                best = costs[v]
                ties = 1
                place = v
            elif costs[v] == best:
                ties += 1
                if np.random.randint(ties) == 0:
                    place = v
        node = n + k - 2
        above = parent[place]
        if children[above, 0] == place:
            children[above, 0] = node
        else:
            children[above, 1] = node
        parent[node] = above
        parent[place] = node
        parent[taxon] = node
        children[node, 0] = place
        children[node, 1] = taxon
    return parent
