"""Felsenstein pruning under Jukes and Cantor's model: value, and all derivatives, of one tree.

A special case of `pruning_numba` (same tiles, same symbols), bound there by memory: partials of
tips are most of what it reads. Here a tip is a mask
(`phylogfn.kernels.partitions_numba.DataArrays`), from which its message is made where it is
needed: with a = exp(-beta b) and n possible states,

    message[s] = [s is possible] a + (1 - a) n / 4

and nothing is kept for tips. The derivatives of a branch are taken while ``above`` of it is made.

A message is written below as (a, b): a times the partial plus b times its sum over states.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.fast_log_numba import fast_log
from phylogfn.kernels.tiles import FAST, LONGEST_DECAY, TINY, T

__all__ = [
    "BLOCK",
    "aligned_empty",
    "alike_states",
    "apply_to_alike_states",
    "jukes_cantor_derivatives",
    "jukes_cantor_value",
    "set_alike_transition",
]

CACHE_LINE = 8  # numbers
BLOCK = 10  # rows of an inner node in the space of `jukes_cantor_derivatives`
ABOVE = 5  # the first row of them that lies above the branch
STATE_0, STATE_1, STATE_2, STATE_3 = np.int16(1), np.int16(2), np.int16(4), np.int16(8)


@njit(cache=True, nogil=True)
def aligned_empty(size):
    """Uninitialised float64 that start at a cache line, so that no vector straddles two."""
    room = np.empty(size + CACHE_LINE)
    start = (CACHE_LINE - (room.ctypes.data >> 3) % CACHE_LINE) % CACHE_LINE
    return room[start : start + size]


@njit(cache=True, nogil=True)
def set_alike_transition(values, right, left, length, p):
    """Write P(length) into ``p`` (K, K), zero before, if all eigenvalues but the last are equal.

    The states that occur then have P = e I + (1 - e) 1 pi^T. Returns False, and writes nothing, of
    other models.
    """
    K = p.shape[0]
    k = 1
    while k < K and values[k - 1] == values[0]:
        k += 1
    if values[0] == 0.0 or values[k - 2] != values[0] or values[k - 1] != 0.0:
        return False
    e = math.exp(values[0] * length)
    for i in range(k):
        for j in range(k):
            p[i, j] = (1.0 - e) * right[0, k - 1] * left[k - 1, j]
        p[i, i] += e
    return True


@njit(cache=True, nogil=True)
def alike_states(p):
    """Number k of states whose changes all have one probability in ``p`` (K, K); 0 if they differ.

    Rows k to K of the matrix are zero: states that never occur.
    """
    K = p.shape[0]
    if p[0, 1] != p[0, 2]:
        return 0
    k = K
    while k > 0 and p[k - 1, k - 1] == 0.0:
        k -= 1
    for i in range(k):
        for j in range(k):
            if i != j and p[i, j] != p[0, 1]:
                return 0
    return k


@njit(cache=True, nogil=True, fastmath=FAST)
def apply_to_alike_states(p, k, x, ox, out, oo):
    """``out = p x`` for a matrix of k `alike_states` and one category of a block."""
    K = p.shape[0]
    change = p[0, 1]
    total = out[oo : oo + T]
    total[:] = 0.0
    for s in range(k):
        y = x[ox + s * T : ox + s * T + T]
        for i in range(T):
            total[i] += y[i]
    for s in range(k - 1, -1, -1):
        stay = p[s, s] - change
        y = x[ox + s * T : ox + s * T + T]
        row = out[oo + s * T : oo + s * T + T]
        for i in range(T):
            row[i] = stay * y[i] + change * total[i]
    out[oo + k * T : oo + K * T] = 0.0


@njit(inline="always")
def _pick(mask, bit, low, high):
    """``high`` where the state of ``bit`` is possible, else ``low``."""
    return high if (mask & bit) != 0 else low


@njit(inline="always")
def _states(mask):
    """Number of possible states."""
    return np.float64(np.int32(mask) >> 4)


@njit(cache=True, nogil=True, fastmath=FAST)
def _join_tips(a, b, first, of, c, d, second, os, out, oo):
    """``out``: product of the messages (a, b) and (c, d) of two tips."""
    first = first[of:]
    second = second[os:]
    out = out[oo:]
    for i in range(T):
        m = first[i]
        k = second[i]
        low = b * _states(m)
        high = low + a
        less = d * _states(k)
        more = less + c
        out[i] = _pick(m, STATE_0, low, high) * _pick(k, STATE_0, less, more)
        out[T + i] = _pick(m, STATE_1, low, high) * _pick(k, STATE_1, less, more)
        out[2 * T + i] = _pick(m, STATE_2, low, high) * _pick(k, STATE_2, less, more)
        out[3 * T + i] = _pick(m, STATE_3, low, high) * _pick(k, STATE_3, less, more)


@njit(cache=True, nogil=True, fastmath=FAST)
def _join_tip(a, b, tip, ot, c, d, x, ox, out, oo):
    """``out``: product of the messages (a, b) of a tip and (c, d) of the partial x."""
    tip = tip[ot:]
    x = x[ox:]
    out = out[oo:]
    for i in range(T):
        m = tip[i]
        low = b * _states(m)
        high = low + a
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        s = d * ((x0 + x1) + (x2 + x3))
        out[i] = _pick(m, STATE_0, low, high) * (c * x0 + s)
        out[T + i] = _pick(m, STATE_1, low, high) * (c * x1 + s)
        out[2 * T + i] = _pick(m, STATE_2, low, high) * (c * x2 + s)
        out[3 * T + i] = _pick(m, STATE_3, low, high) * (c * x3 + s)


@njit(cache=True, nogil=True, fastmath=FAST)
def _join(a, b, x, ox, d, y, oy, out, oo):
    """``out``: product of the messages (a, b) of x and (1, d) of y."""
    x = x[ox:]
    y = y[oy:]
    out = out[oo:]
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        y0 = y[i]
        y1 = y[T + i]
        y2 = y[2 * T + i]
        y3 = y[3 * T + i]
        s = b * ((x0 + x1) + (x2 + x3))
        t = d * ((y0 + y1) + (y2 + y3))
        out[i] = (a * x0 + s) * (y0 + t)
        out[T + i] = (a * x1 + s) * (y1 + t)
        out[2 * T + i] = (a * x2 + s) * (y2 + t)
        out[3 * T + i] = (a * x3 + s) * (y3 + t)


@njit(cache=True, nogil=True, fastmath=FAST)
def _root(a, b, x, ox, tip, ot, lik):
    """Likelihood of each pattern: message (a, b) of x, seen from the leaf at the root."""
    x = x[ox:]
    tip = tip[ot:]
    for i in range(T):
        m = tip[i]
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        here = (_pick(m, STATE_0, 0.0, x0) + _pick(m, STATE_1, 0.0, x1)) + (
            _pick(m, STATE_2, 0.0, x2) + _pick(m, STATE_3, 0.0, x3)
        )
        lik[i] = 0.25 * (a * here + b * _states(m) * ((x0 + x1) + (x2 + x3)))


@njit(cache=True, nogil=True, fastmath=FAST)
def _weighted_logs(lik, weights, ow):
    """Weighted sum of the logarithms of a tile's pattern likelihoods, nats."""
    weights = weights[ow:]
    total = 0.0
    for i in range(T):
        total += weights[i] * fast_log(max(lik[i], TINY))
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def jukes_cantor_value(beta, n, masks, weights, children, root, order, count, lengths):
    """Log-likelihood, nats; NaN where branches are so long that the general kernel must do it.

    Parameters are those of `pruning_numba.log_likelihood` and `pruning_numba.derivatives`.
    """
    a = np.empty(children.shape[0])
    log_factor = 0.0  # each join leaves out the factor a of its second child
    for k in range(count):
        v = order[k]
        a[v] = math.exp(-beta * lengths[v])
        if v >= n:
            log_factor -= beta * lengths[children[v, 1]]
    if not log_factor > -LONGEST_DECAY:
        return np.nan
    size = 4 * T
    below = aligned_empty((children.shape[0] - n) * size)
    lik = np.empty(T)
    top = children[root, 0]
    total = 0.0
    n_patterns = 0.0
    for tile in range(weights.size // T):
        ot = tile * n * T
        for k in range(count):
            v = order[k]
            if v < n:
                continue
            x = children[v, 0]
            y = children[v, 1]
            ax = a[x]
            bx = 0.25 * (1.0 - ax)
            by = 0.25 * (1.0 - a[y]) / a[y]
            ox = (x - n) * size
            oy = (y - n) * size
            oo = (v - n) * size
            if x < n and y < n:
                _join_tips(ax, bx, masks, ot + x * T, 1.0, by, masks, ot + y * T, below, oo)
            elif x < n:
                _join_tip(ax, bx, masks, ot + x * T, 1.0, by, below, oy, below, oo)
            elif y < n:
                _join_tip(1.0, by, masks, ot + y * T, ax, bx, below, ox, below, oo)
            else:
                _join(ax, bx, below, ox, by, below, oy, below, oo)
        b = 0.25 * (1.0 - a[top])
        _root(a[top], b, below, (top - n) * size, masks, ot + root * T, lik)
        total += _weighted_logs(lik, weights, tile * T)
    for p in range(weights.size):
        n_patterns += weights[p]
    return total + log_factor * n_patterns


@njit(cache=True, nogil=True, fastmath=FAST)
def _meet_tips(a, b, c, d, first, of, k, j, second, os, out, oo):
    """`_meet` of the messages (c, d) and (k, j) of two tips."""
    first = first[of:]
    second = second[os:]
    out = out[oo:]
    for i in range(T):
        m = first[i]
        l = second[i]  # noqa: E741
        low = d * _states(m)
        high = low + c
        less = j * _states(l)
        more = less + k
        z0 = _pick(m, STATE_0, low, high) * _pick(l, STATE_0, less, more)
        z1 = _pick(m, STATE_1, low, high) * _pick(l, STATE_1, less, more)
        z2 = _pick(m, STATE_2, low, high) * _pick(l, STATE_2, less, more)
        z3 = _pick(m, STATE_3, low, high) * _pick(l, STATE_3, less, more)
        s = (z0 + z1) + (z2 + z3)
        out[4 * T + i] = 0.25 * s
        s *= b
        out[i] = a * z0 + s
        out[T + i] = a * z1 + s
        out[2 * T + i] = a * z2 + s
        out[3 * T + i] = a * z3 + s


@njit(cache=True, nogil=True, fastmath=FAST)
def _meet(a, b, space, ox, oy, oo):
    """Block at oo: message (a, b) of the product of the messages at ox and oy, and its sum."""
    x = space[ox:]
    y = space[oy:]
    out = space[oo:]
    for i in range(T):
        z0 = x[i] * y[i]
        z1 = x[T + i] * y[T + i]
        z2 = x[2 * T + i] * y[2 * T + i]
        z3 = x[3 * T + i] * y[3 * T + i]
        s = (z0 + z1) + (z2 + z3)
        out[4 * T + i] = 0.25 * s
        s *= b
        out[i] = a * z0 + s
        out[T + i] = a * z1 + s
        out[2 * T + i] = a * z2 + s
        out[3 * T + i] = a * z3 + s


@njit(cache=True, nogil=True, fastmath=FAST)
def _meet_tip(a, b, c, d, tip, ot, space, oy, oo):
    """`_meet` of the message (c, d) of a tip and the message at oy."""
    tip = tip[ot:]
    y = space[oy:]
    out = space[oo:]
    for i in range(T):
        m = tip[i]
        low = d * _states(m)
        high = low + c
        z0 = _pick(m, STATE_0, low, high) * y[i]
        z1 = _pick(m, STATE_1, low, high) * y[T + i]
        z2 = _pick(m, STATE_2, low, high) * y[2 * T + i]
        z3 = _pick(m, STATE_3, low, high) * y[3 * T + i]
        s = (z0 + z1) + (z2 + z3)
        out[4 * T + i] = 0.25 * s
        s *= b
        out[i] = a * z0 + s
        out[T + i] = a * z1 + s
        out[2 * T + i] = a * z2 + s
        out[3 * T + i] = a * z3 + s


@njit(cache=True, nogil=True, fastmath=FAST)
def _descend(a, b, space, ov, oy, ox, inverse, weights, ow):
    """From above the block at ov to above its child at ox, beside the message at oy.

    With r = 1 - B / L (see `pruning_numba.equal_input_derivatives`), the sums over patterns of w r
    and w r^2 are returned for that child. One child a loop: with both, LLVM gives up.
    """
    at = space[ov + ABOVE * T :]
    y = space[oy:]
    sums = space[ox + 4 * T :]
    out = space[ox + ABOVE * T :]
    weights = weights[ow:]
    g = 0.0
    h = 0.0
    for i in range(T):
        s = b * at[4 * T + i]
        p0 = (a * at[i] + s) * y[i]
        p1 = (a * at[T + i] + s) * y[T + i]
        p2 = (a * at[2 * T + i] + s) * y[2 * T + i]
        p3 = (a * at[3 * T + i] + s) * y[3 * T + i]
        p = (p0 + p1) + (p2 + p3)
        r = 1.0 - p * sums[i] * inverse[i]
        out[i] = p0
        out[T + i] = p1
        out[2 * T + i] = p2
        out[3 * T + i] = p3
        out[4 * T + i] = p
        wr = weights[i] * r
        g += wr
        h += wr * r
    return g, h


@njit(cache=True, nogil=True, fastmath=FAST)
def _descend_beside_tip(a, b, space, ov, c, d, tip, ot, ox, inverse, weights, ow):
    """`_descend` beside a tip with message (c, d)."""
    at = space[ov + ABOVE * T :]
    tip = tip[ot:]
    sums = space[ox + 4 * T :]
    out = space[ox + ABOVE * T :]
    weights = weights[ow:]
    g = 0.0
    h = 0.0
    for i in range(T):
        m = tip[i]
        low = d * _states(m)
        high = low + c
        s = b * at[4 * T + i]
        p0 = (a * at[i] + s) * _pick(m, STATE_0, low, high)
        p1 = (a * at[T + i] + s) * _pick(m, STATE_1, low, high)
        p2 = (a * at[2 * T + i] + s) * _pick(m, STATE_2, low, high)
        p3 = (a * at[3 * T + i] + s) * _pick(m, STATE_3, low, high)
        p = (p0 + p1) + (p2 + p3)
        r = 1.0 - p * sums[i] * inverse[i]
        out[i] = p0
        out[T + i] = p1
        out[2 * T + i] = p2
        out[3 * T + i] = p3
        out[4 * T + i] = p
        wr = weights[i] * r
        g += wr
        h += wr * r
    return g, h


@njit(cache=True, nogil=True, fastmath=FAST)
def _descend_to_tip(a, b, space, ov, oy, tip, ot, inverse, weights, ow):
    """`_descend` to a tip: nothing is kept but the two sums."""
    at = space[ov + ABOVE * T :]
    y = space[oy:]
    tip = tip[ot:]
    weights = weights[ow:]
    g = 0.0
    h = 0.0
    for i in range(T):
        s = b * at[4 * T + i]
        p = ((a * at[i] + s) * y[i] + (a * at[T + i] + s) * y[T + i]) + (
            (a * at[2 * T + i] + s) * y[2 * T + i] + (a * at[3 * T + i] + s) * y[3 * T + i]
        )
        r = 1.0 - 0.25 * p * _states(tip[i]) * inverse[i]
        wr = weights[i] * r
        g += wr
        h += wr * r
    return g, h


@njit(cache=True, nogil=True, fastmath=FAST)
def _descend_to_tips(a, b, space, ov, c, d, tip, ot, k, j, other, oo, inverse, weights, ow):
    """`_descend` to two tips at once, with messages (c, d) and (k, j): sums of both."""
    at = space[ov + ABOVE * T :]
    tip = tip[ot:]
    other = other[oo:]
    weights = weights[ow:]
    g = 0.0
    h = 0.0
    e = 0.0
    f = 0.0
    for i in range(T):
        m = tip[i]
        l = other[i]  # noqa: E741
        n_states = _states(m)
        n_other = _states(l)
        low = d * n_states
        high = low + c
        less = j * n_other
        more = less + k
        s = b * at[4 * T + i]
        m0 = a * at[i] + s
        m1 = a * at[T + i] + s
        m2 = a * at[2 * T + i] + s
        m3 = a * at[3 * T + i] + s
        p = (
            m0 * _pick(l, STATE_0, less, more)
            + m1 * _pick(l, STATE_1, less, more)
            + m2 * _pick(l, STATE_2, less, more)
            + m3 * _pick(l, STATE_3, less, more)
        )
        q = (
            m0 * _pick(m, STATE_0, low, high)
            + m1 * _pick(m, STATE_1, low, high)
            + m2 * _pick(m, STATE_2, low, high)
            + m3 * _pick(m, STATE_3, low, high)
        )
        quarter = 0.25 * inverse[i]
        r = 1.0 - p * n_states * quarter
        t = 1.0 - q * n_other * quarter
        wr = weights[i] * r
        wt = weights[i] * t
        g += wr
        h += wr * r
        e += wt
        f += wt * t
    return g, h, e, f


@njit(cache=True, nogil=True, fastmath=FAST)
def _top(space, ov, tip, ot, lik, inverse, weights, ow):
    """``above`` the branch at the root leaf, likelihoods, and that branch's sums for r."""
    at = space[ov:]
    tip = tip[ot:]
    weights = weights[ow:]
    g = 0.0
    h = 0.0
    for i in range(T):
        m = tip[i]
        z0 = _pick(m, STATE_0, 0.0, 0.25)
        z1 = _pick(m, STATE_1, 0.0, 0.25)
        z2 = _pick(m, STATE_2, 0.0, 0.25)
        z3 = _pick(m, STATE_3, 0.0, 0.25)
        u = 0.25 * _states(m)
        value = (z0 * at[i] + z1 * at[T + i]) + (z2 * at[2 * T + i] + z3 * at[3 * T + i])
        inv = 1.0 / max(value, TINY)
        r = 1.0 - u * at[4 * T + i] * inv
        at[5 * T + i] = z0
        at[6 * T + i] = z1
        at[7 * T + i] = z2
        at[8 * T + i] = z3
        at[9 * T + i] = u
        lik[i] = value
        inverse[i] = inv
        wr = weights[i] * r
        g += wr
        h += wr * r
    return g, h


@njit(cache=True, nogil=True, fastmath=FAST)
def jukes_cantor_derivatives(
    beta, n, masks, weights, children, root, order, count, lengths, space, d1, d2
):
    """Log-likelihood, nats, and both derivatives by every branch length, added to d1 and d2.

    Parameters are those of `pruning_numba.derivatives`, and

    space : ndarray, shape (at least BLOCK * T * inner nodes,), float64
        Of each inner node a block of BLOCK rows: message (4), a quarter of the partial's sum (1),
        above (4), its sum (1).
    """
    a = np.empty(children.shape[0])
    for k in range(count):
        v = order[k]
        a[v] = math.exp(-beta * lengths[v])
    size = BLOCK * T
    lik = np.empty(T)
    inverse = np.empty(T)
    top = children[root, 0]
    total = 0.0
    for tile in range(weights.size // T):
        ot = tile * n * T
        ow = tile * T
        for k in range(count):
            v = order[k]
            if v < n:
                continue
            x = children[v, 0]
            y = children[v, 1]
            if y < n:
                x, y = y, x
            b = 0.25 * (1.0 - a[v])
            bx = 0.25 * (1.0 - a[x])
            by = 0.25 * (1.0 - a[y])
            oo = (v - n) * size
            oy = (y - n) * size
            if y < n:
                _meet_tips(
                    a[v], b, a[x], bx, masks, ot + x * T, a[y], by, masks, ot + y * T, space, oo
                )
            elif x < n:
                _meet_tip(a[v], b, a[x], bx, masks, ot + x * T, space, oy, oo)
            else:
                _meet(a[v], b, space, (x - n) * size, oy, oo)
        g, h = _top(space, (top - n) * size, masks, ot + root * T, lik, inverse, weights, ow)
        d1[top] -= beta * g
        d2[top] += beta * beta * (g - h)
        total += _weighted_logs(lik, weights, ow)
        for k in range(count - 1, -1, -1):
            v = order[k]
            if v < n:
                continue
            x = children[v, 0]
            y = children[v, 1]
            if y < n:
                x, y = y, x
            b = 0.25 * (1.0 - a[v])
            bx = 0.25 * (1.0 - a[x])
            by = 0.25 * (1.0 - a[y])
            ov = (v - n) * size
            oy = (y - n) * size
            if y < n:
                g, h, e, f = _descend_to_tips(
                    a[v], b, space, ov, a[x], bx, masks, ot + x * T, a[y], by, masks, ot + y * T,
                    inverse, weights, ow,
                )  # fmt: skip
            elif x < n:
                g, h = _descend_to_tip(
                    a[v], b, space, ov, oy, masks, ot + x * T, inverse, weights, ow
                )
                e, f = _descend_beside_tip(
                    a[v], b, space, ov, a[x], bx, masks, ot + x * T, oy, inverse, weights, ow
                )
            else:
                ox = (x - n) * size
                g, h = _descend(a[v], b, space, ov, oy, ox, inverse, weights, ow)
                e, f = _descend(a[v], b, space, ov, ox, oy, inverse, weights, ow)
            d1[x] -= beta * g
            d2[x] += beta * beta * (g - h)
            d1[y] -= beta * e
            d2[y] += beta * beta * (e - f)
    return total
