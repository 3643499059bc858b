"""Trajectory balance (Malkin et al. 2022, arXiv:2201.13259).

    loss = mean over trajectories of (log Z + sum log P_F - log R - sum log P_B)^2

log Z is a parameter. For training on any mix of trajectories, on- or off-policy.
"""

from __future__ import annotations

import torch
from torch import nn

from gfncore.objectives.shapes import shape
from gfncore.trajectories import ScoredTrajectories

__all__ = ["TrajectoryBalance"]


class TrajectoryBalance(nn.Module):
    """Trajectory balance with a learned log Z, which starts at `log_z`.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`.
    """

    on_policy_allowed = True
    needs_reward = True
    needs_objectives = False

    def __init__(self, log_z: float = 0.0, loss_shape: str = "square") -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.log_z = nn.Parameter(torch.tensor(float(log_z), dtype=torch.float64))

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """The loss, float64 scalar."""
        log_ratio = (batch.log_pf - batch.log_pb).sum(dim=1) - batch.log_reward
        return self.shape(self.log_z + log_ratio).mean()

    def log_partition(self, batch: ScoredTrajectories) -> float:
        """The learned log Z."""
        return float(self.log_z.detach())
