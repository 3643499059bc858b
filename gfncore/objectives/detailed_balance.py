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

import torch

from gfncore.objectives.flows import FlowObjective, step_residuals
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["DetailedBalance"]


class DetailedBalance(FlowObjective):
    """Detailed balance of learned flows; `log_z` is where log F_0 starts.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. Needs a policy with
    ``flow=True``. Residuals of a batch with scales are divided by them.
    """

    title = "detailed balance"

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        return self.shape(step_residuals(batch, self.log_flow(batch))).mean()
