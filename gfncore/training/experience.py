"""Where the trajectories of a training step come from, and the rewards of their objects."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gfncore.environment import Environment
from gfncore.exploration import backward_trajectories, sample_trajectories
from gfncore.keys import unique_keys
from gfncore.objectives.base import Objective
from gfncore.policies import Policy
from gfncore.training.distributed import Processes
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.trajectories.batch import KnownObjects, Trajectories

__all__ = ["Experience", "ExperiencedTrainer", "draw_experience", "evaluate_rewards", "why_none"]


@dataclass(frozen=True)
class Experience:
    """Trajectories of one source.

    Attributes
    ----------
    trajectories : Trajectories
        n of them.
    log_reward : ndarray, shape (n,), float64
        log R of their objects, nats, at their temperatures.
    scale : ndarray, shape (n,), float64, optional
        See `gfncore.trajectories.batch.KnownObjects`.
    on_policy : bool
        Whether the policy drew them.
    """

    trajectories: Trajectories
    log_reward: np.ndarray
    scale: np.ndarray | None = None
    on_policy: bool = False


class ExperiencedTrainer(Protocol):
    """What is read of a trainer; see `gfncore.training.trainer.Trainer`."""

    environment: Environment
    policy: Policy
    backward_policy: Policy | None
    objective: Objective
    settings: TrainingSettings
    generator: np.random.Generator
    on_policy: int
    from_replay: int
    replay: Replay | None
    terminal_batches: Callable[[np.random.Generator], Any] | None
    known_batches: Callable[[np.random.Generator], KnownObjects] | None
    processes: Processes | None

    def timed(self, part: str) -> AbstractContextManager[None]:
        """Count the seconds of a block towards a part."""
        ...


def draw_experience(trainer: ExperiencedTrainer) -> list[Experience]:
    """Return the trajectories of the next step by source; those of the policy come first.

    Raises
    ------
    ValueError
        Known objects have scales, and the objective takes none.
    """
    settings, batches = trainer.settings, []
    if trainer.on_policy:
        with trainer.timed("sampling"):
            drawn = sample_trajectories(
                trainer.environment,
                trainer.policy,
                trainer.on_policy,
                trainer.generator,
                settings.epsilon,
                settings.temperature,
            )
        log_reward = evaluate_rewards(trainer, drawn.terminals)
        batches.append(Experience(drawn, log_reward, on_policy=True))
    # objects of both sources in one batch: the policy scores it as fast as one of them
    recalled: list[tuple[Any, np.ndarray]] = []
    if trainer.from_replay and trainer.replay is not None and len(trainer.replay):
        objects, log_reward = trainer.replay.draw(trainer.from_replay, trainer.generator)
        tempered = trainer.environment.with_temperature(objects)
        recalled.append((tempered, trainer.environment.temper(tempered, log_reward)))
    if trainer.terminal_batches is not None:
        with trainer.timed("sampling"):
            terminals = trainer.terminal_batches(trainer.generator)
        recalled.append((terminals, evaluate_rewards(trainer, terminals)))
    if recalled:
        terminals = type(recalled[0][0]).concat([objects for objects, _ in recalled])
        log_reward = np.concatenate([rewards for _, rewards in recalled])
        batches.append(Experience(_backward(trainer, terminals), log_reward))
    if trainer.known_batches is not None:
        known = trainer.known_batches(trainer.generator)
        objective = trainer.objective
        if known.scale is not None and not objective.takes_scales:
            raise ValueError(f"{type(objective).__name__} takes no scales of residuals")
        tempered = trainer.environment.with_temperature(known.terminals)
        log_reward = trainer.environment.temper(tempered, known.log_reward)
        batches.append(Experience(_backward(trainer, tempered), log_reward, known.scale))
    return batches


def evaluate_rewards(trainer: ExperiencedTrainer, terminals: Any) -> np.ndarray:
    """Return log R of terminals, float64 (n,), nats; each distinct one is evaluated once.

    New objects go to replay. Zero where the objective reads no rewards.
    """
    if not trainer.objective.needs_reward:
        return np.zeros(len(terminals))
    # at two temperatures one
    objects = trainer.environment.without_temperature(terminals)
    environment, processes = trainer.environment.inner, trainer.processes
    first, inverse = unique_keys(environment.keys(objects))
    distinct = objects.take(first)
    with trainer.timed("reward"):
        if processes is None:
            log_reward = environment.log_reward(distinct)
        else:
            log_reward = processes.rewards(environment, distinct)
    if trainer.replay is not None:
        new = (distinct, log_reward)
        for found in [new] if processes is None else processes.gather(new):
            trainer.replay.add(*found)
    return trainer.environment.temper(terminals, log_reward[inverse])


def _backward(trainer: ExperiencedTrainer, objects: Any) -> Trajectories:
    return backward_trajectories(
        trainer.environment, objects, trainer.generator, trainer.backward_policy
    )


def why_none(from_replay: int) -> str:
    """Return the reason why a step has no trajectories, and what to do."""
    if from_replay:
        return (
            f"{from_replay} trajectories are to come from replay alone, which is empty; "
            "add objects to it, or set on_policy above 0"
        )
    return "set on_policy above 0, or give objects or states"
