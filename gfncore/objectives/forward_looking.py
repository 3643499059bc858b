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

from typing import Self

import torch
from torch import nn

from gfncore.objectives.base import Objective, ObjectiveOptions
from gfncore.objectives.flows import learned_log_flow, log_flow_of_start, step_residuals
from gfncore.objectives.shapes import shape
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["ForwardLooking"]


class ForwardLooking(Objective):
    """Detailed balance of F~ exp(-E); `log_z` is where log F_0 starts.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. Needs a policy with
    ``flow=True`` and an environment with energies. Where there are temperatures, the flow head
    reads them, and energies are tempered as rewards are.
    """

    needs_flow = True
    needs_energies = True
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
        """Return log F of the state of every step; float64 (n, T)."""
        log_flow = learned_log_flow(batch, self.log_z, "forward-looking balance")
        if batch.flow is None or batch.flow.energy is None:
            raise ValueError("forward-looking balance was given a batch without energies")
        return log_flow - batch.flow.energy

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        return self.shape(step_residuals(batch, self._log_flow(batch))).mean()

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return log F(s_0), or None if there are temperatures, each of which has its own."""
        return log_flow_of_start(batch, self._log_flow(batch))
