"""Relative trajectory balance (Venkatraman et al. 2024, arXiv:2405.20971): fine-tuning a policy.

A prior policy, trained before and left as it is, draws objects with probability p(x). With

    loss = mean over trajectories of (log Z + sum log P_F - sum log P_F^prior - log R)^2

the policy learns to draw x in proportion to p(x) R(x), and Z is the mean of R under the prior. The
backward policy does not enter: each trajectory keeps its share among those that lead to x. For
adapting a sampler, such as one of drug-like molecules, to a new reward without losing what it
knows. With temperatures it is p(x) R(x)^beta, and log Z a curve.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from gfncore.objectives.base import Objective, ObjectiveOptions
from gfncore.objectives.log_partition_curve import LogPartitionCurve
from gfncore.objectives.shapes import shape
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["RelativeTrajectoryBalance"]


class RelativeTrajectoryBalance(Objective):
    """Trajectory balance beside a prior policy, with a learned log Z, which starts at `log_z`.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. With `conditional`, batches
    have temperatures. Training needs ``Trainer(..., prior=...)``; the policy usually starts as a
    copy of the prior. Residuals of a batch with scales are divided by them.
    """

    needs_prior = True
    takes_scales = True
    log_z: nn.Parameter

    def __init__(
        self, log_z: float = 0.0, loss_shape: str = "square", conditional: bool = False
    ) -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.log_z = nn.Parameter(torch.tensor(float(log_z), dtype=torch.float64))
        self.curve = LogPartitionCurve() if conditional else None

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the start of log Z, the shape, and temperatures or none."""
        return cls(options.log_z, options.loss_shape, options.conditional)

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        if batch.log_prior is None:
            raise ValueError("relative trajectory balance was given a batch without a prior")
        if (batch.condition is None) != (self.curve is None):
            has = "no temperatures" if batch.condition is None else "temperatures"
            raise ValueError(
                f"the trajectories have {has}, but relative trajectory balance was made with "
                f"conditional={self.curve is not None}"
            )
        log_z = self.log_z
        if self.curve is not None and batch.condition is not None:
            log_z = log_z + self.curve(batch.condition)
        residual = log_z + batch.log_pf.sum(dim=1) - batch.log_prior - batch.log_reward
        if batch.scale is not None:
            residual = residual / batch.scale
        return self.shape(residual).mean()

    def log_partition(self, batch: ScoredTrajectories) -> float:
        """Return the learned log Z; with temperatures, that of beta = 1."""
        log_z = self.log_z.detach()
        if self.curve is not None:
            log_z = log_z + self.curve(log_z.new_zeros(1)).detach()
        return float(log_z)
