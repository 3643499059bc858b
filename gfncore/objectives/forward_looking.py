"""Forward-looking detailed balance (Pan et al. 2023, arXiv:2302.01687).

The flow of an unfinished state is written F(s) = F~(s) exp(-E(s)), so that known energies E(s) need
not be learned. Over each step s -> s',

    d = log F~(s) - E(s) + log P_F(s'|s) - log F(s') - log P_B(s|s'),    loss = mean of d^2

with F(s') = F~(s') exp(-E(s')) for an unfinished s' and F(s') = R(s') for an object. With E = 0 it
is detailed balance, see `gfncore.objectives.detailed_balance`. Every step is a separate term, so an
energy has its effect where it arises and not only at the end of the trajectory.

log F~(s) = log F_0 + the flow head of the policy; log F_0 is learned at the rate of log Z.
"""

from __future__ import annotations

import torch

from gfncore.objectives.flows import FlowObjective, step_residuals
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["ForwardLooking"]


class ForwardLooking(FlowObjective):
    """Detailed balance of F~ exp(-E); `log_z` is where log F_0 starts.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. Needs a policy with
    ``flow=True`` and an environment with energies. Where there are temperatures, the flow head
    reads them, and energies are tempered as rewards are.
    """

    title = "forward-looking balance"
    needs_energies = True

    def log_flow(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return log F of the state of every step; float64 (n, T)."""
        log_flow = super().log_flow(batch)
        if batch.flow is None or batch.flow.energy is None:
            raise ValueError("forward-looking balance was given a batch without energies")
        return log_flow - batch.flow.energy

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        return self.shape(step_residuals(batch, self.log_flow(batch))).mean()
