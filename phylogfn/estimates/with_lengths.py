"""From a policy that builds trees with branch lengths to the answer: evidence, posterior draws.

A draw is a whole tree (tau, b), its weight w = p(Y | tau, b) p(b) p(tau) / q(tau, b), both
densities with respect to Lebesgue measure on the lengths. The mean weight is unbiased for p(Y); no
closed form comes in. Trees resampled by weight are draws from the posterior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.evaluation import PartitionEstimate, WeightedDraws, known_divergence
from gfncore.evaluation.object_probability import draw_objects, log_object_probabilities
from phylogfn.estimates.collapsed import PATHS, Drawn, batch_size, in_waves

if TYPE_CHECKING:
    from gfncore.policies import Policy
    from phylogfn.environments.merging_lengths import LengthForestStates, MergingLengthsEnvironment
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward

__all__ = ["DrawnTrees", "divergence", "draw_trees", "estimate_trees"]

BATCH = 250  # trees that one thread draws at a time


@dataclass(frozen=True)
class DrawnTrees(Drawn):
    """Trees with branch lengths drawn by a policy; `log_q` is a density.

    Attributes
    ----------
    lengths : ndarray, shape (N, 2n-2)
        As the nodes are numbered in `parents`.
    parents : ndarray, shape (N, 2n-2), int16
        Drawn at taxon 0.
    log_reward : ndarray, shape (N,)
        log p(Y | tau, b) p(b) p(tau).
    """

    parents: np.ndarray
    lengths: np.ndarray
    log_reward: np.ndarray

    @staticmethod
    def concat(parts: list[DrawnTrees]) -> DrawnTrees:  # pyright: ignore
        """Concatenate several into one."""
        return DrawnTrees(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.log_q for part in parts]),
            np.concatenate([part.parents for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            np.concatenate([part.log_reward for part in parts]),
        )

    def weighted(self, n_known: int = 0) -> WeightedDraws:
        """Return the draws with their weights; the first ``n_known`` topologies are known."""
        return WeightedDraws(self.log_reward - self.log_q, self.rows < n_known)


def draw_trees(
    environment: MergingLengthsEnvironment,
    policy: Policy,
    reward: CollapsedReward,
    table: TopologyTable,
    n: int,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
    until: Callable[[], bool] | None = None,
) -> DrawnTrees:
    """Draw n trees, add new topologies (collapsed) to the table, and return the draws.

    The density of a tree is an average over `PATHS` histories, as in
    `phylogfn.estimates.collapsed.draw`. The probability of a topology, which the table stores for
    its last draw, is that density divided by the posterior density of the lengths. ``until`` ends
    the draws as in that function.
    """

    def one(size: int, own: np.random.Generator) -> tuple[Any, np.ndarray]:
        return draw_objects(environment, policy, size, PATHS, own, backward_policy)

    parts: list[DrawnTrees] = []
    for drawn in in_waves(one, n, batch_size(BATCH, environment.n_taxa), generator, reward, until):
        found = [environment.trees_with_lengths(terminals) for terminals, _ in drawn]
        parents = np.concatenate([trees for trees, _ in found])
        rows = table.look_up(reward, parents, until)
        size = len(rows)
        log_q = np.concatenate([part for _, part in drawn])[:size]
        lengths = np.concatenate([own for _, own in found])[:size]
        parents = parents[:size]
        log_reward = reward.log_likelihoods(parents, lengths) + reward.log_priors(lengths, parents)
        log_collapsed = table.log_evidence[rows] + reward.log_topology_prior
        table.log_q[rows] = np.minimum(log_q - (log_reward - log_collapsed), 0.0)
        table.n_draws += size
        parts.append(DrawnTrees(rows, log_q, parents, lengths, log_reward))
    return DrawnTrees.concat(parts)


def estimate_trees(drawn: DrawnTrees, n_known: int) -> PartitionEstimate:
    """Estimate the evidence; known topologies are the first ``n_known`` rows of the table."""
    return drawn.weighted(n_known).estimate()


def divergence(
    environment: MergingLengthsEnvironment,
    policy: Policy,
    known: LengthForestStates,
    log_z: float,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
) -> tuple[float, float]:
    """Return the KL from the posterior to the policy and its standard error, nats.

    ``known`` are trees drawn from the posterior.
    """
    log_q = log_object_probabilities(environment, policy, known, PATHS, generator, backward_policy)
    log_p = environment.log_reward(known) - log_z
    return known_divergence(log_p, log_q, np.ones(len(log_q), int))
