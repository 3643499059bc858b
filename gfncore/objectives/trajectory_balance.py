"""Trajectory balance (Malkin et al. 2022, arXiv:2201.13259).

    loss = mean over trajectories of (log Z + sum log P_F - log R - sum log P_B)^2

log Z is a parameter. For training on any mix of trajectories, on- or off-policy. Where trajectories
have temperatures it is a curve, log Z(beta), see `gfncore.objectives.log_partition_curve`.
Residuals of a batch with scales are divided by them before they are squared.
"""

from __future__ import annotations

import torch

from gfncore.objectives.base import PartitionObjective
from gfncore.objectives.log_partition_curve import log_partition_at
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["TrajectoryBalance"]


class TrajectoryBalance(PartitionObjective):
    """Trajectory balance with a learned log Z.

    With temperatures, log Z(beta) starts at `log_z` for all beta, and is read by `log_z_at`.
    """

    title = "trajectory balance"

    def log_z_at(self, condition: torch.Tensor | None) -> torch.Tensor:
        """Return the learned log Z for log beta, float64 (n,) -> (n,); a scalar for None.

        Raises
        ------
        ValueError
            If there are temperatures and the objective is not conditional, or the other way round.
        """
        return log_partition_at(self.log_z, self.curve, condition, self.title)

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        residual = self.log_z_at(batch.condition) + self._log_ratio(batch)
        if batch.scale is not None:
            residual = residual / batch.scale
        return self.shape(residual).mean()

    def _log_ratio(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Log of the forward over the backward side, without Z; float64 (n,)."""
        return (batch.log_pf - batch.log_pb).sum(dim=1) - batch.log_reward

    def log_partition(self, batch: ScoredTrajectories) -> float:
        """Return the learned log Z; with temperatures, that of beta = 1."""
        if self.curve is None:
            return float(self.log_z.detach())
        return float(self.log_z_at(self.log_z.new_zeros(1)).detach())
