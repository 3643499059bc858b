"""The prior on the branch lengths of a tree, as the kernels read it.

A prior is its parameters and the addresses of two functions, so that one compiled kernel serves all
priors. The address of a function costs some tens of microseconds to pass, and nothing to call.

There are two kinds. Under an *independent* prior the two functions are those of the length of a
branch. A *coupled* prior is the compound Dirichlet prior of Rannala, Zhu and Yang (Mol Biol Evol
29:325, 2012): the two functions are those of the tree length t, and the lengths are its proportions
by a Dirichlet distribution with parameter a_e for each of the n external branches and a_i for each
of the n - 3 internal ones. With a = n a_e + (n - 3) a_i,

    log p(b) = sum_v (a_v - 1) log b_v + h(t),
    h(t) = log f(t) - (a - 1) log t + lgamma(a) - n lgamma(a_e) - (n - 3) lgamma(a_i),

so that branches depend on one another by h alone. In log lengths, the derivatives of h are b_v h'
and, for two branches, b_u b_v h'' (u = v: plus b_v h'): its curvature beyond that of a slope h' of
each branch is a matrix of rank one.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import cfunc, float64, njit, types

__all__ = [
    "DRAW",
    "TERMS",
    "PriorFunctions",
    "bounded",
    "branch_constant",
    "branch_terms",
    "evaluate",
    "MAX_LENGTH",
    "MIN_LENGTH",
    "exponential_draw",
    "exponential_terms",
    "gamma_draw",
    "gamma_terms",
    "inverse_gamma_draw",
    "inverse_gamma_terms",
    "is_coupled",
    "is_external",
    "total_terms",
    "uniform_draw",
    "uniform_terms",
]

TERMS = types.UniTuple(float64, 3)(float64[::1], float64)  # of (parameters, length)
DRAW = float64(float64[::1])  # of (parameters,)
MIN_LENGTH = 1e-9  # of a mode, expected substitutions per site
MAX_LENGTH = 20.0


class PriorFunctions(NamedTuple):
    """A prior on the branch lengths of a tree.

    Attributes
    ----------
    constant : float
        Part of the log density of a length (nats) that is the same for all lengths.
    parameters : ndarray, float64
        First argument of both functions.
    terms : function of signature `TERMS`
        The rest of the log density, and its first and second derivative by the length.
    draw : function of signature `DRAW`
        A length drawn by the random numbers of the calling thread.
    external, internal : float
        Dirichlet parameters of the proportions of branches; the functions are then those of the
        tree length. 0: branches are independent, and the functions are those of a branch.
    low, high : float
        Lengths of branches outside have density 0. Both are finite, or neither bounds the lengths.
    """

    constant: float
    parameters: np.ndarray
    terms: Any
    draw: Any
    external: float = 0.0
    internal: float = 0.0
    low: float = 0.0
    high: float = math.inf


@cfunc(TERMS, cache=True)
def exponential_terms(parameters, b):
    """`PriorFunctions.terms` of the exponential distribution; its rate is the only parameter."""
    rate = parameters[0]
    return -rate * b, -rate, 0.0


@cfunc(DRAW, cache=True)
def exponential_draw(parameters):
    """`PriorFunctions.draw` of the exponential distribution."""
    return np.random.gamma(1.0, 1.0 / parameters[0])


@cfunc(TERMS, cache=True)
def uniform_terms(parameters, b):
    """`PriorFunctions.terms` of the uniform distribution; parameters are its two bounds."""
    if b < parameters[0] or b > parameters[1]:
        return -np.inf, 0.0, 0.0
    return 0.0, 0.0, 0.0


@cfunc(DRAW, cache=True)
def uniform_draw(parameters):
    """`PriorFunctions.draw` of the uniform distribution."""
    return parameters[0] + (parameters[1] - parameters[0]) * np.random.random()


@cfunc(TERMS, cache=True)
def gamma_terms(parameters, b):
    """`PriorFunctions.terms` of the gamma distribution; parameters are shape and rate."""
    k = parameters[0] - 1.0
    rate = parameters[1]
    return k * math.log(b) - rate * b, k / b - rate, -k / (b * b)


@cfunc(DRAW, cache=True)
def gamma_draw(parameters):
    """`PriorFunctions.draw` of the gamma distribution."""
    return np.random.gamma(parameters[0], 1.0 / parameters[1])


@cfunc(TERMS, cache=True)
def inverse_gamma_terms(parameters, b):
    """`PriorFunctions.terms` of the inverse gamma distribution; parameters are shape and scale."""
    k = parameters[0] + 1.0
    scale = parameters[1]
    return (
        -k * math.log(b) - scale / b,
        -k / b + scale / (b * b),
        k / (b * b) - 2.0 * scale / (b * b * b),
    )


@cfunc(DRAW, cache=True)
def inverse_gamma_draw(parameters):
    """`PriorFunctions.draw` of the inverse gamma distribution."""
    return parameters[1] / np.random.gamma(parameters[0], 1.0)


@njit(cache=True, nogil=True)
def evaluate(prior, lengths, log_density, slope, curvature):
    """Fill the log density and its derivatives by the length, for ``lengths`` (N,).

    Lengths are those of branches, or of trees if the prior is coupled.
    """
    for i in range(lengths.size):
        value, slope[i], curvature[i] = prior.terms(prior.parameters, lengths[i])
        log_density[i] = prior.constant + value


@njit(cache=True, nogil=True)
def is_coupled(prior):
    """Whether branches depend on one another."""
    return prior.external > 0.0


@njit(cache=True, nogil=True)
def is_external(v, top, n):
    """Whether the branch above node v leads to a taxon; ``top`` is the child of the root leaf."""
    return v < n or v == top


@njit(cache=True, nogil=True)
def total_terms(prior, n, total):
    """h(t) of a tree of n taxa and its first and second derivative; 0 for independent branches."""
    if prior.external <= 0.0:
        return 0.0, 0.0, 0.0
    value, slope, curvature = prior.terms(prior.parameters, total)
    a = n * prior.external + (n - 3) * prior.internal
    value += prior.constant + math.lgamma(a)
    value -= n * math.lgamma(prior.external) + (n - 3) * math.lgamma(prior.internal)
    k = a - 1.0
    return value - k * math.log(total), slope - k / total, curvature + k / (total * total)


@njit(cache=True, nogil=True)
def branch_terms(prior, external, b, slope_of_total):
    """Log density of one branch, less its constant, and its first and second derivative.

    Parameters
    ----------
    prior : PriorFunctions
    external : bool
        Whether the branch leads to a taxon.
    b : float
    slope_of_total : float
        h' of a coupled prior at the length of the tree, which is added to the first derivative.
    """
    if prior.external > 0.0:
        k = (prior.external if external else prior.internal) - 1.0
        if k == 0.0:
            return 0.0, slope_of_total, 0.0
        return k * math.log(b), k / b + slope_of_total, -k / (b * b)
    return prior.terms(prior.parameters, b)


@njit(cache=True, nogil=True)
def branch_constant(prior):
    """Constant of the log density of one branch; that of a coupled prior is part of h."""
    return 0.0 if prior.external > 0.0 else prior.constant


@njit(cache=True, nogil=True)
def bounded(b, prior):
    """Length b moved into the range of modes."""
    low = max(MIN_LENGTH, prior.low)
    high = min(MAX_LENGTH, prior.high)
    return min(max(b, low), high)
