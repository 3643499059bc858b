"""Log-variance, or VarGrad (Richter et al. 2020, arXiv:2010.10436; Zhang et al. 2023).

    f = log R + sum log P_B - sum log P_F,    loss = mean over the batch of (f - mean f)^2

It is trajectory balance with the optimal log Z for the batch, so no Z is learned. With the linearly
growing ``pseudo_huber`` instead of the square, the median of f (the lower of the two middle values
for even numbers) replaces its mean: a few draws with very low reward must not shift the reference
of all others.

If trajectories have temperatures, mean and median are computed over trajectories with the same
temperature. A trajectory with a unique temperature is its own mean: it does not contribute to the
loss, but counts in the size of the batch.

Residuals of a batch with scales s are divided by them; the mean then has the weights 1 / s^2, and
the median 1 / s, with which they minimise the loss (for the median, where it grows linearly).
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


def _median(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the weighted median of values (n,), the lower of two; a scalar."""
    ordered, rows = values.sort()
    total = weight.index_select(0, rows).cumsum(0)
    return ordered[(total < 0.5 * total[-1]).sum()]


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean of values (n,), a scalar."""
    return (values * weight).sum() / weight.sum()


class LogVariance(Objective):
    """Variance over the batch, or over each temperature of it, of log-weights of trajectories."""

    takes_scales = True

    def __init__(self, loss_shape: str = "square") -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.robust = loss_shape == "pseudo_huber"

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the shape."""
        return cls(options.loss_shape)

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        log_weight = _log_weight(batch)
        if batch.condition is None:
            centre = self._centre(log_weight, batch.scale)
        else:
            values, group = torch.unique(batch.condition, return_inverse=True)
            centres = []
            for i in range(len(values)):
                rows = torch.nonzero(group == i).squeeze(1)
                scale = None if batch.scale is None else batch.scale[rows]
                centres.append(self._centre(log_weight[rows], scale))
            centre = torch.stack(centres).index_select(0, group)
        residual = centre - log_weight  # too often drawn: positive, as shapes expect it
        if batch.scale is not None:
            residual = residual / batch.scale
        return self.shape(residual).mean()

    def _centre(self, log_weight: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
        """Return the reference of f without temperatures, a scalar."""
        weight = torch.ones_like(log_weight.detach()) if scale is None else 1.0 / scale
        if self.robust:
            return _median(log_weight.detach(), weight)
        return _mean(log_weight, weight.square())

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return the batch mean (or median) of f, which is exactly log Z once the loss is zero.

        None where there are temperatures, each of which has a log Z of its own.
        """
        if batch.condition is not None:
            return None
        return float(self._centre(_log_weight(batch).detach(), batch.scale))
