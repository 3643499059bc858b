"""From a trained policy to the answer: evidence with its error, and draws from the posterior.

Let C be the topologies known before the draws, R their closed forms, q the policy. Then

    Z_closed = sum_{C} R + E_q[1{not in C} R / q],    Z = Z_closed * E_{tau ~ R}[E_b[p p / (q R)]]

where the last factor corrects the closed form by importance draws of branch lengths: the same for
all topologies but for a little, so it has hardly any variance. Draws from the posterior come out of
the same weights: topologies by R (known ones) or R/q (drawn ones), lengths by theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import effective_sample_size, log_partition_with_known, pareto_k
from gfncore.evaluation.object_probability import draw_objects
from phylogfn.tree import random_topology

if TYPE_CHECKING:
    from gfncore.policies import Policy
    from phylogfn.evidence import CollapsedReward
    from phylogfn.learning import TreeEnvironment
    from phylogfn.topologies import TopologyTable

__all__ = [
    "Drawn",
    "Estimate",
    "LengthSamples",
    "batch_size",
    "draw",
    "draw_from_prior",
    "estimate",
    "in_waves",
    "sample_lengths",
]

PATHS = 8  # histories that the probability of a topology is averaged over, where it has many
BATCH = 500  # trajectories that one thread draws at a time
EASY_TAXA = 50  # up to which a batch has so many
FEWEST_IN_BATCH = 16
LENGTH_DRAWS = 32  # a topology
CHUNK = 64  # topologies whose length draws are held at a time


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
        """One out of several."""
        return Drawn(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.log_q for part in parts]),
        )


@dataclass(frozen=True)
class Estimate:
    """Evidence with the closed form as reward.

    Attributes
    ----------
    log_z, standard_error : float
        Prior of topologies included; error in nats.
    ess : float
        Effective number of the draws, as importance draws of the whole posterior.
    pareto_k : float
    log_weights : ndarray, shape (N,)
        log R/q of the draws.
    known_share : float
        Share of the evidence that is in C.
    """

    log_z: float
    standard_error: float
    ess: float
    pareto_k: float
    log_weights: np.ndarray
    known_share: float


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
    """Draw n topologies; those that are new are evaluated and put into the table.

    Where a topology has many histories, its probability is an average over `PATHS` of them, the one
    that was drawn among them, by the backward policy; without one, the uniform. ``until`` is asked
    now and then, and ends the draws where it says so; the first few are made in any case.
    """

    def one(size: int, own: np.random.Generator) -> tuple[Any, np.ndarray]:
        return draw_objects(environment, policy, size, PATHS, own, backward_policy)

    rows: list[np.ndarray] = []
    log_q: list[np.ndarray] = []
    for drawn in in_waves(one, n, batch_size(BATCH, environment.n_taxa), generator, reward, until):
        trees = np.concatenate([environment.trees(terminals) for terminals, _ in drawn])
        found = reward.look_up(table, trees, until)
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
    rows: list[np.ndarray] = []
    for start in range(0, n, BATCH):
        if start and until is not None and until():
            break
        trees = [
            random_topology(table.n_taxa, generator).parent for _ in range(min(BATCH, n - start))
        ]
        rows.append(reward.look_up(table, np.stack(trees).astype(np.int16), until))
    found = np.concatenate(rows)
    table.log_q[found] = reward.log_topology_prior
    table.n_draws += len(found)
    return Drawn(found, np.full(len(found), reward.log_topology_prior))


def batch_size(most: int, n_taxa: int) -> int:
    """Trajectories that one thread draws at a time: fewer of many taxa, which take longer."""
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

    As many at a time as there are threads; what is drawn does not depend on their number.
    ``until`` is asked after each.
    """
    sizes = [min(batch, n - start) for start in range(0, n, batch)]
    generators = generator.spawn(len(sizes))
    for start in range(0, len(sizes), reward.threads):
        if start and until is not None and until():
            return
        part = slice(start, start + reward.threads)
        yield list(reward.pool.map(task, sizes[part], generators[part]))


