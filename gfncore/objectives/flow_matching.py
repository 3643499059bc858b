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

import torch

from gfncore.objectives.flows import FlowObjective, flow_after_steps
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["FlowMatching"]


class FlowMatching(FlowObjective):
    """Balance of what flows into and out of states; `log_z` is where log F_0 starts.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. Needs a policy with
    ``flow=True``, and an environment that counts actions by class. Residuals of a batch with scales
    are divided by them.
    """

    title = "flow matching"
    needs_inflow = True

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        log_flow = self.log_flow(batch)
        if batch.log_inflow is None or batch.flow is None:
            raise ValueError("flow matching was given a batch without flows into its states")
        residual = self.log_start(batch) + batch.log_inflow - flow_after_steps(batch, log_flow)
        if batch.scale is not None:
            residual = residual / batch.scale[:, None]
        step = torch.arange(log_flow.shape[1], device=log_flow.device)
        return self.shape(residual[step < batch.flow.lengths[:, None]]).mean()
