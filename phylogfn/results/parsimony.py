"""The answer of ``phylogfn parsimony``: trees with their scores, and samples at temperatures.

A tree of score s has at temperature T, in steps, the probability exp((best - s) / T) / Z(T).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gfncore.evaluation.pareto_k import PARETO_K_LIMIT
from gfncore.program.messages import Note
from phylogfn.parsimony.search import SearchFacts
from phylogfn.results.facts import OutgroupFacts
from phylogfn.results.warnings import (
    LARGEST_DIVERGENCE,
    NEARLY_ALL,
    weights_matter,
)

__all__ = ["ParsimonyResult", "ParsimonyTraining", "TemperatureSample", "parsimony_warnings"]

FEWEST_HITS = 2  # runs of the ratchet that should end at the best score
FEWEST_EFFECTIVE = 100.0
LARGEST_ERROR = 0.1  # of log Z, nats


@dataclass(frozen=True, eq=False)
class TemperatureSample:
    """A sample of trees at one temperature.

    Attributes
    ----------
    temperature : float
        Steps.
    trained : bool
        Whether it was drawn by the trained sampler, instead of from the known trees by weight.
    log_partition, standard_error : float
        log Z(T) in nats; for known trees only if the sampler was not trained.
    ess, pareto_k : float
        Diagnostics of the importance weights of the proposals; NaN without proposals.
    n_proposals : int
        Number of weighted draws of the sampler.
    known_share : float
        Share of Z(T) of trees that were known before these draws.
    mean_score, optimal_share : float
        Mean score and share of best trees at this temperature, estimated from all weights.
    sampler_mean_score, sampler_optimal_share : float
        The same for the unweighted draws of the sampler; NaN without draws.
    divergence : float
        Mean of log p - log q over the known trees, nats; p is normalised over all trees.
    counts : ndarray, shape (M,), int64
        Number of occurrences of each tree of the result in the sample.
    probabilities : ndarray, shape (M,), float64
    """

    temperature: float
    trained: bool
    log_partition: float
    standard_error: float
    ess: float
    pareto_k: float
    n_proposals: int
    known_share: float
    mean_score: float
    optimal_share: float
    sampler_mean_score: float
    sampler_optimal_share: float
    divergence: float
    counts: np.ndarray
    probabilities: np.ndarray

    @property
    def n_samples(self) -> int:
        """Trees of the sample."""
        return int(self.counts.sum())

    @property
    def n_distinct(self) -> int:
        """Different ones among them."""
        return int((self.counts > 0).sum())


@dataclass(frozen=True)
class ParsimonyTraining:
    """Training of the sampler of near-optimal trees.

    Attributes
    ----------
    n_known : int
        Number of trees known before the last draws.
    lowest_temperature, highest_temperature : float
        Range of temperatures that the sampler learned, steps.
    steps, cycles : int
        Training steps, and cycles of training and evaluation.
    """

    n_known: int
    lowest_temperature: float
    highest_temperature: float
    steps: int
    cycles: int

    def as_dict(self) -> dict[str, float]:
        """Return the figures as the summary names them."""
        return {
            "trees_known_before_last_draws": self.n_known,
            "temperature_learned_lowest": self.lowest_temperature,
            "temperature_learned_highest": self.highest_temperature,
            "training_steps": self.steps,
            "training_cycles": self.cycles,
        }


@dataclass(frozen=True, eq=False)
class ParsimonyResult:
    """Trees in order of score, and samples of them.

    Attributes
    ----------
    names : tuple of str
    parents : ndarray, shape (M, 2n-2), int16
        Distinct topologies.
    scores : ndarray, shape (M,), float64
        Weighted steps.
    n_best : int
        Number of trees with the best score, which come first.
    samples : tuple of TemperatureSample
        Samples by ascending temperature.
    search : SearchFacts
    excess : float
        Maximum number of steps above the best of trees collected by the search.
    warnings : tuple of Note
    training : ParsimonyTraining, optional
    outgroup : OutgroupFacts, optional
        The outgroup on whose branch trees are rooted; None: trees are unrooted.
    """

    names: tuple[str, ...]
    parents: np.ndarray
    scores: np.ndarray
    n_best: int
    samples: tuple[TemperatureSample, ...]
    search: SearchFacts
    excess: float
    warnings: tuple[Note, ...] = ()
    training: ParsimonyTraining | None = None
    outgroup: OutgroupFacts | None = None

    @property
    def outgroup_numbers(self) -> tuple[int, ...]:
        """The numbers of the taxa of the outgroup; empty if trees are unrooted."""
        return () if self.outgroup is None else tuple(map(self.names.index, self.outgroup.names))

    @property
    def best_score(self) -> float:
        """The lowest score found."""
        return float(self.scores[0])

    @property
    def n_taxa(self) -> int:
        """The number of taxa."""
        return len(self.names)


def parsimony_warnings(result: ParsimonyResult) -> tuple[Note, ...]:
    """Return the warnings about a result in plain language."""
    found = list(result.warnings)
    search = result.search
    if result.best_score < search.best_score:
        found.append(
            Note(
                "search-missed-best",
                f"The sampler found a tree of {result.best_score:g} steps, shorter than the best "
                f"tree of the search ({search.best_score:g}): the search was too short. Run again "
                "with a larger --budget or another --seed.",
            )
        )
    elif search.hits < FEWEST_HITS:
        found.append(
            Note(
                "few-searches-at-best",
                f"Only {search.hits} of {search.runs} independent searches ended at the best "
                f"score ({search.best_score:g}): shorter trees may exist. Run again with a larger "
                "--budget or another --seed.",
            )
        )
    if not search.all_best:
        found.append(
            Note(
                "best-trees-incomplete",
                f"There may be more than the {result.n_best} best trees found: "
                + _why(search)
                + ". Consensus trees summarise only these.",
            )
        )
    elif not search.all_near and result.excess > 0:
        found.append(
            Note(
                "near-optimal-trees-incomplete",
                f"Not all trees within {result.excess:g} steps of the best were collected: "
                + _why(search)
                + ". The best trees that the search can reach are complete.",
            )
        )
    for sample in result.samples:
        found += _sample_warnings(sample)
    return tuple(dict.fromkeys(found))


def _why(search: SearchFacts) -> str:
    if search.capped:
        return f"the search stopped collecting at {search.n_trees:,} trees"
    return "the search reached its time limit"


def _sample_warnings(sample: TemperatureSample) -> list[Note]:
    at = f"At temperature {sample.temperature:g}"
    if not sample.trained:
        return [
            Note(
                "known-trees-only",
                f"{at} the sample contains only trees found by the search, drawn by weight, "
                "because no sampler was trained. Trees with more steps are missing, and log Z is "
                "a lower bound.",
            )
        ]
    found = []
    certain = sample.known_share > NEARLY_ALL  # the result hardly depends on the weights
    judged = weights_matter(sample.ess, sample.n_proposals, sample.known_share)
    if judged and not sample.pareto_k <= PARETO_K_LIMIT:
        k = f"{sample.pareto_k:.2f}" if math.isfinite(sample.pareto_k) else "not defined"
        found.append(
            Note(
                "heavy-weights",
                f"{at} a few draws dominate the weights (Pareto k = {k}, should be below "
                f"{PARETO_K_LIMIT}): log Z, its error and the probabilities are unreliable. Run "
                "again with a larger --budget, or give a lower --temperature.",
            )
        )
    elif not sample.ess >= FEWEST_EFFECTIVE and not certain:
        found.append(
            Note(
                "low-ess",
                f"{at} the effective sample size is low ({sample.ess:.0f}, should be at "
                f"least {FEWEST_EFFECTIVE:.0f}). Run again with a larger --budget.",
            )
        )
    if sample.divergence > LARGEST_DIVERGENCE and not certain:
        found.append(
            Note(
                "sampler-misses-trees",
                f"{at} the sampler gives too little probability to some of the known trees (KL "
                f"divergence {sample.divergence:.1f} nats, should be below "
                f"{LARGEST_DIVERGENCE:g}). These are included in the estimates, but similar trees "
                "may be missing. Run again with a larger --budget.",
            )
        )
    if not sample.standard_error <= LARGEST_ERROR:
        found.append(
            Note(
                "uncertain-partition",
                f"{at} log Z is uncertain (standard error {sample.standard_error:.2f} nats), and "
                "so are the probabilities of the trees.",
            )
        )
    return found
