"""Settings of a training: batch sizes, learning rates, schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gfncore.training.optimisers import Muon

__all__ = ["SCHEDULES", "TrainingSettings"]

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
}
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "muon": Muon,
}


@dataclass(frozen=True)
class TrainingSettings:
    """What a training run is made of.

    Attributes
    ----------
    steps : int
        Optimiser steps of the whole run, at least 1.
    seconds : float, optional
        Wall-clock budget of the steps of the whole run, above 0; it ends at whichever comes first.
        With one, a run that is repeated or resumed need not stop at the same step.
    on_policy : int
        Trajectories drawn by the policy, a step.
    replay : int
        Trajectories drawn backward from replay, a step (none while the replay is empty).
    epsilon, temperature : float
        Exploration of the on-policy draws, see `sample_trajectories`.
    optimiser : {"adam", "muon"}
        See `gfncore.training.optimisers`.
    learning_rate, log_z_learning_rate : float
        Of the optimiser, for the policies and for a learned log Z.
    schedule : {"constant", "linear", "cosine"}
        Factor on both over the run: to zero at its end, by steps or by time.
    clip_norm : float, optional
        Largest norm of the policies' gradient; None: not clipped.
    state_weight : float
        Weight of the state-level divergence beside the objective's loss.
    average_decay : float
        Of `AveragedPolicy`; 0: the average is the policy itself.
    """

    steps: int
    seconds: float | None = None
    on_policy: int = 64
    replay: int = 0
    epsilon: float = 0.0
    temperature: float = 1.0
    optimiser: str = "adam"
    learning_rate: float = 1e-3
    log_z_learning_rate: float = 1e-1
    schedule: str = "constant"
    clip_norm: float | None = None
    state_weight: float = 1.0
    average_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, but must be at least 1")
        if self.seconds is not None and not self.seconds > 0.0:
            raise ValueError(f"seconds is {self.seconds}, but must be above 0 (None: no limit)")
        if self.schedule not in SCHEDULES:
            known = ", ".join(SCHEDULES)
            raise ValueError(f"schedule is {self.schedule!r}, but must be one of {known}")
        if self.optimiser not in OPTIMISERS:
            known = ", ".join(OPTIMISERS)
            raise ValueError(f"optimiser is {self.optimiser!r}, but must be one of {known}")
