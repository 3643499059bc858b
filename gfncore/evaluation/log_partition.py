"""log Z from weights R(x) P_B(tau|x) / P_F(tau) of independent trajectories of a policy."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["log_partition", "log_partition_with_known"]


def log_partition(log_weights: np.ndarray) -> tuple[float, float]:
    """Importance estimate of log Z and its standard error by the delta method.

    Parameters
    ----------
    log_weights : ndarray, shape(n,), dtype=float64
        log R + sum log P_B - sum log P_F, in nats; -inf allowed.

    Returns
    -------
    log_z : float
        log of the mean weight (its expectation is below log Z, by half its variance).
    standard_error : float
        Standard deviation of the weights over their mean, over the root of n. It says nothing
        about what the policy never draws.

    Raises
    ------
    ValueError
        If there are fewer than two weights, or none is positive.
    """
    return log_partition_with_known(log_weights, np.zeros(len(log_weights), bool), np.zeros(0))


def log_partition_with_known(
    log_weights: np.ndarray, known: np.ndarray, log_rewards: np.ndarray
) -> tuple[float, float]:
    """log Z where a set C of objects is summed exactly and the rest is estimated.

        Z = sum_{x in C} R(x) + E_q[1{x not in C} R/q]

    Parameters
    ----------
    log_weights : ndarray, shape(n,), dtype=float64
        Of independent draws, as in `log_partition`; their policy must not depend on the draws.
    known : ndarray, shape(n,), dtype=bool
        Draws whose object is in C.
    log_rewards : ndarray, shape(m,), dtype=float64
        log R of the objects of C, each once.

    Returns
    -------
    log_z, standard_error : float
        As in `log_partition`.

    Raises
    ------
    ValueError
        If there are fewer than two draws, or Z is estimated as zero.
    """
    n = len(log_weights)
    if n < 2:
        raise ValueError(f"an error of log Z needs two weights at least, and {n} were given")
    top = max(np.max(log_rewards, initial=-np.inf), np.max(log_weights[~known], initial=-np.inf))
    if not np.isfinite(top):
        raise ValueError("no draw and no known object has a finite positive reward")
    rest = np.where(known, 0.0, np.exp(log_weights - top))
    z = float(np.exp(log_rewards - top).sum() + rest.mean())
    return float(top) + math.log(z), float(rest.std(ddof=1)) / math.sqrt(n) / z
