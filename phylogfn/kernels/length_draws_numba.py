"""Importance draws of the branch lengths of one topology from a defensive mixture.

The proposal is a mixture of *families*. In a family the branches are independent, and each is drawn
from a mixture of *components*: gamma densities with the mode of the branch (in log length) and its
shape multiplied by a factor, and the prior as the last component,

    q(b) = sum_f phi_f prod_v sum_k s_fck g_vk(b_v),

where c is the class of branch v. The density is exact, so weights p(Y | b) p(b) / q(b) have the
mean p(Y | topology). A family that is the prior on every branch bounds the weights by the maximum
likelihood over its share.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.pruning_numba import log_likelihood

__all__ = ["MIN_WIDE_SHAPE", "branch_classes", "importance_draws"]

CLASS_SHAPES = (1.5, 4.0, 12.0)  # shapes of the gammas that separate the classes of branches
MIN_WIDE_SHAPE = 0.3  # wider gammas are not made wider than this
SMALLEST = 1e-100  # length that a draw is at least, so that its logarithm is finite
TINY = 1e-250  # products smaller than this are moved into the logarithm


@njit(cache=True, nogil=True)
def branch_classes(shapes, classes):
    """Fill the class of each branch, ``classes`` (2n-2,), by the shape of its gamma."""
    for v in range(shapes.size):
        number = 0
        for bound in CLASS_SHAPES:
            if shapes[v] > bound:
                number += 1
        classes[v] = number


@njit(cache=True, nogil=True)
def _pick(cumulative):
    """Index drawn with the probabilities whose cumulative sums are given."""
    u = np.random.random() * cumulative[-1]
    k = 0
    while k < cumulative.size - 1 and u >= cumulative[k]:
        k += 1
    return k


@njit(cache=True, nogil=True)
def importance_draws(
    model, data, prior, children, modes, shapes, factors, shares, family_shares, rescale, seed,
    lengths, log_likelihoods, log_weights,
):  # fmt: skip
    """Draw branch lengths of one topology, and weigh them.

    Parameters
    ----------
    prior : PriorFunctions
        On branch lengths.
    modes, shapes : ndarray, shape (2n-2,), float64
        From `collapse_numba.optimise`.
    factors : ndarray, shape (K-1,), float64
        Of the shapes in each gamma component.
    shares : ndarray, shape (F, 4, K), float64
        Shares of the components in each family, by class of the branch; the prior is the last.
    family_shares : ndarray, shape (F,), float64
    seed : int
    lengths : ndarray, shape (M, 2n-2), float64
        Filled with the draws; the row of node 0 is 0.
    log_likelihoods, log_weights : ndarray, shape (M,), float64
        Filled: log p(Y | b), and log p(Y | b) p(b) / q(b).
    """
    np.random.seed(seed)
    n_nodes = modes.size
    n_families, _, n_components = shares.shape
    classes = np.empty(n_nodes, np.int64)
    branch_classes(shapes, classes)
    last = n_components - 1
    a = np.empty((n_nodes, last))
    beta = np.empty((n_nodes, last))
    constant = np.empty((n_nodes, last))
    for v in range(1, n_nodes):
        for k in range(last):
            a[v, k] = max(shapes[v] * factors[k], min(shapes[v], MIN_WIDE_SHAPE))
            beta[v, k] = a[v, k] / modes[v]
            constant[v, k] = a[v, k] * math.log(beta[v, k]) - math.lgamma(a[v, k])
    cumulative = np.empty(shares.shape)
    for f in range(n_families):
        for c in range(shares.shape[1]):
            cumulative[f, c] = np.cumsum(shares[f, c])
    cumulative_families = np.cumsum(family_shares)
    log_density = np.empty(n_families)
    product = np.empty(n_families)
    relative = np.empty(n_components)
    for m in range(lengths.shape[0]):
        family = _pick(cumulative_families)
        log_density[:] = 0.0
        product[:] = 1.0
        log_prior = 0.0
        lengths[m, 0] = 0.0
        for v in range(1, n_nodes):
            c = classes[v]
            k = _pick(cumulative[family, c])
            if k < last:
                b = np.random.gamma(a[v, k], 1.0 / beta[v, k])
            else:
                b = prior.draw(prior.parameters)
            b = max(b, SMALLEST)
            lengths[m, v] = b
            log_b = math.log(b)
            value_of_prior, _, _ = prior.terms(prior.parameters, b)
            relative[last] = prior.constant + value_of_prior
            log_prior += relative[last]
            top = relative[last]
            for k in range(last):
                relative[k] = constant[v, k] + (a[v, k] - 1.0) * log_b - beta[v, k] * b
                top = max(top, relative[k])
            for k in range(n_components):
                relative[k] = math.exp(relative[k] - top)
            for f in range(n_families):
                total = 0.0
                for k in range(n_components):
                    total += shares[f, c, k] * relative[k]
                product[f] *= total
                log_density[f] += top
                if product[f] < TINY:
                    log_density[f] += math.log(product[f]) if product[f] > 0.0 else -np.inf
                    product[f] = 1.0
        top = -np.inf
        for f in range(n_families):
            if family_shares[f] > 0.0:
                log_density[f] += math.log(product[f]) + math.log(family_shares[f])
            else:
                log_density[f] = -np.inf
            top = max(top, log_density[f])
        total = 0.0
        for f in range(n_families):
            total += math.exp(log_density[f] - top)
        value = log_likelihood(model, data, children, 0, lengths[m], rescale)
        log_likelihoods[m] = value
        log_weights[m] = value + log_prior - (top + math.log(total))
