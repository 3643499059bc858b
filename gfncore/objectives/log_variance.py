"""Log-variance, or VarGrad (Richter et al. 2020, arXiv:2010.10436; Zhang et al. 2023).

    f = log R + sum log P_B - sum log P_F,    loss = mean over the batch of (f - mean f)^2

It is trajectory balance with the log Z that is best for the batch, so there is no Z to learn. With
a shape that grows linearly in place of the square, the median of f takes the place of its mean: a
few draws of hardly any reward must not move what all others are held against.
"""

from __future__ import annotations

import torch
from torch import nn

from gfncore.objectives.shapes import shape
from gfncore.trajectories import ScoredTrajectories

__all__ = ["LogVariance"]


class LogVariance(nn.Module):
    """Variance over the batch of the log-weights of trajectories."""

    on_policy_allowed = True
    needs_reward = True
    needs_objectives = False

    def __init__(self, loss_shape: str = "square") -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.robust = loss_shape != "square"

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """The loss, float64 scalar."""
        log_weight = batch.log_reward + (batch.log_pb - batch.log_pf).sum(dim=1)
        centre = log_weight.detach().median() if self.robust else log_weight.mean()
        return self.shape(log_weight - centre).mean()

    def log_partition(self, batch: ScoredTrajectories) -> float:
        """The batch mean of f: the log Z that the batch implies, exact once the loss is zero."""
        log_weight = batch.log_reward + (batch.log_pb - batch.log_pf).sum(dim=1)
        return float(log_weight.detach().mean())
