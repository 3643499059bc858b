"""Importance draws of the branch lengths of one topology from a defensive mixture.

The proposal is a mixture of *families*. In a family the branches are independent, and each is drawn
from a mixture of *components*: gamma densities with the mode of the branch (in log length) and its
shape multiplied by a factor, and the prior as the last component,

    q(b) = sum_f phi_f prod_v sum_k s_fck g_vk(b_v),

where c is the class of branch v. The density is exact, so weights p(Y | b) p(b) / q(b) have the
mean p(Y | topology). A family that is the prior on every branch bounds the weights by the maximum
likelihood over its share.

Under a prior that couples the branches (see `branch_prior_numba`), the last component is the gamma
distribution of proportions times the tree length at the mode, the family of the prior is the prior
itself, and there is one more family: the distribution that the closed form stands for, whose
proportions and sum are drawn as `collapse_numba` has them. Under a prior with bounds, the gammas
are truncated to these; one with hardly any mass between them is replaced by the uniform density.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phylogfn.kernels.branch_prior_numba import (
    branch_constant,
    branch_terms,
    is_coupled,
    is_external,
    total_terms,
)
from phylogfn.kernels.collapse_numba import common_shape
from phylogfn.kernels.gamma_mass_numba import gamma_mass
from phylogfn.kernels.partitions_numba import DataArrays, ModelArrays
from phylogfn.kernels.pruning_numba import log_likelihood

__all__ = [
    "branch_classes",
    "branch_components",
    "importance_draws",
    "joint_family",
    "log_likelihoods_of_models",
]

CLASS_SHAPES = (1.5, 4.0, 12.0)  # shapes of the gammas that separate the classes of branches
MIN_WIDE_SHAPE = 0.3  # wider gammas are not made wider than this
SMALLEST = 1e-100  # length that a draw is at least, so that its logarithm is finite
MIN_MASS = 0.02  # of a truncated gamma
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
def branch_components(prior, top, modes, shapes, factors, a, beta, constant):
    """Fill shape, rate and log of the constant of the components of each branch, (2n-2, K).

    The last component of each branch is filled for coupled priors only. ``top`` is the child of
    node 0; other arguments are those of `importance_draws`.
    """
    n_nodes = modes.size
    n = (n_nodes + 2) // 2
    last = factors.size
    has_bounds = math.isfinite(prior.high)
    for v in range(1, n_nodes):
        for k in range(last):
            a[v, k] = max(shapes[v] * factors[k], min(shapes[v], MIN_WIDE_SHAPE))
            beta[v, k] = a[v, k] / modes[v]
            constant[v, k] = a[v, k] * math.log(beta[v, k]) - math.lgamma(a[v, k])
            if has_bounds:
                mass = gamma_mass(a[v, k], beta[v, k] * prior.low, beta[v, k] * prior.high)
                if mass < MIN_MASS:
                    a[v, k] = 1.0
                    beta[v, k] = 0.0
                    constant[v, k] = -math.log(prior.high - prior.low)
                else:
                    constant[v, k] -= math.log(mass)
    if is_coupled(prior):
        rate = n * prior.external + (n - 3) * prior.internal
        rate /= np.sum(modes[1:])
        for v in range(1, n_nodes):
            a[v, last] = prior.external if is_external(v, top, n) else prior.internal
            beta[v, last] = rate
            constant[v, last] = a[v, last] * math.log(rate) - math.lgamma(a[v, last])


@njit(cache=True, nogil=True)
def joint_family(prior, modes, shapes):
    """Parameters of the family in which the sum of b_v a_v / b_v* and its proportions are drawn.

    Returns
    -------
    common : float
        Shape of the sum.
    total : float
        Its mean A; the proportions have the shapes as Dirichlet parameters.
    constant : float
        With the sum z, the log density is constant + sum_v (a_v - 1) log b_v
        + (common - total) log z - common z / total.
    """
    n_nodes = modes.size
    n = (n_nodes + 2) // 2
    _, _, curvature = total_terms(prior, n, np.sum(modes[1:]))
    share = 0.0
    total = 0.0
    constant = 0.0
    for v in range(1, n_nodes):
        share += curvature * modes[v] * modes[v] / shapes[v]
        total += shapes[v]
        constant += shapes[v] * math.log(shapes[v] / modes[v]) - math.lgamma(shapes[v])
    common = common_shape(share, total)
    constant += math.lgamma(total) - math.lgamma(common) + common * math.log(common / total)
    return common, total, constant


@njit(cache=True, nogil=True)
def _draw_component(prior, k, last, a, beta):
    """Length drawn from component k of an independent branch, of shape ``a`` and rate ``beta``."""
    if k == last and not is_coupled(prior):
        return prior.draw(prior.parameters)
    if beta == 0.0:
        return prior.low + (prior.high - prior.low) * np.random.random()
    b = np.random.gamma(a, 1.0 / beta)
    while b < prior.low or b > prior.high:
        b = np.random.gamma(a, 1.0 / beta)
    return b


@njit(cache=True, nogil=True)
def _draw_proportions(shapes, total, lengths):
    """Fill ``lengths`` (2n-2,) with Dirichlet proportions of a total length; node 0 has none."""
    drawn = 0.0
    for v in range(1, shapes.size):
        lengths[v] = np.random.gamma(shapes[v], 1.0)
        drawn += lengths[v]
    for v in range(1, shapes.size):
        lengths[v] *= total / max(drawn, SMALLEST)


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
        Of the shapes in each gamma component; the first is 1.
    shares : ndarray, shape (F, 4, K), float64
        Shares of the components in each family, by class of the branch; the prior is the last.
    family_shares : ndarray, shape (F + 1,), float64
        Family F - 1 is the prior. The last, 0 for independent branches, is `joint_family`.
    seed : int
    lengths : ndarray, shape (M, 2n-2), float64
        Filled with the draws; the row of node 0 is 0.
    log_likelihoods, log_weights : ndarray, shape (M,), float64
        Filled: log p(Y | b), and log p(Y | b) p(b) / q(b).
    """
    np.random.seed(seed)
    n_nodes = modes.size
    n = (n_nodes + 2) // 2
    top = children[0, 0]
    n_families, _, n_components = shares.shape
    classes = np.empty(n_nodes, np.int64)
    branch_classes(shapes, classes)
    last = n_components - 1
    a = np.empty((n_nodes, n_components))
    beta = np.empty((n_nodes, n_components))
    constant = np.empty((n_nodes, n_components))
    branch_components(prior, top, modes, shapes, factors, a, beta, constant)
    coupled = is_coupled(prior)
    common, mean, joint_constant = joint_family(prior, modes, shapes)
    cumulative = np.empty(shares.shape)
    for f in range(n_families):
        for c in range(shares.shape[1]):
            cumulative[f, c] = np.cumsum(shares[f, c])
    cumulative_families = np.cumsum(family_shares)
    log_density = np.empty(n_families + 1)
    product = np.empty(n_families + 1)
    relative = np.empty(n_components)
    for m in range(lengths.shape[0]):
        family = min(_pick(cumulative_families), n_families if coupled else n_families - 1)
        jointly = coupled and family >= n_families - 1
        if jointly and family == n_families:
            _draw_proportions(shapes, np.random.gamma(common, mean / common), lengths[m])
            for v in range(1, n_nodes):
                lengths[m, v] *= modes[v] / shapes[v]
        elif jointly:
            _draw_proportions(a[:, last], prior.draw(prior.parameters), lengths[m])
        log_density[:] = 0.0
        product[:] = 1.0
        log_prior = 0.0
        total_length = 0.0
        weighted_length = 0.0
        lengths[m, 0] = 0.0
        for v in range(1, n_nodes):
            c = classes[v]
            if not jointly:
                k = _pick(cumulative[family, c])
                lengths[m, v] = _draw_component(prior, k, last, a[v, k], beta[v, k])
            b = max(lengths[m, v], SMALLEST)
            lengths[m, v] = b
            log_b = math.log(b)
            value_of_prior, _, _ = branch_terms(prior, is_external(v, top, n), b, 0.0)
            relative[last] = branch_constant(prior) + value_of_prior
            log_prior += relative[last]
            if coupled:
                relative[last] = constant[v, last] + (a[v, last] - 1.0) * log_b - beta[v, last] * b
                total_length += b
                weighted_length += shapes[v] / modes[v] * b
                log_density[n_families] += (shapes[v] - 1.0) * log_b
            top_density = relative[last]
            for k in range(last):
                relative[k] = constant[v, k] + (a[v, k] - 1.0) * log_b - beta[v, k] * b
                top_density = max(top_density, relative[k])
            for k in range(n_components):
                relative[k] = math.exp(relative[k] - top_density)
            for f in range(n_families):
                total = 0.0
                for k in range(n_components):
                    total += shares[f, c, k] * relative[k]
                product[f] *= total
                log_density[f] += top_density
                if product[f] < TINY:
                    log_density[f] += math.log(product[f]) if product[f] > 0.0 else -np.inf
                    product[f] = 1.0
        if coupled:
            of_total, _, _ = total_terms(prior, n, total_length)
            log_prior += of_total
            log_density[n_families - 1] = log_prior
            product[n_families - 1] = 1.0
            log_density[n_families] += (
                joint_constant
                + (common - mean) * math.log(weighted_length)
                - common * weighted_length / mean
            )
        highest = -np.inf
        for f in range(n_families + 1):
            if family_shares[f] > 0.0:
                log_density[f] += math.log(product[f]) + math.log(family_shares[f])
            else:
                log_density[f] = -np.inf
            highest = max(highest, log_density[f])
        total = 0.0
        for f in range(n_families + 1):
            total += math.exp(log_density[f] - highest)
        value = log_likelihood(model, data, children, np.int64(0), lengths[m], rescale)
        log_likelihoods[m] = value
        log_weights[m] = value + log_prior - (highest + math.log(total))


@njit(cache=True, nogil=True)
def log_likelihoods_of_models(
    table, numbers, data, invariant, children, lengths, rescale, log_likelihoods
):
    """Log-likelihoods of one topology, each of M with its own model and branch lengths.

    Parameters
    ----------
    table : ndarray, shape (P, 5), int64
        Of `ModelArrays`.
    numbers : ndarray, shape (M, S) or (1, S), float64
        Rows are the ``numbers`` of `ModelArrays`.
    data : DataArrays
    invariant : ndarray, shape (M, n_tiles * T) or (1, n_tiles * T), float64
        Rows are the ``invariant`` of `DataArrays`.
    lengths : ndarray, shape (M, 2n-2), float64
    log_likelihoods : ndarray, shape (M,), float64
        Filled.
    """
    for m in range(lengths.shape[0]):
        model = ModelArrays(table, numbers[min(m, numbers.shape[0] - 1)])
        own = DataArrays(
            data.n_taxa,
            data.table,
            data.tips,
            data.weights,
            invariant[min(m, invariant.shape[0] - 1)],
            data.masks,
        )
        log_likelihoods[m] = log_likelihood(model, own, children, np.int64(0), lengths[m], rescale)
