"""The collapsed reward of a topology: its branch lengths integrated out.

With prior p(b) on each branch, y = log b and f(y) = l(b) + sum_v [log p(b_v) + y_v], Newton steps
on the diagonal find the mode; with curvature -a_v there, the gamma distribution of shape a_v and
rate a_v / b_v has that mode in y_v and that curvature. Then

    log R = l(b) + sum_v log p(b_v) - sum_v log Gamma(b_v; a_v, a_v / b_v)

in closed form; importance draws of the lengths make it unbiased (see `length_draws_numba`).

A coupled prior (see `branch_prior_numba`) adds h(t) of the tree length t. The curvature of f is
then -diag(a) + h'' b b^T, where the slope h' is part of a. Newton steps solve for this matrix
(Sherman and Morrison). In place of independent gammas stands the distribution q that has the same
mode and, with s = h'' sum_v b_v^2 / a_v, the same determinant of its curvature. Of the scaled
lengths x_v = b_v a_v / b_v*, where A = sum_v a_v and b* is the mode, the sum is gamma distributed
with mean A and shape A (1 - s), and the proportions are Dirichlet distributed with parameters a_v.
(At s = 0, these are the gammas. Without data, q is the prior itself, if that is a gamma-Dirichlet
distribution.)
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.branch_prior_numba import (
    MAX_LENGTH,
    MIN_LENGTH,
    bounded,
    branch_constant,
    branch_terms,
    is_coupled,
    is_external,
    total_terms,
)
from phylogfn.kernels.gamma_mass_numba import gamma_mass
from phylogfn.kernels.pruning_numba import derivatives, postorder

__all__ = [
    "MAX_LENGTH",
    "MIN_LENGTH",
    "branch_term",
    "clade_hashes",
    "common_shape",
    "mix64",
    "newton_step",
    "newton_steps",
    "optimise",
    "scale_term",
    "shape",
]

MIN_SHAPE = 0.2
MAX_STEP = 1.5  # of log length
MIN_CURVATURE = 0.3  # of log length, in a Newton step
MIN_REMAINDER = 0.05  # 1 - s in a Newton step
MIN_TRUNCATED_SHAPE = 0.05
TINY = 1e-300


@njit(cache=True, nogil=True)
def _slope_and_curvature(b, d1, d2, prior, external, slope_of_total):
    """First and second derivative of f by y = log b, for one branch."""
    _, slope, curvature = branch_terms(prior, external, b, slope_of_total)
    g = b * d1 + b * slope + 1.0
    h = b * b * d2 + b * d1 + (b * slope + b * b * curvature)
    return g, h


@njit(cache=True, nogil=True)
def newton_step(b, d1, d2, prior, external, slope_of_total):
    """Step of y = log b towards the mode, and the gain that it promises (nats).

    ``d1``, ``d2`` are the derivatives of the log-likelihood by b; ``prior`` is a `PriorFunctions`;
    ``external``, ``slope_of_total`` as for `branch_prior_numba.branch_terms`.
    """
    g, h = _slope_and_curvature(b, d1, d2, prior, external, slope_of_total)
    step = g / max(-h, MIN_CURVATURE)
    step = min(max(step, -MAX_STEP), MAX_STEP)
    if (b >= prior.high and step > 0.0) or (b <= prior.low and step < 0.0):
        step = 0.0
    return step, abs(0.5 * g * step)


@njit(cache=True, nogil=True)
def newton_steps(prior, n, order, count, lengths, d1, d2, slope, curvature, steps):
    """Fill ``steps`` (2n-2,) with Newton steps of the log lengths; return the gain they promise.

    Parameters
    ----------
    prior : PriorFunctions
    n : int
        Number of taxa of the whole tree.
    order, count, lengths, d1, d2
        Nodes, as for `pruning_numba.derivatives`, whose lengths are moved, and derivatives there.
    slope, curvature : float
        h' and h'' at the length of the whole tree; 0 for independent branches.
    """
    top = order[count - 1]
    gain = 0.0
    if curvature == 0.0:
        for k in range(count):
            v = order[k]
            external = is_external(v, top, n)
            step, promised = newton_step(lengths[v], d1[v], d2[v], prior, external, slope)
            steps[v] = step
            gain += promised
        return gain
    share = 0.0  # s
    scale = 0.0
    for k in range(count):
        v = order[k]
        b = lengths[v]
        g, h = _slope_and_curvature(b, d1[v], d2[v], prior, is_external(v, top, n), slope)
        diagonal = max(-h, MIN_CURVATURE)
        share += curvature * b * b / diagonal
        scale += b * g / diagonal
    scale *= curvature / max(1.0 - share, MIN_REMAINDER)
    for k in range(count):
        v = order[k]
        b = lengths[v]
        g, h = _slope_and_curvature(b, d1[v], d2[v], prior, is_external(v, top, n), slope)
        step = (g + b * scale) / max(-h, MIN_CURVATURE)
        steps[v] = min(max(step, -MAX_STEP), MAX_STEP)
        gain += abs(0.5 * g * steps[v])
    return gain


@njit(cache=True, nogil=True)
def shape(b, d1, d2, prior, external, slope_of_total):
    """Shape a of the gamma that stands for one branch: minus the curvature in log b."""
    _, h = _slope_and_curvature(b, d1, d2, prior, external, slope_of_total)
    return max(-h, MIN_SHAPE)


@njit(cache=True, nogil=True)
def branch_term(b, a, prior, external):
    """Log of prior over gamma density of one branch at its mode (nats): its part of log R."""
    value, _, _ = branch_terms(prior, external, b, 0.0)
    return branch_constant(prior) + value - a * math.log(a) + math.log(b) + math.lgamma(a) + a


@njit(cache=True, nogil=True)
def _truncated_term(b, a, g, prior):
    """`branch_term` under a prior with bounds, where the mode may be at one of them.

    ``a`` is minus the curvature and ``g`` the slope of f by log b: those of a gamma distribution of
    shape a + g and rate a / b, which is integrated between the bounds.
    """
    value, _, _ = branch_terms(prior, True, b, 0.0)
    k = max(a + g, MIN_TRUNCATED_SHAPE)
    rate = a / b
    mass = max(gamma_mass(k, rate * prior.low, rate * prior.high), TINY)
    integral = math.lgamma(k) - k * math.log(rate) + math.log(mass)
    return branch_constant(prior) + value + a + (1.0 - k) * math.log(b) + integral


@njit(cache=True, nogil=True)
def common_shape(share, total):
    """Shape A (1 - s) of the sum of the x_v, from s and A."""
    return max(total * (1.0 - share), MIN_SHAPE)


@njit(cache=True, nogil=True)
def scale_term(common, total):
    """Log of independent gammas over q at their mode (nats), from A (1 - s) and A."""
    independent = math.lgamma(total) + total - total * math.log(total)
    return math.lgamma(common) + common - common * math.log(common) - independent


@njit(cache=True, nogil=True)
def optimise(
    model, data, prior, children, root, order, count, lengths, shapes, rescale, space, d1, d2,
    max_sweeps, tolerance,
):  # fmt: skip
    """Maximise over branch lengths (in place) and return the closed form of log R.

    Parameters
    ----------
    model, data, children, root, order, count, rescale, space, d1, d2
        As for `pruning_numba.derivatives`.
    prior : PriorFunctions
        On the branch lengths of the tree.
    lengths, shapes : ndarray, shape (2n-2,), float64
        Start and mode; shapes of the gammas, filled.
    max_sweeps : int
    tolerance : float
        Nats; the end is reached when the next step promises less.

    Returns
    -------
    log_likelihood : float
        At the returned lengths, nats.
    log_evidence : float
        Closed form of log R without the prior of the topology, nats.
    sweeps : int
        Evaluations of likelihood and derivatives that it took.
    gain : float
        What the next step still promised, nats.
    """
    n = (lengths.size + 2) // 2
    top = order[count - 1]
    steps = np.zeros(lengths.size)
    best = -np.inf
    value = -np.inf
    of_total = 0.0
    slope = 0.0
    curvature = 0.0
    gain = 0.0
    sweeps = 0
    if prior.low > 0.0 or prior.high < MAX_LENGTH:
        for k in range(count):
            v = order[k]
            lengths[v] = bounded(lengths[v], prior)
    while sweeps < max_sweeps:
        value = derivatives(
            model, data, children, root, order, count, lengths, rescale, space, np.bool_(False), d1,
            d2,
        )  # fmt: skip
        sweeps += 1
        target = value
        if is_coupled(prior):
            total = 0.0
            for k in range(count):
                total += lengths[order[k]]
            of_total, slope, curvature = total_terms(prior, n, total)
            target += of_total
        for k in range(count):
            v = order[k]
            external = is_external(v, top, n)
            value_of_prior, _, _ = branch_terms(prior, external, lengths[v], 0.0)
            target += math.log(lengths[v]) + value_of_prior
        if target < best - 1e-7 and sweeps < max_sweeps:  # the step was too long: halve it
            for k in range(count):
                v = order[k]
                steps[v] *= 0.5
                lengths[v] *= math.exp(-steps[v])
            continue
        best = target
        gain = newton_steps(prior, n, order, count, lengths, d1, d2, slope, curvature, steps)
        if gain < tolerance or sweeps == max_sweeps:
            break
        for k in range(count):
            v = order[k]
            moved = bounded(lengths[v] * math.exp(steps[v]), prior)
            steps[v] = math.log(moved / lengths[v])
            lengths[v] = moved
    log_evidence = value
    share = 0.0
    total = 0.0
    for k in range(count):
        v = order[k]
        external = is_external(v, top, n)
        shapes[v] = shape(lengths[v], d1[v], d2[v], prior, external, slope)
        if math.isfinite(prior.high):
            g, _ = _slope_and_curvature(lengths[v], d1[v], d2[v], prior, external, slope)
            log_evidence += _truncated_term(lengths[v], shapes[v], g, prior)
        else:
            log_evidence += branch_term(lengths[v], shapes[v], prior, external)
        share += curvature * lengths[v] * lengths[v] / shapes[v]
        total += shapes[v]
    if is_coupled(prior):
        log_evidence += of_total + scale_term(common_shape(share, total), total)
    return value, log_evidence, sweeps, gain


@njit(cache=True, nogil=True)
def optimise_batch(
    model, data, prior, children, lengths, shapes, rescale, space, max_sweeps, tolerance,
    log_likelihoods, log_evidences,
):  # fmt: skip
    """`optimise` for trees ``children`` (B, 2n-2, 2); ``lengths``, ``shapes`` (B, 2n-2) in place.

    Returns the number of likelihood evaluations.
    """
    n_nodes = children.shape[1]
    order = np.empty(n_nodes, np.int32)
    d1 = np.empty(n_nodes)
    d2 = np.empty(n_nodes)
    evaluations = 0
    for i in range(children.shape[0]):
        count = postorder(children[i], children[i, 0, 0], order)
        value, total, sweeps, _ = optimise(
            model, data, prior, children[i], np.int64(0), order, count, lengths[i], shapes[i],
            rescale, space, d1, d2, max_sweeps, tolerance,
        )  # fmt: skip
        log_likelihoods[i] = value
        log_evidences[i] = total
        evaluations += sweeps
    return evaluations


@njit(cache=True, nogil=True)
def mix64(x):
    """A bijection of 64 bits that scatters them (splitmix64's finaliser)."""
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def clade_hashes(children, order, count, taxon_codes, hashes, key):
    """128-bit hash of each clade (xor of its taxa's codes), and of the topology.

    Parameters
    ----------
    children, order, count
        A tree drawn at taxon 0, as for `pruning_numba.postorder`.
    taxon_codes : ndarray, shape (n, 2), uint64
        Random codes.
    hashes : ndarray, shape (2n-2, 2), uint64
        Filled for every node but the root leaf.
    key : ndarray, shape (2,), uint64
        Filled: sum of the scattered clade hashes, the same for equal topologies however numbered.
    """
    n = taxon_codes.shape[0]
    key[0] = np.uint64(0)
    key[1] = np.uint64(0)
    for k in range(count):
        v = order[k]
        if v < n:
            hashes[v, 0] = taxon_codes[v, 0]
            hashes[v, 1] = taxon_codes[v, 1]
            continue
        for j in range(2):
            h = hashes[children[v, 0], j] ^ hashes[children[v, 1], j]
            hashes[v, j] = h
            key[j] = key[j] + mix64(h)
