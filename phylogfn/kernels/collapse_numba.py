"""The collapsed reward of a topology: its branch lengths integrated out.

With prior p(b) on each branch, y = log b and f(y) = l(b) + sum_v [log p(b_v) + y_v], Newton steps
on the diagonal find the mode; with curvature -a_v there, the gamma distribution of shape a_v and
rate a_v / b_v has that mode in y_v and that curvature. Then

    log R = l(b) + sum_v log p(b_v) - sum_v log Gamma(b_v; a_v, a_v / b_v)

in closed form; importance draws of the lengths make it unbiased (see `length_draws_numba`).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.pruning_numba import derivatives, postorder

__all__ = [
    "branch_term",
    "clade_hashes",
    "mix64",
    "newton_step",
    "optimise",
    "shape",
]

MIN_LENGTH = 1e-9  # expected substitutions per site
MAX_LENGTH = 20.0
MIN_SHAPE = 0.2
MAX_STEP = 1.5  # of log length


@njit(cache=True, nogil=True)
def newton_step(b, d1, d2, prior):
    """Step of y = log b towards the mode, and the gain that it promises (nats).

    ``d1``, ``d2`` are the derivatives of the log-likelihood by b, ``prior`` is a `PriorFunctions`.
    """
    _, slope, curvature = prior.terms(prior.parameters, b)
    g = b * d1 + b * slope + 1.0
    h = b * b * d2 + b * d1 + (b * slope + b * b * curvature)
    step = g / max(-h, 0.3)
    step = min(max(step, -MAX_STEP), MAX_STEP)
    return step, abs(0.5 * g * step)


@njit(cache=True, nogil=True)
def shape(b, d1, d2, prior):
    """Shape a of the gamma that stands for one branch: minus the curvature in log b."""
    _, slope, curvature = prior.terms(prior.parameters, b)
    return max(-(b * b * d2 + b * d1 + (b * slope + b * b * curvature)), MIN_SHAPE)


@njit(cache=True, nogil=True)
def branch_term(b, a, prior):
    """Log of prior over gamma density of one branch at its mode (nats): its part of log R."""
    value, _, _ = prior.terms(prior.parameters, b)
    return prior.constant + value - a * math.log(a) + math.log(b) + math.lgamma(a) + a


@njit(cache=True, nogil=True)
def optimise(
    model, data, prior, children, root, order, count, lengths, shapes, rescale, space, keep, d1, d2,
    max_sweeps, tolerance,
):  # fmt: skip
    """Maximise over branch lengths (in place) and return the closed form of log R.

    Parameters
    ----------
    model, data, children, root, order, count, rescale, space, keep, d1, d2
        As for `pruning_numba.derivatives`.
    prior : PriorFunctions
        On branch lengths.
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
    steps = np.zeros(lengths.size)
    best = -np.inf
    value = -np.inf
    gain = 0.0
    sweeps = 0
    while sweeps < max_sweeps:
        value = derivatives(
            model, data, children, root, order, count, lengths, rescale, space, keep, d1, d2
        )
        sweeps += 1
        target = value
        for k in range(count):
            v = order[k]
            value_of_prior, _, _ = prior.terms(prior.parameters, lengths[v])
            target += math.log(lengths[v]) + value_of_prior
        if target < best - 1e-7 and sweeps < max_sweeps:  # the step was too long: halve it
            for k in range(count):
                v = order[k]
                steps[v] *= 0.5
                lengths[v] *= math.exp(-steps[v])
            continue
        best = target
        gain = 0.0
        for k in range(count):
            v = order[k]
            step, promised = newton_step(lengths[v], d1[v], d2[v], prior)
            steps[v] = step
            gain += promised
        if gain < tolerance or sweeps == max_sweeps:
            break
        for k in range(count):
            v = order[k]
            moved = min(max(lengths[v] * math.exp(steps[v]), MIN_LENGTH), MAX_LENGTH)
            steps[v] = math.log(moved / lengths[v])
            lengths[v] = moved
    total = value
    for k in range(count):
        v = order[k]
        shapes[v] = shape(lengths[v], d1[v], d2[v], prior)
        total += branch_term(lengths[v], shapes[v], prior)
    return value, total, sweeps, gain


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
            model, data, prior, children[i], 0, order, count, lengths[i], shapes[i], rescale, space,
            False, d1, d2, max_sweeps, tolerance,
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
