"""Unfinished states of trajectories as the objects that they are if construction stops there.

For spaces in which every state is an object, see `gfncore.environment.Environment.stop_actions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gfncore.environment import Environment
from gfncore.policies import Policy
from gfncore.trajectories.batch import StopTerms, Trajectories, gather_padded
from gfncore.trajectories.scoring import state_log_probabilities

__all__ = ["check_stops", "score_forward_and_stops"]


def check_stops(environment: Environment, objective: str) -> None:
    """Refuse an environment in which no action finishes a state as it is.

    Raises
    ------
    ValueError
        The message names the objective.
    """
    if environment.stop_actions(environment.initial(1)) is None:
        raise ValueError(
            f"{objective} needs an environment in which every state is an object, and this one has "
            "no stop action; take another objective"
        )


def score_forward_and_stops(
    environment: Environment,
    policy: Policy,
    trajectories: Trajectories,
    log_reward: Callable[[Any], np.ndarray],
) -> tuple[torch.Tensor, StopTerms]:
    """Return log P_F of every step, float64 (n, T), and what is known of stops at its state.

    Parameters
    ----------
    environment : Environment
    policy : Policy
    trajectories : Trajectories
    log_reward : callable
        log R of terminal states, nats, float64; called once.

    Raises
    ------
    ValueError
        If a state other than s_0 cannot be finished as it is.
    TypeError
        If actions carry values.
    """
    if trajectories.values is not None:
        raise TypeError("balance of stops requires discrete actions, but these carry values")
    states, actions, index = trajectories.states, trajectories.actions, trajectories.state_index
    code = environment.stop_actions(states)
    assert code is not None  # see `check_stops`
    can = code >= 0
    if not can[index[:, 1:][index[:, 1:] >= 0]].all():
        raise ValueError(
            "a state other than the first cannot be finished as it is, so that it is not an "
            "object, as modified detailed balance requires; take another objective"
        )
    rows = np.flatnonzero(can)
    stop = np.full(len(can), -1, np.int64)
    stop[rows] = actions.class_of_action[actions.find(rows, code[rows])]
    known = np.zeros(len(can))
    known[rows] = log_reward(environment.step(states.take(rows), code[rows]).states)
    log_p = state_log_probabilities(environment, policy, states, actions)
    device = log_p.device
    here = index >= 0
    stop_of_step = np.where(here, stop[index], -1)
    terms = StopTerms(
        gather_padded(log_p, stop_of_step),
        gather_padded(torch.from_numpy(known).to(device), index),
        torch.from_numpy(here & can[index]).to(device),
        torch.from_numpy(here & (trajectories.class_index != stop_of_step)).to(device),
    )
    return gather_padded(log_p, trajectories.class_index), terms
