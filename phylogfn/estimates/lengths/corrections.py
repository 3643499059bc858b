"""From weighted draws of branch lengths to corrections of the closed form and their errors.

The tail of the weights beyond the largest draw is part of every error
(`gfncore.evaluation.unseen_tail`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gfncore.evaluation import (
    effective_sample_size,
    pareto_k,
    systematic_resample,
    unseen_tail_factor,
)
from phylogfn.estimates.lengths.designs import BLOCK, Blocks, Design
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.estimates.lengths.samples import CorrectedShares, Corrections, LengthSamples

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable

__all__ = ["corrected", "probability_errors"]

POOLED = 200.0  # weight of the pooled variance, in draws, relative to a topology's own draws
# prior spread of corrections between topologies
PRIOR_SPREAD, PRIOR_COUNT, SMALLEST_SPREAD = 0.3, 3.0, 0.02


def corrected(
    blocks: Blocks,
    design: Design,
    masses: TopologyMasses,
    table: TopologyTable,
    n_samples: int,
    rng: np.random.Generator,
) -> LengthSamples:
    """Return the result of the draws of a design."""
    coefficients, owner = design.coefficients, blocks.owner
    n_draws = design.blocks * BLOCK
    top = blocks.log_weights.max()
    weights = np.exp(blocks.log_weights - top)
    by_block = weights.sum(axis=1)
    sums = np.bincount(owner, by_block)
    squares = np.bincount(owner, (weights**2).sum(axis=1))
    means = sums / n_draws
    log_all = np.log(coefficients / n_draws)[owner][:, None] + blocks.log_weights
    log_all = log_all.ravel()
    beyond = unseen_tail_factor(log_all) ** 2
    variances = np.maximum(squares / n_draws - means**2, 0.0) * n_draws / (n_draws - 1) * beyond
    ratio = float(coefficients @ means)

    certain = np.arange(len(coefficients)) < design.n_certain
    variance = float((coefficients**2 * variances / n_draws)[certain].sum())
    rest = by_block[owner >= design.n_certain] / BLOCK / ratio
    of_rest = coefficients[~certain].sum()
    rest_variance = beyond * float(rest.var(ddof=1)) / len(rest) if len(rest) > 1 else 0.0
    variance = variance / ratio**2 + of_rest**2 * rest_variance

    relative, errors = _shrunken(
        means / ratio, variances / ratio**2, n_draws, coefficients, certain
    )
    spread = _spread(means / ratio, errors.raw)
    others = float(rest.mean()) if len(rest) else 1.0
    log_ratios = np.full(len(table), top + math.log(ratio * others))
    relative_variances = np.full(len(table), (spread + rest_variance) / others**2)
    drawn_for = np.zeros(len(table), bool)
    rows = masses.rows[design.index]
    log_ratios[rows] = top + np.log(ratio * relative)
    relative_variances[rows] = errors.shrunken / relative**2
    drawn_for[rows] = True

    values = masses.shares * others
    variances_of_values = masses.shares * of_rest * rest_variance
    own, drawn = design.index[certain], design.index[owner[owner >= design.n_certain]]
    values[own] = coefficients[certain] * (means / ratio)[certain]
    variances_of_values[own] = coefficients[certain] ** 2 * errors.raw[certain]
    np.add.at(values, drawn, of_rest * (rest - others) / max(len(rest), 1))

    share = (coefficients * relative / sums)[owner] * by_block
    chosen = systematic_resample(share, n_samples, rng)
    turn = np.arange(n_samples) - np.searchsorted(chosen, chosen)  # which of its block's picks
    turn %= blocks.lengths.shape[1]
    mixed = rng.permutation(n_samples)
    chosen, turn = chosen[mixed], turn[mixed]
    return LengthSamples(
        rows[owner[chosen]],
        blocks.lengths[chosen, turn],
        blocks.log_likelihoods[chosen, turn],
        blocks.thetas[chosen, turn],
        float(top + math.log(ratio)),
        math.sqrt(variance),
        Corrections(log_ratios, relative_variances, drawn_for),
        CorrectedShares(values, variances_of_values),
        effective_sample_size(log_all),
        pareto_k(log_all),
        log_all.size,
        log_all.size,
    )


def probability_errors(
    probabilities: np.ndarray, variances: np.ndarray, total_variance: float
) -> np.ndarray:
    """Return standard errors (T,) of probabilities p = x / (x + y) of topologies.

    Parameters
    ----------
    probabilities, variances : ndarray, shape (T,)
        With the relative variance of each x.
    total_variance : float
        Relative variance of x + y; x and y are independent.
    """
    p = probabilities
    own = p**2 * variances
    others = np.maximum(total_variance - own, 0.0)
    return np.sqrt((1.0 - p) ** 2 * own + p**2 * others)


@dataclass(frozen=True)
class _Variances:
    """Relative variances of ratios, shape (D,): of a topology's own draws, and after shrinkage."""

    raw: np.ndarray
    shrunken: np.ndarray


def _spread(ratios: np.ndarray, variances: np.ndarray) -> float:
    """Return the variance of the true ratios between topologies, from estimates with errors."""
    excess = float(((ratios - 1.0) ** 2 - variances).sum()) + PRIOR_COUNT * PRIOR_SPREAD**2
    return max(excess / (PRIOR_COUNT + len(ratios)), SMALLEST_SPREAD**2)


def _shrunken(
    ratios: np.ndarray,
    variances: np.ndarray,
    n_draws: np.ndarray,
    coefficients: np.ndarray,
    certain: np.ndarray,
) -> tuple[np.ndarray, _Variances]:
    """Return the ratios of the topologies, shrunk towards the mean (empirical Bayes).

    If there are many topologies, each has few draws, and ratios hardly differ: the overall mean is
    then the better estimate. The weighted mean of the ratios remains 1.

    Parameters
    ----------
    ratios : ndarray, shape (D,)
        Ratios relative to their weighted mean.
    variances : ndarray, shape (D,)
        Variances of one draw.
    n_draws, coefficients : ndarray, shape (D,)
    certain : ndarray, shape (D,), bool
        Whether a topology represents only itself; the others are shrunk towards their own mean.
    """
    pooled = float(coefficients @ variances)
    raw = ((n_draws - 1) * variances + POOLED * pooled) / (n_draws - 1 + POOLED) / n_draws
    between = _spread(ratios, raw)
    keep = between / (between + raw)
    centre = np.empty(len(ratios))
    for group in (certain, ~certain):
        weight = coefficients[group]
        if weight.sum() > 0.0:
            centre[group] = weight @ ratios[group] / weight.sum()
    shrunken = np.maximum(centre + keep * (ratios - centre), 1e-300)
    shrunken /= coefficients @ shrunken
    return shrunken, _Variances(raw, keep * raw)
