"""Detailed balance (Bengio et al. 2023, arXiv:2111.09266, section 3.2).

Over each step s -> s' of the trajectories,

    d = log F(s) + log P_F(s'|s) - log F(s') - log P_B(s|s'),    loss = mean over steps of d^2

with F(s') = R(s') for an object. The flows of unfinished states are learned, see
`gfncore.objectives.flows`. Each step is a term of its own, which needs no other step of its
trajectory: the variance is small, but a reward reaches the early states only after the flows of
the states in between have learned it, one after another. For short trajectories, and as the basis
of forward-looking balance; for long ones use trajectory or sub-trajectory balance.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from gfncore.objectives.base import Objective, ObjectiveOptions
from gfncore.objectives.flows import learned_log_flow, log_flow_of_start, step_residuals
from gfncore.objectives.shapes import shape
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["DetailedBalance"]


class DetailedBalance(Objective):
    """Detailed balance of learned flows; `log_z` is where log F_0 starts.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. Needs a policy with
    ``flow=True``. Residuals of a batch with scales are divided by them.
    """

    needs_flow = True
    takes_scales = True
    log_z: nn.Parameter

    def __init__(self, log_z: float = 0.0, loss_shape: str = "square") -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.log_z = nn.Parameter(torch.tensor(float(log_z), dtype=torch.float64))

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the start of log F_0 and the shape."""
        return cls(options.log_z, options.loss_shape)

    def _log_flow(self, batch: ScoredTrajectories) -> torch.Tensor:
        return learned_log_flow(batch, self.log_z, "detailed balance")

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        return self.shape(step_residuals(batch, self._log_flow(batch))).mean()

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return log F(s_0), or None if there are temperatures, each of which has its own."""
        return log_flow_of_start(batch, self._log_flow(batch))
