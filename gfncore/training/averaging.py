"""A running average of a policy's parameters, which is a better sampler than the last step's.

theta_avg <- d theta_avg + (1 - d) theta after each step (Polyak & Juditsky 1992). After step t, d
is at most t / (t + 10), so that the start is forgotten.
"""

from __future__ import annotations

import copy

import torch

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
        self.policy = copy.deepcopy(policy)
        self.policy.requires_grad_(False)

    @torch.no_grad()
    def update(self, policy: Policy, step: int) -> None:
        """Take in the parameters after step number ``step`` (from 1)."""
        decay = min(self.decay, step / (step + 10.0))
        pairs = zip(self.policy.parameters(), policy.parameters(), strict=True)
        for average, current in pairs:
            average.lerp_(current, 1.0 - decay)
