"""The contract between training and a way of learning a backward policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gfncore.environment import Environment
from gfncore.policies import Policy
from gfncore.trajectories.batch import Trajectories

__all__ = ["BackwardExperience", "BackwardTraining"]


@dataclass(frozen=True)
class BackwardExperience:
    """The trajectories of a training step that a backward policy learns from.

    Attributes
    ----------
    all : sequence of Trajectories
        Of all sources.
    drawn : sequence of Trajectories
        Those of the forward policy itself (exploration included).
    """

    all: Sequence[Trajectories]
    drawn: Sequence[Trajectories]


class BackwardTraining(ABC):
    """How the network of a backward policy P_B learns.

    Unless `by_objective`, `Trainer` does a step of the optimiser on `loss` alone before it scores
    the trajectories, and the objective takes the new P_B as fixed.

    Attributes
    ----------
    by_objective : bool
        Whether the objective's gradient passes through log P_B; there is then no other loss.
    needs_flow : bool
        Whether the network has a flow head.
    """

    by_objective = False
    needs_flow = False

    @abstractmethod
    def loss(
        self,
        environment: Environment,
        network: Policy,
        experience: BackwardExperience,
        generator: np.random.Generator,
    ) -> torch.Tensor | None:
        """Return the loss of a step, float64 scalar; None where there is nothing to learn from."""

    def new_records(self, environment: Environment, experience: BackwardExperience) -> Any:
        """Return the part of a step that is to be kept, for `keep`; None: nothing."""
        return None

    def keep(self, records: Any) -> None:  # noqa: B027 - neutral default
        """Keep what `new_records` returned, here or in another process of the training."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a checkpoint holds of it besides the network."""
        return {}

    def load_arrays(  # noqa: B027 - neutral default
        self, environment: Environment, stored: Mapping[str, np.ndarray]
    ) -> None:
        """Take over what `arrays` returned.

        Raises
        ------
        KeyError, ValueError
            An array is missing or does not fit.
        """
