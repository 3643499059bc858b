"""Comparison of the posteriors of repeated runs.

How far may split frequencies of runs differ that sample the same posterior? If those of two runs
have standard errors e1 and e2, their difference d is normal with variance e1^2 + e2^2, the standard
deviation of the two values is |d| / sqrt(2), and its mean is sqrt((e1^2 + e2^2) / pi). For S
independent draws in each run, e^2 = f (1 - f) / S, so that the mean is at most 0.4 / sqrt(S): 0.018
for 500 draws, which is why MrBayes' limit of 0.01 alone would be too strict. The limit of the
average is 0.01 or twice its mean, whichever is larger; that of a single split is 0.05 or a quantile
of the normal distribution that all of them exceed with a probability of 0.001. Neither exceeds what
two searches of one run may differ by.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from phylogfn.results.posterior_data import PosteriorData, split_table
from phylogfn.results.repeats.agreement import RunComparison
from phylogfn.trees.comparison import (
    LARGEST_ASDSF,
    LARGEST_SPLIT_DIFFERENCE,
    SplitDifference,
    asdsf,
)
from phylogfn.trees.keys import UnionOfTopologies
from phylogfn.trees.splits import SplitTable

__all__ = ["compare_runs", "list_together"]

FREQUENT = 0.10  # frequency in some run of the splits that the average is over
SMALLEST_ASDSF_LIMIT = 0.01  # MrBayes' rule for precise runs
SMALLEST_SPLIT_LIMIT = 0.05
LEVEL = 0.001  # probability that some split is above its limit though the posteriors are the same


def list_together(runs: Sequence[PosteriorData]) -> UnionOfTopologies:
    """Return the topologies that the runs list, each once."""
    return UnionOfTopologies.from_lists([run.topology_parents for run in runs])


def compare_runs(
    runs: Sequence[PosteriorData], failed: Sequence[bool], listed: UnionOfTopologies | None = None
) -> RunComparison:
    """Return the comparison of two or more runs on the same taxa.

    Parameters
    ----------
    runs : sequence of PosteriorData
    failed : sequence of bool
        Whether each run had hardly any effective draws; splits of such runs are not compared.
    listed : UnionOfTopologies, optional
        The result of `list_together`, if it is there already.
    """
    listed = list_together(runs) if listed is None else listed
    splits = _compare_splits([run for run, bad in zip(runs, failed, strict=True) if not bad])
    table = listed.spread([run.topology_probabilities for run in runs])
    own = table * (np.count_nonzero(table, axis=0) == 1)
    return RunComparison(
        log_evidences=tuple(float(run.log_evidence) for run in runs),
        standard_errors=tuple(float(run.log_evidence_se) for run in runs),
        failed=tuple(bool(bad) for bad in failed),
        asdsf=splits.asdsf,
        asdsf_limit=splits.asdsf_limit,
        split=splits.furthest,
        split_limit=splits.limit,
        divergence=_divergence(table),
        unshared=tuple(own.sum(axis=1).tolist()),
    )


@dataclass(frozen=True)
class _Splits:
    """The comparison of split frequencies: `furthest` is the split furthest above its limit."""

    asdsf: float = math.nan
    asdsf_limit: float = SMALLEST_ASDSF_LIMIT
    furthest: SplitDifference | None = None
    limit: float = SMALLEST_SPLIT_LIMIT


def _compare_splits(runs: Sequence[PosteriorData]) -> _Splits:
    if len(runs) < 2:
        return _Splits()
    tables = [split_table(run) for run in runs]
    supports = [dict(table.supports) for table in tables]
    found: list[tuple[SplitDifference, float]] = []  # with the error of the difference
    for split in sorted({split for own in supports for split in own}):
        values = [own.get(split, 0.0) for own in supports]
        low, high = int(np.argmin(values)), int(np.argmax(values))
        if values[high] < FREQUENT:
            continue
        mean = statistics.fmean(values)
        errors = [_error(tables[i], runs[i].n_draws, split, mean) for i in {low, high}]
        difference = SplitDifference(split, values[low], values[high])
        found.append((difference, math.hypot(*errors)))
    if not found:
        return _Splits()
    # of this many splits one exceeds it by chance with the probability `LEVEL`
    quantile = -float(ndtri(0.5 * LEVEL / len(found)))
    limits = [
        min(max(SMALLEST_SPLIT_LIMIT, quantile * error), LARGEST_SPLIT_DIFFERENCE)
        for _, error in found
    ]
    # the largest difference, unless another is above its limit
    (furthest, _), limit = max(
        zip(found, limits, strict=True),
        key=lambda pair: (max(pair[0][0].difference - pair[1], 0.0), pair[0][0].difference),
    )
    mean_deviation = statistics.fmean(error for _, error in found) / math.sqrt(math.pi)
    asdsf_limit = min(max(SMALLEST_ASDSF_LIMIT, 2.0 * mean_deviation), LARGEST_ASDSF)
    return _Splits(asdsf(supports, FREQUENT), asdsf_limit, furthest, limit)


def _error(table: SplitTable, n_draws: int, split: int, frequency: float) -> float:
    """Return the standard error of a split's frequency; that of equal draws if unknown."""
    error = table.errors.get(split)
    if error is not None:
        return error
    # a split that a run with known errors has not found has an error that is not known either
    return 0.0 if table.errors else math.sqrt(frequency * (1.0 - frequency) / max(n_draws, 1))


def _divergence(table: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence of distributions, in nats.

    Parameters
    ----------
    table : ndarray, shape (R, T)
        Probabilities of topologies in each run; the rest of each counts as one more topology,
        the same for all, which makes the result a lower bound.
    """
    rest = np.maximum(1.0 - table.sum(axis=1, keepdims=True), 0.0)
    whole = np.concatenate([table, rest], axis=1)
    whole /= whole.sum(axis=1, keepdims=True)
    return max(_entropy(whole.mean(axis=0)) - float(np.mean([_entropy(p) for p in whole])), 0.0)


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0.0]
    return -float(p @ np.log(p))
