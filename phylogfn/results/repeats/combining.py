"""The combined posterior of repeated runs.

Evidence. With estimates Z_i whose logs have errors s_i, Z = sum_i a_i Z_i, where a_i is
proportional to 1 / (s_i^2 + t^2). t^2 is the variance between runs that the errors do not explain
(DerSimonian and Laird, Control. Clin. Trials 7:177, 1986, in excess of two standard deviations of
their statistic by chance, as two or three runs are few): 0 where the runs agree, and d^2 / 2 for
two that differ by d much larger than their errors. Their weights are then nearly equal, though a
run that missed large weights has both a low estimate and a small error, and the combined error is
d / 2. Where the draws of all runs were weighed together (`phylogfn.estimates.pooled`), their
estimate replaces the mean, and t^2 is still part of the error.

Topologies. The evidence R of a topology does not depend on the run that found it, so that the runs'
lists are united, and Z is at least the sum of R over the union: it has both of two groups of trees
of which each run found one. Where trees are drawn with their lengths, the probability of a topology
is the share of its draws instead, and the combined one is the mean, weighted by a_i Z_i.

Draws and clades are those of a mixture of the runs, whose shares c_i minimise the divergence of the
combined posterior over topologies p from sum_i c_i p_i (by the EM algorithm): equal shares where
the runs agree, and none of a run that lacks topologies which another has beside its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import PartitionEstimate, systematic_resample
from phylogfn.results.posterior_data import PosteriorData
from phylogfn.results.repeats.agreement import MOST_ERRORS, RunComparison
from phylogfn.results.repeats.figures import combined_figures
from phylogfn.trees.keys import UnionOfTopologies
from phylogfn.trees.splits import SplitProbabilities

if TYPE_CHECKING:
    from phylogfn.results.facts import ModelEvidence

__all__ = ["PooledEvidence", "combine_runs", "mixture_shares", "pool_evidences"]

SMALLEST_ERROR = 1e-6  # nats
CHANCE = 2.0  # standard deviations of the statistic of runs that differ by chance
EM_STEPS, EM_TOLERANCE = 1000, 1e-6
NEGLIGIBLE = 1e-12  # probability of topologies that are not listed

P = TypeVar("P", bound=PosteriorData)


@dataclass(frozen=True)
class PooledEvidence:
    """Combined log evidence.

    Attributes
    ----------
    log_evidence, standard_error : float
    within, between : float
        Parts of the error that come from the errors of the runs, and from their difference.
    shares : ndarray, shape (R,)
        a_i Z_i / Z.
    """

    log_evidence: float
    standard_error: float
    within: float
    between: float
    shares: np.ndarray


def pool_evidences(log_evidences: np.ndarray, errors: np.ndarray) -> PooledEvidence:
    """Return the combined evidence of independent runs.

    Parameters
    ----------
    log_evidences, errors : ndarray, shape (R,)
        Nats; finite.

    Examples
    --------
    >>> import numpy as np
    >>> agree = pool_evidences(np.array([-7.0, -7.0]), np.array([0.1, 0.1]))
    >>> round(agree.log_evidence, 6), round(agree.standard_error, 4), agree.between
    (-7.0, 0.0707, 0.0)
    >>> differ = pool_evidences(np.array([-7.0, -7.4]), np.array([0.01, 0.01]))
    >>> round(differ.log_evidence, 2), round(differ.standard_error, 2)
    (-7.18, 0.2)
    """
    squares = np.maximum(errors, SMALLEST_ERROR) ** 2
    between = _between(log_evidences, squares)
    weights = 1.0 / (squares + between)
    weights /= weights.sum()
    log_z = float(np.asarray(logsumexp(log_evidences, b=weights)))
    shares = weights * np.exp(log_evidences - log_z)
    within = math.sqrt(float((shares**2 * errors**2).sum()))
    of_runs = math.sqrt(float((shares**2).sum()) * between)
    return PooledEvidence(log_z, math.hypot(within, of_runs), within, of_runs, shares)


def _between(values: np.ndarray, variances: np.ndarray) -> float:
    """Return the variance between values that their own variances do not explain."""
    weights = 1.0 / variances
    centre = weights @ values / weights.sum()
    freedom = len(values) - 1
    chance = freedom + CHANCE * math.sqrt(2.0 * freedom)
    excess = float(weights @ (values - centre) ** 2) - chance
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    return max(0.0, excess / float(scale)) if scale > 0.0 else 0.0


def combine_runs(
    runs: Sequence[P],
    comparison: RunComparison,
    listed: UnionOfTopologies,
    n_draws: int,
    most_listed: int,
    rng: np.random.Generator,
    pooled: PartitionEstimate | None = None,
) -> P:
    """Return the combined posterior, which holds the runs and their comparison.

    Parameters
    ----------
    runs : sequence of PosteriorData
        Two or more; if some failed, they are left out, unless all have.
    comparison : RunComparison
        Of these runs.
    listed : UnionOfTopologies
        The topologies that they list.
    n_draws : int
        S, the number of draws of the result.
    most_listed : int
        Maximum number of topologies of the result.
    rng : numpy.random.Generator
        For draws from runs that cover unequal shares.
    pooled : PartitionEstimate, optional
        Closed-form evidence from the draws of all runs together, none of which has failed.
    """
    used = [i for i, failed in enumerate(comparison.failed) if not failed]
    used = used or [int(np.argmax([run.ess for run in runs]))]
    good = [runs[i] for i in used]
    evidence = _evidence_of(good, pooled)
    probabilities = listed.spread([run.topology_probabilities for run in runs])[used]
    if all(run.known.summed for run in good):
        table = _united(good, probabilities, listed, used, evidence)
    else:
        table = _mixed(good, probabilities, listed, used, evidence)
    best = np.argsort(-table.probabilities, kind="stable")[:most_listed]
    best = best[table.probabilities[best] > NEGLIGIBLE]
    shares = np.full(len(good), 1.0 / len(good))
    if not comparison.agree:
        shares = mixture_shares(probabilities, table.probabilities)
    return replace(
        good[0],
        **_draws(good, shares, n_draws, rng),
        topology_parents=listed.parents[best].astype(np.int32),
        topology_probabilities=table.probabilities[best],
        topology_log_evidences=table.log_evidences[best],
        topology_errors=table.errors[best],
        split_probabilities=_clades(good, shares),
        log_evidence=table.log_evidence,
        log_evidence_se=evidence.standard_error,
        ess=float(sum(run.ess for run in good)) if pooled is None else pooled.ess,
        n_proposals=int(sum(run.n_proposals for run in good)),
        **combined_figures(good, None if pooled is None else pooled.known_share),
        models=_models(good),
        runs=tuple(runs),
        comparison=comparison,
    )


def _models(runs: Sequence[PosteriorData]) -> tuple[ModelEvidence, ...]:
    """Return the models with the means of their evidences over the runs."""
    found = []
    for same in zip(*(run.models for run in runs), strict=True):
        evidences = [model.log_evidence for model in same]
        if math.isnan(evidences[0]):
            found.append(same[0])
            continue
        pooled = pool_evidences(
            np.array(evidences), np.array([model.standard_error for model in same])
        )
        found.append(
            replace(same[0], log_evidence=pooled.log_evidence, standard_error=pooled.standard_error)
        )
    log_z = np.array([model.log_evidence for model in found])
    weights = np.exp(log_z - np.nanmax(log_z)) if len(log_z) else log_z
    weights = np.nan_to_num(weights / np.nansum(weights)) if len(weights) else weights
    return tuple(
        replace(model, probability=float(weight))
        for model, weight in zip(found, weights, strict=True)
    )


def _evidence_of(runs: Sequence[PosteriorData], pooled: PartitionEstimate | None) -> PooledEvidence:
    if len(runs) == 1:
        only = runs[0]
        error = only.log_evidence_se
        return PooledEvidence(only.log_evidence, error, error, 0.0, np.ones(1))
    apart = pool_evidences(
        np.array([run.log_evidence for run in runs]),
        np.array([run.log_evidence_se for run in runs]),
    )
    corrections = [
        run.branch_length_weights.closed_form
        for run in runs
        if run.branch_length_weights is not None
        and run.branch_length_weights.closed_form is not None
    ]
    if pooled is None or len(corrections) < len(runs):
        return apart
    correction = pool_evidences(
        np.array([one.correction for one in corrections]),
        np.array([one.correction_se for one in corrections]),
    )
    within = math.hypot(pooled.standard_error, correction.standard_error)
    return replace(
        apart,
        log_evidence=pooled.log_z + correction.log_evidence,
        standard_error=math.hypot(within, apart.between),
        within=within,
    )


@dataclass(frozen=True)
class _Topologies:
    """The combined list: arrays of shape (T,), and the log evidence."""

    probabilities: np.ndarray
    errors: np.ndarray
    log_evidences: np.ndarray
    log_evidence: float


def _united(
    runs: Sequence[PosteriorData],
    probabilities: np.ndarray,
    listed: UnionOfTopologies,
    used: Sequence[int],
    evidence: PooledEvidence,
) -> _Topologies:
    """Combine lists whose evidences are sums: the union."""
    has = np.zeros(probabilities.shape, bool)
    log_r = np.zeros(probabilities.shape)
    errors = np.zeros(probabilities.shape)
    for line, (i, run) in enumerate(zip(used, runs, strict=True)):
        rows = listed.rows[i]
        has[line, rows] = True
        log_r[line, rows] = run.topology_log_evidences
        errors[line, rows] = _errors_of(run)
    n = np.maximum(has.sum(axis=0), 1)
    mean = np.where(has.any(axis=0), log_r.sum(axis=0) / n, -np.inf)
    log_sum = float(np.asarray(logsumexp(mean)))
    # topologies that only one run found may weigh more together than its evidence
    missing = log_sum - evidence.log_evidence > MOST_ERRORS * evidence.within
    log_z = log_sum if missing else evidence.log_evidence
    p = np.exp(mean - max(log_z, log_sum))
    scale = np.divide(p, probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    within = ((errors * scale) ** 2).sum(axis=0) / n**2
    spread = np.where(has, (probabilities - (probabilities * has).sum(axis=0) / n) ** 2, 0.0)
    between = spread.sum(axis=0) / np.maximum(n * (n - 1), 1)
    common = (p * (1.0 - np.minimum(p, 1.0)) * evidence.between) ** 2
    return _Topologies(p, np.sqrt(np.maximum(within, between) + common), mean, log_z)


def _mixed(
    runs: Sequence[PosteriorData],
    probabilities: np.ndarray,
    listed: UnionOfTopologies,
    used: Sequence[int],
    evidence: PooledEvidence,
) -> _Topologies:
    """Combine lists whose probabilities are shares of draws: their weighted mean."""
    errors = np.zeros(probabilities.shape)
    for line, (i, run) in enumerate(zip(used, runs, strict=True)):
        errors[line, listed.rows[i]] = _errors_of(run)
    p, error = _mean_and_error(probabilities, errors, evidence.shares)
    with np.errstate(divide="ignore"):
        log_r = evidence.log_evidence + np.log(p)
    return _Topologies(p, error, log_r, evidence.log_evidence)


def _errors_of(run: PosteriorData) -> np.ndarray:
    """Return the standard errors of a run's probabilities; NaN where unknown."""
    errors = run.topology_errors
    return np.full(run.n_topologies, math.nan) if errors is None else errors


