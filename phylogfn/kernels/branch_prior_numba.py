"""The prior on a branch length, as the kernels read it.

A prior is its parameters and the addresses of two functions, so that one compiled kernel serves all
priors. The address of a function costs some tens of microseconds to pass, and nothing to call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import cfunc, float64, njit, types

__all__ = [
    "DRAW",
    "TERMS",
    "PriorFunctions",
    "evaluate",
    "exponential_draw",
    "exponential_terms",
]

TERMS = types.UniTuple(float64, 3)(float64[::1], float64)  # of (parameters, length)
DRAW = float64(float64[::1])  # of (parameters,)


class PriorFunctions(NamedTuple):
    """A prior on the length b of a branch.

    Attributes
    ----------
    constant : float
        Part of the log density (nats) that is the same for all b.
    parameters : ndarray, float64
        First argument of both functions.
    terms : function of signature `TERMS`
        The rest of the log density, and its first and second derivative by b.
    draw : function of signature `DRAW`
        A length drawn from the prior by the random numbers of the calling thread.
    """

    constant: float
    parameters: np.ndarray
    terms: Any
    draw: Any


@cfunc(TERMS, cache=True)
def exponential_terms(parameters, b):
    """`PriorFunctions.terms` of the exponential distribution; its rate is the only parameter."""
    rate = parameters[0]
    return -rate * b, -rate, 0.0


@cfunc(DRAW, cache=True)
def exponential_draw(parameters):
    """`PriorFunctions.draw` of the exponential distribution."""
    return np.random.gamma(1.0, 1.0 / parameters[0])


@njit(cache=True, nogil=True)
def evaluate(prior, lengths, log_density, slope, curvature):
    """Fill the log density and its derivatives by the length, for ``lengths`` (N,)."""
    for i in range(lengths.size):
        value, slope[i], curvature[i] = prior.terms(prior.parameters, lengths[i])
        log_density[i] = prior.constant + value
