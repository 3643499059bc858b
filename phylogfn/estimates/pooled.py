"""The evidence from the draws of several samplers together.

Draws of samplers q_1 ... q_R are weighted as draws of their mixture q = sum_i (N_i / N) q_i (the
balance heuristic of multiple importance sampling, Veach & Guibas, SIGGRAPH 1995): with the union C
of the topologies that the runs summed,

    Z = sum_{C} R + (1/N) sum_{draws not in C} R / q.

A topology that one sampler hardly ever draws has no large weight as long as another draws it, and
two groups of trees of which each sampler knows one are both counted. Where q_i of a topology is an
estimate over several histories, the weights are unbiased as those of a single sampler are: its
histories under the other samplers are drawn backward, as all but one of its own are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import PartitionEstimate, WeightedDraws
from phylogfn.trees.keys import UnionOfTopologies

__all__ = ["DrawsOfRun", "pool_draws"]


@dataclass(frozen=True, eq=False)
class DrawsOfRun:
    """What one of R runs summed and drew; log rewards include the prior of topologies.

    Attributes
    ----------
    known : ndarray, shape (K, 2n-2)
        Parents of the topologies that it knew before its draws, each once.
    log_rewards_known : ndarray, shape (K,)
    trees : ndarray, shape (N, 2n-2)
        Parents of its draws.
    log_rewards : ndarray, shape (N,)
    log_q : ndarray, shape (R, N)
        Log-probabilities of these draws under the samplers of all runs.
    """

    known: np.ndarray
    log_rewards_known: np.ndarray
    trees: np.ndarray
    log_rewards: np.ndarray
    log_q: np.ndarray


def pool_draws(runs: Sequence[DrawsOfRun]) -> PartitionEstimate:
    """Return the estimate from the draws of all runs.

    The known topologies of a run must not depend on the draws of any.
    """
    union = UnionOfTopologies.from_lists(
        [*(run.known for run in runs), *(run.trees for run in runs)]
    )
    log_rewards = np.full(len(union.parents), -np.inf)
    for rows, run in zip(union.rows[: len(runs)], runs, strict=True):
        # the larger of two: the same closed form, optimised a little better
        log_rewards[rows] = np.maximum(log_rewards[rows], run.log_rewards_known)
    known = np.isfinite(log_rewards)
    sizes = np.array([len(run.trees) for run in runs])
    log_shares = np.log(sizes / sizes.sum())[:, None]
    log_weights = [
        run.log_rewards - np.asarray(logsumexp(run.log_q + log_shares, axis=0)) for run in runs
    ]
    drawn = np.concatenate(union.rows[len(runs) :])
    weighted = WeightedDraws(np.concatenate(log_weights), known[drawn])
    return weighted.estimate(log_rewards[known])
