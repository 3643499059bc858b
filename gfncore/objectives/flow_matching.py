"""Flow matching (Bengio et al. 2021, arXiv:2106.04399).

For each state s' that a trajectory reaches, what flows in is what flows out,

    d = log sum over parents s of F(s) P_F(s'|s) - log F(s'),    loss = mean over states of d^2

with F(s') = R(s') for an object. The flows of unfinished states are learned, see
`gfncore.objectives.flows`; the edge s -> s' has the flow F(s) P_F(s'|s). No backward policy is
chosen or learned: it is what the edges imply. Each state needs the flows of all its parents, also
those that no trajectory visits, which makes a step more expensive than those of other objectives.
For comparison, and for small spaces in which states have few parents.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from gfncore.objectives.base import Objective, ObjectiveOptions
from gfncore.objectives.flows import flow_after_steps, learned_log_flow, log_flow_of_start
from gfncore.objectives.shapes import shape
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["FlowMatching"]


class FlowMatching(Objective):
    """Balance of what flows into and out of states; `log_z` is where log F_0 starts.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. Needs a policy with
    ``flow=True``, and an environment that counts actions by class. Residuals of a batch with scales
    are divided by them.
    """

    needs_flow = True
    needs_inflow = True
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
        return learned_log_flow(batch, self.log_z, "flow matching")

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        log_flow = self._log_flow(batch)
        if batch.log_inflow is None or batch.flow is None:
            raise ValueError("flow matching was given a batch without flows into its states")
        residual = self.log_z + batch.log_inflow - flow_after_steps(batch, log_flow)
        if batch.scale is not None:
            residual = residual / batch.scale[:, None]
        step = torch.arange(log_flow.shape[1], device=log_flow.device)
        return self.shape(residual[step < batch.flow.lengths[:, None]]).mean()

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return log F(s_0), or None if there are temperatures, each of which has its own."""
        return log_flow_of_start(batch, self._log_flow(batch))
