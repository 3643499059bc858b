"""From a trained policy to the answer: evidence with its error, and draws from the posterior.

Let C be the topologies known before the draws, R their closed forms, q the policy. Then

    Z_closed = sum_{C} R + E_q[1{not in C} R / q].

`phylogfn.estimates.lengths` corrects the closed form by importance draws of branch lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.evaluation import PartitionEstimate, WeightedDraws
from gfncore.evaluation.object_probability import draw_objects
from phylogfn.trees.tree import random_topology

if TYPE_CHECKING:
    from gfncore.policies import Policy
    from phylogfn.environments.base import TreeEnvironment
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward

__all__ = [
    "Drawn",
    "batch_size",
    "draw",
    "draw_from_prior",
    "estimate",
    "in_waves",
    "weigh",
]

PATHS = 8  # histories that the probability of a topology is averaged over, where it has many
BATCH = 500  # trajectories that one thread draws at a time
EASY_TAXA = 50  # number of taxa up to which a batch has this size
FEWEST_IN_BATCH = 16


@dataclass(frozen=True)
class Drawn:
    """Topologies drawn by a policy.

    Attributes
    ----------
    rows : ndarray, shape (N,), int64
        Their rows in the table.
    log_q : ndarray, shape (N,), float64
        Exact, or an estimate whose weights are unbiased (`gfncore.evaluation.object_probability`).
    """

    rows: np.ndarray
    log_q: np.ndarray

    @staticmethod
    def concat(parts: list[Drawn]) -> Drawn:
        """Concatenate several into one."""
        return Drawn(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.log_q for part in parts]),
        )


def draw(
    environment: TreeEnvironment,
    policy: Policy,
    reward: CollapsedReward,
    table: TopologyTable,
    n: int,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
    until: Callable[[], bool] | None = None,
) -> Drawn:
    """Draw n topologies, evaluate new ones and add them to the table; return the draws.

    If a topology has many histories, its probability is an average over `PATHS` of them, including
    the drawn one, by the backward policy (default: uniform). ``until`` is called from time to time
    and ends the draws when it returns True; the first few are made in any case.
    """

    def one(size: int, own: np.random.Generator) -> tuple[Any, np.ndarray]:
        return draw_objects(environment, policy, size, PATHS, own, backward_policy)

    rows: list[np.ndarray] = []
    log_q: list[np.ndarray] = []
    for drawn in in_waves(one, n, batch_size(BATCH, environment.n_taxa), generator, reward, until):
        trees = np.concatenate([environment.trees(terminals) for terminals, _ in drawn])
        found = table.look_up(reward, trees, until)
        rows.append(found)
        log_q.append(np.concatenate([part for _, part in drawn])[: len(found)])
        table.log_q[found] = log_q[-1]
        table.n_draws += len(found)
    return Drawn(np.concatenate(rows), np.concatenate(log_q))


def draw_from_prior(
    reward: CollapsedReward,
    table: TopologyTable,
    n: int,
    generator: np.random.Generator,
    until: Callable[[], bool] | None = None,
) -> Drawn:
    """Draw n topologies uniformly, as `draw` does by a policy."""

    def draw_one() -> np.ndarray:
        if reward.constraints is not None:
            return reward.constraints.random_topology(generator)
        return random_topology(table.n_taxa, generator).parent

    rows: list[np.ndarray] = []
    for start in range(0, n, BATCH):
        if start and until is not None and until():
            break
        trees = [draw_one() for _ in range(min(BATCH, n - start))]
        rows.append(table.look_up(reward, np.stack(trees).astype(np.int16), until))
    found = np.concatenate(rows)
    table.log_q[found] = reward.log_topology_prior
    table.n_draws += len(found)
    return Drawn(found, np.full(len(found), reward.log_topology_prior))


def batch_size(most: int, n_taxa: int) -> int:
    """Return the number of trajectories per batch, smaller for many taxa, which take longer."""
    return max(FEWEST_IN_BATCH, min(most, round(most * (EASY_TAXA / n_taxa) ** 2)))


def in_waves(
    task: Callable[[int, np.random.Generator], Any],
    n: int,
    batch: int,
    generator: np.random.Generator,
    reward: CollapsedReward,
    until: Callable[[], bool] | None,
) -> Iterator[list[Any]]:
    """Yield the results of ``task(size, generator)`` for batches of n draws.

    The number of concurrent batches is that of the threads; the draws do not depend on it.
    ``until`` is called after each.
    """
    sizes = [min(batch, n - start) for start in range(0, n, batch)]
    generators = generator.spawn(len(sizes))
    for start in range(0, len(sizes), reward.threads):
        if start and until is not None and until():
            return
        part = slice(start, start + reward.threads)
        yield list(reward.pool.map(task, sizes[part], generators[part]))


def weigh(
    drawn: Drawn, table: TopologyTable, n_known: int, log_topology_prior: float
) -> WeightedDraws:
    """Return draws with the weights R / q; the first ``n_known`` rows of the table are known."""
    log_reward = table.log_evidence[drawn.rows] + log_topology_prior
    return WeightedDraws(log_reward - drawn.log_q, drawn.rows < n_known)


def estimate(
    drawn: Drawn, table: TopologyTable, n_known: int, log_topology_prior: float
) -> PartitionEstimate:
    """Estimate the evidence, with the closed form as reward and the prior of topologies included.

    C is the first ``n_known`` rows of the table.
    """
    log_reward_known = table.log_evidence[:n_known] + log_topology_prior
    return weigh(drawn, table, n_known, log_topology_prior).estimate(log_reward_known)
