"""Observed state frequencies of an alignment, with ambiguous characters shared out."""

from __future__ import annotations

import numpy as np

__all__ = ["MINIMUM_FREQUENCY", "empirical_frequencies"]

MINIMUM_FREQUENCY = 1e-4


def empirical_frequencies(
    masks: np.ndarray, weights: np.ndarray, n_states: int, tolerance: float = 1e-12
) -> np.ndarray:
    """Return the maximum-likelihood proportions of the states among the characters.

    An ambiguous character counts for its possible states in proportion to their frequencies
    (expectation-maximisation to a fixed point); gaps and unknown characters count for nothing.
    A state that is never seen gets `MINIMUM_FREQUENCY`, taken from the commonest state.

    Parameters
    ----------
    masks : ndarray, shape (n_taxa, n_patterns), uint32
        Bit i is set when state i is possible.
    weights : ndarray, shape (n_patterns,), float64
        Number of sites that show each pattern.
    n_states : int
        Number of states K.
    tolerance : float
        Largest change of a frequency at which the iteration ends.

    Returns
    -------
    frequencies : ndarray, shape (K,), float64
        Positive, sum 1.
    """
    codes, index = np.unique(masks, return_inverse=True)
    counts = np.bincount(
        index.ravel(),
        weights=np.broadcast_to(weights, masks.shape).ravel(),
        minlength=codes.size,
    )
    possible = (codes[:, None] >> np.arange(n_states, dtype=codes.dtype)) & 1
    informative = (possible.sum(axis=1) < n_states) & (possible.sum(axis=1) > 0)
    possible, counts = possible[informative].astype(float), counts[informative]
    frequencies = np.full(n_states, 1.0 / n_states)
    if counts.sum() == 0:
        return frequencies
    for _ in range(1000):
        shares = possible * frequencies
        shares /= shares.sum(axis=1, keepdims=True)
        updated = counts @ shares / counts.sum()
        change = np.abs(updated - frequencies).max()
        frequencies = np.maximum(updated, 1e-300)
        if change < tolerance:
            break
    frequencies = np.maximum(frequencies, MINIMUM_FREQUENCY)
    frequencies[frequencies.argmax()] += 1.0 - frequencies.sum()
    return frequencies / frequencies.sum()
