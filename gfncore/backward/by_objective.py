"""A backward policy that is learned by the objective of the forward policy.

The gradient of the objective passes through log P_B as it does through log P_F (Malkin et al. 2022,
arXiv:2201.13259): both policies move towards each other, so that the forward policy may keep to
trajectories that it finds easy to follow.
"""

from __future__ import annotations

import numpy as np

from gfncore.backward.base import BackwardExperience, BackwardTraining
from gfncore.environment import Environment
from gfncore.policies import Policy

__all__ = ["ByObjective"]


class ByObjective(BackwardTraining):
    """Training by the objective; there is no other loss."""

    by_objective = True

    def loss(
        self,
        environment: Environment,
        network: Policy,
        experience: BackwardExperience,
        generator: np.random.Generator,
    ) -> None:
        """Return None."""
        return None
