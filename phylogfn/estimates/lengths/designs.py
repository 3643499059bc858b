"""For which topologies branch lengths are drawn, how often, and the draws.

Topologies of large mass are all drawn for, half of the draws by mass and half evenly, and of the
rest a systematic sample represents the others (stratified sampling).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gfncore.evaluation import systematic_resample
from phylogfn.estimates.lengths.masses import TopologyMasses

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.integrals import LengthDraws

__all__ = ["BLOCK", "Blocks", "Design", "Source", "draw_blocks"]

BLOCK = 32  # draws of a topology that are made together
CHUNK = 64  # blocks whose lengths are held at a time
FEWEST_OF_REST = 20  # topologies that represent those of small mass
NEGLIGIBLE = 1e-9  # share of the mass
MOST_PICKS = 32  # draws of a block that can be posterior samples


@dataclass(frozen=True)
class Design:
    """Topologies for which lengths are drawn.

    Attributes
    ----------
    index : ndarray, shape (D,)
        Index into the masses.
    coefficients : ndarray, shape (D,)
        Coefficients of their ratios in the estimate; sum 1.
    blocks : ndarray, shape (D,)
        Number of blocks of draws for each.
    n_certain : int
        This number of topologies represent only themselves; the others represent all remaining
        ones.
    """

    index: np.ndarray
    coefficients: np.ndarray
    blocks: np.ndarray
    n_certain: int

    @classmethod
    def of_size(cls, shares: np.ndarray, points: int, rng: np.random.Generator) -> Design:
        """Return a design of about ``points`` blocks."""
        certain = shares * points >= 1.0
        of_rest = shares[~certain].sum()
        n = max(math.ceil(points * of_rest), min(FEWEST_OF_REST, points // 2), 2)
        if of_rest <= NEGLIGIBLE:
            n = 0
        elif n >= np.count_nonzero(~certain):  # no need to choose
            certain[:] = True
            n = 0
        own, rest = np.flatnonzero(certain), np.flatnonzero(~certain)
        coefficients = shares[own]
        even = 0.5 * points * coefficients.sum() / max(len(own), 1)
        blocks = np.ceil(0.5 * points * coefficients + even).astype(np.int64)
        if n == 0:
            return cls(own, coefficients / coefficients.sum(), blocks, len(own))
        picked, counts = np.unique(
            rest[systematic_resample(shares[rest], n, rng)], return_counts=True
        )
        return cls(
            np.concatenate([own, picked]),
            np.concatenate([coefficients, of_rest * counts / n]),
            np.concatenate([blocks, counts]),
            len(own),
        )


@dataclass(frozen=True)
class Blocks:
    """Draws of a design by blocks.

    Attributes
    ----------
    owner : ndarray, shape (K,)
        Position of its topology in the design; ascending.
    log_weights : ndarray, shape (K, BLOCK)
        Log weights relative to the closed form of the topology.
    lengths : ndarray, shape (K, P, 2n-2)
        Lengths of P draws of each block, resampled by weight.
    log_likelihoods : ndarray, shape (K, P)
        Log likelihoods of the same draws.
    thetas : ndarray, shape (K, P, d)
        Free parameters of the same draws.
    """

    owner: np.ndarray
    log_weights: np.ndarray
    lengths: np.ndarray
    log_likelihoods: np.ndarray
    thetas: np.ndarray


class Source(Protocol):
    """Draws of lengths, and of parameters, for topologies."""

    @property
    def method(self) -> str:
        """``independent``, ``joint`` or ``annealed``."""
        ...

    @property
    def rungs(self) -> int:
        """Number of steps from the proposal to the posterior."""
        ...

    def draw(self, rows: np.ndarray, n_draws: int, rng: np.random.Generator) -> LengthDraws:
        """Draw for topologies, given by rows (B,) of the table, equal ones together."""
        ...


def draw_blocks(
    design: Design,
    masses: TopologyMasses,
    table: TopologyTable,
    source: Source,
    n_samples: int,
    rng: np.random.Generator,
    tell: Callable[[float, str], None],
) -> Blocks:
    """Draw all blocks of a design."""
    rows = masses.rows[design.index]
    owner = np.repeat(np.arange(len(rows)), design.blocks)
    n_picks = min(MOST_PICKS, math.ceil(3 * n_samples / len(owner)) + 2)
    log_weights = np.empty((len(owner), BLOCK))
    lengths = np.empty((len(owner), n_picks, table.parents.shape[1]))
    log_likelihoods = np.empty((len(owner), n_picks))
    thetas: np.ndarray | None = None
    for start in range(0, len(owner), CHUNK):
        part = slice(start, start + CHUNK)
        own = rows[owner[part]]
        draws = source.draw(own, BLOCK, rng)
        log_w = draws.log_weights
        log_weights[part] = log_w - table.log_evidence[own][:, None]
        cumulative = np.cumsum(np.exp(log_w - log_w.max(axis=1, keepdims=True)), axis=1)
        targets = rng.random((len(log_w), n_picks)) * cumulative[:, -1:]
        picks = (cumulative[:, None, :] < targets[:, :, None]).sum(axis=2)
        picks = np.minimum(picks, BLOCK - 1)
        lengths[part] = np.take_along_axis(draws.lengths, picks[:, :, None], axis=1)
        log_likelihoods[part] = np.take_along_axis(draws.log_likelihoods, picks, axis=1)
        if thetas is None:
            thetas = np.empty((len(owner), n_picks, draws.thetas.shape[2]))
        thetas[part] = np.take_along_axis(draws.thetas, picks[:, :, None], axis=1)
        done = min(start + CHUNK, len(owner))
        tell(done / len(owner), f"{done * BLOCK:,} of {len(owner) * BLOCK:,} draws")
    assert thetas is not None
    return Blocks(owner, log_weights, lengths, log_likelihoods, thetas)
