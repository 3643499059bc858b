"""Probability that a policy builds an object, summed over all trajectories to it.

    q(x) = sum_{tau -> x} P_F(tau) = E_{tau ~ P_B(.|x)}[P_F(tau) / P_B(tau | x)]

The mean over K trajectories drawn backward is unbiased for q. For the weight R / q of an object
drawn forward, the K trajectories must include the one that generated it: the mean of R / mean_k(P_F
/ P_B) over objects is then unbiased for Z for every K, because it is a weight on the space of an
object and an unordered set of K trajectories.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from gfncore.environment import Environment
from gfncore.exploration.backward import backward_trajectories
from gfncore.exploration.forward import sample_trajectories
from gfncore.policies import Policy
from gfncore.trajectories.batch import Trajectories
from gfncore.trajectories.scoring import score_backward, score_forward

__all__ = ["draw_objects", "log_object_probabilities", "trajectory_log_ratios"]


def trajectory_log_ratios(
    environment: Environment,
    policy: Policy,
    trajectories: Trajectories,
    backward_policy: Policy | None = None,
) -> np.ndarray:
    """Return log P_F - log P_B of complete trajectories in nats; float64 (n,)."""
    with torch.no_grad():
        if trajectories.log_pf is None:
            log_pf = score_forward(environment, policy, trajectories).sum(dim=1).cpu().numpy()
        else:
            log_pf = trajectories.log_pf
        log_pb = score_backward(environment, backward_policy, trajectories).sum(dim=1)
    return log_pf - log_pb.cpu().numpy()


def log_object_probabilities(
    environment: Environment,
    policy: Policy,
    terminals: Any,
    paths: int,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
    drawn: np.ndarray | None = None,
) -> np.ndarray:
    """Estimate log q of objects by an average over trajectories; exact if `is_tree`.

    Parameters
    ----------
    environment : Environment
    policy : Policy
    terminals : States
        n terminal states.
    paths : int
        K, trajectories an object.
    generator : numpy Generator
    backward_policy : Policy, optional
        That draws them; None: uniform.
    drawn : ndarray, shape (n,), float64, optional
        `trajectory_log_ratios` of the trajectories by which the policy drew the objects: counts as
        one of the K.

    Returns
    -------
    ndarray, shape (n,), float64
        In nats. The estimate of q is unbiased, so that of log q is a little low.
    """
    if environment.is_tree:
        path = backward_trajectories(environment, terminals, generator)
        return trajectory_log_ratios(environment, policy, path)
    ratios = [] if drawn is None else [drawn]
    while len(ratios) < paths:
        path = backward_trajectories(environment, terminals, generator, backward_policy)
        ratios.append(trajectory_log_ratios(environment, policy, path, backward_policy))
    return np.logaddexp.reduce(np.stack(ratios), axis=0) - math.log(len(ratios))


def draw_objects(
    environment: Environment,
    policy: Policy,
    n: int,
    paths: int,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
) -> tuple[Any, np.ndarray]:
    """Draw objects from a policy and return them with log q for their importance weights.

    Returns
    -------
    terminals : States
        n terminal states.
    log_q : ndarray, shape (n,), float64
        Exact if `is_tree`; otherwise averaged over `paths` trajectories including the one that
        generated the object, so that weights R / q are unbiased.
    """
    drawn = sample_trajectories(environment, policy, n, generator)
    log_q = trajectory_log_ratios(environment, policy, drawn, backward_policy)
    if not environment.is_tree:
        log_q = log_object_probabilities(
            environment, policy, drawn.terminals, paths, generator, backward_policy, drawn=log_q
        )
    return drawn.terminals, log_q
