"""Effective number of draws of a Markov chain over topologies.

The estimator is the pseudo-ESS of Lanfear, Hua & Warren 2016 (Genome Biol.
Evol. 8:2319-2332): the Robinson-Foulds distance from one tree of the chain to
every tree of the chain is a trace of numbers, whose effective size is
estimated as for any parameter; this is repeated for several trees, and the
median is taken (Magee et al. 2023, Bayesian Anal., recommend it or its
minimum). The effective size of a trace uses Geyer's initial positive sequence
(1992, Stat. Sci. 7:473-483).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.phylogfn.reference import Topology

__all__ = ["effective_size", "topological_ess"]


def effective_size(trace: NDArray[np.float64]) -> float:
    """Effective sample size of a trace of numbers by Geyer's initial positive sequence.

    Parameters
    ----------
    trace : ndarray, shape (S,), dtype=float64
        Successive values of one chain.

    Returns
    -------
    size : float
        Between 1 and S; 1 for a trace that never moves.
    """
    n = len(trace)
    centred = trace - trace.mean()
    if n < 4 or not np.any(centred):
        return 1.0
    spectrum = np.fft.rfft(centred, 2 * n)
    covariance = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[:n] / n
    correlation = covariance / covariance[0]
    pairs = correlation[: n - n % 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0.0)
    last = negative[0] if negative.size else len(pairs)
    time = max(2.0 * pairs[:last].sum() - 1.0, 1.0)
    return max(n / time, 1.0)


def topological_ess(
    chain: Sequence[Topology], rng: np.random.Generator, n_references: int = 50
) -> float:
    """Median pseudo-ESS of a chain of topologies.

    Parameters
    ----------
    chain : sequence of frozenset of int
        Topologies in the order of sampling, after burn-in.
    rng : numpy.random.Generator
        Draws the reference trees.
    n_references : int
        Number of trees of the chain from which distances are taken.
    """
    number = {split: i for i, split in enumerate(sorted(frozenset().union(*chain)))}
    holds = np.zeros((len(chain), len(number)), dtype=np.float32)
    for row, topology in enumerate(chain):
        holds[row, [number[split] for split in topology]] = 1.0
    size = holds.sum(axis=1)
    chosen = rng.choice(len(chain), min(n_references, len(chain)), replace=False)
    shared = holds @ holds[chosen].T
    distances = size[:, None] + size[chosen][None, :] - 2.0 * shared
    return float(np.median([effective_size(column.astype(float)) for column in distances.T]))
