"""A backward policy on the backward side of trajectories."""

from __future__ import annotations

import numpy as np
import torch

from gfncore.environment import Environment
from gfncore.policies import Policy
from gfncore.trajectories.batch import BackwardTable, gather_padded
from gfncore.trajectories.scoring import (
    state_log_probabilities,
    state_log_probabilities_and_flows,
)

__all__ = ["undoing_log_probabilities", "undoing_log_probabilities_and_flows"]


def undoing_log_probabilities(
    environment: Environment, network: Policy, table: BackwardTable
) -> torch.Tensor:
    """Return log P_B of every step by classes, with gradient; float64 (n, T), 0 at padding."""
    log_p = state_log_probabilities(
        environment, network, table.states, table.actions, backward=True
    )
    return gather_padded(log_p, table.class_index)


def undoing_log_probabilities_and_flows(
    environment: Environment, network: Policy, table: BackwardTable
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log P_B of every step, and the flow head of the state that it leads to.

    Both with gradient, float64 (n, T), zero at padding; `network` is made with ``flow=True``.
    """
    actions, index = table.actions, table.class_index
    log_p, log_flow = state_log_probabilities_and_flows(
        environment, network, table.states, actions, backward=True
    )
    place = np.where(index >= 0, actions.state_of_class[index], -1)
    return gather_padded(log_p, index), gather_padded(log_flow, place)
