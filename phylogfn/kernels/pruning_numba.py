"""Felsenstein pruning: the likelihood of a tree and all derivatives by branch length.

Dimensions, used in every comment below:

* ``n`` taxa; nodes ``0..n-1`` are leaves, ``n..2n-3`` internal; ``root`` is the leaf at which the
  tree is drawn; every other node ``v`` owns the branch ``v - parent[v]``.
* ``K`` states, ``C`` rate categories, ``P`` site patterns in tiles of ``T`` (padded with patterns
  of weight 0), a size at which a node and its children stay in the first-level cache.
* A *partial* is a block of ``C*K*T`` numbers, ``[c, s, p]``; that of a tip is ``K*T``, the same for
  all categories. Blocks lie one behind another in flat arrays: node ``v`` of a tile at ``v*C*K*T``.

Symbols: ``below[v]`` is the partial of the subtree under ``v``; ``message[v]`` is the same seen
from the upper end of v's branch, P(b_v) below[v]; ``above[v]`` is the partial of everything else at
that upper end, stationary frequencies included, so that the likelihood of a pattern is
``sum_c w_c sum_s above[v] * message[v]`` for every v (the pulley principle, Felsenstein 1981).

Two kinds of model: ``kind 0`` is an equal-input model of DNA (JC69, F81) with one category and no
invariant sites, P(b) = a I + (1 - a) 1 pi^T with a = exp(-beta b). There the likelihood is
B + (A - B) a with B the product of the two sums, so derivatives need B alone. ``kind 1`` is any
reversible model, with categories and invariant sites. Its categories may have different processes
(rate matrices and frequencies): category c has process ``c * N // C`` of N.

Loops run over patterns innermost, on flat arrays with offsets that differ by compile-time
constants: LLVM then needs a handful of overlap checks a loop and turns it into vector code.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.dna_derivatives_numba import ROWS, dna_derivatives
from phylogfn.kernels.fast_log_numba import fast_log
from phylogfn.kernels.jukes_cantor_numba import (
    BLOCK,
    aligned_empty,
    alike_states,
    apply_to_alike_states,
    jukes_cantor_derivatives,
    jukes_cantor_value,
    set_alike_transition,
)
from phylogfn.kernels.partitions_numba import (
    constant_terms,
    data_of_part,
    is_jukes_cantor,
    jukes_cantor_of_part,
    log_variable,
    model_of_part,
    size_of_part,
)
from phylogfn.kernels.tiles import FAST, TINY, T

__all__ = [
    "T",
    "above_pass",
    "below_pass",
    "derivatives",
    "equal_input_derivatives",
    "general_derivatives",
    "log_likelihood",
    "multiply",
    "pattern_likelihood",
    "postorder",
    "propagate",
    "propagate_up",
    "room_of_part",
    "root_partial",
    "row_sum",
    "set_transition",
    "weighted_log_sum",
    "workspace",
]

SCALE_STEP = 256  # partials are rescaled by 2**256, an exact operation
SCALE_FACTOR = 2.0**SCALE_STEP
SCALE_LIMIT = 2.0**-SCALE_STEP
LOG_SCALE = SCALE_STEP * math.log(2.0)
MOST_STEPS = (
    3.0  # of rescaling that a share of invariant sites can be multiplied by: a float's range
)


@njit(cache=True, nogil=True)
def postorder(children, top, order):
    """Fill ``order`` (int32) with ``top`` and all under it, children first; return their number.

    Reversed, it is a preorder.
    """
    # A preorder, written from the back.
    n_nodes = children.shape[0]
    stack = np.empty(n_nodes, np.int32)
    stack[0] = top
    depth = 1
    at = n_nodes
    while depth > 0:
        depth -= 1
        v = stack[depth]
        at -= 1
        order[at] = v
        if children[v, 0] >= 0:
            stack[depth] = children[v, 0]
            stack[depth + 1] = children[v, 1]
            depth += 2
    count = n_nodes - at
    for i in range(count):
        order[i] = order[at + i]
    return count


@njit(cache=True, nogil=True)
def set_transition(kind, beta, rates, right, values, left, length, pm):
    """Write P(length) of every category into ``pm`` (C, K, K).

    For kind 0 only ``pm[0, 0, 0]`` is used, the factor a = exp(-beta length).
    """
    if kind == 0:
        pm[0, 0, 0] = math.exp(-beta * length)
        return
    C = rates.size
    n_processes, K = values.shape
    each = C // n_processes
    for c in range(C):
        a = c // each
        own_right = right[a]
        own_left = left[a]
        if K == 4:
            e0 = math.exp(values[a, 0] * rates[c] * length)
            e1 = math.exp(values[a, 1] * rates[c] * length)
            e2 = math.exp(values[a, 2] * rates[c] * length)
            e3 = math.exp(values[a, 3] * rates[c] * length)
            for i in range(4):
                x0, x1 = own_right[i, 0] * e0, own_right[i, 1] * e1
                x2, x3 = own_right[i, 2] * e2, own_right[i, 3] * e3
                for j in range(4):
                    p = (
                        x0 * own_left[0, j]
                        + x1 * own_left[1, j]
                        + x2 * own_left[2, j]
                        + x3 * own_left[3, j]
                    )
                    pm[c, i, j] = max(p, 0.0)
            continue
        for i in range(K):
            for j in range(K):
                pm[c, i, j] = 0.0
        if set_alike_transition(values[a], own_right, own_left, rates[c] * length, pm[c]):
            continue
        for k in range(K):
            e = math.exp(values[a, k] * rates[c] * length)
            for i in range(K):
                x = own_right[i, k] * e
                for j in range(K):
                    pm[c, i, j] += x * own_left[k, j]
        for i in range(K):
            for j in range(K):
                if pm[c, i, j] < 0.0:  # rounding of the eigen-decomposition at tiny lengths
                    pm[c, i, j] = 0.0


@njit(cache=True, nogil=True, fastmath=FAST)
def multiply(x, ox, y, oy, out, oo, size):
    """``out = x * y`` over blocks of ``size`` numbers."""
    x = x[ox:]
    y = y[oy:]
    out = out[oo:]
    for i in range(size):
        out[i] = x[i] * y[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def _apply4(p, x, ox, out, oo):
    """``out = p x`` for one 4 x 4 matrix and one category of a block."""
    x = x[ox:]
    out = out[oo:]
    a00, a01, a02, a03 = p[0, 0], p[0, 1], p[0, 2], p[0, 3]
    a10, a11, a12, a13 = p[1, 0], p[1, 1], p[1, 2], p[1, 3]
    a20, a21, a22, a23 = p[2, 0], p[2, 1], p[2, 2], p[2, 3]
    a30, a31, a32, a33 = p[3, 0], p[3, 1], p[3, 2], p[3, 3]
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        out[i] = a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
        out[T + i] = a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
        out[2 * T + i] = a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
        out[3 * T + i] = a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3


@njit(cache=True, nogil=True, fastmath=FAST)
def _apply(p, x, ox, out, oo):
    """``out = p x`` for one K x K matrix (K a multiple of 4) and one category of a block."""
    K = p.shape[0]
    if K == 4:
        _apply4(p, x, ox, out, oo)
        return
    k = alike_states(p)
    if k > 0:
        apply_to_alike_states(p, k, x, ox, out, oo)
        return
    for s in range(K):
        row = out[oo + s * T : oo + s * T + T]
        row[:] = 0.0
        for j in range(0, K, 4):
            a0, a1, a2, a3 = p[s, j], p[s, j + 1], p[s, j + 2], p[s, j + 3]
            y = x[ox + j * T : ox + (j + 4) * T]
            for i in range(T):
                row[i] += a0 * y[i] + a1 * y[T + i] + a2 * y[2 * T + i] + a3 * y[3 * T + i]


@njit(cache=True, nogil=True, fastmath=FAST)
def _equal_input(a, f, x, ox, out, oo, sums, os):
    """Kind 0: ``out_s = a x_s + (1 - a) sums``, and ``sums = sum_s f_s x_s`` is kept."""
    x = x[ox:]
    out = out[oo:]
    sums = sums[os:]
    b = 1.0 - a
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        s = f0 * x0 + f1 * x1 + f2 * x2 + f3 * x3
        sums[i] = s
        s *= b
        out[i] = a * x0 + s
        out[T + i] = a * x1 + s
        out[2 * T + i] = a * x2 + s
        out[3 * T + i] = a * x3 + s


@njit(cache=True, nogil=True, fastmath=FAST)
def _multiply_and_sum(x, ox, y, oy, f, out, oo, sums, os):
    """Kind 0: ``out = x * y`` and ``sums = sum_s f_s out_s``."""
    x = x[ox:]
    y = y[oy:]
    out = out[oo:]
    sums = sums[os:]
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    for i in range(T):
        z0 = x[i] * y[i]
        z1 = x[T + i] * y[T + i]
        z2 = x[2 * T + i] * y[2 * T + i]
        z3 = x[3 * T + i] * y[3 * T + i]
        out[i] = z0
        out[T + i] = z1
        out[2 * T + i] = z2
        out[3 * T + i] = z3
        sums[i] = f0 * z0 + f1 * z1 + f2 * z2 + f3 * z3


@njit(cache=True, nogil=True, fastmath=FAST)
def _multiply_and_move(x, ox, y, oy, a, f, out, oo, sums, os):
    """Kind 0: with z = x * y, ``sums = sum_s f_s z_s`` and ``out = a z + (1 - a) sums``."""
    x = x[ox:]
    y = y[oy:]
    out = out[oo:]
    sums = sums[os:]
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    b = 1.0 - a
    for i in range(T):
        z0 = x[i] * y[i]
        z1 = x[T + i] * y[T + i]
        z2 = x[2 * T + i] * y[2 * T + i]
        z3 = x[3 * T + i] * y[3 * T + i]
        s = f0 * z0 + f1 * z1 + f2 * z2 + f3 * z3
        sums[i] = s
        s *= b
        out[i] = a * z0 + s
        out[T + i] = a * z1 + s
        out[2 * T + i] = a * z2 + s
        out[3 * T + i] = a * z3 + s


@njit(cache=True, nogil=True, fastmath=FAST)
def _move_and_multiply(a, f, x, ox, x_sums, xs, y, oy, out, oo, sums, os):
    """Kind 0: ``out_s = (a x_s + (1 - a) f_s x_sums) y_s`` and ``sums = sum_s out_s``."""
    x = x[ox:]
    x_sums = x_sums[xs:]
    y = y[oy:]
    out = out[oo:]
    sums = sums[os:]
    b = 1.0 - a
    f0, f1, f2, f3 = b * f[0], b * f[1], b * f[2], b * f[3]
    for i in range(T):
        s = x_sums[i]
        z0 = (a * x[i] + f0 * s) * y[i]
        z1 = (a * x[T + i] + f1 * s) * y[T + i]
        z2 = (a * x[2 * T + i] + f2 * s) * y[2 * T + i]
        z3 = (a * x[3 * T + i] + f3 * s) * y[3 * T + i]
        out[i] = z0
        out[T + i] = z1
        out[2 * T + i] = z2
        out[3 * T + i] = z3
        sums[i] = (z0 + z1) + (z2 + z3)


@njit(cache=True, nogil=True, fastmath=FAST)
def _scale_and_shift(a, f, x, ox, sums, os, out, oo):
    """Kind 0: ``out_s = a x_s + f_s sums``."""
    x = x[ox:]
    out = out[oo:]
    sums = sums[os:]
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    for i in range(T):
        s = sums[i]
        out[i] = a * x[i] + f0 * s
        out[T + i] = a * x[T + i] + f1 * s
        out[2 * T + i] = a * x[2 * T + i] + f2 * s
        out[3 * T + i] = a * x[3 * T + i] + f3 * s


@njit(cache=True, nogil=True, fastmath=FAST)
def propagate(kind, pm, freqs, x, ox, is_tip, out, oo, sums, os):
    """Message of a branch, ``out = P x``; for kind 0 ``sums`` gets sum_s pi_s x_s."""
    if kind == 0:
        _equal_input(pm[0, 0, 0], freqs, x, ox, out, oo, sums, os)
        return
    K = pm.shape[1]
    for c in range(pm.shape[0]):
        _apply(pm[c], x, ox if is_tip else ox + c * K * T, out, oo + c * K * T)


@njit(cache=True, nogil=True, fastmath=FAST)
def _equal_input_up(a, f, x, ox, out, oo, sums, os):
    """Kind 0: ``out_s = a x_s + (1 - a) f_s sums`` with ``sums = sum_s x_s``."""
    x = x[ox:]
    out = out[oo:]
    sums = sums[os:]
    b = 1.0 - a
    f0, f1, f2, f3 = b * f[0], b * f[1], b * f[2], b * f[3]
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        s = x0 + x1 + x2 + x3
        sums[i] = s
        out[i] = a * x0 + f0 * s
        out[T + i] = a * x1 + f1 * s
        out[2 * T + i] = a * x2 + f2 * s
        out[3 * T + i] = a * x3 + f3 * s


@njit(cache=True, nogil=True, fastmath=FAST)
def propagate_up(kind, pm, freqs, x, ox, out, oo, sums, os, transposed):
    """``out = P^T x``: what lies above a branch, moved to its lower end.

    ``transposed`` (K, K) is scratch. For kind 0 ``sums`` gets sum_s x_s.
    """
    if kind == 0:
        _equal_input_up(pm[0, 0, 0], freqs, x, ox, out, oo, sums, os)
        return
    K = pm.shape[1]
    for c in range(pm.shape[0]):
        for i in range(K):
            for j in range(K):
                transposed[i, j] = pm[c, j, i]
        _apply(transposed, x, ox + c * K * T, out, oo + c * K * T)


@njit(cache=True, nogil=True, fastmath=FAST)
def row_sum(x, ox, sums, os):
    """``sums = sum_s x_s`` of a block of four rows."""
    x = x[ox:]
    sums = sums[os:]
    for i in range(T):
        sums[i] = x[i] + x[T + i] + x[2 * T + i] + x[3 * T + i]


@njit(cache=True, nogil=True)
def _rescale(x, ox, rows, scale, os):
    """Multiply patterns of a block that became small by 2**256, and count it in ``scale``."""
    x = x[ox:]
    scale = scale[os:]
    for i in range(T):
        top = 0.0
        for r in range(rows):
            top = max(top, x[r * T + i])
        while 0.0 < top < SCALE_LIMIT:
            for r in range(rows):
                x[r * T + i] *= SCALE_FACTOR
            scale[i] += 1.0
            top *= SCALE_FACTOR


@njit(cache=True, nogil=True, fastmath=FAST)
def below_pass(
    kind, freqs, tips, ot, n, children, order, count, pm, rescale, keep, below, message, sums, scale
):  # fmt: skip
    """Fill ``below``, ``message``, ``sums`` and ``scale`` of one tile, children first.

    ``tips[ot:]`` holds the tile's leaves. ``below`` of a leaf is not written, nor, for kind 0 and
    without ``keep``, that of any node; ``scale`` counts the rescalings of the whole subtree.
    """
    K = 4 if kind == 0 else pm.shape[2]
    size = pm.shape[1] * K * T
    shift = np.empty(K)
    for k in range(count):
        v = order[k]
        if v < n:
            if rescale:
                scale[v * T : v * T + T] = 0.0
            propagate(
                kind, pm[v], freqs, tips, ot + v * K * T, True, message, v * size, sums, v * T
            )
            continue
        x = children[v, 0]
        y = children[v, 1]
        if kind == 0 and not rescale and not keep:
            _multiply_and_move(
                message, x * size, message, y * size, pm[v, 0, 0, 0], freqs, message, v * size,
                sums, v * T,
            )  # fmt: skip
            continue
        if kind == 0 and not rescale:
            a = pm[v, 0, 0, 0]
            shift[:] = 1.0 - a
            _multiply_and_sum(
                message, x * size, message, y * size, freqs, below, v * size, sums, v * T
            )
            _scale_and_shift(a, shift, below, v * size, sums, v * T, message, v * size)
            continue
        multiply(message, x * size, message, y * size, below, v * size, size)
        if rescale:
            for i in range(T):
                scale[v * T + i] = scale[x * T + i] + scale[y * T + i]
            _rescale(below, v * size, size // T, scale, v * T)
        propagate(kind, pm[v], freqs, below, v * size, False, message, v * size, sums, v * T)


@njit(cache=True, nogil=True, fastmath=FAST)
def root_partial(freqs, C, K, tips, ot, out, oo):
    """What lies above the topmost branch: the root leaf, whose tip is at ``tips[ot:]``."""
    n_processes = freqs.size // K
    for c in range(C):
        a = c * n_processes // C
        for s in range(K):
            f = freqs[a * K + s]
            for i in range(T):
                out[oo + (c * K + s) * T + i] = f * tips[ot + s * T + i]


@njit(cache=True, nogil=True, fastmath=FAST)
def above_pass(
    kind, freqs, tips, ot, n, children, root, order, count, pm, rescale, message, above, up_sums,
    scratch, transposed, up_scale, scale,
):  # fmt: skip
    """Fill ``above`` of one tile, parents first; kind 0 also ``up_sums``, sum_s of each.

    ``scratch`` (C*K*T) and ``transposed`` (K, K) are working space. ``up_scale`` counts the
    rescalings in ``above``.
    """
    K = 4 if kind == 0 else pm.shape[2]
    C = pm.shape[1]
    size = C * K * T
    top = children[root, 0]
    root_partial(freqs, C, K, tips, ot + root * K * T, above, top * size)
    if rescale:
        up_scale[top * T : top * T + T] = 0.0
    fused = kind == 0 and not rescale
    if fused:
        row_sum(above, top * size, up_sums, top * T)
    for k in range(count - 1, -1, -1):
        v = order[k]
        if v < n:
            if kind == 0 and rescale:
                row_sum(above, v * size, up_sums, v * T)
            continue
        x = children[v, 0]
        y = children[v, 1]
        if fused:
            a = pm[v, 0, 0, 0]
            _move_and_multiply(
                a, freqs, above, v * size, up_sums, v * T, message, y * size, above, x * size,
                up_sums, x * T,
            )  # fmt: skip
            _move_and_multiply(
                a, freqs, above, v * size, up_sums, v * T, message, x * size, above, y * size,
                up_sums, y * T,
            )  # fmt: skip
            continue
        propagate_up(kind, pm[v], freqs, above, v * size, scratch, 0, up_sums, v * T, transposed)
        multiply(scratch, 0, message, y * size, above, x * size, size)
        multiply(scratch, 0, message, x * size, above, y * size, size)
        if rescale:
            for i in range(T):
                up_scale[x * T + i] = up_scale[v * T + i] + scale[y * T + i]
                up_scale[y * T + i] = up_scale[v * T + i] + scale[x * T + i]
            _rescale(above, x * size, C * K, up_scale, x * T)
            _rescale(above, y * size, C * K, up_scale, y * T)


@njit(cache=True, nogil=True, fastmath=FAST)
def pattern_likelihood(category_weights, K, above, oa, message, om, out):
    """``out[p] = sum_c w_c sum_s above message``, the likelihood of each pattern of a tile."""
    above = above[oa:]
    message = message[om:]
    for i in range(T):
        out[i] = 0.0
    for c in range(category_weights.size):
        w = category_weights[c]
        if K == 4:
            a = above[c * 4 * T : (c + 1) * 4 * T]
            m = message[c * 4 * T : (c + 1) * 4 * T]
            for i in range(T):
                out[i] += w * (
                    a[i] * m[i]
                    + a[T + i] * m[T + i]
                    + a[2 * T + i] * m[2 * T + i]
                    + a[3 * T + i] * m[3 * T + i]
                )
            continue
        for s in range(c * K, (c + 1) * K):
            for i in range(T):
                out[i] += w * above[s * T + i] * message[s * T + i]


@njit(cache=True, nogil=True)
def add_invariant(lik, invariant, oi, scale, os, rescale):
    """Add the share of invariant sites, in units of 2**(-256 scale), or of 2**(-768) if smaller.

    What was there before is then below the last digit of the sum; see `weighted_log_sum`.
    """
    if not rescale:
        for i in range(T):
            lik[i] += invariant[oi + i]
        return
    for i in range(T):
        if invariant[oi + i] > 0.0:
            steps = int(min(scale[os + i], MOST_STEPS))
            lik[i] += math.ldexp(invariant[oi + i], steps * SCALE_STEP)


@njit(cache=True, nogil=True, fastmath=FAST)
def weighted_log_sum(lik, weights, ow, scale, os, rescale, invariant, oi):
    """Weighted sum of the logarithms of a tile's pattern likelihoods, nats."""
    weights = weights[ow:]
    scale = scale[os:]
    invariant = invariant[oi:]
    total = 0.0
    for i in range(T):
        total += weights[i] * fast_log(max(lik[i], TINY))
    if rescale:
        for i in range(T):
            steps = scale[i]
            if invariant[i] > 0.0:
                steps = min(steps, MOST_STEPS)
            total -= weights[i] * steps * LOG_SCALE
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def equal_input_derivatives(beta, up_sums, ou, sums, os, inverse, weights, ow):
    """Both derivatives of one branch, kind 0: with r = 1 - B / L, -beta r and beta^2 (r - r^2)."""
    up_sums = up_sums[ou:]
    sums = sums[os:]
    weights = weights[ow:]
    d1 = 0.0
    d2 = 0.0
    for i in range(T):
        r = 1.0 - up_sums[i] * sums[i] * inverse[i]
        wr = weights[i] * r
        d1 += wr
        d2 += wr - wr * r
    return -beta * d1, beta * beta * d2


