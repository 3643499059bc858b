"""The pessimistic backward policy (Jang et al. 2024, arXiv:2405.16012).

    loss = - mean over trajectories that were drawn, kept in a buffer, of sum log P_B

The reward of an object is divided among its trajectories by P_B, and the forward policy learns from
those alone that were drawn. What P_B gives to others is missing: with few trajectories for each
object, the forward policy draws good objects too rarely. P_B of this loss gives as much as possible
to trajectories that were drawn.

Each step keeps the forward policy's own draws, exploration included, and learns from as many, drawn
uniformly from the last 10,000. For large spaces, where few of the trajectories of an object are
ever drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gfncore.backward.base import BackwardExperience, BackwardTraining
from gfncore.backward.observed import ObservedTrajectories, undoing_codes
from gfncore.environment import Environment
from gfncore.policies import Policy
from gfncore.trajectories.backward import undoing_log_probabilities

__all__ = ["Pessimistic"]


class Pessimistic(BackwardTraining):
    """Maximum likelihood of the trajectories that the forward policy drew so far.

    Attributes
    ----------
    observed : ObservedTrajectories
    """

    def __init__(self) -> None:
        self.observed = ObservedTrajectories()

    def loss(
        self,
        environment: Environment,
        network: Policy,
        experience: BackwardExperience,
        generator: np.random.Generator,
    ) -> torch.Tensor | None:
        """Return the mean of - sum log P_B over kept trajectories; None without draws."""
        n = sum(len(drawn) for drawn in experience.drawn)
        if not n or not len(self.observed):
            return None
        table = self.observed.draw(environment, n, generator)
        return -undoing_log_probabilities(environment, network, table).sum(dim=1).mean()

    def new_records(self, environment: Environment, experience: BackwardExperience) -> Any:
        """Return objects and undoing codes of the draws."""
        drawn = [one for one in experience.drawn if one.backward is not None]
        return [
            (environment.without_temperature(one.terminals), undoing_codes(one)) for one in drawn
        ]

    def keep(self, records: Any) -> None:
        """Keep what `new_records` returned."""
        for objects, codes in records:
            self.observed.add(objects, codes)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the trajectories kept."""
        return self.observed.arrays()

    def load_arrays(self, environment: Environment, stored: Mapping[str, np.ndarray]) -> None:
        """Take over the trajectories that `arrays` returned."""
        self.observed.load_arrays(environment, stored)
