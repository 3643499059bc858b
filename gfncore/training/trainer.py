"""The training loop: experience from several sources, one objective, one optimiser.

A step puts together trajectories drawn by the policy, trajectories drawn backward from replay and
from objects that the caller supplies, and states with known targets; whichever are asked for. All
randomness comes from one numpy Generator, so that a run can be repeated and resumed exactly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from gfncore.backward.base import BackwardTraining
from gfncore.environment import Environment
from gfncore.objectives.base import Objective
from gfncore.policies import Policy
from gfncore.training.averaging import AveragedPolicy
from gfncore.training.distributed import Processes
from gfncore.training.experience import draw_experience, why_none
from gfncore.training.losses import backward_loss, check_finite, score_experience, state_loss
from gfncore.training.replay import Replay
from gfncore.training.settings import OPTIMISERS, SCHEDULES, TrainingSettings
from gfncore.training.state import load_training_tensors, training_tensors
from gfncore.trajectories.batch import KnownObjects, ScoredTrajectories, StateTargets
from gfncore.trajectories.scoring import score_start

__all__ = ["Trainer"]


class Trainer:
    """Trains a policy (and, if given, a backward policy) on an environment.

    Parameters
    ----------
    environment : Environment
    policy : Policy
    objective : Objective
        It is moved to the device of `policy`.
    settings : TrainingSettings
    generator : numpy Generator
        All draws of the run.
    backward_policy : Policy, optional
        None: uniform (or log P_B = 0 where `is_tree`).
    backward_training : BackwardTraining, optional
        How it learns; None: by the objective. Otherwise a step of the optimiser on its own loss
        comes before each step on the objective.
    replay : Replay, optional
        Every object that the policy draws is added. Where states have temperatures: a replay of
        `inner`; what is drawn from it gets the temperatures in turn.
    terminal_batches : callable, optional
        ``terminal_batches(generator)`` gives terminal states to draw trajectories from backward.
    state_batches : callable, optional
        ``state_batches(generator)`` gives a `StateTargets`.
    known_batches : callable, optional
        ``known_batches(generator)`` gives `KnownObjects` to draw trajectories from backward.
    temperatures : callable, optional
        Where states have temperatures: ``temperatures(generator)`` gives the inverse temperatures
        of the next step, see `gfncore.tempering.TemperatureRange`. None: it keeps those it has.
    processes : Processes, optional
        Those that train together, see `gfncore.training.distributed`: each has a trainer that was
        made in the same way. That of rank 0 is used as one alone; the others call `follow` and no
        more.
    prior : Policy, optional
        Policy that the objective compares with (`needs_prior`); it is not trained.
    step_energies : Policy, optional
        Network whose logits are energies of steps (`needs_step_energies`), trained as well.

    Attributes
    ----------
    on_policy, from_replay : int
        Trajectories drawn by the policy and from replay in the next step; start as in the
        settings. These, and `terminal_batches`, `state_batches` and `known_batches`, may be changed
        between steps.
    rate_factor : float
        Further factor on both learning rates in the next step; 1 when made. For a caller who finds
        out when it is enough, and lets them fall from there.
    averaged : AveragedPolicy
        The policy to draw from when training is over.
    step_number : int
        Steps done.
    seconds : float
        Wall-clock seconds of these steps, over all sessions of a resumed run.
    seconds_by_part : dict of str to float
        The same, by "sampling" (trajectories drawn by the policy), "policy" (scoring and
        learning), "reward", "other".
    """

    def __init__(
        self,
        environment: Environment,
        policy: Policy,
        objective: Objective,
        settings: TrainingSettings,
        generator: np.random.Generator,
        *,
        backward_policy: Policy | None = None,
        backward_training: BackwardTraining | None = None,
        replay: Replay | None = None,
        terminal_batches: Callable[[np.random.Generator], Any] | None = None,
        state_batches: Callable[[np.random.Generator], StateTargets] | None = None,
        known_batches: Callable[[np.random.Generator], KnownObjects] | None = None,
        temperatures: Callable[[np.random.Generator], Any] | None = None,
        processes: Processes | None = None,
        prior: Policy | None = None,
        step_energies: Policy | None = None,
    ) -> None:
        objective.check_fit(
            environment, policy, settings.on_policy, prior is not None, step_energies is not None
        )
        if backward_training is not None:
            _check_backward(backward_policy, backward_training)
        if settings.replay and replay is None:
            raise ValueError(f"settings ask for {settings.replay} from replay, but there is none")
        if replay is not None and replay.environment.is_conditioned:
            raise ValueError("a replay holds objects without temperature: make it of `inner`")
        if temperatures is not None and not environment.is_conditioned:
            raise ValueError("temperatures were given, but the environment has none")
        if processes is not None and objective.needs_objectives:
            raise ValueError(
                f"{type(objective).__name__} needs figures of merit, which are not exchanged "
                "between processes"
            )
        self.environment = environment
        self.policy = policy
        self.prior = prior
        self.step_energies = step_energies
        self.backward_policy = backward_policy
        self.backward_training = backward_training
        # what it learns is added to what the policy computes; before the optimiser takes hold of it
        self.objective = objective.to(policy.device)
        self.settings = settings
        self.generator = generator
        self.replay = replay
        self.terminal_batches = terminal_batches
        self.state_batches = state_batches
        self.known_batches = known_batches
        self.temperatures = temperatures
        self.processes = processes
        self.on_policy = settings.on_policy
        self.from_replay = settings.replay
        self.rate_factor = 1.0
        self.step_number = 0
        self.averaged = AveragedPolicy(policy, settings.average_decay)
        parts = ("sampling", "policy", "reward", "other")
        self.seconds_by_part: dict[str, float] = dict.fromkeys(parts, 0.0)
        networks: list[nn.Module] = [policy]
        if backward_policy is not None:
            networks.append(backward_policy)
        if step_energies is not None:
            networks.append(step_energies)
        self.parameters = [p for network in networks for p in network.parameters()]
        groups: list[dict[str, Any]] = [{"params": self.parameters, "lr": settings.learning_rate}]
        learned = list(self.objective.parameters())
        if learned:
            groups.append({"params": learned, "lr": settings.log_z_learning_rate})
        self.optimizer = OPTIMISERS[settings.optimiser](groups)
        self._rates = [group["lr"] for group in groups]

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the steps done."""
        return sum(self.seconds_by_part.values())

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1, by steps or by time, whichever is further."""
        share = self.step_number / self.settings.steps
        if self.settings.seconds is not None:
            share = max(share, self.seconds / self.settings.seconds)
        return min(share, 1.0)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the seconds of a block towards a part, without those of parts within it."""
        started, before = time.perf_counter(), self.seconds
        yield
        within = self.seconds - before  # of parts timed within this one
        self.seconds_by_part[part] += time.perf_counter() - started - within

    def step(self) -> dict[str, Any]:
        """One optimiser step.

        Returns
        -------
        dict
            Metrics: step, loss, log_z, trajectories learned from, state_loss, gradient_norm,
            mean_log_reward and max_log_reward of the policy's own draws, replay_size,
            learning_rate, backward_loss (of a backward policy that the objective does not train),
            seconds, and seconds by part; absent where they do not apply.

        Raises
        ------
        ValueError
            There is nothing to learn from, or the loss is not finite, e.g. since a log reward is
            not.
        """
        factor = self.rate_factor * SCHEDULES[self.settings.schedule](self.progress)
        if self.processes is not None:
            self.processes.lead(self, factor)
        return self._step(factor)

    def follow(self) -> None:
        """Do the steps that the trainer of rank 0 does, until its process says that it is over."""
        assert self.processes is not None
        while (factor := self.processes.follow(self)) is not None:
            self._step(factor)

    def _step(self, factor: float) -> dict[str, Any]:
        """One step with a factor on the learning rates."""
        started, before = time.perf_counter(), self.seconds
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        metrics: dict[str, Any] = {"step": self.step_number + 1}
        losses = []
        if self.temperatures is not None:
            self.environment.set_temperatures(self.temperatures(self.generator))

        experience = draw_experience(self)
        if not experience and self.state_batches is None:
            raise ValueError(f"there are no training data: {why_none(self.from_replay)}")
        if experience and self.backward_training is not None:
            with self.timed("policy"):
                own_loss = backward_loss(self, experience)
                if own_loss is not None:
                    metrics["backward_loss"] = float(own_loss.detach())
                    check_finite("the loss of the backward policy", metrics["backward_loss"])
                    self._descend(own_loss / self._n_processes)
        if experience:
            with self.timed("policy"):
                batch = ScoredTrajectories.concat(
                    [score_experience(self, part) for part in experience]
                )
                if self.processes is not None:
                    batch = self.processes.joined(batch)
            loss = self.objective(batch)
            losses.append(loss)
            metrics["loss"] = float(loss.detach())
            check_finite("the loss", metrics["loss"], batch.log_reward)
            metrics["log_z"] = self.objective.log_partition(batch)
            metrics["trajectories"] = len(batch.log_reward)
            if self.on_policy and self.objective.needs_reward:
                metrics["mean_log_reward"] = float(experience[0].log_reward.mean())
                metrics["max_log_reward"] = float(experience[0].log_reward.max())
        if self.state_batches is not None:
            targets = self.state_batches(self.generator)
            with self.timed("policy"):
                loss = state_loss(self.environment, self.policy, targets)
            # the sum over the processes is the mean
            losses.append(self.settings.state_weight * loss / self._n_processes)
            metrics["state_loss"] = float(loss.detach())
            check_finite("the loss of states", metrics["state_loss"])
        with self.timed("policy"):
            norm = self._descend(torch.stack(losses).sum())
            self.step_number += 1
            self.averaged.update(self.policy, self.step_number)

        metrics["gradient_norm"] = float(norm)
        metrics["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        if self.replay is not None:
            metrics["replay_size"] = len(self.replay)
        total = time.perf_counter() - started
        self.seconds_by_part["other"] += total - (self.seconds - before)
        metrics["seconds"] = self.seconds
        metrics |= {f"seconds_{part}": value for part, value in self.seconds_by_part.items()}
        return metrics

    @property
    def _n_processes(self) -> int:
        return 1 if self.processes is None else self.processes.size

    def _descend(self, loss: torch.Tensor) -> torch.Tensor:
        """Do a step of the optimiser, and return the norm of the gradient.

        Networks that the loss does not depend on have no gradient, and stay as they are.
        """
        self.optimizer.zero_grad()
        loss.backward()
        if self.processes is not None:
            self.processes.combine_gradients(self.parameters, list(self.objective.parameters()))
        limit = math.inf if self.settings.clip_norm is None else self.settings.clip_norm
        norm = nn.utils.clip_grad_norm_(self.parameters, limit)
        self.optimizer.step()
        return norm

    def run(self, callback: Callable[[dict[str, Any]], bool | None] | None = None) -> None:
        """Train until the steps or the time are used up, or the callback returns True.

        Parameters
        ----------
        callback : callable, optional
            Called with the metrics of each step.
        """
        while self.progress < 1.0:
            metrics = self.step()
            if callback is not None and callback(metrics):
                break

    def learned_log_partition(self) -> float | None:
        """Return log Z as learned: a parameter of the objective, or log F(s_0).

        None if the objective learns none, or one for each temperature.
        """
        if self.objective.log_z is None or self.environment.is_conditioned:
            return None
        if self.objective.needs_stops:
            return None
        flow = None
        if self.objective.needs_flow:
            flow = score_start(self.environment, self.policy, self.objective.needs_energies)
        none = torch.zeros((1, 1), dtype=torch.float64, device=self.objective.log_z.device)
        return self.objective.log_partition(ScoredTrajectories(none, none, none[:, 0], flow=flow))

    def _modules(self, shared: bool) -> dict[str, nn.Module]:
        """The modules that learn, by name."""
        modules: dict[str, nn.Module] = {"policy": self.policy, "objective": self.objective}
        if not shared:
            modules["average"] = self.averaged.policy
        if self.backward_policy is not None:
            modules["backward_policy"] = self.backward_policy
        if self.step_energies is not None:
            modules["step_energies"] = self.step_energies
        return modules

    def state_dict(self, *, shared: bool = False) -> dict[str, Any]:
        """Return what a trainer made in the same way needs to go on with this training.

        Parameters
        ----------
        shared : bool
            Only what all processes of a training have in common: neither the averaged policy nor
            the generator and the time.

        Returns
        -------
        dict
            ``tensors``, on the CPU, by names that begin with those of their parts; the other
            values are what JSON can hold.
        """
        kept = {} if self.backward_training is None else self.backward_training.arrays()
        tensors = training_tensors(self._modules(shared), self.optimizer, self.replay, kept)
        state: dict[str, Any] = {"step": self.step_number, "tensors": tensors}
        if not shared:
            state |= {
                "seconds_by_part": dict(self.seconds_by_part),
                "generator": self.generator.bit_generator.state,
                "optimiser": type(self.optimizer).__name__,
            }
        return state

    def load_state_dict(self, state: dict[str, Any], *, shared: bool = False) -> None:
        """Take over what `state_dict` of a trainer made in the same way returned.

        Raises
        ------
        RuntimeError
            The tensors of a module are not those of this trainer.
        KeyError, TypeError, ValueError
            Another value is missing or does not fit.
        """
        modules = self._modules(shared)
        kept = load_training_tensors(state["tensors"], modules, self.optimizer, self.replay)
        if self.backward_training is not None:
            self.backward_training.load_arrays(self.environment, kept)
        self.step_number = int(state["step"])
        if not shared:
            self.seconds_by_part = dict(state["seconds_by_part"])
            self.generator.bit_generator.state = state["generator"]


def _check_backward(network: Policy | None, training: BackwardTraining) -> None:
    """Refuse a backward policy without a network, or with one that does not fit (ValueError)."""
    name = type(training).__name__
    if network is None:
        raise ValueError(f"backward_training {name} needs a network: give backward_policy")
    if training.needs_flow and network.flow is None:
        raise ValueError(
            f"backward_training {name} needs a flow head: make backward_policy with flow=True"
        )