@njit(cache=True, nogil=True, fastmath=FAST)
def general_derivatives(
    rates, category_weights, q, qt, above, oa, message, om, invariant, oi, scale, os, rescale,
    weights, ow, qm, aq, lik, first, second,
):  # fmt: skip
    """Both derivatives of one branch, kind 1, by P' = r Q P. ``qm``, ``aq`` (K*T) and ``lik``,
    ``first``, ``second`` (T) are working space; ``qt`` is q transposed.
    """
    n_processes, K, _ = q.shape
    for i in range(T):
        lik[i] = 0.0
        first[i] = 0.0
        second[i] = 0.0
    each = rates.size // n_processes
    for process in range(n_processes):
        q_here = q[process]
        qt_here = qt[process]
        for c in range(process * each, (process + 1) * each):
            w = category_weights[c]
            wr = w * rates[c]
            wrr = wr * rates[c]
            a = oa + c * K * T
            m = om + c * K * T
            _apply(q_here, message, m, qm, 0)
            _apply(qt_here, above, a, aq, 0)
            for s in range(K):
                up = above[a + s * T : a + s * T + T]
                here = message[m + s * T : m + s * T + T]
                moved = qm[s * T : s * T + T]
                up_moved = aq[s * T : s * T + T]
                for i in range(T):
                    lik[i] += w * up[i] * here[i]
                    first[i] += wr * up[i] * moved[i]
                    second[i] += wrr * up_moved[i] * moved[i]
    add_invariant(lik, invariant, oi, scale, os, rescale)
    weights = weights[ow:]
    d1 = 0.0
    d2 = 0.0
    for i in range(T):
        inverse = 1.0 / max(lik[i], TINY)
        g = first[i] * inverse
        d1 += weights[i] * g
        d2 += weights[i] * (second[i] * inverse - g * g)
    return d1, d2


