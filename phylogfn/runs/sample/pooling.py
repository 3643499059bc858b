"""The evidence from the draws of all runs together; see `phylogfn.estimates.pooled`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.estimates.pooled import DrawsOfRun, pool_draws
from phylogfn.results.warnings import NEARLY_ALL, failure
from phylogfn.runs.sample.posterior.sequences import reserved_share
from phylogfn.runs.sample.run import SampleRun
from phylogfn.runs.sample.state import RunState
from phylogfn.samplers.topologies import TopologySampler

if TYPE_CHECKING:
    from gfncore.evaluation import PartitionEstimate
    from phylogfn.environments.base import TreeEnvironment
    from phylogfn.results.posterior import Posterior
    from phylogfn.runs.sample.answer import Answer

__all__ = ["FinishedRun", "gains_by_pooling", "pooled_estimate"]


@dataclass(frozen=True)
class FinishedRun:
    """One of several runs, finished, with the sampler that its draws are from."""

    run: SampleRun
    state: RunState
    environment: TreeEnvironment
    answer: Answer

    @property
    def posterior(self) -> Posterior:
        """The posterior of the run."""
        return self.answer.posterior


def gains_by_pooling(posterior: Posterior) -> bool:
    """Return whether the evidence of a run depends on draws of topologies as well as on sums."""
    return posterior.known.summed and posterior.known.share < NEARLY_ALL


def pooled_estimate(run: SampleRun, done: Sequence[FinishedRun]) -> PartitionEstimate | None:
    """Return the closed-form evidence from all draws; None if there is nothing to gain or no time.

    Parameters
    ----------
    run : SampleRun
        With the settings and the clock of the runs together.
    done : sequence of FinishedRun
    """
    if not any(gains_by_pooling(one.posterior) for one in done):
        return None
    if any(one.state.draws_from_prior or failure(one.posterior) is not None for one in done):
        return None
    run.phase("weighing the draws of all runs together")
    share = 1.0 - run.effort.writing_share - reserved_share(run)
    pooled: list[DrawsOfRun] = []
    for number, one in enumerate(done):
        table = one.state.table
        rows, n_known = one.answer.drawn.rows, one.answer.n_known
        prior = one.state.walkers.reward.log_topology_prior
        log_q: list[np.ndarray] = []
        for other in done:
            found: np.ndarray | None = one.answer.drawn.log_q
            if other is not one:
                sampler = other.run.sampler
                assert isinstance(sampler, TopologySampler)
                found = sampler.log_probabilities(
                    other.state,
                    other.environment,
                    table.parents[rows],
                    other.run.rng("pooled", number),
                    lambda: run.past(share),
                )
            if found is None:
                run.warn_of_clock("the weighing of the draws of all runs together")
                return None
            log_q.append(found)
        pooled.append(
            DrawsOfRun(
                table.parents[:n_known],
                table.log_evidence[:n_known] + prior,
                table.parents[rows],
                table.log_evidence[rows] + prior,
                np.stack(log_q),
            )
        )
    return pool_draws(pooled)
