"""Probability with which a trained sampler draws a molecule.

A finished state x has many trajectories. With trajectories drawn backward from it,

    p(x) = E_{tau ~ P_B(. | x)} [P_F(tau) / P_B(tau | x)]

is estimated without bias by a mean over M of them, where P_F and P_B refer to classes of actions.
The probability of a molecule is the sum over the states that represent it (Kekule forms, fragment
graphs).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp

from gfncore.exploration import backward_trajectories
from gfncore.policies import Policy
from gfncore.trajectories.scoring import score_backward, score_forward

__all__ = ["TRAJECTORIES", "molecule_probabilities"]

TRAJECTORIES = 10  # drawn backward from each state
FEWEST = 2  # minimum number of trajectories if time is short
BATCH = 2000


def molecule_probabilities(
    environment: Any,
    policy: Policy,
    states: Any,
    molecule: np.ndarray,
    generator: np.random.Generator,
    trajectories: int = TRAJECTORIES,
    left: Callable[[], float] = lambda: math.inf,
    tell: Callable[[float], None] = lambda done: None,
    batch: int = BATCH,
    backward_policy: Policy | None = None,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Estimate the log-probabilities of molecules under a policy, with standard errors.

    Parameters
    ----------
    environment : environment
        In the regime "merged", regardless of the regime in training.
    policy : Policy
    states : States
        All finished states of the molecules.
    molecule : ndarray, shape (len(states),), int64
        Molecule of each state, 0..n-1; each molecule has at least one state.
    generator : numpy Generator
    trajectories : int
        M, at least 2.
    left : callable
        Returns the remaining time in seconds; M is reduced, down to `FEWEST`, if necessary.
    tell : callable
        Called from time to time with the completed share.
    batch : int
        Trajectories scored at a time.
    backward_policy : Policy, optional
        P_B. Default: uniform.

    Returns
    -------
    log_probability, standard_error : ndarray, shape (n,), float64
        In nats; the error is that of the logarithm, by the delta method.
    fewest : int
        The smallest M of a state.
    """
    m = len(states)
    log_p, error = np.empty(m), np.empty(m)
    step = max(1, batch // trajectories)
    fewest, spent, scored = trajectories, 0.0, 0
    for begin in range(0, m, step):
        rows = np.arange(begin, min(m, begin + step))
        n = trajectories
        if scored:
            n = max(FEWEST, min(n, int(left() * scored / (spent * (m - begin)))))
        fewest = min(fewest, n)
        before = left()
        ends = states.take(np.repeat(rows, n))
        drawn = backward_trajectories(environment, ends, generator, backward_policy)
        with torch.no_grad():
            log_pf = score_forward(environment, policy, drawn).sum(dim=1).cpu().numpy()
            log_pb = score_backward(environment, backward_policy, drawn).sum(dim=1).cpu().numpy()
        log_ratio = (log_pf - log_pb).reshape(len(rows), n)
        log_p[rows] = logsumexp(log_ratio, axis=1) - np.log(n)
        # error of each state's p, relative to its molecule's
        relative = np.exp(log_ratio - log_p[rows, None])
        error[rows] = relative.std(axis=1, ddof=1) / np.sqrt(n)
        if math.isfinite(before):
            spent, scored = spent + max(before - left(), 1e-6), scored + n * len(rows)
        tell((begin + len(rows)) / m)
    n = int(molecule.max(initial=-1)) + 1
    top = np.full(n, -np.inf)
    np.maximum.at(top, molecule, log_p)
    share = np.exp(log_p - top[molecule])
    total = np.bincount(molecule, share, minlength=n)
    variance = np.bincount(molecule, (share * error) ** 2, minlength=n)
    return top + np.log(total), np.sqrt(variance) / total, fewest