@njit(cache=True, nogil=True, fastmath=FAST)
def _join_equal_input4(ax, x, ox, ay, y, oy, f, out, oo):
    """Value only, kind 0, K = 4: both messages and their product in one loop."""
    x = x[ox:]
    y = y[oy:]
    out = out[oo:]
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    bx = 1.0 - ax
    by = 1.0 - ay
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        y0 = y[i]
        y1 = y[T + i]
        y2 = y[2 * T + i]
        y3 = y[3 * T + i]
        s = bx * (f0 * x0 + f1 * x1 + f2 * x2 + f3 * x3)
        t = by * (f0 * y0 + f1 * y1 + f2 * y2 + f3 * y3)
        out[i] = (ax * x0 + s) * (ay * y0 + t)
        out[T + i] = (ax * x1 + s) * (ay * y1 + t)
        out[2 * T + i] = (ax * x2 + s) * (ay * y2 + t)
        out[3 * T + i] = (ax * x3 + s) * (ay * y3 + t)


@njit(cache=True, nogil=True, fastmath=FAST)
def _root_equal_input4(a, f, x, ox, tip, ot, lik):
    """Value only, kind 0, K = 4: likelihood of each pattern from the message to the root leaf."""
    x = x[ox:]
    tip = tip[ot:]
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    b = 1.0 - a
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        g0 = f0 * tip[i]
        g1 = f1 * tip[T + i]
        g2 = f2 * tip[2 * T + i]
        g3 = f3 * tip[3 * T + i]
        s = b * (f0 * x0 + f1 * x1 + f2 * x2 + f3 * x3)
        lik[i] = a * (g0 * x0 + g1 * x1 + g2 * x2 + g3 * x3) + s * (g0 + g1 + g2 + g3)


