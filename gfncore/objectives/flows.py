"""Log flows of the states of trajectories, which several objectives balance.

With the unfinished states s_0 ... s_{n-1} and the object s_n = x of a trajectory,

    log F(s_t) = log F_0 + flow head of the policy (s_t)   for t < n,    log F(s_n) = log R(x)

log F_0 is learned by the objective, at the rate of log Z: the flow head starts at zero, and log Z
may be far from there. log F(s_0) is log Z. Where trajectories have temperatures, the flow head
reads them, and log F_0 is a curve, see `gfncore.objectives.log_partition_curve`: flows of two
temperatures may differ by hundreds of nats, which the head alone would learn slowly.
"""

from __future__ import annotations

import torch

from gfncore.objectives.base import PartitionObjective
from gfncore.objectives.log_partition_curve import log_partition_at
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["FlowObjective", "flow_after_steps", "step_residuals"]


class FlowObjective(PartitionObjective):
    """An objective of learned flows; `log_z` is where log F_0 starts.

    Needs a policy with ``flow=True``.
    """

    needs_flow = True

    def log_start(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return log F_0 of trajectories, float64 (n, 1); a scalar without temperatures.

        Raises
        ------
        ValueError
            If there are temperatures and the objective is not conditional, or the other way round.
        """
        log_start = log_partition_at(self.log_z, self.curve, batch.condition, self.title)
        return log_start if batch.condition is None else log_start[:, None]

    def log_flow(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return log F of the state of every step, float64 (n, T); padding is meaningless.

        Raises
        ------
        ValueError
            If the batch has no state flows, or if it has temperatures and the objective is not
            conditional, or the other way round.
        """
        if batch.flow is None:
            raise ValueError(f"{self.title} was given a batch without state flows")
        return self.log_start(batch) + batch.flow.log_flow

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return log F(s_0), or None if there are temperatures, each of which has its own."""
        if batch.condition is not None:
            return None
        return float(self.log_flow(batch)[0, 0].detach())


def flow_after_steps(batch: ScoredTrajectories, log_flow: torch.Tensor) -> torch.Tensor:
    """Return log F of the state that each step leads to, float64 (n, T); of an object, log R.

    Parameters
    ----------
    batch : ScoredTrajectories
        With state flows.
    log_flow : Tensor, shape (n, T), float64
        Of the state of every step.
    """
    assert batch.flow is not None
    step = torch.arange(log_flow.shape[1], device=log_flow.device)
    after = torch.nn.functional.pad(log_flow[:, 1:], (0, 1))
    last = step == batch.flow.lengths[:, None] - 1  # the step that makes the object
    return torch.where(last, batch.log_reward[:, None], after)


def step_residuals(batch: ScoredTrajectories, log_flow: torch.Tensor) -> torch.Tensor:
    """Return log F(s) P_F(s'|s) - log F(s') P_B(s|s') of all steps of the batch; float64 (S,).

    Divided by the scale of its trajectory, where there are scales.

    Parameters
    ----------
    batch : ScoredTrajectories
        With state flows.
    log_flow : Tensor, shape (n, T), float64
        Of the state of every step.
    """
    assert batch.flow is not None
    residual = log_flow + batch.log_pf - flow_after_steps(batch, log_flow) - batch.log_pb
    if batch.scale is not None:
        residual = residual / batch.scale[:, None]
    step = torch.arange(log_flow.shape[1], device=log_flow.device)
    return residual[step < batch.flow.lengths[:, None]]
