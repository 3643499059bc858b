"""Modified detailed balance (Deleu et al. 2022, arXiv:2202.13903).

Where construction may stop at every state s, the flow of s is known from the choice to stop there,
F(s) P_F(stop|s) = R(s), and no flow is learned. Over each step s -> s' that does not stop,

    d = log R(s) - log P_F(stop|s) + log P_F(s'|s)
        - log R(s') + log P_F(stop|s') - log P_B(s|s'),    loss = mean over steps of d^2

where R(s) is the reward of the object that s is. Each step is a term with a reward of its own, so
rewards need not travel along trajectories. The price is the reward of every state on the way. For
spaces such as graphs that grow edge by edge; other spaces are refused. Where s_0 alone is not an
object (the empty molecule), its flow is the learned Z.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from gfncore.objectives.base import Objective, ObjectiveOptions
from gfncore.objectives.shapes import shape
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["ModifiedDetailedBalance"]


class ModifiedDetailedBalance(Objective):
    """Detailed balance of objects; `log_z` is where log F(s_0) starts if s_0 is not an object.

    `loss_shape` replaces the square, see `gfncore.objectives.shapes`. Where there are temperatures,
    rewards are tempered, and s_0 must be an object. Residuals of a batch with scales are divided by
    them.
    """

    needs_stops = True
    takes_scales = True
    log_z: nn.Parameter

    def __init__(self, log_z: float = 0.0, loss_shape: str = "square") -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.log_z = nn.Parameter(torch.tensor(float(log_z), dtype=torch.float64))

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the start of log F(s_0) and the shape."""
        return cls(options.log_z, options.loss_shape)

    def _log_flow(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return log F of the state of every step; float64 (n, T)."""
        stop = batch.stop
        if stop is None:
            raise ValueError("modified detailed balance was given a batch without stops")
        if batch.condition is not None and not bool(stop.possible[:, 0].all()):
            raise ValueError(
                "the first state is not an object, so that its flow depends on the temperature: "
                "take sub_trajectory_balance"
            )
        return torch.where(stop.possible, stop.log_reward - stop.log_pf, self.log_z)

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar; zero for trajectories that stop at once."""
        log_flow = self._log_flow(batch)
        assert batch.stop is not None
        after = nn.functional.pad(log_flow[:, 1:], (0, 1))
        residual = log_flow + batch.log_pf - after - batch.log_pb
        if batch.scale is not None:
            residual = residual / batch.scale[:, None]
        residual = residual[batch.stop.goes_on]
        return self.shape(residual).sum() / max(1, len(residual))

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return log F(s_0), or None if there are temperatures, each of which has its own."""
        if batch.condition is not None:
            return None
        return float(self._log_flow(batch)[0, 0].detach())