@njit(cache=True, nogil=True, fastmath=FAST)
def _join_general4(p, x, ox, q, y, oy, out, oo):
    """Value only, kind 1, K = 4, one category: both messages and their product in one loop."""
    x = x[ox:]
    y = y[oy:]
    out = out[oo:]
    a00, a01, a02, a03 = p[0, 0], p[0, 1], p[0, 2], p[0, 3]
    a10, a11, a12, a13 = p[1, 0], p[1, 1], p[1, 2], p[1, 3]
    a20, a21, a22, a23 = p[2, 0], p[2, 1], p[2, 2], p[2, 3]
    a30, a31, a32, a33 = p[3, 0], p[3, 1], p[3, 2], p[3, 3]
    b00, b01, b02, b03 = q[0, 0], q[0, 1], q[0, 2], q[0, 3]
    b10, b11, b12, b13 = q[1, 0], q[1, 1], q[1, 2], q[1, 3]
    b20, b21, b22, b23 = q[2, 0], q[2, 1], q[2, 2], q[2, 3]
    b30, b31, b32, b33 = q[3, 0], q[3, 1], q[3, 2], q[3, 3]
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        y0 = y[i]
        y1 = y[T + i]
        y2 = y[2 * T + i]
        y3 = y[3 * T + i]
        out[i] = (a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3) * (
            b00 * y0 + b01 * y1 + b02 * y2 + b03 * y3
        )
        out[T + i] = (a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3) * (
            b10 * y0 + b11 * y1 + b12 * y2 + b13 * y3
        )
        out[2 * T + i] = (a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3) * (
            b20 * y0 + b21 * y1 + b22 * y2 + b23 * y3
        )
        out[3 * T + i] = (a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3) * (
            b30 * y0 + b31 * y1 + b32 * y2 + b33 * y3
        )


