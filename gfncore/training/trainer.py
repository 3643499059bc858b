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

from gfncore.environment import Environment
from gfncore.exploration import backward_trajectories, sample_trajectories
from gfncore.keys import unique_keys
from gfncore.objectives.base import Objective
from gfncore.objectives.maximum_likelihood import state_divergence, value_cross_entropy
from gfncore.policies import Policy
from gfncore.training.averaging import AveragedPolicy
from gfncore.training.distributed import Processes
from gfncore.training.replay import Replay
from gfncore.training.settings import OPTIMISERS, SCHEDULES, TrainingSettings
from gfncore.training.state import load_optimizer, optimizer_tensors, tensors_below
from gfncore.trajectories.batch import KnownObjects, ScoredTrajectories, StateTargets, Trajectories
from gfncore.trajectories.inflows import score_inflow
from gfncore.trajectories.scoring import (
    score_backward,
    score_forward,
    score_forward_and_flow,
    score_start,
    score_step_energies,
    state_log_probabilities,
    state_log_probabilities_and_densities,
)
from gfncore.trajectories.stops import check_stops, score_forward_and_stops

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
        Trained by the same objective; None: uniform (or log P_B = 0 where `is_tree`).
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
        replay: Replay | None = None,
        terminal_batches: Callable[[np.random.Generator], Any] | None = None,
        state_batches: Callable[[np.random.Generator], StateTargets] | None = None,
        known_batches: Callable[[np.random.Generator], KnownObjects] | None = None,
        temperatures: Callable[[np.random.Generator], Any] | None = None,
        processes: Processes | None = None,
        prior: Policy | None = None,
        step_energies: Policy | None = None,
    ) -> None:
        if settings.on_policy and not objective.on_policy_allowed:
            raise ValueError(
                f"{type(objective).__name__} cannot be trained on the policy's own draws: "
                f"on_policy is {settings.on_policy}, set it to 0"
            )
        if objective.needs_objectives and not environment.has_objectives:
            raise ValueError(
                f"{type(objective).__name__} needs figures of merit, and the environment has none"
            )
        if objective.needs_flow and policy.flow is None:
            raise ValueError(
                f"{type(objective).__name__} needs state flows: make the policy with flow=True"
            )
        if objective.needs_energies and environment.energy(environment.initial(1)) is None:
            raise ValueError(
                f"{type(objective).__name__} needs energies of unfinished states, and the "
                "environment has none"
            )
        if objective.needs_stops:
            check_stops(environment, type(objective).__name__)
        if objective.needs_prior != (prior is not None):
            raise ValueError(
                f"{type(objective).__name__} needs a prior policy: give prior"
                if objective.needs_prior
                else f"a prior policy was given, but {type(objective).__name__} reads none"
            )
        if objective.needs_step_energies != (step_energies is not None):
            raise ValueError(
                f"{type(objective).__name__} needs a network of step energies: give step_energies"
                if objective.needs_step_energies
                else f"step_energies were given, but {type(objective).__name__} reads none"
            )
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
    def _timed(self, part: str) -> Iterator[None]:
        started, before = time.perf_counter(), self.seconds
        yield
        within = self.seconds - before  # of parts timed within this one
        self.seconds_by_part[part] += time.perf_counter() - started - within

    def _rewards(self, terminals: Any) -> np.ndarray:
        """log R of terminals, each distinct one evaluated once; new ones go to replay."""
        if not self.objective.needs_reward:
            return np.zeros(len(terminals))
        objects = self.environment.without_temperature(terminals)  # at two temperatures one
        environment = self.environment.inner
        first, inverse = unique_keys(environment.keys(objects))
        distinct = objects.take(first)
        with self._timed("reward"):
            if self.processes is None:
                log_reward = environment.log_reward(distinct)
            else:
                log_reward = self.processes.rewards(environment, distinct)
        if self.replay is not None:
            new = (distinct, log_reward)
            for found in [new] if self.processes is None else self.processes.gather(new):
                self.replay.add(*found)
        return self._tempered(terminals, log_reward[inverse])

    def _tempered(self, terminals: Any, log_reward: np.ndarray) -> np.ndarray:
        """log R at the temperatures of the terminals, from that at beta = 1."""
        condition = self.environment.condition(terminals)
        return log_reward if condition is None else np.exp(condition) * log_reward

    def _experience(self) -> list[tuple[Trajectories, np.ndarray, np.ndarray | None]]:
        """Trajectories of this step by source, their log rewards, and their scales if given."""
        settings, batches = self.settings, []
        if self.on_policy:
            with self._timed("sampling"):
                drawn = sample_trajectories(
                    self.environment,
                    self.policy,
                    self.on_policy,
                    self.generator,
                    settings.epsilon,
                    settings.temperature,
                )
            batches.append((drawn, self._rewards(drawn.terminals), None))
        if self.from_replay and self.replay is not None and len(self.replay):
            objects, log_reward = self.replay.draw(self.from_replay, self.generator)
            batches.append((*self._recalled(objects, log_reward), None))
        if self.terminal_batches is not None:
            given = self._backward(self.terminal_batches(self.generator))
            batches.append((given, self._rewards(given.terminals), None))
        if self.known_batches is not None:
            known = self.known_batches(self.generator)
            if known.scale is not None and not self.objective.takes_scales:
                raise ValueError(f"{type(self.objective).__name__} takes no scales of residuals")
            recalled = self._recalled(known.terminals, known.log_reward)
            batches.append((*recalled, known.scale))
        return batches

    def _recalled(self, objects: Any, log_reward: np.ndarray) -> tuple[Trajectories, np.ndarray]:
        """Trajectories to objects without temperature, whose rewards are known."""
        tempered = self.environment.with_temperature(objects)
        return self._backward(tempered), self._tempered(tempered, log_reward)

    def _backward(self, objects: Any) -> Trajectories:
        return backward_trajectories(
            self.environment, objects, self.generator, self.backward_policy
        )

    def _scored(
        self, trajectories: Trajectories, log_reward: np.ndarray, scale: np.ndarray | None
    ) -> ScoredTrajectories:
        flow = stop = log_prior = log_inflow = None
        if self.objective.needs_stops:
            log_pf, stop = score_forward_and_stops(
                self.environment, self.policy, trajectories, self._rewards
            )
        elif self.objective.needs_flow:
            log_pf, flow = score_forward_and_flow(
                self.environment, self.policy, trajectories, self.objective.needs_energies
            )
            if self.objective.needs_inflow:
                log_inflow = score_inflow(self.environment, self.policy, trajectories, log_pf, flow)
        else:
            log_pf = score_forward(self.environment, self.policy, trajectories)
        log_pb = score_backward(self.environment, self.backward_policy, trajectories)
        if self.prior is not None:
            with torch.no_grad():
                log_prior = score_forward(self.environment, self.prior, trajectories).sum(dim=1)
        step_energy = None
        if self.step_energies is not None:
            step_energy = score_step_energies(
                self.environment, self.step_energies, trajectories
            ).to(log_pf.device)
        objectives = None
        if self.objective.needs_objectives:
            values = self.environment.objectives(trajectories.terminals)
            objectives = torch.from_numpy(values).to(log_pf.device)
        condition = self.environment.condition(trajectories.terminals)
        return ScoredTrajectories(
            log_pf,
            log_pb.to(log_pf.device),
            torch.from_numpy(log_reward).to(log_pf.device),
            objectives,
            None if condition is None else torch.from_numpy(condition).to(log_pf.device),
            flow,
            None if scale is None else torch.from_numpy(scale).to(log_pf.device),
            stop,
            None if log_prior is None else log_prior.to(log_pf.device),
            log_inflow,
            step_energy,
        )

    def _state_loss(self, targets: StateTargets) -> torch.Tensor:
        environment, policy = self.environment, self.policy
        states, actions = targets.states, targets.actions
        if targets.values is None:
            log_p = state_log_probabilities(environment, policy, states, actions)
            return state_divergence(log_p, targets)
        log_p, log_density = state_log_probabilities_and_densities(
            environment, policy, states, actions, targets.values
        )
        return state_divergence(log_p, targets) + value_cross_entropy(log_density, targets)

    def step(self) -> dict[str, Any]:
        """One optimiser step.

        Returns
        -------
        dict
            Metrics: step, loss, log_z, trajectories learned from, state_loss, gradient_norm,
            mean_log_reward and max_log_reward of the policy's own draws, replay_size,
            learning_rate, seconds, and seconds by part; absent where they do not apply.

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

        experience = self._experience()
        if not experience and self.state_batches is None:
            raise ValueError(f"there are no training data: {self._why_none()}")
        if experience:
            with self._timed("policy"):
                batch = ScoredTrajectories.concat([self._scored(*part) for part in experience])
                if self.processes is not None:
                    batch = self.processes.joined(batch)
            loss = self.objective(batch)
            losses.append(loss)
            metrics["loss"] = float(loss.detach())
            _check_finite("the loss", metrics["loss"], batch.log_reward)
            metrics["log_z"] = self.objective.log_partition(batch)
            metrics["trajectories"] = len(batch.log_reward)
            if self.on_policy and self.objective.needs_reward:
                metrics["mean_log_reward"] = float(experience[0][1].mean())
                metrics["max_log_reward"] = float(experience[0][1].max())
        if self.state_batches is not None:
            targets = self.state_batches(self.generator)
            with self._timed("policy"):
                loss = self._state_loss(targets)
            share = 1 if self.processes is None else self.processes.size  # their sum is the mean
            losses.append(self.settings.state_weight * loss / share)
            metrics["state_loss"] = float(loss.detach())
            _check_finite("the loss of states", metrics["state_loss"])
        with self._timed("policy"):
            self.optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            if self.processes is not None:
                self.processes.combine_gradients(self.parameters, list(self.objective.parameters()))
            limit = math.inf if self.settings.clip_norm is None else self.settings.clip_norm
            norm = nn.utils.clip_grad_norm_(self.parameters, limit)
            self.optimizer.step()
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

    def _why_none(self) -> str:
        if self.from_replay:
            return (
                f"{self.from_replay} trajectories are to come from replay alone, which is empty; "
                "add objects to it, or set on_policy above 0"
            )
        return "set on_policy above 0, or give objects or states"

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
        parts = {name: module.state_dict() for name, module in self._modules(shared).items()}
        parts["optimizer"] = optimizer_tensors(self.optimizer)
        if self.replay is not None:
            stored = self.replay.arrays().items()
            parts["replay"] = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in stored}
        tensors = {
            f"{part}/{key}": value.detach().cpu()
            for part, values in parts.items()
            for key, value in values.items()
        }
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
        tensors = state["tensors"]
        for name, module in self._modules(shared).items():
            module.load_state_dict(tensors_below(tensors, name))
        load_optimizer(self.optimizer, tensors_below(tensors, "optimizer"))
        self.step_number = int(state["step"])
        if not shared:
            self.seconds_by_part = dict(state["seconds_by_part"])
            self.generator.bit_generator.state = state["generator"]
        if self.replay is not None:
            stored = tensors_below(tensors, "replay")
            self.replay.load_arrays({key: value.numpy() for key, value in stored.items()})


def _check_finite(name: str, value: float, log_reward: torch.Tensor | None = None) -> None:
    """Stop before a step that would make all weights NaN."""
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
