"""The backward policy of maximum entropy (Mohammadpour et al. 2024, arXiv:2312.14331).

With n(s) the number of trajectories from s_0 to s, counted by classes of actions,

    P_B(s|s') = n(s) / n(s'),        n(s_0) = 1,

all trajectories of an object are equally likely, so that the forward policy that balances it has
the largest entropy of all that draw in proportion to the reward. Uniform P_B is the same only where
all parents of a state have as many trajectories.

log n is a flow: that of a second network, the flow head of P_B, which is tied to the steps of P_B
by balance. For a trajectory s_0 -> ... -> s_k and each j from 1 to k,

    u_j = log n(s_j) + sum over the first j steps of log P_B,        u_0 = 0,
    loss = mean over trajectories and parts i < j of  w_(j-i) (u_j - u_i)^2,  w = lambda^(j-i)

(weights normalised within a trajectory), as in sub-trajectory balance (Madan et al. 2022,
arXiv:2209.12782). It is zero on all trajectories for the n above alone. The reward does not enter.
Any trajectories do: all of a training step are used.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from gfncore.backward.base import BackwardExperience, BackwardTraining
from gfncore.environment import Environment
from gfncore.policies import Policy
from gfncore.trajectories.backward import undoing_log_probabilities_and_flows
from gfncore.trajectories.batch import BackwardTable

__all__ = ["MaximumEntropy", "trajectory_balance_of_counts"]

LAMBDA = 0.9


class MaximumEntropy(BackwardTraining):
    """Balance of P_B and learned log-numbers of trajectories."""

    needs_flow = True

    def loss(
        self,
        environment: Environment,
        network: Policy,
        experience: BackwardExperience,
        generator: np.random.Generator,
    ) -> torch.Tensor | None:
        """Return the loss, float64 scalar; None where every state has one parent."""
        parts = [
            _losses(environment, network, trajectories.backward)
            for trajectories in experience.all
            if trajectories.backward is not None
        ]
        return torch.cat(parts).mean() if parts else None


def _losses(environment: Environment, network: Policy, table: BackwardTable) -> torch.Tensor:
    """Return the loss of each trajectory, float64 (n,)."""
    log_pb, log_n = undoing_log_probabilities_and_flows(environment, network, table)
    lengths = torch.from_numpy((table.class_index >= 0).sum(axis=1)).to(log_pb.device)
    return trajectory_balance_of_counts(log_pb, log_n, lengths)


def trajectory_balance_of_counts(
    log_pb: torch.Tensor, log_n: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Return the loss of each trajectory; float64 (n,).

    Parameters
    ----------
    log_pb : Tensor, shape (n, T), float64
        log P_B of each step.
    log_n : Tensor, shape (n, T), float64
        log n of the state that each step leads to.
    lengths : Tensor, shape (n,), int64
        Number of steps.
    """
    value = nn.functional.pad(log_n + log_pb.cumsum(1), (1, 0))  # u, (n, T + 1)
    place = torch.arange(value.shape[1], device=value.device)
    first, last = torch.triu_indices(len(place), len(place), 1, device=value.device)
    within = last <= lengths[:, None]
    residual = value.index_select(1, last) - value.index_select(1, first)
    log_weight = torch.where(within, math.log(LAMBDA) * (last - first), -math.inf)
    weight = torch.softmax(log_weight.to(value), dim=1)
    return (weight * torch.where(within, residual, 0.0).square()).sum(dim=1)