@njit(cache=True, nogil=True, fastmath=FAST)
def _join4(kind, pm, x, y, v, tips, ot, n, freqs, below):
    """Value only, K = 4: ``below[v]`` from the children x and y."""
    C = pm.shape[1]
    size = C * 4 * T
    source_x = tips if x < n else below
    source_y = tips if y < n else below
    if kind == 0:
        ox = ot + x * 4 * T if x < n else x * size
        oy = ot + y * 4 * T if y < n else y * size
        _join_equal_input4(
            pm[x, 0, 0, 0], source_x, ox, pm[y, 0, 0, 0], source_y, oy, freqs, below, v * size
        )
        return
    for c in range(C):
        ox = ot + x * 4 * T if x < n else x * size + c * 4 * T
        oy = ot + y * 4 * T if y < n else y * size + c * 4 * T
        _join_general4(pm[x, c], source_x, ox, pm[y, c], source_y, oy, below, v * size + c * 4 * T)


@njit(cache=True, nogil=True, fastmath=FAST)
def log_likelihood(model, data, children, root, lengths, rescale):
    """Log-likelihood of one tree, nats.

    Parameters
    ----------
    model, data : ModelArrays, DataArrays
        See `phylogfn.kernels.partitions_numba`.
    children : ndarray, shape (2n-2, 2), int32
    root : int
        The leaf at which the tree is drawn; it does not change the value.
    lengths : ndarray, shape (2n-2,), float64
        Expected substitutions per site, of the branch above each node.
    rescale : bool
        Guard against underflow; needed above some hundred taxa.
    """
    n_nodes = children.shape[0]
    order = np.empty(n_nodes, np.int32)
    count = postorder(children, children[root, 0], order)
    total = 0.0
    for m in range(model.table.shape[0]):
        if not rescale and is_jukes_cantor(model, m):
            beta, n, masks, weights = jukes_cantor_of_part(model, data, m)
            value = jukes_cantor_value(
                beta, n, masks, weights, children, root, order, count, lengths
            )
            if not math.isnan(value):
                total += value
                continue
        total += _value_of_part(
            model_of_part(model, m),
            data_of_part(data, m),
            children,
            root,
            order,
            count,
            lengths,
            rescale,
        )
    return total


