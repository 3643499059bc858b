"""Sub-trajectory balance, SubTB(lambda) (Madan et al. 2022, arXiv:2209.12782).

For each part s_i -> ... -> s_j of a trajectory of n steps, 0 <= i < j <= n,

    d_ij = log F(s_i) + sum log P_F - log F(s_j) - sum log P_B        (sums over the steps i to j)
    loss = mean over trajectories of  sum_ij lambda^(j-i) d_ij^2 / sum_ij lambda^(j-i)

with F(s_n) = R(x), and learned flows before, see `gfncore.objectives.flows`. Small lambda is
detailed balance, large lambda trajectory balance: more bias against more variance of the gradient.
In between, the end of a trajectory teaches its middle, and the middle its beginning. For long
trajectories, and rewards that spread over several orders of magnitude.

With v_t = log F(s_t) - sum_{u<t} (log P_F - log P_B), one cumulative sum, d_ij = v_i - v_j.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import nn

from gfncore.objectives.base import ObjectiveOptions
from gfncore.objectives.flows import FlowObjective
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["SubTrajectoryBalance"]


class SubTrajectoryBalance(FlowObjective):
    """Balance of all parts of trajectories; `log_z` is where log F_0 starts.

    Needs a policy with ``flow=True``. Residuals of a batch with scales are divided by them.

    Parameters
    ----------
    log_z : float
    decay : float
        lambda > 0.
    loss_shape : str
        Replaces the square, see `gfncore.objectives.shapes`.
    conditional : bool
        Whether batches have temperatures.

    Raises
    ------
    ValueError
        If `decay` is not a positive number.
    """

    title = "sub-trajectory balance"

    def __init__(
        self,
        log_z: float = 0.0,
        decay: float = 0.9,
        loss_shape: str = "square",
        conditional: bool = False,
    ) -> None:
        super().__init__(log_z, loss_shape, conditional)
        if not 0.0 < decay < math.inf:
            raise ValueError(f"lambda is {decay}, but must be a positive number")
        self.log_decay = math.log(decay)

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the start of log F_0, lambda, the shape, and temperatures or none."""
        return cls(
            options.log_z, options.sub_trajectory_lambda, options.loss_shape, options.conditional
        )

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar; memory grows as n_trajectories T^2."""
        log_flow = self.log_flow(batch)
        assert batch.flow is not None
        lengths = batch.flow.lengths[:, None]
        pad = nn.functional.pad
        place = torch.arange(log_flow.shape[1] + 1, device=log_flow.device)
        flows = torch.where(place == lengths, batch.log_reward[:, None], pad(log_flow, (0, 1)))
        value = flows - pad((batch.log_pf - batch.log_pb).cumsum(1), (1, 0))  # (n, T + 1)
        first, last = torch.triu_indices(len(place), len(place), 1, device=place.device)
        residual = value.index_select(1, first) - value.index_select(1, last)  # (n, pairs)
        if batch.scale is not None:
            residual = residual / batch.scale[:, None]
        within = last <= lengths
        log_weight = torch.where(within, self.log_decay * (last - first), -math.inf)
        loss = self.shape(torch.where(within, residual, 0.0))
        return (torch.softmax(log_weight.to(loss), dim=1) * loss).sum(dim=1).mean()
