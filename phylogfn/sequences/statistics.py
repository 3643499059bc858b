"""Statistics of alignments by which data and simulations are compared.

All are computed from sets of states as bit masks. A cell that is not a single state is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "composition_chi_squared",
    "multinomial_log_likelihood",
    "parsimony_score",
    "single_states",
    "variable_sites",
]


def single_states(masks: NDArray[np.uint32], n_states: int) -> NDArray[np.int8]:
    """Return the state of each cell, -1 where it is not a single state; same shape, int8."""
    bits = np.left_shift(np.uint32(1), np.arange(n_states, dtype=np.uint32))
    states = np.full(masks.shape, -1, np.int8)
    for state, bit in enumerate(bits):
        states[masks == bit] = state
    return states


def composition_chi_squared(states: NDArray[np.int8], n_states: int) -> float:
    """Return the statistic of homogeneity of the composition of the taxa.

    It is the sum of (observed - expected)^2 / expected over taxa and states, where the expected
    numbers have the composition of all taxa together. Taxa are not independent, so that it does not
    follow a chi-squared distribution; simulations give its distribution (Foster, Syst. Biol.
    53:485, 2004).

    Parameters
    ----------
    states : ndarray, shape (n, n_sites), int8
        -1 where missing.
    n_states : int
    """
    cells = np.arange(len(states))[:, None] * n_states + states
    size = len(states) * n_states
    counts = np.bincount(cells[states >= 0], minlength=size).reshape(len(states), n_states)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / max(counts.sum(), 1.0)
    seen = expected > 0.0
    return float(((counts[seen] - expected[seen]) ** 2 / expected[seen]).sum())


def multinomial_log_likelihood(states: NDArray[np.int8]) -> float:
    """Return the unconstrained (multinomial) log likelihood, nats.

    It is sum_p n_p log(n_p / N) over the distinct columns p, which occur n_p times among N sites
    (Goldman, J. Mol. Evol. 36:182, 1993); missing data are a character of their own.

    Parameters
    ----------
    states : ndarray, shape (n, n_sites), int8
    """
    columns = np.ascontiguousarray(states.T)
    keys = columns.view(np.dtype((np.void, columns.shape[1]))).ravel()
    counts = np.unique(keys, return_counts=True)[1]
    return float((counts * np.log(counts / counts.sum())).sum()) if len(counts) else 0.0


def variable_sites(states: NDArray[np.int8]) -> int:
    """Return the number of sites with two or more states, shape (n, n_sites) of ``states``."""
    highest = states.max(axis=0)
    lowest = np.where(states >= 0, states, 127).min(axis=0)
    return int((highest > lowest).sum())


def parsimony_score(states: NDArray[np.int8], children: NDArray[np.int32], order: list[int]) -> int:
    """Return the smallest number of changes of state on a tree (Fitch, Syst. Zool. 20:406, 1971).

    Parameters
    ----------
    states : ndarray, shape (n, n_sites), int8
    children : ndarray, shape (2n-2, 2), int32
        Of the tree, drawn at leaf 0.
    order : list of int
        A post-order of its nodes, leaf 0 last.
    """
    n = len(states)
    sets = np.empty((2 * n - 2, states.shape[1]), np.uint32)
    bits = np.left_shift(np.uint32(1), np.maximum(states, 0).astype(np.uint32))
    sets[:n] = np.where(states >= 0, bits, np.uint32(0xFFFFFFFF))
    score = 0
    for node in order:
        if node >= n:
            first, second = sets[children[node, 0]], sets[children[node, 1]]
        elif node == 0:
            first, second = sets[0], sets[children[0, 0]]
        else:
            continue
        both = first & second
        score += int(np.count_nonzero(both == 0))
        if node:
            sets[node] = np.where(both, both, first | second)
    return score
