"""Independent estimates of one figure, each with its standard error, combined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["WeightedMean", "weighted_mean"]


@dataclass(frozen=True)
class WeightedMean:
    """Result of :func:`weighted_mean`.

    Parameters
    ----------
    value : float
        The mean.
    error : float
        Its standard error; NaN if unknown.
    birge_ratio : float
        Ratio of the observed to the expected spread of the estimates: about 1 if the errors are
        reliable. NaN for a single estimate or unknown errors.
    """

    value: float
    error: float
    birge_ratio: float


def weighted_mean(values: Sequence[float], errors: Sequence[float]) -> WeightedMean:
    """Return the mean weighted by the inverse squares of the errors.

    If the estimates differ by more than expected from their errors, the error of the mean is
    multiplied by the Birge ratio (R. T. Birge, Phys. Rev. 40:207, 1932). If an error is unknown or
    0, the unweighted mean is used, with its error from the spread.

    Parameters
    ----------
    values, errors : sequence of float, equal lengths, not empty
        Estimates and their standard errors.

    Examples
    --------
    >>> mean = weighted_mean([1.0, 1.2], [0.1, 0.1])
    >>> round(mean.value, 3), round(mean.error, 3), round(mean.birge_ratio, 3)
    (1.1, 0.1, 1.414)
    """
    n = len(values)
    if not all(0.0 < error < math.inf for error in errors):
        mean = math.fsum(values) / n
        squares = math.fsum((value - mean) ** 2 for value in values)
        error = math.sqrt(squares / (n * (n - 1))) if n > 1 else math.nan
        return WeightedMean(mean, error, math.nan)
    weights = [error**-2 for error in errors]
    total = math.fsum(weights)
    mean = math.fsum(w * value for w, value in zip(weights, values, strict=True)) / total
    if n == 1:
        return WeightedMean(mean, errors[0], math.nan)
    misfit = math.fsum(w * (value - mean) ** 2 for w, value in zip(weights, values, strict=True))
    ratio = math.sqrt(misfit / (n - 1))
    return WeightedMean(mean, max(ratio, 1.0) / math.sqrt(total), ratio)
