"""The posterior that weighted trees with branch lengths give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phylogfn.estimates.clades import TopologyShares
from phylogfn.results.posterior import Posterior

if TYPE_CHECKING:
    from gfncore.evaluation import PartitionEstimate
    from phylogfn.estimates.with_lengths import DrawnTrees
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward

__all__ = ["lengths_posterior"]


def lengths_posterior(
    names: tuple[str, ...],
    drawn: DrawnTrees,
    found: PartitionEstimate,
    reward: CollapsedReward,
    table: TopologyTable,
    n_samples: int,
    most_listed: int,
    rng: np.random.Generator,
) -> Posterior:
    """The answer of a sampler of trees with lengths, from its weighted draws alone.

    A topology has the share of the weights that its draws have, and its evidence is that share of
    the whole. The standard error of a share is that of a ratio of weighted means (delta method).

    Parameters
    ----------
    names : tuple of str
    drawn : DrawnTrees
    found : PartitionEstimate
    reward : CollapsedReward
        Knows the prior.
    table : TopologyTable
        Has the topologies of the draws.
    n_samples : int
        Trees resampled by weight.
    most_listed : int
        Topologies listed at most.
    rng : numpy.random.Generator
    """
    weight = np.zeros(len(table))
    weighted = drawn.weighted()
    shares = weighted.probabilities
    np.add.at(weight, drawn.rows, shares)
    best = np.argsort(-weight, kind="stable")[:most_listed]
    best = best[weight[best] > 1e-12]
    squares = np.zeros(len(table))
    np.add.at(squares, drawn.rows, shares**2)
    p, own = weight[best], squares[best]
    errors = np.sqrt((1.0 - p) ** 2 * own + p**2 * np.maximum(squares.sum() - own, 0.0))
    chosen = weighted.resample(n_samples, rng)
    lengths = drawn.lengths[chosen]
    log_priors = reward.log_priors(lengths, drawn.parents[chosen])
    return Posterior(
        names=names,
        draw_parents=drawn.parents[chosen].astype(np.int32),
        draw_lengths=lengths,
        draw_log_likelihoods=drawn.log_reward[chosen] - log_priors,
        draw_log_priors=log_priors,
        topology_parents=table.parents[best].astype(np.int32),
        topology_probabilities=weight[best],
        topology_log_evidences=found.log_z + np.log(weight[best]),
        log_evidence=found.log_z,
        log_evidence_se=found.standard_error,
        ess=found.ess,
        n_proposals=len(drawn.rows),
        pareto_k=found.pareto_k,
        topology_errors=errors,
        split_probabilities=TopologyShares.from_draws(weighted, drawn.rows).clades(table.parents),
    )
