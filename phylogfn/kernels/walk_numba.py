"""A walk over topologies by pruning a subtree and regrafting it where its likelihood wants it.

One step cuts a random subtree, sets the branch lengths of the rest to their mode, and scores every
branch of the rest as a place to regraft: three branch lengths around the new node are optimised
with all other partials kept, and the collapsed reward of the result is approximated by the pieces
that change. A place is drawn from these scores (tempered), the collapsed reward of the whole new
tree is computed, and the move is accepted by Metropolis and Hastings. The scores depend on the rest
of the tree alone, so they serve for the way back too, and most proposals are accepted: a Gibbs step
in all but the approximation.

The lengths of the rest are found by a fixed number of Newton sweeps from where they were, so
detailed balance holds up to the accuracy of these. The walk makes experience; what the program
reports is weighted exactly (`phylogfn.likelihood.collapsed`).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.branch_prior_numba import bounded, is_coupled, is_external, total_terms
from phylogfn.kernels.collapse_numba import (
    branch_term,
    newton_step,
    newton_steps,
    optimise,
    shape,
)
from phylogfn.kernels.constraints_numba import allowed_places
from phylogfn.kernels.dna_derivatives_numba import dna_star
from phylogfn.kernels.fast_log_numba import fast_log
from phylogfn.kernels.jukes_cantor_numba import aligned_empty
from phylogfn.kernels.partitions_numba import (
    CONSTANT,
    CONSTANT_END,
    NUMBERS,
    TILES,
    TIPS,
    constant_terms,
    data_of_part,
    log_variable,
    model_of_part,
    size_of_part,
)
from phylogfn.kernels.pruning_numba import (
    FAST,
    LOG_SCALE,
    TINY,
    T,
    add_invariant,
    below_pass,
    derivatives,
    general_derivatives,
    multiply,
    pattern_likelihood,
    postorder,
    propagate,
    propagate_up,
    room_of_part,
    set_transition,
    weighted_log_sum,
)

__all__ = ["reroot", "walk"]

REST_SWEEPS = 2  # Newton sweeps over the pruned tree
CLOSE_SCORE = 7.0  # nats below the best (times temperature): places that get further sweeps
STAR_SWEEPS = 4
FULL_SWEEPS = 12


@njit(cache=True, nogil=True)
def reroot(parent, children, lengths, old, new):
    """Redraw a tree (in place) at leaf ``new`` instead of leaf ``old``."""
    if old == new:
        return
    v = new
    up = parent[v]
    length = lengths[v]
    parent[v] = -1
    lengths[v] = 0.0
    children[v, 0] = up
    below = v
    while up != old:
        above = parent[up]
        above_length = lengths[up]
        # ``up`` now hangs under ``below``; its child ``below`` is replaced by its former parent
        if children[up, 0] == below:
            children[up, 0] = above
        else:
            children[up, 1] = above
        parent[up] = below
        lengths[up] = length
        length = above_length
        below = up
        up = above
    parent[old] = below
    lengths[old] = length
    children[old, 0] = -1
    children[old, 1] = -1


@njit(cache=True, nogil=True, fastmath=FAST)
def _star4(beta, f, x1, s1, x2, s2, x3, s3, a1, a2, a3, weights, scales, out):
    """Three branches around a new node, kind 0, one tile: adds to value and derivatives, ``out``.

    ``x1``, ``x3`` (4 T) are partials below, ``x2`` the one above, ``s1``, ``s2``, ``s3`` (T) their
    (weighted) sums, a = exp(-beta length). Reads only, so that the loop is one vector reduction.
    """
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    b1 = 1.0 - a1
    b2 = 1.0 - a2
    b3 = 1.0 - a3
    value = 0.0
    g1 = 0.0
    g2 = 0.0
    g3 = 0.0
    h1 = 0.0
    h2 = 0.0
    h3 = 0.0
    for i in range(T):
        t1 = b1 * s1[i]
        t2 = b2 * s2[i]
        t3 = b3 * s3[i]
        m10 = a1 * x1[i] + t1
        m11 = a1 * x1[T + i] + t1
        m12 = a1 * x1[2 * T + i] + t1
        m13 = a1 * x1[3 * T + i] + t1
        m20 = a2 * x2[i] + f0 * t2
        m21 = a2 * x2[T + i] + f1 * t2
        m22 = a2 * x2[2 * T + i] + f2 * t2
        m23 = a2 * x2[3 * T + i] + f3 * t2
        m30 = a3 * x3[i] + t3
        m31 = a3 * x3[T + i] + t3
        m32 = a3 * x3[2 * T + i] + t3
        m33 = a3 * x3[3 * T + i] + t3
        p0 = m10 * m30
        p1 = m11 * m31
        p2 = m12 * m32
        p3 = m13 * m33
        lik = max(p0 * m20 + p1 * m21 + p2 * m22 + p3 * m23, TINY)
        inverse = 1.0 / lik
        w = weights[i]
        value += w * fast_log(lik)
        r1 = 1.0 - (m20 * m30 + m21 * m31 + m22 * m32 + m23 * m33) * s1[i] * inverse
        r2 = 1.0 - (f0 * p0 + f1 * p1 + f2 * p2 + f3 * p3) * s2[i] * inverse
        r3 = 1.0 - (m10 * m20 + m11 * m21 + m12 * m22 + m13 * m23) * s3[i] * inverse
        g1 += w * r1
        g2 += w * r2
        g3 += w * r3
        h1 += w * (r1 - r1 * r1)
        h2 += w * (r2 - r2 * r2)
        h3 += w * (r3 - r3 * r3)
    if scales.size >= T:
        for i in range(T):
            value -= weights[i] * scales[i] * LOG_SCALE
    out[0] += value
    out[1] -= beta * g1
    out[2] -= beta * g2
    out[3] -= beta * g3
    out[4] += beta * beta * h1
    out[5] += beta * beta * h2
    out[6] += beta * beta * h3


@njit(cache=True, nogil=True, fastmath=FAST)
def _star_general(
    model, m, pm, x1, tip1, x2, x3, tip3, weights, ow, invariant, scales, rescale, buffers,
    variable, out,
):  # fmt: skip
    """Three branches around a new node, kind 1, one tile: adds to value and derivatives, ``out``.

    ``pm`` (3, C, K, K) are the transition matrices of the branches to x1 (below), x2 (above), x3.
    ``buffers`` is working space: three messages, two products, and what the derivatives need.
    ``variable`` is None, or, where the tile has the constant patterns of a part of variable
    characters, their first and end, and the number of characters. (With None, the compiler leaves
    that part out.)
    """
    _, _, freqs, rates, category_weights, q, qt, _, _, _ = model_of_part(model, m)
    m1, m2, m3, joined, qm, aq, lik, first, second, sums, flat = buffers
    K = pm.shape[2]
    size = rates.size * K * T
    transposed = flat[: K * K].reshape(K, K)
    propagate(1, pm[0], freqs, x1, 0, tip1, m1, 0, sums, 0)
    propagate_up(1, pm[1], freqs, x2, 0, m2, 0, sums, 0, transposed)
    propagate(1, pm[2], freqs, x3, 0, tip3, m3, 0, sums, 0)
    multiply(m2, 0, m3, 0, joined, 0, size)
    pattern_likelihood(category_weights, K, joined, 0, m1, 0, lik)
    add_invariant(lik, invariant, ow, scales, 0, rescale)
    out[0] += weighted_log_sum(lik, weights, ow, scales, 0, rescale, invariant, ow)
    if variable is not None:
        start, end, number = variable
        out[0] -= number * log_variable(lik, start, end, scales, 0, rescale)
    g, h = general_derivatives(
        rates, category_weights, q, qt, joined, 0, m1, 0, invariant, ow, scales, 0, rescale,
        weights, ow, qm, aq, lik, first, second,
    )  # fmt: skip
    out[1] += g
    out[4] += h
    if variable is not None:
        g, h = constant_terms(lik, first, second, start, end, scales, 0, rescale, number)
        out[1] += g
        out[4] += h
    # the branch above: x2 at its far end, the product of the other two carried up to there. Moving
    # Q across (reversibility) lets the near end serve: m2 against m1 * m3.
    multiply(m1, 0, m3, 0, joined, 0, size)
    g, h = general_derivatives(
        rates, category_weights, q, qt, m2, 0, joined, 0, invariant, ow, scales, 0, rescale,
        weights, ow, qm, aq, lik, first, second,
    )  # fmt: skip
    out[2] += g
    out[5] += h
    if variable is not None:
        g, h = constant_terms(lik, first, second, start, end, scales, 0, rescale, number)
        out[2] += g
        out[5] += h
    multiply(m1, 0, m2, 0, joined, 0, size)
    g, h = general_derivatives(
        rates, category_weights, q, qt, joined, 0, m3, 0, invariant, ow, scales, 0, rescale,
        weights, ow, qm, aq, lik, first, second,
    )  # fmt: skip
    out[3] += g
    out[6] += h
    if variable is not None:
        g, h = constant_terms(lik, first, second, start, end, scales, 0, rescale, number)
        out[3] += g
        out[6] += h


@njit(cache=True, nogil=True)
def _star(model, data, space, rescale, x, v, b, pm, scales, buffers, out):
    """Value and derivatives (``out``, 7): subtree v regrafted on branch x, at lengths ``b`` (3)."""
    for k in range(7):
        out[k] = 0.0
    partials = np.int64(0)
    sums = np.int64(0)
    for m in range(model.table.shape[0]):
        _star_of_part(
            model, data, m, space, partials, sums, rescale, x, v, b, pm, scales, buffers, out
        )
        _, K, C, n_tiles = size_of_part(model, data, m)
        partials += n_tiles * (2 * data.n_taxa - 2) * C * K * T
        sums += n_tiles * (2 * data.n_taxa - 2) * T


@njit(inline="always")
def _star_of_part(
    model, data, m, space, partials, sums, rescale, x, v, b, matrices, scales, buffers, out
):  # fmt: skip
    """Add part m to ``out`` (7) of `_star`; inlined.

    The part begins in the workspace at ``partials`` and ``sums``. ``matrices`` is working space
    for the three transition matrices.
    """
    n = data.n_taxa
    n_nodes = 2 * n - 2
    kind, K, C, n_tiles = size_of_part(model, data, m)
    size = C * K * T
    pm = matrices[: 3 * C * K * K].reshape(3, C, K, K)
    if kind == 0:
        beta = model.numbers[model.table[m, NUMBERS]]
        for k in range(3):
            pm[k, 0, 0, 0] = math.exp(-beta * b[k])
    else:
        _, beta, _, rates, _, _, _, right, values, left = model_of_part(model, m)
        for k in range(3):
            set_transition(kind, beta, rates, right, values, left, b[k], pm[k])
    if kind != 0 and K == 4 and not rescale:
        dna_star(model, data, m, space[1], space[3], partials, x, v, pm, out)
        return
    for tile in range(n_tiles):
        at = tile * n_nodes
        ot = data.table[m, TIPS] + tile * n * K * T
        ow = (data.table[m, TILES] + tile) * T
        ox = partials + (at + x) * size
        ov = partials + (at + v) * size
        sx = sums + (at + x) * T
        sv = sums + (at + v) * T
        if x < n:
            x1 = data.tips[ot + x * K * T : ot + (x + 1) * K * T]
        else:
            x1 = space[1][ox : ox + size]
        if v < n:
            x3 = data.tips[ot + v * K * T : ot + (v + 1) * K * T]
        else:
            x3 = space[1][ov : ov + size]
        x2 = space[3][ox : ox + size]
        if rescale:
            for i in range(T):
                scales[i] = space[6][sx + i] + space[6][sv + i] + space[7][sx + i]
        if kind == 0:
            f = model.table[m, NUMBERS] + 1
            _star4(
                model.numbers[f - 1], model.numbers[f : f + 4], x1, space[4][sx : sx + T], x2,
                space[5][sx : sx + T], x3, space[4][sv : sv + T], pm[0, 0, 0, 0], pm[1, 0, 0, 0],
                pm[2, 0, 0, 0], data.weights[ow : ow + T], scales, out,
            )  # fmt: skip
            continue
        if tile == n_tiles - 1 and data.table[m, CONSTANT_END] > 0:
            n_characters = data.weights[data.table[m, TILES] * T : ow + T].sum()
            variable = (data.table[m, CONSTANT], data.table[m, CONSTANT_END], n_characters)
            _star_general(
                model, m, pm, x1, x < n, x2, x3, v < n, data.weights, ow, data.invariant, scales,
                rescale, buffers, variable, out,
            )  # fmt: skip
        else:
            _star_general(
                model, m, pm, x1, x < n, x2, x3, v < n, data.weights, ow, data.invariant, scales,
                rescale, buffers, None, out,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def _regraft_score(
    model, data, prior, space, rescale, x, v, is_top, own_term, slope, other, b, sweeps, pm, scales,
    buffers, out,
):  # fmt: skip
    """Approximate log R of regrafting v on x, up to a constant; lengths ``b`` (3) are improved.

    ``is_top`` tells whether x is the child of the root leaf. Of a coupled prior, ``slope`` is h' of
    the tree length, and ``other`` is the length of all other branches.
    """
    n = data[0]
    score = 0.0
    for k in range(sweeps):
        _star(model, data, space, rescale, x, v, b, pm, scales, buffers, out)
        score = out[0] - own_term
        of_total = 0.0
        if is_coupled(prior):
            of_total, slope, _ = total_terms(prior, n, other + b[0] + b[1] + b[2])
        score += of_total
        gain = 0.0
        for j in range(3):
            # of x, of the new node above it, of v
            external = x < n if j == 0 else (is_top if j == 1 else v < n)
            first = out[1 + j]
            second = out[4 + j]
            step, promised = newton_step(b[j], first, second, prior, external, slope)
            gain += promised
            a = shape(b[j], first, second, prior, external, slope)
            score += branch_term(b[j], a, prior, external)
            if k < sweeps - 1 or sweeps == 1:
                b[j] = bounded(b[j] * math.exp(step), prior)
        if gain < 0.01:
            break
        if k == sweeps - 1:
            score += min(gain, 20.0)
    return score


@njit(cache=True, nogil=True)
def _attach(parent, children, lengths, v, x, below, above, own):
    """Put node ``parent[v]`` into the branch above x; lengths below, above and of v."""
    u = parent[v]
    g = parent[x]
    if children[g, 0] == x:
        children[g, 0] = u
    else:
        children[g, 1] = u
    parent[u] = g
    parent[x] = u
    children[u, 0] = x
    children[u, 1] = v
    lengths[x] = below
    lengths[u] = above
    lengths[v] = own


@njit(cache=True, nogil=True)
def _detach(parent, children, lengths, v):
    """Cut v and its upper node out of the tree; return the node left where they were."""
    u = parent[v]
    w = children[u, 0] if children[u, 1] == v else children[u, 1]
    g = parent[u]
    if children[g, 0] == u:
        children[g, 0] = w
    else:
        children[g, 1] = w
    parent[w] = g
    lengths[w] += lengths[u]
    return w


@njit(cache=True, nogil=True)
def walk(
    model, data, prior, parent, children, lengths, shapes, log_evidence, temperature, n_steps, seed,
    rescale, space, sides, kept, kept_lengths, kept_evidence, visited,
):  # fmt: skip
    """Walk ``n_steps`` steps from one tree drawn at leaf 0 (changed in place).

    Parameters
    ----------
    model, data : ModelArrays, DataArrays
    prior : PriorFunctions
        On branch lengths.
    parent, children, lengths, shapes : ndarray
        The tree, at its mode; replaced by the last one of the walk.
    log_evidence : float
        Closed form of log R of this tree.
    temperature : float
        The walk's target is R to the power of 1 / temperature.
    n_steps, seed : int
    space : tuple of ndarray
        From `pruning_numba.workspace` with room for all tiles.
    sides : ndarray, shape (m, n), int8
        Splits that the tree displays and all trees of the walk shall, see
        `phylogfn.kernels.constraints_numba`; of length 0: all trees are allowed.
    kept : ndarray, shape (n_steps, 2n-2), int16
        Filled with the parents of each tree whose log R was computed, drawn at leaf 0.
    kept_lengths : ndarray, shape (n_steps, 2n-2), float32
    kept_evidence : ndarray, shape (n_steps,), float64
    visited : ndarray, shape (n_steps,), int32
        Filled: which of the kept trees the walk stood on after each step; -1 is the start.

    Returns
    -------
    n_kept : int
    log_evidence : float
        Of the last tree.
    evaluations : int
        Likelihood evaluations over the whole tree.
    """
    np.random.seed(seed)
    n = data.n_taxa
    n_nodes = 2 * n - 2
    most_states = 4
    matrices = 1
    work = 1
    for m in range(model.table.shape[0]):
        kind, K, C, _ = size_of_part(model, data, m)
        most_states = max(most_states, K)
        matrices = max(matrices, C * K * K)
        if kind != 0:
            work = max(work, C * K * T)
    order = np.empty(n_nodes, np.int32)
    part = np.empty(n_nodes, np.int32)
    d1 = np.empty(n_nodes)
    d2 = np.empty(n_nodes)
    moves = np.empty(n_nodes)
    terms = np.empty(n_nodes)
    scores = np.empty(n_nodes)
    star = np.empty((n_nodes, 3))
    out = np.empty(7)
    pm = np.empty(3 * matrices)
    scales = np.zeros(T if rescale else 1)
    buffers = (
        aligned_empty(work), aligned_empty(work), aligned_empty(work), aligned_empty(work),
        aligned_empty(most_states * T), aligned_empty(most_states * T), aligned_empty(T),
        aligned_empty(T), aligned_empty(T), aligned_empty(T), np.empty(most_states * most_states),
    )  # fmt: skip
    constrained = sides.shape[0] > 0
    places = np.empty(n_nodes, np.int32)
    room = n_nodes if constrained else 1
    below = np.empty(room, np.int64)
    spanned = np.empty(room, np.bool_)
    reached = np.empty(room, np.bool_)
    allowed = np.empty(room, np.bool_)
    old_parent = np.empty_like(parent)
    old_children = np.empty_like(children)
    old_lengths = np.empty_like(lengths)
    new_shapes = np.empty_like(shapes)
    n_kept = 0
    here = -1
    evaluations = 0
    root = np.int64(0)
    for step in range(n_steps):
        visited[step] = here
        leaf = np.random.randint(n)
        reroot(parent, children, lengths, root, leaf)
        root = leaf
        top = children[root, 0]
        v = np.random.randint(n_nodes)
        if v == root or v == top:
            continue
        subtree = postorder(children, v, part)
        if (subtree + 1) // 2 >= n - 2:
            continue
        old_parent[:] = parent
        old_children[:] = children
        old_lengths[:] = lengths
        own = lengths[v]
        w = _detach(parent, children, lengths, v)
        top = children[root, 0]
        count = postorder(children, top, order)
        slope = 0.0
        curvature = 0.0
        total = 0.0
        cut = own  # length of all branches that are not in the rest
        for k in range(subtree - 1):
            cut += lengths[part[k]]
        for sweep in range(REST_SWEEPS + 1):
            # only the partials of the last sweep are read
            derivatives(
                model, data, children, root, order, count, lengths, rescale, space,
                sweep == REST_SWEEPS, d1, d2,
            )  # fmt: skip
            evaluations += 1
            if is_coupled(prior):
                total = cut
                for k in range(count):
                    total += lengths[order[k]]
                _, slope, curvature = total_terms(prior, n, total)
            if sweep < REST_SWEEPS:
                newton_steps(prior, n, order, count, lengths, d1, d2, slope, curvature, moves)
                for k in range(count):
                    x = order[k]
                    lengths[x] = bounded(lengths[x] * math.exp(moves[x]), prior)
        # partials of the subtree, behind sweeps that use the workspace (any root leaf would do)
        _subtree_partials(model, data, children, part, subtree, lengths, rescale, space)
        n_places = count
        places[:count] = order[:count]
        if constrained:
            allowed_places(
                parent, order, count, root, part, subtree, sides, below, spanned, reached, allowed
            )
            n_places = 0
            for k in range(count):
                if allowed[order[k]]:
                    places[n_places] = order[k]
                    n_places += 1
        best = -np.inf
        for k in range(n_places):
            x = places[k]
            external = is_external(x, top, n)
            a = shape(lengths[x], d1[x], d2[x], prior, external, slope)
            terms[x] = branch_term(lengths[x], a, prior, external)
            star[x, 0] = 0.5 * lengths[x]
            star[x, 1] = 0.5 * lengths[x]
            star[x, 2] = own
            scores[x] = _regraft_score(
                model, data, prior, space, rescale, x, v, x == top, terms[x], slope,
                total - own - lengths[x], star[x], np.int64(1), pm, scales, buffers, out,
            )  # fmt: skip
            best = max(best, scores[x])
        # promising places, and the old one, exactly
        threshold = best - CLOSE_SCORE * max(1.0, temperature)
        best = -np.inf
        for k in range(n_places):
            x = places[k]
            if scores[x] > threshold or x == w:
                scores[x] = _regraft_score(
                    model, data, prior, space, rescale, x, v, x == top, terms[x], slope,
                    total - own - lengths[x], star[x], np.int64(STAR_SWEEPS), pm, scales, buffers,
                    out,
                )  # fmt: skip
            else:
                scores[x] -= 4.0  # promised gains of far places are optimistic
            best = max(best, scores[x])
        total = 0.0
        for k in range(n_places):
            total += math.exp((scores[places[k]] - best) / temperature)
        target = np.random.random() * total
        choice = places[n_places - 1]
        for k in range(n_places):
            target -= math.exp((scores[places[k]] - best) / temperature)
            if target <= 0.0:
                choice = places[k]
                break
        accepted = False
        if choice != w:
            _attach(
                parent, children, lengths, v, choice, star[choice, 0], star[choice, 1],
                star[choice, 2],
            )  # fmt: skip
            count = postorder(children, children[root, 0], order)
            _, proposed, sweeps, _ = optimise(
                model, data, prior, children, root, order, count, lengths, new_shapes, rescale,
                space, d1, d2, np.int64(FULL_SWEEPS), 2e-3,
            )  # fmt: skip
            evaluations += sweeps
            log_ratio = (proposed - log_evidence - scores[choice] + scores[w]) / temperature
            accepted = log_ratio >= 0.0 or np.random.random() < math.exp(log_ratio)
            _keep(parent, lengths, root, kept[n_kept], kept_lengths[n_kept])
            kept_evidence[n_kept] = proposed
            if accepted:
                log_evidence = proposed
                shapes[:] = new_shapes
                here = n_kept
                visited[step] = here
            n_kept += 1
        if not accepted:
            parent[:] = old_parent
            children[:] = old_children
            lengths[:] = old_lengths
    reroot(parent, children, lengths, root, np.int64(0))
    return n_kept, log_evidence, evaluations


@njit(cache=True, nogil=True)
def _keep(parent, lengths, root, out_parent, out_lengths):
    """Write parents and lengths as drawn at leaf 0."""
    for v in range(parent.size):
        out_parent[v] = parent[v]
        out_lengths[v] = lengths[v]
    if root == 0:
        return
    v = 0
    up = parent[0]
    length = lengths[0]
    out_parent[0] = -1
    out_lengths[0] = 0.0
    while up >= 0:
        above = parent[up]
        above_length = lengths[up]
        out_parent[up] = v
        out_lengths[up] = length
        v = up
        up = above
        length = above_length


@njit(cache=True, nogil=True)
def _subtree_partials(model, data, children, part, count, lengths, rescale, space):
    """Partials of a cut subtree, all tiles, into ``space``."""
    n_nodes = children.shape[0]
    states = 0
    tiles = 0
    for m in range(model.table.shape[0]):
        kind, beta, freqs, rates, _, _, _, right, values, left = model_of_part(model, m)
        n, tips, _, _, _, _, _ = data_of_part(data, m)
        size = size_of_part(model, data, m)
        for tile in range(size[3]):
            pm, below, message, _, sums, _, scale, _ = room_of_part(
                space, size, n_nodes, states, tiles, rescale
            )
            if tile == 0:
                for k in range(count):
                    x = part[k]
                    set_transition(kind, beta, rates, right, values, left, lengths[x], pm[x])
            below_pass(
                kind, freqs, tips, tile * n * size[1] * T, n, children, part, count, pm, rescale,
                np.bool_(True), below, message, sums, scale,
            )  # fmt: skip
            states += size[1] * size[2]
            tiles += 1
