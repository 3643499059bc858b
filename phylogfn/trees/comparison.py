"""Comparison of sets of trees by their splits: do two samples, or two searches, agree?

The average standard deviation of split frequencies (ASDSF) is that of MrBayes (Lakner et al.,
Syst. Biol. 57:86, 2008): the mean, over the splits of frequency 0.10 or more in some run, of the
sample standard deviation of the frequency across runs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

__all__ = [
    "ENOUGH_MASS",
    "LARGEST_ASDSF",
    "LARGEST_SPLIT_DIFFERENCE",
    "SplitDifference",
    "asdsf",
    "largest_split_difference",
    "mean_robinson_foulds",
    "robinson_foulds_splits",
    "split_names",
]

# of two independent searches that agree: share of the known mass that each found, or else average
# standard deviation and largest difference of split frequencies
ENOUGH_MASS = 0.95
LARGEST_ASDSF = 0.05
LARGEST_SPLIT_DIFFERENCE = 0.25


@dataclass(frozen=True)
class SplitDifference:
    """The split whose frequency differs most between runs."""

    split: int
    lowest: float
    highest: float

    @property
    def difference(self) -> float:
        """The highest frequency minus the lowest."""
        return self.highest - self.lowest


def asdsf(runs: Sequence[Mapping[int, float]], minimum: float = 0.10) -> float:
    """Return the average standard deviation of split frequencies.

    Parameters
    ----------
    runs : sequence of mapping of int to float, two or more
        Split frequencies of each run.
    minimum : float
        A split is included if its frequency is at least this in some run.

    Returns
    -------
    asdsf : float
        NaN if no split is that frequent, so that nothing was compared.

    Examples
    --------
    >>> round(asdsf([{0b0110: 1.0}, {0b0110: 0.5, 0b1100: 0.5}]), 3)
    0.354
    """
    if len(runs) < 2:
        raise ValueError("the deviation between runs needs two runs or more")
    counted = sorted({split for run in runs for split, f in run.items() if f >= minimum})
    if not counted:
        return math.nan
    return statistics.fmean(
        statistics.stdev([run.get(split, 0.0) for run in runs]) for split in counted
    )


def largest_split_difference(runs: Sequence[Mapping[int, float]]) -> SplitDifference | None:
    """Return the split whose frequency differs most between runs; None if there are no splits."""
    candidates = [
        SplitDifference(
            split,
            min(run.get(split, 0.0) for run in runs),
            max(run.get(split, 0.0) for run in runs),
        )
        for split in sorted({split for run in runs for split in run})
    ]
    return max(candidates, key=lambda d: (d.difference, -d.split), default=None)


def robinson_foulds_splits(first: Set[int], second: Set[int]) -> int:
    """Return the number of splits found in only one of two trees (Robinson & Foulds 1981)."""
    return len(first ^ second)


def mean_robinson_foulds(first: Mapping[int, float], second: Mapping[int, float]) -> float:
    """Return the expected RF distance between a tree of one run and a tree of the other.

    Parameters
    ----------
    first, second : mapping of int to float
        Split frequencies. The trees of the two runs are drawn independently: each split adds
        p(1-q) + q(1-p).

    Examples
    --------
    >>> mean_robinson_foulds({0b0110: 1.0}, {0b0110: 0.5, 0b1100: 0.5})
    1.0
    """
    everywhere = set(first) | set(second)
    pairs = ((first.get(split, 0.0), second.get(split, 0.0)) for split in sorted(everywhere))
    return math.fsum(p * (1 - q) + q * (1 - p) for p, q in pairs)


def split_names(split: int, names: Sequence[str], limit: int = 6) -> str:
    """Return a split in words: the taxa of its smaller side, shortened to ``limit`` of them.

    Examples
    --------
    >>> split_names(0b00110, ["ape", "bear", "cat", "dog", "elk"])
    '{bear, cat}'
    """
    n = len(names)
    inside = [names[i] for i in range(n) if split >> i & 1]
    if 2 * len(inside) > n:
        inside = [names[i] for i in range(n) if not split >> i & 1]
    shown = ", ".join(inside[:limit])
    more = len(inside) - limit
    return f"{{{shown}, and {more} more}}" if more > 0 else f"{{{shown}}}"
