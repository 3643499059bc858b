"""Common base of samplers of topologies, with branch lengths integrated out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gfncore.evaluation import draw_by_weight, known_divergence
from gfncore.evaluation.object_probability import log_object_probabilities
from phylogfn.estimates.collapsed import BATCH, PATHS, Drawn, batch_size, draw, estimate
from phylogfn.samplers.base import Data, State, TreeSampler
from phylogfn.training.curricula import Curriculum

if TYPE_CHECKING:
    from gfncore.evaluation import PartitionEstimate
    from phylogfn.training.random_trees import RandomTrees

__all__ = ["TopologySampler"]


class TopologySampler(TreeSampler):
    """A sampler of topologies, by their evidence with branch lengths integrated out."""

    draw_by = staticmethod(draw)
    curriculum_by: ClassVar[Callable[..., Curriculum]]
    """The curriculum of the environment, from environment, table and random trees."""

    def curriculum(
        self,
        run: Data,
        state: State,
        environment: Any,
        random_trees: RandomTrees | None,
        n_pool: int,
    ) -> Curriculum:
        """Return the curriculum of the environment."""
        return self.curriculum_by(environment, state.table, random_trees)

    def estimate(self, state: State, drawn: Drawn, n_known: int) -> PartitionEstimate:
        """Return the evidence: known topologies summed, the others estimated from the draws."""
        return estimate(drawn, state.table, n_known, state.walkers.reward.log_topology_prior)

    def log_probabilities(
        self,
        state: State,
        environment: Any,
        parents: np.ndarray,
        rng: np.random.Generator,
        until: Callable[[], bool],
    ) -> np.ndarray | None:
        """Return log-probabilities of topologies under the averaged policy, shape (B,).

        Parameters
        ----------
        state, environment
        parents : ndarray, shape (B, 2n-2)
        rng : numpy.random.Generator
            For histories, where a topology has many.
        until : callable
            Called from time to time; None is returned once it returns True.
        """
        policy, backward = state.trainer.averaged.policy, state.trainer.backward_policy
        reward = state.walkers.reward
        size = batch_size(BATCH, environment.n_taxa)
        parts = [parents[start : start + size] for start in range(0, len(parents), size)]

        def one(part: np.ndarray, own: np.random.Generator) -> np.ndarray:
            terminals = environment.terminals(part)
            return log_object_probabilities(environment, policy, terminals, PATHS, own, backward)

        found: list[np.ndarray] = []
        rngs = rng.spawn(len(parts))
        for start in range(0, len(parts), reward.threads):
            if until():
                return None
            wave = slice(start, start + reward.threads)
            found += reward.pool.map(one, parts[wave], rngs[wave])
        return np.concatenate(found)

    def divergence(
        self, run: Data, state: State, environment: Any, estimate: PartitionEstimate, n: int
    ) -> tuple[float, float]:
        """Return the divergence from the known topologies to the sampler and its error, nats.

        It is measured against the evidence of all topologies, the unknown ones included.
        """
        log_mass = state.table.log_evidence
        rng = run.rng("pilot", 0, state.cycles)
        rows, counts = draw_by_weight(log_mass, batch_size(n, run.alignment.n_taxa), rng)
        terminals = environment.terminals(state.table.parents[rows])
        policy, backward = state.trainer.averaged.policy, state.trainer.backward_policy
        paths = run.rng("pilot")
        log_q = log_object_probabilities(environment, policy, terminals, PATHS, paths, backward)
        missed, error = known_divergence(log_mass[rows] - state.log_z, log_q, counts)
        return missed, math.hypot(error, estimate.standard_error)
