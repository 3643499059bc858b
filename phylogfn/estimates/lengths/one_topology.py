"""The evidence of single topologies, by importance draws of their branch lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import WeightedDraws
from phylogfn.estimates.lengths.designs import BLOCK
from phylogfn.estimates.lengths.pilots import PILOT_DRAWS, PILOT_TOPOLOGIES
from phylogfn.likelihood.length_proposals import LengthProposal

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward

__all__ = ["TopologyEvidence", "mean_correction", "topology_evidence"]


@dataclass(frozen=True)
class TopologyEvidence:
    """Log evidence of one topology, by importance draws of its branch lengths.

    Attributes
    ----------
    log_evidence, standard_error : float
        Nats, without the prior of the topology.
    pareto_k : float
    """

    log_evidence: float
    standard_error: float
    pareto_k: float


def topology_evidence(
    parents: np.ndarray,
    lengths: np.ndarray | None,
    reward: CollapsedReward,
    n_draws: int,
    seed: int,
) -> TopologyEvidence:
    """Integrate over the branch lengths of one topology and return its evidence.

    Parameters
    ----------
    parents : ndarray, shape (2n-2,)
    lengths : ndarray, shape (2n-2,), optional
        Near the mode, if known.
    reward : CollapsedReward
    n_draws : int
        Two or more; pilot draws, that the proposal is fitted to, come on top.
    seed : int
    """
    trees = parents[None, :]
    fit = reward.closed_form(trees, None if lengths is None else lengths[None, :])
    start = LengthProposal.pilot(len(parents) - 1, reward.branch_prior)
    pilot_seed, seed = np.random.default_rng(seed).integers(2**31, size=2).tolist()
    n_pilot = PILOT_DRAWS * PILOT_TOPOLOGIES
    pilot = reward.draw_lengths(trees, fit, n_pilot, pilot_seed, start)
    proposal = start.fitted(trees, pilot, fit, reward.branch_prior)
    log_weights = reward.draw_lengths(trees, fit, n_draws, seed, proposal).log_weights[0]
    found = WeightedDraws(log_weights).estimate()
    return TopologyEvidence(found.log_z, found.standard_error, found.pareto_k)


def mean_correction(
    rows: np.ndarray, table: TopologyTable, reward: CollapsedReward, rng: np.random.Generator
) -> float:
    """Return a first estimate of the log correction, from a block of draws for each of some rows.

    Parameters
    ----------
    rows : ndarray, shape (B,)
        Drawn by the closed form, repeats allowed.
    table : TopologyTable
    reward : CollapsedReward
    rng : numpy.random.Generator
    """
    distinct, counts = np.unique(rows, return_counts=True)
    fit = reward.closed_form(table.parents[distinct], table.lengths[distinct])
    seed = int(rng.integers(2**31))
    log_w = reward.draw_lengths(table.parents[distinct], fit, BLOCK, seed).log_weights
    log_ratio = np.asarray(logsumexp(log_w, axis=1)) - table.log_evidence[distinct]
    return float(np.log(np.exp(log_ratio) @ counts / len(rows) / BLOCK))
