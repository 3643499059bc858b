"""One method on one small space, held against its exact distribution.

A sampler is trained from nothing, and the distribution that it then draws from is summed over all
trajectories (`gfncore.evaluation.exact`), so the figures have no error of sampling.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gfncore.backward.registry import BACKWARD_POLICIES, check_use, make_backward_policy
from gfncore.environment import Environment
from gfncore.errors import UserError
from gfncore.evaluation import WeightedDraws, exact_distribution, total_variation
from gfncore.exploration import sample_trajectories
from gfncore.exploration.walkers import Walkers
from gfncore.objectives.base import make_objective
from gfncore.objectives.registry import OBJECTIVES
from gfncore.policies import Policy
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.scoring import score_backward, score_forward

__all__ = ["TRIAL_OBJECTIVES", "MethodSettings", "TrialResult", "run_trial"]

# an order has no distribution to be held against, and the spaces have no energies
TRIAL_OBJECTIVES = tuple(
    name for name, entry in OBJECTIVES.items() if not entry.orders and name != "forward_looking"
)
WALKER_STEPS = 6  # of building that a move undoes, at most
WALKER_EPSILON = 0.1
DRAWS = 20_000  # for the importance estimate of log Z


@dataclass(frozen=True)
class MethodSettings:
    """How a sampler is trained.

    Attributes
    ----------
    objective : str
        One of `TRIAL_OBJECTIVES`. Maximum likelihood is given draws of the exact target. The prior
        of relative trajectory balance is the untrained policy, uniform over actions: its target is
        proportional to the reward times the probability under this prior.
    backward : str
        One of `gfncore.backward.registry.BACKWARD_POLICIES`.
    steps, batch : int
        Optimiser steps, and trajectories in each.
    replay : int
        Trajectories a step, beside the batch, to objects drawn before, half of them to the best
        tenth.
    epsilon : float
        Share of uniform actions in training.
    walkers : int
        Trajectories a step, beside the batch, to the objects of as many walkers, see
        `gfncore.exploration.walkers`.
    walker_levels : tuple of float
        Their inverse temperatures, descending from 1; several for parallel tempering.
    learning_rate, log_z_learning_rate : float
        At the first step; both fall to zero by a cosine.
    objective_options : dict, optional
        Of the objective, see `gfncore.objectives.options.ObjectiveOptions`.
    """

    objective: str = "trajectory_balance"
    backward: str = "uniform"
    steps: int = 1000
    batch: int = 64
    replay: int = 0
    epsilon: float = 0.05
    walkers: int = 0
    walker_levels: tuple[float, ...] = (1.0,)
    learning_rate: float = 5e-3
    log_z_learning_rate: float = 1e-1
    objective_options: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.objective not in TRIAL_OBJECTIVES:
            known = ", ".join(TRIAL_OBJECTIVES)
            raise UserError(f"--objective is {self.objective!r}, but must be one of {known}")
        if self.backward not in BACKWARD_POLICIES:
            known = ", ".join(BACKWARD_POLICIES)
            raise UserError(f"--backward is {self.backward!r}, but must be one of {known}")
        try:
            check_use(self.backward, self.objective)
        except ValueError as error:
            raise UserError(f"--backward {self.backward}: {error}") from None
        if self.walkers and self.objective == "maximum_likelihood":
            raise UserError("--walkers: maximum_likelihood is given draws of the target instead")
        if self.walker_levels != (1.0,) and not self.walkers:
            raise UserError("--walker-levels are of walkers: give their number by --walkers")


@dataclass(frozen=True)
class TrialResult:
    """How far a trained sampler is from its target.

    Attributes
    ----------
    total_variation : float
        Between the exact distribution of the sampler and the target.
    log_z : float
        log of the sum of all rewards; of relative trajectory balance, of their mean by the prior.
    learned_log_z : float
        As learned, NaN where the objective learns none.
    estimated_log_z, standard_error : float
        By importance weights of 20,000 draws of the sampler.
    effective_share : float
        Of these draws.
    mass_found : float
        Share of the target in objects that training has drawn.
    calls : int
        Objects whose reward training asked for.
    seconds : float
        Of training.
    n_objects : int
        Of the space.
    """

    total_variation: float
    log_z: float
    learned_log_z: float
    estimated_log_z: float
    standard_error: float
    effective_share: float
    mass_found: float
    calls: int
    seconds: float
    n_objects: int

    @property
    def log_z_error(self) -> float:
        """Distance of log Z as learned, or as estimated where none is learned, from the truth."""
        learned = self.estimated_log_z if math.isnan(self.learned_log_z) else self.learned_log_z
        return abs(learned - self.log_z)


def run_trial(
    space: Environment,
    make_policy: Callable[..., Policy],
    settings: MethodSettings,
    seed: int = 0,
    tell: Callable[[dict[str, Any]], None] = lambda metrics: None,
) -> TrialResult:
    """Train a sampler and hold it against the exact distribution.

    Parameters
    ----------
    space : Environment
        Small enough for all its states to be visited.
    make_policy : callable
        ``make_policy(flow=..., backward=...)`` returns an untrained policy, e.g.
        `gfncore.spaces.VectorSpace.make_policy`.
    settings : MethodSettings
    seed : int
    tell : callable
        Called with the metrics of each step.

    Raises
    ------
    UserError
        If a backward policy is to be learned where every object is built in one way, or the
        objective needs what the space has not.
    """
    if settings.backward != "uniform" and space.is_tree:
        raise UserError(
            f"--backward {settings.backward}: each object of this space is built in one way"
        )
    torch.manual_seed(seed)
    truth = exact_distribution(space)
    log_reward = space.log_reward(truth.terminals)
    prior = None
    if settings.objective == "relative_trajectory_balance":
        prior = make_policy(flow=False, backward=False)
        log_reward = log_reward + np.log(exact_distribution(space, prior).probability)
    log_z = float(np.logaddexp.reduce(log_reward))
    target = np.exp(log_reward - log_z)
    objective = make_objective(settings.objective, **(settings.objective_options or {}))
    given = settings.objective == "maximum_likelihood"

    def samples(generator: np.random.Generator) -> Any:
        return truth.terminals.take(generator.choice(len(target), settings.batch, p=target))

    replay = Replay(space, capacity=len(target))
    training = TrainingSettings(
        steps=settings.steps,
        on_policy=0 if given else settings.batch,
        replay=settings.replay,
        epsilon=settings.epsilon,
        learning_rate=settings.learning_rate,
        log_z_learning_rate=settings.log_z_learning_rate,
        schedule="cosine",
    )
    policy = make_policy(flow=objective.needs_flow, backward=False)
    step_energies = None
    if objective.needs_step_energies:
        step_energies = make_policy(flow=False, backward=False)
    backward_policy, backward_training = make_backward_policy(
        settings.backward, lambda flow: make_policy(flow=flow, backward=True)
    )
    batches = samples if given else None
    if settings.walkers:
        try:
            batches = Walkers(
                space,
                policy,
                settings.walkers,
                WALKER_STEPS,
                epsilon=WALKER_EPSILON,
                inverse_temperatures=settings.walker_levels,
                keep=replay.add,
            )
        except ValueError as error:
            raise UserError(f"--walker-levels: {error}") from None
    try:
        trainer = Trainer(
            space,
            policy,
            objective,
            training,
            np.random.default_rng(seed),
            backward_policy=backward_policy,
            backward_training=backward_training,
            replay=replay,
            terminal_batches=batches,
            prior=prior,
            step_energies=step_energies,
        )
    except ValueError as error:  # the objective needs what the space has not
        raise UserError(f"--objective {settings.objective}: {error}") from None
    began = time.perf_counter()
    trainer.run(lambda metrics: bool(tell(metrics)))
    seconds = time.perf_counter() - began
    exact = exact_distribution(space, trainer.policy)
    drawn = sample_trajectories(space, trainer.policy, DRAWS, np.random.default_rng([seed, 1]))
    with torch.no_grad():
        if prior is None:
            log_p = score_backward(space, trainer.backward_policy, drawn)
        else:
            log_p = score_forward(space, prior, drawn)
    log_weights = space.log_reward(drawn.terminals) + log_p.sum(dim=1).numpy() - drawn.log_pf
    estimate = WeightedDraws(log_weights).estimate()
    learned = trainer.learned_log_partition()
    found = np.unique(truth.rows(space.keys(replay.states))) if len(replay) else np.zeros(0, int)
    return TrialResult(
        total_variation=total_variation(exact.probability, target),
        log_z=log_z,
        learned_log_z=math.nan if learned is None else learned,
        estimated_log_z=estimate.log_z,
        standard_error=estimate.standard_error,
        effective_share=estimate.effective_share,
        mass_found=float(target[found].sum()),
        calls=0 if given else settings.steps * (settings.batch + settings.walkers),
        seconds=seconds,
        n_objects=len(target),
    )