@njit(inline="always")
def _value_of_part(model, data, children, root, order, count, lengths, rescale):
    """Log-likelihood of one part, nats, by the general way; inlined."""
    kind, beta, freqs, rates, category_weights, _, _, right, values, left = model
    n, tips, weights, invariant, _, constant, constant_end = data
    n_nodes = children.shape[0]
    K = values.shape[1]
    C = rates.size
    size = C * K * T
    pm = np.empty((n_nodes, C, K, K)) if kind != 0 else np.empty((n_nodes, 1, 1, 1))
    for k in range(count):
        v = order[k]
        set_transition(kind, beta, rates, right, values, left, lengths[v], pm[v])
    fused = K == 4 and not rescale
    below = aligned_empty(n_nodes * size)
    message = aligned_empty(size if fused else n_nodes * size)
    above = aligned_empty(size)
    sums = aligned_empty(n_nodes * T)
    scale = np.zeros(n_nodes * T if rescale else 1)
    lik = aligned_empty(T)
    top = children[root, 0]
    total = 0.0
    for tile in range(weights.size // T):
        ot = tile * n * K * T
        if fused:
            for k in range(count):
                v = order[k]
                if v >= n:
                    _join4(kind, pm, children[v, 0], children[v, 1], v, tips, ot, n, freqs, below)
            if kind == 0:
                _root_equal_input4(
                    pm[top, 0, 0, 0], freqs, below, top * size, tips, ot + root * K * T, lik
                )
            else:
                propagate(kind, pm[top], freqs, below, top * size, False, message, 0, sums, 0)
        else:
            below_pass(
                kind, freqs, tips, ot, n, children, order, count, pm, rescale, np.bool_(False),
                below, message, sums, scale,
            )  # fmt: skip
        if kind != 0 or not fused:
            root_partial(freqs, C, K, tips, ot + root * K * T, above, 0)
            at = 0 if fused else top * size
            pattern_likelihood(category_weights, K, above, 0, message, at, lik)
        add_invariant(lik, invariant, tile * T, scale, top * T, rescale)
        total += weighted_log_sum(
            lik, weights, tile * T, scale, top * T, rescale, invariant, tile * T
        )
    if constant_end > constant:  # ``lik`` is that of the last tile
        variable = log_variable(lik, constant, constant_end, scale, top * T, rescale)
        total -= weights.sum() * variable
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def workspace(model, data, n_nodes, rescale, keep):
    """Arrays for passes over tiles: pm, below, message, above, sums, up_sums, scales.

    With ``keep``, room for all tiles of all parts; without, and for messages, for one tile at a
    time.
    """
    matrices = 1
    states = 0  # in all categories and tiles
    largest = 0  # of one tile
    tiles = 0 if keep else 1
    for m in range(model.table.shape[0]):
        kind, K, C, n_tiles = size_of_part(model, data, m)
        if kind != 0:
            matrices = max(matrices, C * K * K)
        largest = max(largest, C * K)
        if keep:
            tiles += n_tiles
            states += n_tiles * C * K
    size = (states if keep else largest) * n_nodes * T
    # the kernels of DNA have other blocks
    below = aligned_empty(max(size, BLOCK * n_nodes // 2 * T))
    message = aligned_empty(max(largest * n_nodes, ROWS * (n_nodes // 2 + 1)) * T)
    rows = tiles * n_nodes * T
    scale = np.zeros(rows if rescale else 1)
    up_scale = np.zeros(rows if rescale else 1)
    return (
        np.empty(n_nodes * matrices), below, message, aligned_empty(size), aligned_empty(rows),
        aligned_empty(rows), scale, up_scale,
    )  # fmt: skip


@njit(inline="always")
def room_of_part(space, size, n_nodes, states, tiles, rescale):
    """The workspace of a part of some size, behind ``states`` and ``tiles`` of others."""
    kind, K, C, _ = size
    partials = states * n_nodes * T
    sums = tiles * n_nodes * T
    scales = sums if rescale else 0
    if kind == 0:
        pm = space[0][:n_nodes].reshape(n_nodes, 1, 1, 1)
    else:
        pm = space[0][: n_nodes * C * K * K].reshape(n_nodes, C, K, K)
    return (
        pm, space[1][partials:], space[2], space[3][partials:], space[4][sums:], space[5][sums:],
        space[6][scales:], space[7][scales:],
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=FAST)
def derivatives(
    model, data, children, root, order, count, lengths, rescale, space, keep, d1, d2
):  # fmt: skip
    """Log-likelihood, and both derivatives by the length of every branch in ``order``.

    Parameters are those of `log_likelihood`, and

    order, count
        From `postorder`, of all nodes but the root leaf, or of a part that hangs together below it
        (a tree from which a subtree was pruned).
    space : tuple of ndarray
        From `workspace`.
    keep : bool
        The workspace has room for all tiles, and they are kept in it, one behind another.
    d1, d2 : ndarray, shape (2n-2,), float64
        Filled, per unit of length.

    Returns
    -------
    float
        Log-likelihood, nats.
    """
    n_nodes = children.shape[0]
    for k in range(count):
        v = order[k]
        d1[v] = 0.0
        d2[v] = 0.0
    total = 0.0
    states = 0
    tiles = 0
    for m in range(model.table.shape[0]):
        if not (rescale or keep) and is_jukes_cantor(model, m):
            beta, n, masks, weights = jukes_cantor_of_part(model, data, m)
            total += jukes_cantor_derivatives(
                beta, n, masks, weights, children, root, order, count, lengths, space[1], d1, d2
            )
            continue
        size = size_of_part(model, data, m)
        total += _derivatives_of_part(
            model_of_part(model, m), data_of_part(data, m), children, root, order, count, lengths,
            rescale, room_of_part(space, size, n_nodes, states, tiles, rescale), keep, d1, d2,
        )  # fmt: skip
        if keep:
            states += size[3] * size[1] * size[2]
            tiles += size[3]
    return total


@njit(inline="always")
def _derivatives_of_part(
    model, data, children, root, order, count, lengths, rescale, space, keep, d1, d2
):  # fmt: skip
    """Log-likelihood of one part, nats; its derivatives are added to ``d1`` and ``d2``; inlined."""
    kind, beta, freqs, rates, category_weights, q, qt, right, values, left = model
    n, tips, weights, invariant, _, constant, constant_end = data
    pm = space[0]
    n_nodes = children.shape[0]
    K = values.shape[1]
    C = rates.size
    size = C * K * T
    for k in range(count):
        v = order[k]
        set_transition(kind, beta, rates, right, values, left, lengths[v], pm[v])
    if kind != 0 and K == 4 and not rescale:
        return dna_derivatives(
            model, data, children, root, order, count, lengths, pm, space[2], keep, space[1],
            space[3], d1, d2,
        )  # fmt: skip
    scratch = aligned_empty(size)
    qm = aligned_empty(K * T)
    aq = aligned_empty(K * T)
    transposed = np.empty((K, K))
    lik = aligned_empty(T)
    inverse = aligned_empty(T)
    first = aligned_empty(T)
    second = aligned_empty(T)
    top = children[root, 0]
    total = 0.0
    n_characters = weights.sum() if constant_end > constant else 0.0
    for tile in range(weights.size // T):
        has_constant = n_characters > 0.0 and (tile + 1) * T == weights.size
        ot = tile * n * K * T
        ow = tile * T
        at = tile * n_nodes if keep else 0
        below = space[1][at * size :]
        message = space[2]
        above = space[3][at * size :]
        sums = space[4][at * T :]
        up_sums = space[5][at * T :]
        scale = space[6][at * T :] if rescale else space[6]
        up_scale = space[7][at * T :] if rescale else space[7]
        below_pass(
            kind, freqs, tips, ot, n, children, order, count, pm, rescale, keep, below, message,
            sums, scale,
        )  # fmt: skip
        above_pass(
            kind, freqs, tips, ot, n, children, root, order, count, pm, rescale, message, above,
            up_sums, scratch, transposed, up_scale, scale,
        )  # fmt: skip
        pattern_likelihood(category_weights, K, above, top * size, message, top * size, lik)
        add_invariant(lik, invariant, ow, scale, top * T, rescale)
        total += weighted_log_sum(lik, weights, ow, scale, top * T, rescale, invariant, ow)
        if has_constant:
            total -= n_characters * log_variable(
                lik, constant, constant_end, scale, top * T, rescale
            )
        for i in range(T):
            inverse[i] = 1.0 / max(lik[i], TINY)
        for k in range(count):
            v = order[k]
            if kind == 0:
                if rescale:  # above and below carry powers of two of their own
                    pattern_likelihood(category_weights, K, above, v * size, message, v * size, lik)
                    for i in range(T):
                        inverse[i] = 1.0 / max(lik[i], TINY)
                g, h = equal_input_derivatives(
                    beta, up_sums, v * T, sums, v * T, inverse, weights, ow
                )
            else:
                if rescale:
                    for i in range(T):
                        first[i] = up_scale[v * T + i] + scale[v * T + i]
                g, h = general_derivatives(
                    rates, category_weights, q, qt, above, v * size, message, v * size, invariant,
                    ow, first, 0, rescale, weights, ow, qm, aq, lik, second, scratch,
                )  # fmt: skip
                if has_constant:
                    more, curved = constant_terms(
                        lik, second, scratch, constant, constant_end, first, 0, rescale,
                        n_characters,
                    )  # fmt: skip
                    g += more
                    h += curved
            d1[v] += g
            d2[v] += h
    return total