def estimate(
    drawn: Drawn, table: TopologyTable, n_known: int, log_topology_prior: float
) -> Estimate:
    """Evidence from draws; C is the first ``n_known`` rows of the table."""
    log_reward = table.log_evidence + log_topology_prior
    log_weights = log_reward[drawn.rows] - drawn.log_q
    known = drawn.rows < n_known
    log_z, error = log_partition_with_known(log_weights, known, log_reward[:n_known])
    return Estimate(
        log_z,
        error,
        effective_sample_size(log_weights),
        pareto_k(log_weights),
        log_weights,
        float(np.exp(logsumexp(log_reward[:n_known]) - log_z)),
    )


@dataclass(frozen=True)
class LengthSamples:
    """Joint draws of topology and branch lengths, and the correction of the closed form.

    Attributes
    ----------
    rows : ndarray, shape (S,), int64
    lengths : ndarray, shape (S, 2n-2)
    log_likelihoods : ndarray, shape (S,)
    log_correction, standard_error : float
        Of the log evidence.
    ess_share : float
        Effective share of the length draws of a topology, median.
    """

    rows: np.ndarray
    lengths: np.ndarray
    log_likelihoods: np.ndarray
    log_correction: float
    standard_error: float
    ess_share: float


def sample_topologies(
    drawn: Drawn,
    result: Estimate,
    table: TopologyTable,
    n_known: int,
    log_topology_prior: float,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Rows (size,) of topologies drawn from the posterior with the closed form as reward."""
    outside = np.flatnonzero(drawn.rows >= n_known)
    rows = np.concatenate([np.arange(n_known), drawn.rows[outside]])
    log_mass = np.concatenate(
        [
            table.log_evidence[:n_known] + log_topology_prior,
            result.log_weights[outside] - math.log(len(drawn.rows)),
        ]
    )
    mass = np.exp(log_mass - log_mass.max())
    points = (rng.random() + np.arange(size)) / size  # systematic resampling
    chosen = np.searchsorted(np.cumsum(mass) / mass.sum(), points)
    return rows[np.minimum(chosen, len(rows) - 1)]


def sample_lengths(
    rows: np.ndarray,
    table: TopologyTable,
    reward: CollapsedReward,
    n_samples: int,
    rng: np.random.Generator,
) -> LengthSamples:
    """Draw branch lengths for topologies ``rows`` that were drawn by the closed form.

    Each topology gets `LENGTH_DRAWS` importance draws, one is chosen by weight; then ``n_samples``
    of the trees are resampled by the mean weight of their topology.
    """
    distinct, inverse = np.unique(rows, return_inverse=True)
    fit = reward.closed_form(table.parents[distinct], table.lengths[distinct])
    log_ratio = np.empty(len(rows))
    effective = np.empty(len(rows))
    lengths = np.empty((len(rows), table.parents.shape[1]))
    log_likelihoods = np.empty(len(rows))
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        index = inverse[part]
        draws = reward.draw_lengths(
            table.parents[distinct[index]], fit.take(index), LENGTH_DRAWS, int(rng.integers(2**31))
        )
        log_w = draws.log_weights
        log_ratio[part] = logsumexp(log_w, axis=1) - math.log(LENGTH_DRAWS)
        log_ratio[part] -= table.log_evidence[distinct[index]]
        share = np.exp(log_w - log_w.max(axis=1, keepdims=True))
        effective[part] = share.sum(axis=1) ** 2 / (share**2).sum(axis=1) / LENGTH_DRAWS
        cumulative = np.cumsum(share, axis=1)
        target = rng.random(len(index)) * cumulative[:, -1]
        chosen = (cumulative < target[:, None]).sum(axis=1)
        chosen = np.minimum(chosen, LENGTH_DRAWS - 1)
        here = np.arange(len(index))
        lengths[part] = draws.lengths[here, chosen]
        log_likelihoods[part] = draws.log_likelihoods[here, chosen]
    ratio = np.exp(log_ratio - log_ratio.max())
    error = float(ratio.std(ddof=1) / ratio.mean() / math.sqrt(len(ratio)))
    points = (rng.random() + np.arange(n_samples)) / n_samples
    kept = np.searchsorted(np.cumsum(ratio) / ratio.sum(), points)
    kept = rng.permutation(np.minimum(kept, len(rows) - 1))
    return LengthSamples(
        rows[kept],
        lengths[kept],
        log_likelihoods[kept],
        float(log_ratio.max() + math.log(ratio.mean())),
        error,
        float(np.median(effective)),
    )
