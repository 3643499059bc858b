"""How much larger a standard error must be for weights so large that no draw has had one yet.

The sample variance of importance weights with a heavy tail is usually too small, as its largest
terms are those that are drawn least often: a mean that lacks them is too low and states too small
an error at once. Here the tail is that of the generalised Pareto distribution which
`gfncore.evaluation.pareto_k` fits, up to the largest weight that is expected in `FURTHER` times
as many draws:

    V = mean of w^2 below the tail + (m / n) E[(u + y)^2 | y <= y_max] - (mean of w)^2,

with m of n weights above the threshold u. The limit makes it finite for every k.
`benchmarks.gfncore.heavy_tails` measures stated beside true errors of log-normal weights, of those
of proposals that are too narrow, and of mixtures with a wide component.
"""

from __future__ import annotations

import math

import numpy as np

from gfncore.evaluation.pareto_k import pareto_tail

__all__ = ["unseen_tail_factor"]

FURTHER = 30.0
POINTS = 400  # of the integral over the tail


def unseen_tail_factor(log_weights: np.ndarray) -> float:
    """Return the factor, at least 1, by which a standard error of the mean weight is multiplied.

    Parameters
    ----------
    log_weights : ndarray, shape (n,), float64
        In nats; -inf allowed.

    Returns
    -------
    float
        1 where the weights have no tail that can be fitted: few, equal, or of few distinct values.
        Infinity where the tail is too heavy for a floating-point number.
    """
    tail = pareto_tail(log_weights)
    if not math.isfinite(tail.k):
        return 1.0
    n = len(log_weights)
    weights = np.exp(log_weights - np.max(log_weights))
    variance = float(weights.var())
    if variance <= 0.0:
        return 1.0
    # the share of the tail that is above a weight, evenly on the log scale
    above = np.exp(np.linspace(-math.log(FURTHER * tail.size), 0.0, POINTS))
    with np.errstate(over="ignore"):
        if tail.k == 0.0:
            excess = -tail.scale * np.log(above)
        else:
            excess = tail.scale * np.expm1(-tail.k * np.log(above)) / tail.k
        of_tail = float(np.trapezoid((tail.threshold + excess) ** 2, above))
    of_body = float((weights[weights <= tail.threshold] ** 2).sum()) / n
    extended = of_body + tail.size / n * of_tail - float(weights.mean()) ** 2
    return math.sqrt(max(extended / variance, 1.0))
