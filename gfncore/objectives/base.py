"""The contract between training and an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import nn

from gfncore.environment import Environment
from gfncore.objectives.log_partition_curve import LogPartitionCurve
from gfncore.objectives.options import ObjectiveOptions
from gfncore.objectives.registry import find_objective
from gfncore.objectives.shapes import shape
from gfncore.policies import Policy
from gfncore.trajectories.batch import ScoredTrajectories
from gfncore.trajectories.stops import check_stops

__all__ = ["Objective", "ObjectiveOptions", "PartitionObjective", "make_objective"]


class Objective(nn.Module, ABC):
    """A scalar loss of scored trajectories, with its own learned parameters.

    Attributes
    ----------
    on_policy_allowed : bool
        Whether it may be trained on the policy's own draws.
    needs_reward : bool
        Whether it reads rewards.
    needs_objectives : bool
        Whether it reads `ScoredTrajectories.objectives`.
    needs_flow : bool
        Whether it reads `ScoredTrajectories.flow`.
    needs_energies : bool
        Whether it reads the energies there as well.
    needs_inflow : bool
        Whether it reads `ScoredTrajectories.log_inflow`; it then needs flows as well.
    needs_step_energies : bool
        Whether it reads `ScoredTrajectories.step_energy`; it then needs flows as well.
    needs_stops : bool
        Whether it reads `ScoredTrajectories.stop`.
    needs_prior : bool
        Whether it reads `ScoredTrajectories.log_prior`.
    takes_scales : bool
        Whether it reads `ScoredTrajectories.scale`.
    log_z : Parameter, optional
        Learned log Z, float64 scalar; None if it is not learned.
    curve : LogPartitionCurve, optional
        Its change with the temperature; None without temperatures, or if it is not learned.
    """

    on_policy_allowed = True
    needs_reward = True
    needs_objectives = False
    needs_flow = False
    needs_energies = False
    needs_inflow = False
    needs_step_energies = False
    needs_stops = False
    needs_prior = False
    takes_scales = False

    log_z: nn.Parameter | None
    curve: LogPartitionCurve | None

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("log_z", None)
        self.register_module("curve", None)

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return an objective with the options that it has a use for; here none."""
        return cls()

    def check_fit(
        self,
        environment: Environment,
        policy: Policy,
        on_policy: int,
        has_prior: bool,
        has_step_energies: bool,
    ) -> None:
        """Refuse to be trained with what it cannot be trained with.

        Parameters
        ----------
        environment : Environment
        policy : Policy
        on_policy : int
            Trajectories of the policy itself, per step.
        has_prior, has_step_energies : bool
            Whether a prior policy and a network of step energies are given.

        Raises
        ------
        ValueError
            Something that it needs is missing, or something is given that it does not read.
        """
        name = type(self).__name__
        if on_policy and not self.on_policy_allowed:
            raise ValueError(
                f"{name} cannot be trained on the policy's own draws: on_policy is {on_policy}, "
                "set it to 0"
            )
        if self.needs_objectives and not environment.has_objectives:
            raise ValueError(f"{name} needs figures of merit, and the environment has none")
        if self.needs_flow and policy.flow is None:
            raise ValueError(f"{name} needs state flows: make the policy with flow=True")
        if self.needs_energies and environment.energy(environment.initial(1)) is None:
            raise ValueError(
                f"{name} needs energies of unfinished states, and the environment has none"
            )
        if self.needs_stops:
            check_stops(environment, name)
        if self.needs_prior != has_prior:
            raise ValueError(
                f"{name} needs a prior policy: give prior"
                if self.needs_prior
                else f"a prior policy was given, but {name} reads none"
            )
        if self.needs_step_energies != has_step_energies:
            raise ValueError(
                f"{name} needs a network of step energies: give step_energies"
                if self.needs_step_energies
                else f"step_energies were given, but {name} reads none"
            )

    @abstractmethod
    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""

    def log_partition(self, batch: ScoredTrajectories) -> float | None:
        """Return the log Z that the objective implies; None where it implies none."""
        return None


class PartitionObjective(Objective):
    """An objective that learns log Z, or what stands for it.

    Parameters
    ----------
    log_z : float
        Where log Z starts.
    loss_shape : str
        What replaces the square, see `gfncore.objectives.shapes`.
    conditional : bool
        Whether batches have temperatures: log Z is then a curve, see
        `gfncore.objectives.log_partition_curve`.

    Attributes
    ----------
    title : str
        Its name, for messages.
    """

    takes_scales = True
    title: str
    log_z: nn.Parameter

    def __init__(
        self, log_z: float = 0.0, loss_shape: str = "square", conditional: bool = False
    ) -> None:
        super().__init__()
        self.shape = shape(loss_shape)
        self.log_z = nn.Parameter(torch.tensor(float(log_z), dtype=torch.float64))
        self.curve = LogPartitionCurve() if conditional else None

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the start of log Z, the shape, and temperatures or none."""
        return cls(
            log_z=options.log_z, loss_shape=options.loss_shape, conditional=options.conditional
        )


def make_objective(
    name: str,
    log_z: float = 0.0,
    loss_shape: str = "square",
    conditional: bool = False,
    **options: Any,
) -> Objective:
    """Return the objective with the given name; for its options see `ObjectiveOptions`.

    Raises
    ------
    ValueError
        If there is no such objective; the message lists the known ones.
    """
    kind: type[Objective] = find_objective(name).load()
    return kind.from_options(ObjectiveOptions(log_z, loss_shape, conditional, **options))
