"""Several models on one tree: the parts of an alignment, each with its own model.

Models and data are flat arrays in which the parts lie one behind another (`ModelArrays`,
`DataArrays`), so that one compiled kernel serves any number of parts. `model_of_part` and
`data_of_part` return the arrays of one part, on which all other kernels work. A tile of patterns
belongs to one part, and the log-likelihood and its derivatives are sums over the parts.

A part may consist of variable characters only, as morphological matrices do (Lewis 2001, Syst Biol
50:913-925). The likelihood of each of its patterns is then divided by the probability of being
variable, 1 - S with S the sum of the likelihoods of the constant patterns. These are further
patterns of weight 0 in the part's last tile.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from phylogfn.kernels.tiles import T

__all__ = [
    "CONSTANT",
    "CONSTANT_END",
    "NUMBERS",
    "TILES",
    "TIPS",
    "DataArrays",
    "ModelArrays",
    "constant_terms",
    "data_of_part",
    "is_jukes_cantor",
    "jukes_cantor_of_part",
    "log_variable",
    "model_of_part",
    "size_of_part",
]

LEAST_VARIABLE = 1e-14  # probability of being variable, below which rounding decides
SCALE_STEP = 256  # binary orders of a rescaling
KIND, STATES, CATEGORIES, NUMBERS, PROCESSES = 0, 1, 2, 3, 4  # columns of the table of models
TILES, TILES_END, TIPS, MASKS, CONSTANT, CONSTANT_END = 0, 1, 2, 3, 4, 5  # and of patterns


class ModelArrays(NamedTuple):
    """The substitution models of M parts as the kernels read them, K states and C categories each.

    Two arrays hold everything, as each array costs some nanoseconds whenever it is passed.

    Attributes
    ----------
    table : ndarray, shape (M, 5), int64
        Kind, K, C, where the part begins in `numbers`, and the number of processes N. Kind 0 is an
        equal-input model of DNA with one category and no invariant sites, 1 any reversible model. K
        is a multiple of 4, by states that never occur. N is 1, or divides C: category c has process
        c * N // C.
    numbers : ndarray, float64
        Of each part, one behind another: the decay of kind 0 per unit of length,
        rate / (1 - sum pi^2); frequencies (N * K); eigenvalues (N * K); rates of the categories,
        with the rate of the part as a factor (C); their weights (C); the rate matrices Q, their
        transposes, and the matrices of Q = right diag(values) left (N * K * K each).
    """

    table: np.ndarray
    numbers: np.ndarray


class DataArrays(NamedTuple):
    """Site patterns of M parts as the kernels read them, in tiles of T, filled up by weight 0.

    Attributes
    ----------
    n_taxa : int
    table : ndarray, shape (M, 6), int64
        First tile of the part, and one past its last; where it begins in `tips` and in `masks`;
        the first of the constant patterns in its last tile, and one past the last (equal for a part
        whose characters may be constant).
    tips : ndarray, float64
        1 for each state that is possible, ``[tile, taxon, state, pattern]``.
    weights, invariant : ndarray, shape (n_tiles * T,), float64
        Sites of each pattern; share of invariant sites times the chance of the pattern in one.
    masks : ndarray, int16
        The tips of DNA once more, ``[tile, taxon, pattern]``: bit s is set if state s is possible,
        and the number of possible states stands above the four bits. None of other data.
    """

    n_taxa: int
    table: np.ndarray
    tips: np.ndarray
    weights: np.ndarray
    invariant: np.ndarray
    masks: np.ndarray


@njit(inline="always")
def size_of_part(model, data, m):
    """Kind, states, categories and number of tiles of part m."""
    n_tiles = data.table[m, TILES_END] - data.table[m, TILES]
    return model.table[m, KIND], model.table[m, STATES], model.table[m, CATEGORIES], n_tiles


@njit(inline="always")
def model_of_part(model, m):
    """Model of part m: a tuple of views in the order in which the kernels unpack it."""
    K = model.table[m, STATES]
    C = model.table[m, CATEGORIES]
    N = model.table[m, PROCESSES]
    at = model.table[m, NUMBERS]
    numbers = model.numbers
    values = at + 1 + N * K
    rates = values + N * K
    matrices = rates + 2 * C
    square = N * K * K
    return (
        model.table[m, KIND],
        numbers[at],
        numbers[at + 1 : values],
        numbers[rates : rates + C],
        numbers[rates + C : matrices],
        numbers[matrices : matrices + square].reshape(N, K, K),
        numbers[matrices + square : matrices + 2 * square].reshape(N, K, K),
        numbers[matrices + 2 * square : matrices + 3 * square].reshape(N, K, K),
        numbers[values:rates].reshape(N, K),
        numbers[matrices + 3 * square : matrices + 4 * square].reshape(N, K, K),
    )


@njit(inline="always")
def is_jukes_cantor(model, m):
    """Whether part m has the model of Jukes and Cantor, for which there are faster kernels."""
    f = model.table[m, NUMBERS] + 1
    freqs = model.numbers
    return model.table[m, KIND] == 0 and freqs[f] == freqs[f + 1] == freqs[f + 2] == freqs[f + 3]


@njit(inline="always")
def jukes_cantor_of_part(model, data, m):
    """Decay, number of taxa, masks and weights of part m, for the kernels of that model."""
    first = data.table[m, TILES] * T
    end = data.table[m, TILES_END] * T
    return (
        model.numbers[model.table[m, NUMBERS]],
        data.n_taxa,
        data.masks[data.table[m, MASKS] :],
        data.weights[first:end],
    )


@njit(inline="always")
def data_of_part(data, m):
    """Patterns of part m: a tuple of views in the order in which the kernels unpack it."""
    first = data.table[m, TILES] * T
    end = data.table[m, TILES_END] * T
    return (
        data.n_taxa,
        data.tips[data.table[m, TIPS] :],
        data.weights[first:end],
        data.invariant[first:end],
        data.masks[data.table[m, MASKS] :],
        data.table[m, CONSTANT],
        data.table[m, CONSTANT_END],
    )


@njit(cache=True, nogil=True)
def _sum_of_constant(lik, first, end, scale, os, rescale):
    """Sum of ``lik`` (T) over the constant patterns, whose unit is 2**(-256 scale)."""
    total = 0.0
    for i in range(first, end):
        value = lik[i]
        if rescale:
            value = math.ldexp(value, -int(min(scale[os + i], 8.0)) * SCALE_STEP)
        total += value
    return total


@njit(cache=True, nogil=True)
def log_variable(lik, first, end, scale, os, rescale):
    """Log probability of a variable pattern, nats: log(1 - S) for the part's last tile."""
    constant = _sum_of_constant(lik, first, end, scale, os, rescale)
    return math.log(max(1.0 - constant, LEAST_VARIABLE))


@njit(cache=True, nogil=True)
def constant_terms(lik, slope, curvature, first, end, scale, os, rescale, weight):
    """Both derivatives of -weight log(1 - S) by one branch length.

    ``lik``, ``slope``, ``curvature`` (T) are the likelihoods of the part's last tile and their
    derivatives; ``weight`` is the number of characters.
    """
    constant = _sum_of_constant(lik, first, end, scale, os, rescale)
    variable = max(1.0 - constant, LEAST_VARIABLE)
    g = _sum_of_constant(slope, first, end, scale, os, rescale) / variable
    h = _sum_of_constant(curvature, first, end, scale, os, rescale) / variable
    return weight * g, weight * (h + g * g)
