"""Relative trajectory balance (Venkatraman et al. 2024, arXiv:2405.20971): fine-tuning a policy.

A prior policy, trained before and left as it is, draws objects with probability p(x). With

    loss = mean over trajectories of (log Z + sum log P_F - sum log P_F^prior - log R)^2

the policy learns to draw x in proportion to p(x) R(x), and Z is the mean of R under the prior. The
backward policy does not enter: each trajectory keeps its share among those that lead to x. For
adapting a sampler, such as one of drug-like molecules, to a new reward without losing what it
knows. With temperatures it is p(x) R(x)^beta, and log Z a curve.
"""

from __future__ import annotations

import torch

from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["RelativeTrajectoryBalance"]


class RelativeTrajectoryBalance(TrajectoryBalance):
    """Trajectory balance beside a prior policy, with a learned log Z, which starts at `log_z`.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. With `conditional`, batches
    have temperatures. Training needs ``Trainer(..., prior=...)``; the policy usually starts as a
    copy of the prior. Residuals of a batch with scales are divided by them.
    """

    title = "relative trajectory balance"
    needs_prior = True

    def _log_ratio(self, batch: ScoredTrajectories) -> torch.Tensor:
        if batch.log_prior is None:
            raise ValueError(f"{self.title} was given a batch without a prior")
        return batch.log_pf.sum(dim=1) - batch.log_prior - batch.log_reward
