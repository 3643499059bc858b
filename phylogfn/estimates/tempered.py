"""From a trained sampler to near-optimal trees at a temperature, with the sum over all trees.

Let C be the trees known before the draws, R = exp((best - score) / T), q the policy. Then

    Z = sum_{C} R + E_q[1{not in C} R / q]

and draws from R / Z come out of the same weights: known trees by R, drawn ones by R / (q N).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from gfncore.evaluation import (
    PartitionEstimate,
    WeightedDraws,
    draw_by_weight,
    known_divergence,
    systematic_resample,
)
from gfncore.evaluation.object_probability import draw_objects, log_object_probabilities
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.tempering import TemperedEnvironment
from phylogfn.environments.base import TreeEnvironment
from phylogfn.estimates.collapsed import BATCH, PATHS, batch_size
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.parsimony.table import ParsimonyTable

__all__ = [
    "TemperedDraws",
    "divergence_of_known",
    "draw_trees",
    "estimate_partition",
    "in_table",
    "resample",
    "weigh",
]


WAVE = 4  # batches between looks at the clock


@dataclass(frozen=True)
class TemperedDraws:
    """Trees drawn by a policy at one inverse temperature.

    Attributes
    ----------
    beta : float
    parents : ndarray, shape (N, 2n-2), int16
        Drawn at taxon 0.
    log_q : ndarray, shape (N,), float64
        Exact, or an estimate whose weights are unbiased (`gfncore.evaluation.object_probability`).
    """

    beta: float
    parents: np.ndarray
    log_q: np.ndarray


def draw_trees(
    environment: TreeEnvironment,
    policy: Policy,
    betas: np.ndarray,
    n: int,
    generator: np.random.Generator,
    pool: Executor,
    until: Callable[[], bool] | None = None,
) -> list[TemperedDraws]:
    """Draw n trees at each inverse temperature and return them, independently of the threads.

    ``until`` is called after each batch and ends the draws when it returns True, with equal numbers
    at each temperature; the first batch is made in any case.
    """
    batch = batch_size(BATCH, environment.n_taxa)
    sizes = [min(batch, n - start) for start in range(0, n, batch)]
    tasks = [(float(beta), size) for beta in betas for size in sizes]
    generators = generator.spawn(len(tasks))

    def one(task: tuple[float, int], own: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        beta, size = task
        tempered: Any = TemperedEnvironment(environment, beta)
        terminals, log_q = draw_objects(tempered, policy, size, PATHS, own)
        return environment.trees(tempered.without_temperature(terminals)), log_q

    drawn: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in betas]
    together = 1 if until is not None else len(sizes)
    if until is not None and len(betas) == 1:
        together = WAVE  # so that all threads have work
    for start in range(0, len(sizes), together):
        if start and until is not None and until():
            break
        places = range(start, min(start + together, len(sizes)))
        now = [k * len(sizes) + place for k in range(len(betas)) for place in places]
        made = list(pool.map(one, [tasks[i] for i in now], [generators[i] for i in now]))
        for k in range(len(betas)):
            drawn[k] += made[k * len(places) : (k + 1) * len(places)]
    found = []
    for beta, parts in zip(betas, drawn, strict=True):
        found.append(
            TemperedDraws(
                float(beta),
                np.concatenate([trees for trees, _ in parts]),
                np.concatenate([log_q for _, log_q in parts]),
            )
        )
    return found


def in_table(table: ParsimonyTable, parents: np.ndarray) -> np.ndarray:
    """Return whether topologies ``parents`` (N, 2n-2) are in a table; bool (N,)."""
    keys = topology_keys(np.ascontiguousarray(parents, np.int16), table.codes)
    first, group = unique_keys(keys)
    known = np.ones(len(first), bool)
    known[table.unknown(keys[first])] = False
    return known[group]


def weigh(
    draws: TemperedDraws, scores: np.ndarray, known: np.ndarray, reference: float
) -> WeightedDraws:
    """Return drawn trees with the weights R / q.

    Parameters
    ----------
    draws : TemperedDraws
    scores : ndarray, shape (N,), float64
        Of the drawn trees.
    known : ndarray, shape (N,), bool
        Draws that are in C.
    reference : float
        The score that has the reward 1.
    """
    return WeightedDraws(draws.beta * (reference - scores) - draws.log_q, known)


def estimate_partition(
    draws: TemperedDraws,
    scores: np.ndarray,
    known: np.ndarray,
    known_scores: np.ndarray,
    reference: float,
) -> PartitionEstimate:
    """Estimate the sum of exp(beta (reference - score)) over all trees.

    Parameters
    ----------
    draws, scores, known, reference
        As in `weigh`.
    known_scores : ndarray, shape (M,), float64
        Of the trees of C, each once.
    """
    log_known = draws.beta * (reference - known_scores)
    return weigh(draws, scores, known, reference).estimate(log_known)


def resample(
    log_known: np.ndarray, log_outside: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw positions (size,) in known trees followed by outside draws, by their weights.

    Parameters
    ----------
    log_known : ndarray, shape (M,)
        log R of known trees.
    log_outside : ndarray, shape (N,)
        log R / (q N) of the draws that are not known, N being all draws.
    size : int
    rng : numpy.random.Generator
    """
    log_mass = np.concatenate([log_known, log_outside])
    return systematic_resample(np.exp(log_mass - log_mass.max()), size, rng)


def divergence_of_known(
    environment: TreeEnvironment,
    policy: Policy,
    beta: float,
    parents: np.ndarray,
    scores: np.ndarray,
    n: int,
    generator: np.random.Generator,
) -> float:
    """Return the KL from the known trees to the sampler, nats, from n draws of them by weight.

    The weights are normalised to 1 over the known trees: add the log of their share of all trees
    (`PartitionEstimate.known_share`) to compare the sampler with its own target.
    """
    log_weights = beta * (scores.min() - scores)
    rows, counts = draw_by_weight(log_weights, n, generator)
    tempered: Any = TemperedEnvironment(environment, beta)
    terminals = tempered.with_temperature(environment.terminals(parents[rows]), beta)
    log_q = log_object_probabilities(tempered, policy, terminals, PATHS, generator)
    log_p = log_weights[rows] - float(np.logaddexp.reduce(log_weights))
    return known_divergence(log_p, log_q, counts)[0]
