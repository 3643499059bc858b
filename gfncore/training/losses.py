"""How the experience of a training step is scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch

from gfncore.backward.base import BackwardExperience, BackwardTraining
from gfncore.environment import Environment
from gfncore.objectives.maximum_likelihood import state_divergence, value_cross_entropy
from gfncore.policies import Policy
from gfncore.training.experience import Experience, ExperiencedTrainer, evaluate_rewards
from gfncore.trajectories.batch import ScoredTrajectories, StateTargets
from gfncore.trajectories.inflows import score_inflow
from gfncore.trajectories.scoring import (
    score_backward,
    score_forward,
    score_forward_and_flow,
    score_step_energies,
    state_log_probabilities,
    state_log_probabilities_and_densities,
)
from gfncore.trajectories.stops import score_forward_and_stops

__all__ = ["ScoringTrainer", "backward_loss", "check_finite", "score_experience", "state_loss"]


class ScoringTrainer(ExperiencedTrainer, Protocol):
    """What is read of a trainer; see `gfncore.training.trainer.Trainer`."""

    backward_training: BackwardTraining | None
    prior: Policy | None
    step_energies: Policy | None


def score_experience(trainer: ScoringTrainer, experience: Experience) -> ScoredTrajectories:
    """Return what the objective reads of trajectories, with gradient."""
    environment, policy, objective = trainer.environment, trainer.policy, trainer.objective
    trajectories, scale = experience.trajectories, experience.scale
    flow = stop = log_prior = log_inflow = None
    if objective.needs_stops:
        log_pf, stop = score_forward_and_stops(
            environment, policy, trajectories, lambda objects: evaluate_rewards(trainer, objects)
        )
    elif objective.needs_flow:
        log_pf, flow = score_forward_and_flow(
            environment, policy, trajectories, objective.needs_energies
        )
        if objective.needs_inflow:
            log_inflow = score_inflow(environment, policy, trajectories, log_pf, flow)
    else:
        log_pf = score_forward(environment, policy, trajectories)
    training = trainer.backward_training
    with torch.set_grad_enabled(training is None or training.by_objective):
        log_pb = score_backward(environment, trainer.backward_policy, trajectories)
    if trainer.prior is not None:
        with torch.no_grad():
            log_prior = score_forward(environment, trainer.prior, trajectories).sum(dim=1)
    step_energy = None
    if trainer.step_energies is not None:
        step_energy = score_step_energies(environment, trainer.step_energies, trajectories).to(
            log_pf.device
        )
    objectives = None
    if objective.needs_objectives:
        values = environment.objectives(trajectories.terminals)
        objectives = torch.from_numpy(values).to(log_pf.device)
    condition = environment.condition(trajectories.terminals)
    return ScoredTrajectories(
        log_pf,
        log_pb.to(log_pf.device),
        torch.from_numpy(experience.log_reward).to(log_pf.device),
        objectives,
        None if condition is None else torch.from_numpy(condition).to(log_pf.device),
        flow,
        None if scale is None else torch.from_numpy(scale).to(log_pf.device),
        stop,
        None if log_prior is None else log_prior.to(log_pf.device),
        log_inflow,
        step_energy,
    )


def backward_loss(trainer: ScoringTrainer, experience: Sequence[Experience]) -> torch.Tensor | None:
    """Return the loss of a backward policy that the objective does not train, float64 scalar.

    Trajectories that it keeps are those of all processes. None where there is nothing to learn.
    """
    training, network = trainer.backward_training, trainer.backward_policy
    if training is None or network is None or training.by_objective:
        return None
    trajectories = BackwardExperience(
        [part.trajectories for part in experience],
        [part.trajectories for part in experience if part.on_policy],
    )
    new = training.new_records(trainer.environment, trajectories)
    if new is not None:
        for records in [new] if trainer.processes is None else trainer.processes.gather(new):
            training.keep(records)
    return training.loss(trainer.environment, network, trajectories, trainer.generator)


def state_loss(environment: Environment, policy: Policy, targets: StateTargets) -> torch.Tensor:
    """Return the divergence of a policy from known choices at states; float64 scalar."""
    states, actions = targets.states, targets.actions
    if targets.values is None:
        log_p = state_log_probabilities(environment, policy, states, actions)
        return state_divergence(log_p, targets)
    log_p, log_density = state_log_probabilities_and_densities(
        environment, policy, states, actions, targets.values
    )
    return state_divergence(log_p, targets) + value_cross_entropy(log_density, targets)


def check_finite(name: str, value: float, log_reward: torch.Tensor | None = None) -> None:
    """Stop before a step that would make all weights NaN (ValueError)."""
    if math.isfinite(value):
        return
    if log_reward is not None and (wrong := int((~torch.isfinite(log_reward)).sum())):
        raise ValueError(
            f"the log rewards of {wrong} of {len(log_reward)} objects are not finite, and training "
            "needs finite ones: let the environment give such objects a small reward, or not build "
            "them"
        )
    raise ValueError(
        f"{name} is {value}: use a smaller learning rate or a clip_norm, and look whether all "
        "figures of the environment are finite"
    )
