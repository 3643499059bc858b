"""Value, and all derivatives, of one tree under any reversible model of DNA.

A special case of `pruning_numba` (same tiles, same symbols) for four states and any number of rate
categories, without rescaling. The categories are the outer loop, so
that the messages of one category remain in the second-level cache, and the derivatives of a branch
are computed while ``above`` is carried to its lower end.

With Q = R diag(lambda) L (eigenvectors), the likelihood of a pattern is, for every branch,

    sum_c w_c sum_k d_k,    d_k = (R^T above)_k (L message)_k,

and its derivatives by the length of the branch are sum_c w_c r_c sum_k lambda_k d_k and
sum_c w_c r_c^2 sum_k lambda_k^2 d_k. The last eigenvalue is 0, so three products suffice. For a
tip, L message = exp(lambda r b) (L tip), and L tip is the same for all categories of a process. The
messages themselves are computed with P, whose entries are not negative: where branches are very
short, the likelihood of a pattern is a small difference of its d_k.

The inner loops work on one flat array with offsets: Numba counts references to each array that is
passed, which would take almost half as long as the loops.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.fast_log_numba import fast_log
from phylogfn.kernels.jukes_cantor_numba import aligned_empty
from phylogfn.kernels.partitions_numba import (
    constant_terms,
    data_of_part,
    log_variable,
    model_of_part,
)
from phylogfn.kernels.tiles import FAST, TINY, T

__all__ = ["ROWS", "dna_derivatives", "dna_star"]

ROWS = 19  # of T numbers per taxon that `dna_derivatives` needs as working space
MOVING = 3  # eigenvalues other than 0
MATRIX = 16
NUMBERS = MATRIX + 2 * MOVING  # of a branch and a category: P, factors of d_k


@njit(cache=True, nogil=True, fastmath=FAST)
def _join(numbers, on, space, ox, oy, oo):
    """Write the message ``P (x * y)`` of the product of the messages at ox and oy."""
    p = numbers[on:]
    x = space[ox:]
    y = space[oy:]
    out = space[oo:]
    a00, a01, a02, a03 = p[0], p[1], p[2], p[3]
    a10, a11, a12, a13 = p[4], p[5], p[6], p[7]
    a20, a21, a22, a23 = p[8], p[9], p[10], p[11]
    a30, a31, a32, a33 = p[12], p[13], p[14], p[15]
    for i in range(T):
        x0 = x[i] * y[i]
        x1 = x[T + i] * y[T + i]
        x2 = x[2 * T + i] * y[2 * T + i]
        x3 = x[3 * T + i] * y[3 * T + i]
        out[i] = a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
        out[T + i] = a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
        out[2 * T + i] = a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
        out[3 * T + i] = a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3


@njit(cache=True, nogil=True, fastmath=FAST)
def _multiply(space, ox, oy, out, oo):
    """Write the product of the blocks at ox and oy."""
    x = space[ox:]
    y = space[oy:]
    out = out[oo:]
    for i in range(4 * T):
        out[i] = x[i] * y[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def _tip_message(numbers, on, tips, ot, space, oo):
    """Write the message ``P tip``."""
    p = numbers[on:]
    x = tips[ot:]
    out = space[oo:]
    a00, a01, a02, a03 = p[0], p[1], p[2], p[3]
    a10, a11, a12, a13 = p[4], p[5], p[6], p[7]
    a20, a21, a22, a23 = p[8], p[9], p[10], p[11]
    a30, a31, a32, a33 = p[12], p[13], p[14], p[15]
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
def _tip_coordinates(eigen, oe, tips, ot, space, oo):
    """Write ``L tip``, the first three coordinates."""
    left = eigen[oe + 4 * MOVING :]
    x = tips[ot:]
    out = space[oo:]
    l00, l01, l02, l03 = left[0], left[1], left[2], left[3]
    l10, l11, l12, l13 = left[4], left[5], left[6], left[7]
    l20, l21, l22, l23 = left[8], left[9], left[10], left[11]
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        out[i] = l00 * x0 + l01 * x1 + l02 * x2 + l03 * x3
        out[T + i] = l10 * x0 + l11 * x1 + l12 * x2 + l13 * x3
        out[2 * T + i] = l20 * x0 + l21 * x1 + l22 * x2 + l23 * x3


@njit(cache=True, nogil=True, fastmath=FAST)
def _add_likelihood(w, space, of, ot, om, lik):
    """Add ``w sum_s f_s tip message``, the share of one category, to the likelihoods of a tile."""
    f = space[of:]
    x = space[ot:]
    y = space[om:]
    for i in range(T):
        lik[i] += w * (
            f[i] * x[i] * y[i]
            + f[T + i] * x[T + i] * y[T + i]
            + f[2 * T + i] * x[2 * T + i] * y[2 * T + i]
            + f[3 * T + i] * x[3 * T + i] * y[3 * T + i]
        )


@njit(cache=True, nogil=True, fastmath=FAST)
def _descend_to_tip(eigen, oe, numbers, on, space, ov, os, oc, oa):
    """Add both derivatives by the branch of a tip, one category, to the two rows at oa.

    Of the upper end of the branch, what lies above it is at ov, and the message of its other child
    at os. The coordinates of the tip are at oc.
    """
    up = space[ov:]
    other = space[os:]
    u = space[oc:]
    out = space[oa:]
    right = eigen[oe:]
    factor = numbers[on + MATRIX :]
    r00, r10, r20, r30 = right[0], right[1], right[2], right[3]
    r01, r11, r21, r31 = right[4], right[5], right[6], right[7]
    r02, r12, r22, r32 = right[8], right[9], right[10], right[11]
    f0, f1, f2 = factor[0], factor[1], factor[2]
    g0, g1, g2 = factor[3], factor[4], factor[5]
    for i in range(T):
        x0 = up[i] * other[i]
        x1 = up[T + i] * other[T + i]
        x2 = up[2 * T + i] * other[2 * T + i]
        x3 = up[3 * T + i] * other[3 * T + i]
        d0 = (r00 * x0 + r10 * x1 + r20 * x2 + r30 * x3) * u[i]
        d1 = (r01 * x0 + r11 * x1 + r21 * x2 + r31 * x3) * u[T + i]
        d2 = (r02 * x0 + r12 * x1 + r22 * x2 + r32 * x3) * u[2 * T + i]
        out[i] += f0 * d0 + f1 * d1 + f2 * d2
        out[T + i] += g0 * d0 + g1 * d1 + g2 * d2


@njit(cache=True, nogil=True, fastmath=FAST)
def _descend(eigen, oe, numbers, on, space, ov, os, om, oo, oa):
    """`_descend_to_tip` for an inner node, whose message is at om; ``P^T above`` is kept at oo."""
    up = space[ov:]
    other = space[os:]
    m = space[om:]
    down = space[oo:]
    out = space[oa:]
    right = eigen[oe:]
    left = eigen[oe + 4 * MOVING :]
    p = numbers[on:]
    factor = numbers[on + MATRIX :]
    a00, a01, a02, a03 = p[0], p[1], p[2], p[3]
    a10, a11, a12, a13 = p[4], p[5], p[6], p[7]
    a20, a21, a22, a23 = p[8], p[9], p[10], p[11]
    a30, a31, a32, a33 = p[12], p[13], p[14], p[15]
    r00, r10, r20, r30 = right[0], right[1], right[2], right[3]
    r01, r11, r21, r31 = right[4], right[5], right[6], right[7]
    r02, r12, r22, r32 = right[8], right[9], right[10], right[11]
    l00, l01, l02, l03 = left[0], left[1], left[2], left[3]
    l10, l11, l12, l13 = left[4], left[5], left[6], left[7]
    l20, l21, l22, l23 = left[8], left[9], left[10], left[11]
    f0, f1, f2 = factor[0], factor[1], factor[2]
    g0, g1, g2 = factor[3], factor[4], factor[5]
    for i in range(T):
        x0 = up[i] * other[i]
        x1 = up[T + i] * other[T + i]
        x2 = up[2 * T + i] * other[2 * T + i]
        x3 = up[3 * T + i] * other[3 * T + i]
        m0 = m[i]
        m1 = m[T + i]
        m2 = m[2 * T + i]
        m3 = m[3 * T + i]
        d0 = (r00 * x0 + r10 * x1 + r20 * x2 + r30 * x3) * (
            l00 * m0 + l01 * m1 + l02 * m2 + l03 * m3
        )
        d1 = (r01 * x0 + r11 * x1 + r21 * x2 + r31 * x3) * (
            l10 * m0 + l11 * m1 + l12 * m2 + l13 * m3
        )
        d2 = (r02 * x0 + r12 * x1 + r22 * x2 + r32 * x3) * (
            l20 * m0 + l21 * m1 + l22 * m2 + l23 * m3
        )
        down[i] = a00 * x0 + a10 * x1 + a20 * x2 + a30 * x3
        down[T + i] = a01 * x0 + a11 * x1 + a21 * x2 + a31 * x3
        down[2 * T + i] = a02 * x0 + a12 * x1 + a22 * x2 + a32 * x3
        down[3 * T + i] = a03 * x0 + a13 * x1 + a23 * x2 + a33 * x3
        out[i] += f0 * d0 + f1 * d1 + f2 * d2
        out[T + i] += g0 * d0 + g1 * d1 + g2 * d2


@njit(cache=True, nogil=True, fastmath=FAST)
def _add_star(eigen, oe, numbers, on, x, ox, y, oy, z, oz, sums):
    """Add one category to likelihoods and derivatives, 7 rows, of three branches at a node.

    ``x``, ``z`` (4 T) are partials below two of the branches, ``y`` the one above the third. At on
    are P of the three branches, then the factors of d_k.
    """
    x = x[ox:]
    y = y[oy:]
    z = z[oz:]
    p = numbers[on:]
    q = numbers[on + MATRIX :]
    r = numbers[on + 2 * MATRIX :]
    factor = numbers[on + 3 * MATRIX :]
    right = eigen[oe:]
    left = eigen[oe + 4 * MOVING :]
    p00, p01, p02, p03 = p[0], p[1], p[2], p[3]
    p10, p11, p12, p13 = p[4], p[5], p[6], p[7]
    p20, p21, p22, p23 = p[8], p[9], p[10], p[11]
    p30, p31, p32, p33 = p[12], p[13], p[14], p[15]
    q00, q01, q02, q03 = q[0], q[1], q[2], q[3]
    q10, q11, q12, q13 = q[4], q[5], q[6], q[7]
    q20, q21, q22, q23 = q[8], q[9], q[10], q[11]
    q30, q31, q32, q33 = q[12], q[13], q[14], q[15]
    t00, t01, t02, t03 = r[0], r[1], r[2], r[3]
    t10, t11, t12, t13 = r[4], r[5], r[6], r[7]
    t20, t21, t22, t23 = r[8], r[9], r[10], r[11]
    t30, t31, t32, t33 = r[12], r[13], r[14], r[15]
    r00, r10, r20, r30 = right[0], right[1], right[2], right[3]
    r01, r11, r21, r31 = right[4], right[5], right[6], right[7]
    r02, r12, r22, r32 = right[8], right[9], right[10], right[11]
    l00, l01, l02, l03 = left[0], left[1], left[2], left[3]
    l10, l11, l12, l13 = left[4], left[5], left[6], left[7]
    l20, l21, l22, l23 = left[8], left[9], left[10], left[11]
    f0, f1, f2 = factor[0], factor[1], factor[2]
    g0, g1, g2 = factor[3], factor[4], factor[5]
    w = factor[6]
    for i in range(T):
        x0 = x[i]
        x1 = x[T + i]
        x2 = x[2 * T + i]
        x3 = x[3 * T + i]
        a0 = p00 * x0 + p01 * x1 + p02 * x2 + p03 * x3
        a1 = p10 * x0 + p11 * x1 + p12 * x2 + p13 * x3
        a2 = p20 * x0 + p21 * x1 + p22 * x2 + p23 * x3
        a3 = p30 * x0 + p31 * x1 + p32 * x2 + p33 * x3
        x0 = y[i]
        x1 = y[T + i]
        x2 = y[2 * T + i]
        x3 = y[3 * T + i]
        b0 = q00 * x0 + q10 * x1 + q20 * x2 + q30 * x3
        b1 = q01 * x0 + q11 * x1 + q21 * x2 + q31 * x3
        b2 = q02 * x0 + q12 * x1 + q22 * x2 + q32 * x3
        b3 = q03 * x0 + q13 * x1 + q23 * x2 + q33 * x3
        x0 = z[i]
        x1 = z[T + i]
        x2 = z[2 * T + i]
        x3 = z[3 * T + i]
        c0 = t00 * x0 + t01 * x1 + t02 * x2 + t03 * x3
        c1 = t10 * x0 + t11 * x1 + t12 * x2 + t13 * x3
        c2 = t20 * x0 + t21 * x1 + t22 * x2 + t23 * x3
        c3 = t30 * x0 + t31 * x1 + t32 * x2 + t33 * x3
        x0 = b0 * c0
        x1 = b1 * c1
        x2 = b2 * c2
        x3 = b3 * c3
        sums[i] += w * (a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3)
        d0 = (r00 * x0 + r10 * x1 + r20 * x2 + r30 * x3) * (
            l00 * a0 + l01 * a1 + l02 * a2 + l03 * a3
        )
        d1 = (r01 * x0 + r11 * x1 + r21 * x2 + r31 * x3) * (
            l10 * a0 + l11 * a1 + l12 * a2 + l13 * a3
        )
        d2 = (r02 * x0 + r12 * x1 + r22 * x2 + r32 * x3) * (
            l20 * a0 + l21 * a1 + l22 * a2 + l23 * a3
        )
        sums[T + i] += f0 * d0 + f1 * d1 + f2 * d2
        sums[2 * T + i] += g0 * d0 + g1 * d1 + g2 * d2
        x0 = a0 * c0
        x1 = a1 * c1
        x2 = a2 * c2
        x3 = a3 * c3
        d0 = (r00 * b0 + r10 * b1 + r20 * b2 + r30 * b3) * (
            l00 * x0 + l01 * x1 + l02 * x2 + l03 * x3
        )
        d1 = (r01 * b0 + r11 * b1 + r21 * b2 + r31 * b3) * (
            l10 * x0 + l11 * x1 + l12 * x2 + l13 * x3
        )
        d2 = (r02 * b0 + r12 * b1 + r22 * b2 + r32 * b3) * (
            l20 * x0 + l21 * x1 + l22 * x2 + l23 * x3
        )
        sums[3 * T + i] += f0 * d0 + f1 * d1 + f2 * d2
        sums[4 * T + i] += g0 * d0 + g1 * d1 + g2 * d2
        x0 = a0 * b0
        x1 = a1 * b1
        x2 = a2 * b2
        x3 = a3 * b3
        d0 = (r00 * x0 + r10 * x1 + r20 * x2 + r30 * x3) * (
            l00 * c0 + l01 * c1 + l02 * c2 + l03 * c3
        )
        d1 = (r01 * x0 + r11 * x1 + r21 * x2 + r31 * x3) * (
            l10 * c0 + l11 * c1 + l12 * c2 + l13 * c3
        )
        d2 = (r02 * x0 + r12 * x1 + r22 * x2 + r32 * x3) * (
            l20 * c0 + l21 * c1 + l22 * c2 + l23 * c3
        )
        sums[5 * T + i] += f0 * d0 + f1 * d1 + f2 * d2
        sums[6 * T + i] += g0 * d0 + g1 * d1 + g2 * d2


@njit(cache=True, nogil=True, fastmath=FAST)
def _reduce(space, oa, inverse, weights, ow):
    """Both derivatives of the log-likelihood of a tile by one branch."""
    first = space[oa:]
    weights = weights[ow:]
    d1 = 0.0
    d2 = 0.0
    for i in range(T):
        g = first[i] * inverse[i]
        wg = weights[i] * g
        d1 += wg
        d2 += weights[i] * (first[T + i] * inverse[i]) - wg * g
    return d1, d2


@njit(cache=True, nogil=True, fastmath=FAST)
def _finish(lik, invariant, weights, ow, inverse):
    """Add the share of invariant sites; fill ``inverse``; weighted sum of logarithms, nats."""
    invariant = invariant[ow:]
    weights = weights[ow:]
    total = 0.0
    for i in range(T):
        value = lik[i] + invariant[i]
        lik[i] = value
        value = max(value, TINY)
        inverse[i] = 1.0 / value
        total += weights[i] * fast_log(value)
    return total


@njit(cache=True, nogil=True)
def _eigenvectors(right, left):
    """Of each process, one behind another: three columns of R, three rows of L."""
    flat = np.empty(right.shape[0] * 8 * MOVING)
    for a in range(right.shape[0]):
        block = flat[a * 8 * MOVING : (a + 1) * 8 * MOVING]
        for k in range(MOVING):
            for s in range(4):
                block[4 * k + s] = right[a, s, k]
                block[4 * (MOVING + k) + s] = left[a, k, s]
    return flat


@njit(cache=True, nogil=True)
def _numbers_of_branches(n, order, count, lengths, pm, rates, category_weights, values):
    """``NUMBERS`` numbers for each node and category: P, and the factors of d_k in derivatives."""
    C = rates.size
    each = C // values.shape[0]
    flat = np.empty(pm.shape[0] * C * NUMBERS)
    for k in range(count):
        v = order[k]
        for c in range(C):
            block = flat[(v * C + c) * NUMBERS : (v * C + c + 1) * NUMBERS]
            for i in range(4):
                for j in range(4):
                    block[4 * i + j] = pm[v, c, i, j]
            for j in range(MOVING):
                decay = rates[c] * values[c // each, j]
                slope = category_weights[c] * decay
                if v < n:
                    slope *= math.exp(decay * lengths[v])
                block[MATRIX + j] = slope
                block[MATRIX + MOVING + j] = slope * decay
    return flat


@njit(cache=True, nogil=True)
def dna_derivatives(
    model, data, children, root, order, count, lengths, pm, space, keep, below, above, d1, d2
):  # fmt: skip
    """Log-likelihood of one part, nats; its derivatives are added to ``d1`` and ``d2``.

    Parameters are those of `pruning_numba.derivatives`, and

    model, data : tuple
        Of one part of kind 1 and four states, from `partitions_numba`.
    pm : ndarray, shape (2n-2, C, 4, 4), float64
        Transition matrices of the nodes in ``order``.
    space : ndarray, shape (at least ROWS * n * T,), float64
        Rows of T numbers: the message of each node (4; of the root leaf, its tip), of each inner
        node what lies above, moved to it (4), of each tip its coordinates (3), of each node the
        derivatives of the likelihoods (2), and the frequencies (4).
    below, above : ndarray, float64
        With ``keep``, filled as by `pruning_numba.below_pass` and `pruning_numba.above_pass`, one
        tile behind another.
    """
    _, _, freqs, rates, category_weights, _, _, right, values, left = model
    n, tips, weights, invariant, _, constant, constant_end = data
    C = rates.size
    each = C // values.shape[0]
    numbers = _numbers_of_branches(n, order, count, lengths, pm, rates, category_weights, values)
    eigen = _eigenvectors(right, left)
    moved = (n - 2) * 4 * T  # the first inner node has the number n
    coordinates = (3 * n - 4) * 4 * T
    sums = coordinates + n * MOVING * T
    frequencies = sums + (2 * n - 2) * 2 * T
    top = children[root, 0]
    scale = np.empty(0)
    lik = aligned_empty(T)
    inverse = aligned_empty(T)
    total = 0.0
    n_characters = weights.sum() if constant_end > constant else 0.0
    for tile in range(weights.size // T):
        ot = tile * n * 4 * T
        ow = tile * T
        kept = tile * (2 * n - 2)
        lik[:] = 0.0
        space[sums:frequencies] = 0.0
        for i in range(4 * T):
            space[root * 4 * T + i] = tips[ot + root * 4 * T + i]
        for c in range(C):
            a = c // each
            oe = a * 8 * MOVING
            if c % each == 0:
                for i in range(4 * T):
                    space[frequencies + i] = freqs[4 * a + i // T]
            for k in range(count):
                v = order[k]
                on = (v * C + c) * NUMBERS
                if v >= n:
                    ox = children[v, 0] * 4 * T
                    oy = children[v, 1] * 4 * T
                    _join(numbers, on, space, ox, oy, v * 4 * T)
                    if keep:
                        _multiply(space, ox, oy, below, ((kept + v) * C + c) * 4 * T)
                    continue
                _tip_message(numbers, on, tips, ot + v * 4 * T, space, v * 4 * T)
                if c % each == 0:
                    oc = coordinates + v * MOVING * T
                    _tip_coordinates(eigen, oe, tips, ot + v * 4 * T, space, oc)
            _add_likelihood(category_weights[c], space, frequencies, root * 4 * T, top * 4 * T, lik)
            for k in range(count, -1, -1):  # the root leaf, then all inner nodes, parents first
                u = order[k] if k < count else root
                if u < n and u != root:
                    continue
                ou = frequencies if u == root else moved + u * 4 * T
                for j in range(1 if u == root else 2):
                    v = children[u, j]
                    beside = root if u == root else children[u, 1 - j]
                    on = (v * C + c) * NUMBERS
                    oa = sums + v * 2 * T
                    if keep:
                        at = ((kept + v) * C + c) * 4 * T
                        _multiply(space, ou, beside * 4 * T, above, at)
                    if v < n:
                        oc = coordinates + v * MOVING * T
                        _descend_to_tip(eigen, oe, numbers, on, space, ou, beside * 4 * T, oc, oa)
                    else:
                        _descend(
                            eigen, oe, numbers, on, space, ou, beside * 4 * T, v * 4 * T,
                            moved + v * 4 * T, oa,
                        )  # fmt: skip
        total += _finish(lik, invariant, weights, ow, inverse)
        has_constant = n_characters > 0.0 and (tile + 1) * T == weights.size
        if has_constant:
            total -= n_characters * log_variable(lik, constant, constant_end, scale, 0, False)
        for k in range(count):
            v = order[k]
            oa = sums + v * 2 * T
            g, h = _reduce(space, oa, inverse, weights, ow)
            if has_constant:
                more, curved = constant_terms(
                    lik, space[oa:], space[oa + T :], constant, constant_end, scale, 0, False,
                    n_characters,
                )  # fmt: skip
                g += more
                h += curved
            d1[v] += g
            d2[v] += h
    return total


@njit(cache=True, nogil=True)
def dna_star(model, data, m, below, above, partials, x, v, pm, out):
    """Three branches around a new node: add value and derivatives of part m to ``out`` (7).

    Subtree v is regrafted on the branch of x. The partials of the part begin in ``below`` and
    ``above`` at ``partials``. ``pm`` (3, C, 4, 4) are the transition matrices of the branches to x,
    to what lies above it, and to v. The value in ``out`` is followed by three first and three
    second derivatives.
    """
    _, _, _, rates, category_weights, _, _, right, values, left = model_of_part(model, m)
    n, tips, weights, invariant, _, constant, constant_end = data_of_part(data, m)
    C = rates.size
    each = C // values.shape[0]
    eigen = _eigenvectors(right, left)
    size = 3 * MATRIX + 2 * MOVING + 1
    numbers = np.empty(C * size)
    for c in range(C):
        block = numbers[c * size : (c + 1) * size]
        for k in range(3):
            for i in range(4):
                for j in range(4):
                    block[k * MATRIX + 4 * i + j] = pm[k, c, i, j]
        for j in range(MOVING):
            decay = rates[c] * values[c // each, j]
            block[3 * MATRIX + j] = category_weights[c] * decay
            block[3 * MATRIX + MOVING + j] = category_weights[c] * decay * decay
        block[3 * MATRIX + 2 * MOVING] = category_weights[c]
    sums = aligned_empty(7 * T)
    inverse = aligned_empty(T)
    scale = np.empty(0)
    first = tips if x < n else below
    third = tips if v < n else below
    n_characters = weights.sum() if constant_end > constant else 0.0
    for tile in range(weights.size // T):
        ot = tile * n * 4 * T
        os = partials + tile * (2 * n - 2) * C * 4 * T
        ow = tile * T
        sums[:] = 0.0
        for c in range(C):
            ox = ot + x * 4 * T if x < n else os + (x * C + c) * 4 * T
            oz = ot + v * 4 * T if v < n else os + (v * C + c) * 4 * T
            oy = os + (x * C + c) * 4 * T
            _add_star(
                eigen, c // each * 8 * MOVING, numbers, c * size, first, ox, above, oy, third, oz,
                sums,
            )  # fmt: skip
        out[0] += _finish(sums, invariant, weights, ow, inverse)
        has_constant = n_characters > 0.0 and (tile + 1) * T == weights.size
        if has_constant:
            out[0] -= n_characters * log_variable(sums, constant, constant_end, scale, 0, False)
        for k in range(3):
            oa = (1 + 2 * k) * T
            g, h = _reduce(sums, oa, inverse, weights, ow)
            if has_constant:
                more, curved = constant_terms(
                    sums, sums[oa:], sums[oa + T :], constant, constant_end, scale, 0, False,
                    n_characters,
                )  # fmt: skip
                g += more
                h += curved
            out[1 + k] += g
            out[4 + k] += h
