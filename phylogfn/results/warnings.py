"""Verdict on a posterior, and warnings about it.

The Pareto shape k of the importance weights is that of Vehtari et al., J. Mach. Learn. Res. 25:72
(2024): above 0.7, averages over the weights are unreliable.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gfncore.evaluation.pareto_k import PARETO_K_LIMIT
from gfncore.program.messages import Note
from phylogfn.results.facts import SearchFacts
from phylogfn.results.posterior_data import PosteriorData
from phylogfn.results.summaries.model_checks import predictive_warnings
from phylogfn.trees.comparison import ENOUGH_MASS

__all__ = [
    "FEWEST_EFFECTIVE_DRAWS",
    "FEWEST_HITS",
    "HARDLY_ANY_DRAWS",
    "LARGEST_DIVERGENCE",
    "LARGEST_STANDARD_ERROR",
    "LARGEST_TREE_DIVERGENCE",
    "NEARLY_ALL",
    "failure",
    "posterior_warnings",
    "weights_matter",
    "verdict",
    "verdict_reasons",
]

FEWEST_EFFECTIVE_DRAWS = 100.0
HARDLY_ANY_DRAWS = 10.0  # effective sample size, below which a run has failed
LARGEST_STANDARD_ERROR = 0.5
LARGEST_DIVERGENCE = 1.0  # of the sampler from known topologies, nats
# the same of trees with their lengths, a few hundredths of a nat for each length included
LARGEST_TREE_DIVERGENCE = 5.0
# walks from independent starts that reach the best topology: n of them are all in the same of two
# equal groups with probability 2^(1 - n), 1 in 128
FEWEST_HITS = 8
NEARLY_ALL = 0.99  # known share of the evidence, above which the sampler hardly matters

UNCONFIRMED = (
    "All figures of this run are within their limits, but it is a single run, which cannot show "
    "what it has missed. Repeat it (--runs 2) before you rely on it."
)


def weights_matter(ess: float, n_proposals: float, known_share: float = 0.0) -> bool:
    """Return whether a few weights could dominate the result, so that their tail must be assessed.

    If half of the draws are effective, no few weights can dominate for any shape of the tail; if
    nearly all of the evidence is summed, the result hardly depends on them.

    Parameters
    ----------
    ess, n_proposals : float
        Effective sample size, and number of draws.
    known_share : float
        Share of the evidence that was summed topology by topology.
    """
    return not (ess >= 0.5 * n_proposals or known_share > NEARLY_ALL)


def failure(posterior: PosteriorData) -> Note | None:
    """Return the reason why a run has failed, or None.

    A run has failed if its effective sample size is very low: neither probabilities nor standard
    errors can then be estimated. `phylogfn sample` writes its files with this warning, no supports,
    no standard error of the evidence, and ends with exit code 3.
    """
    if posterior.runs:
        reasons = [failure(run) for run in posterior.runs]
        return reasons[0] if all(reasons) else None
    if not math.isfinite(posterior.log_evidence):
        return Note("failed", "The run failed: the log evidence is not a finite number.")
    known = posterior.known
    covered = known.summed_share > NEARLY_ALL and known.divergence <= LARGEST_DIVERGENCE
    if not covered and not posterior.ess >= HARDLY_ANY_DRAWS:
        return Note(
            "failed",
            f"The run failed: the effective sample size is {posterior.ess:.1f} of "
            f"{posterior.n_proposals} draws. Trees and clade probabilities are not a sample of the "
            "posterior, and the standard error of the log evidence cannot be estimated. Run again "
            "with a larger --budget.",
        )
    weights = posterior.branch_length_weights
    if weights is not None and not weights.ess >= HARDLY_ANY_DRAWS:
        return Note(
            "failed",
            f"The run failed: the effective sample size of the branch lengths is "
            f"{weights.ess:.1f} of {weights.n_draws} draws. Branch lengths and "
            "topology probabilities are not a sample of the posterior, and the standard error of "
            "the log evidence cannot be estimated. Run again with a larger --budget.",
        )
    return None


def verdict(posterior: PosteriorData) -> str:
    """Return the verdict on a posterior.

    It is ``failed`` (see `failure`), ``doubtful`` (a figure is beyond its limit, or independent
    runs disagree), ``unconfirmed`` (a single run within all limits) or ``trusted`` (the same of
    several runs that agree). Warnings of the run itself, such as the end of its budget, do not make
    it doubtful.
    """
    if failure(posterior) is not None:
        return "failed"
    if _doubts(posterior):
        return "doubtful"
    return "trusted" if posterior.comparison is not None else "unconfirmed"


def verdict_reasons(posterior: PosteriorData) -> tuple[str, ...]:
    """Return the reasons for the verdict in plain words: one or more."""
    failed = failure(posterior)
    if failed is not None:
        return (failed,)
    doubts = _doubts(posterior)
    if doubts:
        return doubts
    if posterior.comparison is not None:
        return (posterior.comparison.confirmation,)
    return (UNCONFIRMED,)


def _doubts(posterior: PosteriorData) -> tuple[str, ...]:
    return posterior_warnings(replace(posterior, warnings=()))


def posterior_warnings(posterior: PosteriorData) -> tuple[Note, ...]:
    """Return the warnings about a posterior in plain language.

    Warnings of the run itself come first; there are no repetitions.
    """
    found = list(posterior.warnings)
    failed = failure(posterior)
    if failed is not None:
        return tuple(dict.fromkeys([failed, *found]))
    if posterior.comparison is not None:
        found += posterior.comparison.doubts(posterior.names)
    if posterior.searches is not None:
        found += _search_warnings(posterior.searches)
    ess, se = posterior.ess, posterior.log_evidence_se
    k, known = posterior.topology_pareto_k, posterior.known
    judged = weights_matter(ess, posterior.n_proposals, known.summed_share)
    weights = posterior.branch_length_weights
    if weights is not None and weights.pareto_k > PARETO_K_LIMIT:
        found.append(
            Note(
                "heavy-branch-length-weights",
                "The standard errors are unreliable: a few draws dominate the importance weights "
                f"of branch lengths (Pareto k = {weights.pareto_k:.2f}, should be below "
                f"{PARETO_K_LIMIT}). The log evidence is more likely too low than too high. Run "
                "again with a larger --budget.",
            )
        )
    if math.isnan(k) and judged:
        found.append(
            Note(
                "undefined-pareto-k",
                "The tail of the importance weights cannot be estimated (Pareto k is undefined): "
                "there are too few distinct weights. Treat the standard errors as lower bounds.",
            )
        )
    elif k > PARETO_K_LIMIT and judged:
        found.append(
            Note(
                "heavy-weights",
                "The standard errors are unreliable: a few draws dominate the importance weights "
                f"(Pareto k = {k:.2f}, should be below {PARETO_K_LIMIT}). The sampler has not "
                "learned the whole posterior; run again with a larger --budget.",
            )
        )
    # probabilities are sums, which the written draws follow
    certain = known.summed_share > NEARLY_ALL
    effective = min(math.inf if certain else ess, math.inf if weights is None else weights.ess)
    if not effective >= FEWEST_EFFECTIVE_DRAWS:
        found.append(
            Note(
                "low-ess",
                f"The effective sample size is low ({effective:.0f}, should be at least "
                f"{FEWEST_EFFECTIVE_DRAWS:.0f}): clade probabilities are imprecise. Run again "
                "with a larger --budget.",
            )
        )
    elif posterior.n_draws > 2 * effective:
        found.append(
            Note(
                "redundant-draws",
                f"The {posterior.n_draws} draws written contain about as much information as "
                f"{effective:.0f} independent draws; request fewer --samples or give a larger "
                "--budget.",
            )
        )
    divergence = known.divergence
    lowest = divergence - 2.0 * known.divergence_se
    if known.summed and lowest > LARGEST_DIVERGENCE and not certain:
        found.append(
            Note(
                "sampler-misses-topologies",
                "The sampler gives too little probability to some of the topologies that the "
                f"search found (KL divergence {divergence:.1f} nats, should be below "
                f"{LARGEST_DIVERGENCE:g}). These are included in the estimates, but similar "
                "topologies may be missing, which the standard errors do not cover. Run again "
                "with a larger --budget.",
            )
        )
    if not known.summed and lowest > LARGEST_TREE_DIVERGENCE:
        found.append(
            Note(
                "sampler-misses-trees",
                "The sampler gives too little density to trees with the topologies that the "
                f"search found (KL divergence {divergence:.1f} nats, should be below "
                f"{LARGEST_TREE_DIVERGENCE:g}): the evidence may be too low by more than its "
                "standard error. Run again with a larger --budget.",
            )
        )
    if posterior.predictive is not None:
        found += predictive_warnings(posterior.predictive)
    if not se <= LARGEST_STANDARD_ERROR:
        found.append(
            Note(
                "uncertain-evidence",
                f"The log evidence is uncertain (standard error {se:.2f} nats): models whose log "
                "evidences differ by less than a few standard errors cannot be distinguished.",
            )
        )
    return tuple(dict.fromkeys(found))


def _search_warnings(searches: SearchFacts) -> list[Note]:
    agreement = searches.agreement
    found = [] if agreement.agree else [agreement.warning]
    smallest_share = min(agreement.first_share, agreement.second_share)
    # in wider posteriors the best topology is too improbable to be visited
    if searches.n_hits < FEWEST_HITS and smallest_share >= ENOUGH_MASS:
        found.append(
            Note(
                "few-walks-at-best",
                f"{_hits(searches)}: better groups of trees may exist, which the standard errors "
                "do not cover. Run again with a larger --budget.",
            )
        )
    return found


def _hits(searches: SearchFacts) -> str:
    if searches.n_scouts == 0:
        return (
            "There was no time for walks from independent starting trees (at least "
            f"{FEWEST_HITS} should reach the best topology)"
        )
    return (
        f"Only {searches.n_hits} of {searches.n_scouts} walks from independent starting trees "
        f"reached the best topology (should be at least {FEWEST_HITS})"
    )
