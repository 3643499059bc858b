"""Trajectory likelihood maximisation (Gritsaev et al. 2025, arXiv:2410.15474).

    loss = - mean over trajectories drawn by P_F of sum log P_B

It is least where P_B(s|s') = F(s) P_F(s'|s) / F(s'), the backward policy that the forward policy
itself implies. A step of P_B on this loss alternates with a step of P_F on its objective, which
takes the new P_B as fixed; both then agree on the trajectories that the forward policy prefers.
Trajectories are those of the training step, exploration included, and none is used twice. P_B moves
as long as P_F does, so that learning rates have to fall at the end.
"""

from __future__ import annotations

import numpy as np
import torch

from gfncore.backward.base import BackwardExperience, BackwardTraining
from gfncore.environment import Environment
from gfncore.policies import Policy
from gfncore.trajectories.backward import undoing_log_probabilities

__all__ = ["TrajectoryLikelihood"]


class TrajectoryLikelihood(BackwardTraining):
    """Maximum likelihood of the forward policy's trajectories of each step."""

    def loss(
        self,
        environment: Environment,
        network: Policy,
        experience: BackwardExperience,
        generator: np.random.Generator,
    ) -> torch.Tensor | None:
        """Return the mean of - sum log P_B over the draws, float64 scalar; None without draws."""
        parts = [
            undoing_log_probabilities(environment, network, drawn.backward).sum(dim=1)
            for drawn in experience.drawn
            if drawn.backward is not None
        ]
        return -torch.cat(parts).mean() if parts else None
