"""Log-variance, or VarGrad (Richter et al. 2020, arXiv:2010.10436; Zhang et al. 2023).

    f = log R + sum log P_B - sum log P_F,    loss = mean over the batch of (f - mean f)^2

It is trajectory balance with the optimal log Z for the batch, so no Z is learned. With a linearly
growing shape instead of the square, the median of f (the lower of the two middle values for even
numbers) replaces its mean: a few draws with very low reward must not shift the reference of all
others.

If trajectories have temperatures, mean and median are computed over trajectories with the same
temperature. A trajectory with a unique temperature is its own mean: it does not contribute to the
loss, but counts in the size of the batch.
"""

from __future__ import annotations

from typing import Self

import torch

from gfncore.objectives.base import Objective, ObjectiveOptions
from gfncore.objectives.shapes import shape
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["LogVariance"]


def _log_weight(batch: ScoredTrajectories) -> torch.Tensor:
    """Return f of each trajectory; (n,)."""
    return batch.log_reward + (batch.log_pb - batch.log_pf).sum(dim=1)


def _grouped_mean(values: torch.Tensor, group: torch.Tensor, n: int) -> torch.Tensor:
    """Return the mean of the values of each group, at each of its members; (n_values,)."""
    total = values.new_zeros(n).index_add(0, group, values)
    return (total / torch.bincount(group, minlength=n)).index_select(0, group)


def _grouped_median(values: torch.Tensor, group: torch.Tensor, n: int) -> torch.Tensor:
    """Return the median of the values of each group, at each of its members; (n_values,)."""
    medians = torch.stack([values[group == i].median() for i in range(n)])
    return medians.index_select(0, group)


class LogVariance(Objective):
    """Variance over the batch, or over each temperature of it, of log-weights of trajectories."""

    def __init__(self, loss_shape: str = "square") -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.robust = loss_shape != "square"

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the shape."""
        return cls(options.loss_shape)

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        log_weight = _log_weight(batch)
        if batch.condition is not None:
            values, group = torch.unique(batch.condition, return_inverse=True)
            centre = (
                _grouped_median(log_weight.detach(), group, len(values))
                if self.robust
                else _grouped_mean(log_weight, group, len(values))
            )
        else:
            centre = self._centre(log_weight)
        return self.shape(log_weight - centre).mean()

    def _centre(self, log_weight: torch.Tensor) -> torch.Tensor:
        """Return the reference of f without temperatures, a scalar."""
        return log_weight.detach().median() if self.robust else log_weight.mean()

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return the batch mean (or median) of f, which is exactly log Z once the loss is zero.

        None where there are temperatures, each of which has a log Z of its own.
        """
        if batch.condition is not None:
            return None
        return float(self._centre(_log_weight(batch).detach()))
