"""A running average of a policy's parameters, which is a better sampler than the last step's.

theta_avg <- d theta_avg + (1 - d) theta after each step (Polyak & Juditsky 1992). After step t, d
is at most t / (t + 10), so that the start is forgotten. PyTorch's `AveragedModel` holds the
average.
"""

from __future__ import annotations

from typing import cast

import torch
from torch.optim.swa_utils import AveragedModel

from gfncore.policies import Policy

__all__ = ["AveragedPolicy"]


class AveragedPolicy:
    """Keeps the average of the parameters of ``policy`` in a policy of its own.

    Parameters
    ----------
    policy : Policy
    decay : float
        d after the first steps, in [0, 1); about 1 / (1 - d) steps are averaged.
    """

    def __init__(self, policy: Policy, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay is {decay}, but must be at least 0 and below 1")
        self.decay = decay
        self._share = 1.0  # of the latest parameters in the average, set by each update
        self._average = AveragedModel(policy, avg_fn=self._moved)
        self._average.n_averaged.fill_(1)  # at 0 the first update would drop the parameters so far
        self.policy = cast(Policy, self._average.module.requires_grad_(False))

    def update(self, policy: Policy, step: int) -> None:
        """Take in the parameters after step number ``step`` (from 1)."""
        self._share = 1.0 - min(self.decay, step / (step + 10.0))
        self._average.update_parameters(policy)

    def _moved(
        self, average: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int
    ) -> torch.Tensor:
        return torch.lerp(average, current, self._share)
