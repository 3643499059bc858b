"""The slow, plain likelihood that the fast kernels are tested against.

Felsenstein's pruning in logarithms, one branch and one rate category at a time, from any root, with
P(t) by scipy's matrix exponential. Nothing is shared with the kernels but the tree arrays.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

__all__ = [
    "numerical_derivatives",
    "plain_log_likelihood",
    "plain_site_log_likelihoods",
    "random_lengths",
    "random_masks",
]


def neighbours(tree):
    """For each node the list of (neighbour, branch), where a branch is named by its lower node."""
    adjacent = [[] for _ in range(tree.parent.size)]
    for node, parent in enumerate(tree.parent):
        if parent >= 0:
            adjacent[node].append((int(parent), node))
            adjacent[parent].append((node, node))
    return adjacent


def log_partial(node, came_from, adjacent, log_tips, log_transitions):
    """Log-likelihood (K, P) of everything on the far side of `node`, given its state."""
    stack, order = [(node, came_from)], []
    while stack:  # a preorder; recursion would be too deep for large trees
        here, previous = stack.pop()
        order.append((here, previous))
        stack.extend((other, here) for other, _ in adjacent[here] if other != previous)
    partials = {}
    for here, previous in reversed(order):
        total = log_tips[here].copy() if here < len(log_tips) else np.zeros_like(log_tips[0])
        for other, branch in adjacent[here]:
            if other != previous:
                message = log_transitions[branch][:, :, None] + partials.pop(other)[None, :, :]
                total += np.logaddexp.reduce(message, axis=1)
        partials[here] = total
    return partials[node]


def plain_site_log_likelihoods(tree, masks, model, root=None):
    """Log-likelihood of every pattern, shape(P,); `root` is any node, leaf or internal."""
    n_states = model.n_states
    bits = (masks[:, None, :] >> np.arange(n_states, dtype=masks.dtype)[None, :, None]) & 1
    with np.errstate(divide="ignore"):
        log_tips = np.log(bits.astype(float))  # (n, K, P)
    adjacent = neighbours(tree)
    root = tree.parent.size - 1 if root is None else root
    terms = []
    categories = zip(model.category_rates, model.category_weights, strict=True)
    for category, (rate, weight) in enumerate(categories):
        process = model.process(category)
        log_frequencies = np.log(process.frequencies)
        with np.errstate(divide="ignore"):
            transitions = expm(process.Q * rate * np.asarray(tree.lengths)[:, None, None])
            log_transitions = np.log(np.maximum(transitions, 0.0))  # branch x K x K
        partial = log_partial(root, -1, adjacent, log_tips, log_transitions)
        terms.append(np.log(weight) + np.logaddexp.reduce(log_frequencies[:, None] + partial))
    if model.invariant > 0.0:
        unchanged = model.frequencies @ np.all(bits == 1, axis=0)
        with np.errstate(divide="ignore"):
            terms.append(np.log(model.invariant * unchanged))
    return np.logaddexp.reduce(terms)


def plain_log_likelihood(tree, masks, weights, model, root=None):
    """Log-likelihood (nats) of a tree with lengths."""
    return float(plain_site_log_likelihoods(tree, masks, model, root) @ weights)


def numerical_derivatives(function, x, step):
    """First and second derivative of a scalar function by five-point central differences."""
    f = [function(x + k * step) for k in (-2, -1, 0, 1, 2)]
    first = (f[0] - 8 * f[1] + 8 * f[3] - f[4]) / (12 * step)
    second = (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * step**2)
    return first, second


def random_masks(n_taxa, n_patterns, n_states, rng, ambiguous=0.1):
    """Random state sets (n, P), uint32; a share of them ambiguous or missing."""
    masks = np.left_shift(np.uint32(1), rng.integers(n_states, size=(n_taxa, n_patterns)))
    base = np.left_shift(np.uint32(1), rng.integers(n_states, size=n_patterns))
    masks = np.where(rng.random(masks.shape) < 0.7, base[None, :], masks).astype(np.uint32)
    sets = rng.integers(1, 2**n_states, size=masks.shape).astype(np.uint32)
    every = np.uint32(2**n_states - 1)
    sets = np.where(rng.random(masks.shape) < 0.4, every, sets)
    return np.where(rng.random(masks.shape) < ambiguous, sets, masks).astype(np.uint32)


def random_lengths(n_taxa, rng, mean=0.1):
    """Exponential branch lengths (2n-2,), 0 at leaf 0."""
    lengths = rng.exponential(mean, 2 * n_taxa - 2)
    lengths[0] = 0.0
    return lengths
