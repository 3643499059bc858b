"""Training on a space that is enumerated, until the policy's exact distribution is the target.

The engine's own trainer is used, on the environment as it is in its regime; what is enumerated
serves to say how far the policy is from its target, and for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from gfncore.backward.registry import make_backward_policy
from gfncore.evaluation import total_variation
from gfncore.objectives.base import make_objective
from gfncore.policies import Policy
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from molgen.policy import make_policy
from molgen.runs.exact.space import Space, policy_distribution
from molgen.runs.exact.theory import ideal_distribution

__all__ = ["Recipe", "Trained", "train_policy"]


@dataclass(frozen=True)
class Recipe:
    """How the policy is made and trained.

    Attributes
    ----------
    hidden, rounds : int
        Of the network, see `make_policy`.
    objective : str
        See `gfncore.objectives`.
    backward : str
        Backward policy, see `gfncore.backward.registry`.
    steps : int
        Most optimiser steps.
    on_policy, replay : int
        Trajectories of the last step, drawn by the policy and backward from all objects met so
        far, each of which is as likely.
    first_share : float
        The first step has this share of them; the number grows geometrically. Early steps are as
        good with fewer, late ones need many for the last per cent.
    epsilon : float
        Share of uniform choices in the policy's draws.
    learning_rate : float
        At the start; to zero along a cosine.
    average_decay : float
        Of the average over steps that is measured.
    check : int
        Steps between two measurements.
    """

    hidden: int = 64
    rounds: int = 3
    objective: str = "log_variance"
    backward: str = "uniform"
    steps: int = 450
    on_policy: int = 128
    replay: int = 384
    first_share: float = 1.0
    epsilon: float = 0.1
    learning_rate: float = 6e-3
    average_decay: float = 0.98
    check: int = 25


@dataclass(frozen=True)
class Trained:
    """A policy, and how it came to be.

    Attributes
    ----------
    policy : Policy
        The average over the last steps.
    steps : int
    trajectories : int
        Learned from in all steps together.
    seconds : float
        Of the steps and measurements.
    history : list of dict
        step, seconds, loss and total_variation (from the ideal of the regime) at each measurement.
    backward_policy : Policy, optional
        That of the last step; None: uniform.
    """

    policy: Policy
    steps: int
    trajectories: int
    seconds: float
    history: list[dict[str, float]]
    backward_policy: Policy | None = None


def train_policy(
    environment: Any,
    regime: str,
    space: Space,
    recipe: Recipe,
    *,
    seconds: float,
    enough: float = 0.01,
    seed: int = 1,
    pool: Executor | None = None,
    report: Callable[[dict[str, float]], None] | None = None,
) -> Trained:
    """Train until the total variation from the regime's ideal is at most `enough`.

    Or until the steps or the time are used up.

    Parameters
    ----------
    environment : environment
        Any regime; `regime` is taken.
    regime : str
    space : Space
        Of the same environment.
    recipe : Recipe
    seconds : float
        Most time for the steps and measurements.
    enough : float
    seed : int
        Of the weights and of all draws.
    pool : Executor, optional
        Threads that share the network's work on a batch; the result does not depend on them.
    report : callable, optional
        Called with each measurement.
    """
    raw = environment.with_symmetry(regime)
    ideal, _ = ideal_distribution(space, regime)
    settings = TrainingSettings(
        steps=recipe.steps,
        seconds=seconds,
        on_policy=recipe.on_policy,
        replay=recipe.replay,
        epsilon=recipe.epsilon,
        optimiser="muon",  # Adam needs several times as many steps for the last per cent
        learning_rate=recipe.learning_rate,
        schedule="cosine",
        clip_norm=10.0,
        average_decay=recipe.average_decay,
    )
    objective = make_objective(recipe.objective)
    backward_policy, backward_training = make_backward_policy(
        recipe.backward,
        lambda flow: make_policy(
            raw, recipe.hidden, recipe.rounds, seed + 1, flow=flow, backward=True
        ),
    )
    trainer = Trainer(
        raw,
        make_policy(raw, recipe.hidden, recipe.rounds, seed, flow=objective.needs_flow),
        objective,
        settings,
        np.random.default_rng(seed),
        backward_policy=backward_policy,
        backward_training=backward_training,
        replay=Replay(raw, capacity=2 * len(space.terminals), prioritised=False),
    )
    trainer.policy.pool = pool
    history: list[dict[str, float]] = []

    def grow() -> None:
        share = recipe.first_share ** (1.0 - trainer.progress)
        trainer.on_policy = round(share * recipe.on_policy)
        trainer.from_replay = round(share * recipe.replay)

    trajectories = 0

    def after_step(metrics: dict[str, Any]) -> bool:
        nonlocal trajectories
        trajectories += metrics["trajectories"]
        grow()
        if trainer.step_number % recipe.check and trainer.progress < 1.0:
            return False
        began = time.perf_counter()
        found = policy_distribution(space, trainer.averaged.policy)
        trainer.seconds_by_part["other"] += time.perf_counter() - began  # it is of the budget
        entry = {
            "step": trainer.step_number,
            "seconds": trainer.seconds,
            "loss": metrics["loss"],
            "total_variation": total_variation(found, ideal),
        }
        history.append(entry)
        if report is not None:
            report(entry)
        return entry["total_variation"] <= enough

    grow()
    trainer.run(after_step)
    return Trained(
        trainer.averaged.policy,
        trainer.step_number,
        trajectories,
        trainer.seconds,
        history,
        backward_policy,
    )