def mixture_shares(probabilities: np.ndarray, combined: np.ndarray) -> np.ndarray:
    """Return the shares of the runs in the mixture that is nearest to the combined posterior.

    Parameters
    ----------
    probabilities : ndarray, shape (R, T)
        Of topologies in each run; what remains counts as one more topology.
    combined : ndarray, shape (T,)

    Returns
    -------
    shares : ndarray, shape (R,)
    """
    whole = np.append(combined, max(1.0 - combined.sum(), 0.0))
    own = np.column_stack([probabilities, np.maximum(1.0 - probabilities.sum(axis=1), 0.0)])
    known = own.sum(axis=0) > 0.0
    own, whole = own[:, known], whole[known] / whole[known].sum()
    shares = np.full(len(own), 1.0 / len(own))
    for _ in range(EM_STEPS):
        new = shares * (own @ (whole / (shares @ own)))
        moved = np.abs(new - shares).max()
        shares = new / new.sum()
        if moved < EM_TOLERANCE:
            break
    return shares


def _clades(runs: Sequence[PosteriorData], shares: np.ndarray) -> SplitProbabilities | None:
    """Return the probabilities of splits in the mixture; None if those of a run are not known."""
    given = [run.split_probabilities for run in runs if run.split_probabilities is not None]
    if len(given) < len(runs):
        return None
    splits = tuple(dict.fromkeys(split for one in given for split in one.splits))
    column = {split: number for number, split in enumerate(splits)}
    p, errors = np.zeros((2, len(runs), len(splits)))
    for line, one in enumerate(given):
        columns = [column[split] for split in one.splits]
        p[line, columns] = one.probabilities
        errors[line, columns] = one.errors
    return SplitProbabilities(splits, *_mean_and_error(p, errors, shares))


def _mean_and_error(
    values: np.ndarray, errors: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted means of the lines (R, T) and their errors.

    The errors are those that follow from the errors of the values or from their differences,
    whichever is larger.
    """
    weights = weights[:, None]
    mean = (weights * values).sum(axis=0)
    within = ((weights * errors) ** 2).sum(axis=0)
    n = len(values)
    between = (weights**2 * (values - mean) ** 2).sum(axis=0) * n / max(n - 1, 1)
    return mean, np.sqrt(np.maximum(within, between))


def _draws(
    runs: Sequence[PosteriorData], shares: np.ndarray, n: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return n draws in random order, from each run by its share, as fields of a posterior."""
    own = np.array([run.n_draws for run in runs])
    equal_shares = bool((shares == shares[0]).all())
    if equal_shares and own.sum() == n:  # an odd number cannot be halved
        counts = own
    else:
        counts = np.bincount(systematic_resample(shares, n, rng), minlength=len(runs))
    chosen = []
    for run, count in zip(runs, counts.tolist(), strict=True):
        if count <= run.n_draws:
            chosen.append(np.arange(count))
        else:  # each as often as the others, or once more
            equal = np.full(run.n_draws, 1.0 / run.n_draws)
            chosen.append(systematic_resample(equal, count, rng))
    order = rng.permutation(n)
    names = [field.name for field in fields(runs[0]) if field.name.startswith("draw_")]
    return {
        name: np.concatenate(
            [getattr(run, name)[rows] for run, rows in zip(runs, chosen, strict=True)]
        )[order]
        for name in names
        if getattr(runs[0], name) is not None
    }
