"""Walkers: chains of local changes that teach a policy objects which it draws too rarely.

A policy that is trained on its own draws learns slowly what it hardly ever draws: an action that
is mostly bad at first is soon taken too rarely for its good continuations to be found.
Metropolis-Hastings chains over finished objects (`gfncore.exploration.local_search`) find them by
changing good objects a little, and converge to the target distribution whatever the policy is.
They are used as in local search GFlowNets (Kim et al. 2024, arXiv:2310.02710), but go on through
the whole training, as the chains of a Markov chain Monte Carlo teacher do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gfncore.environment import Environment, state_arrays
from gfncore.exploration.forward import sample_trajectories
from gfncore.exploration.local_search import local_search
from gfncore.policies import Policy

__all__ = ["Walkers"]


class Walkers:
    """Finished objects that are changed a little in each step of training.

    Called with a generator, it moves all walkers once and returns their objects, so that it can be
    the `terminal_batches` of a `gfncore.training.trainer.Trainer`. The first call draws the objects
    from the policy.

    Parameters
    ----------
    environment : Environment
        Actions without values.
    policy : Policy
        P_F, which rebuilds; it may change between moves.
    n : int
        Number of walkers, at least 1.
    steps : int
        Number of steps of building that a move undoes, at most.
    epsilon, temperature : float
        The policy is softened as in `sample_trajectories`.
    keep : callable, optional
        ``keep(states, log_reward)`` is given all proposals, accepted or not, such as `Replay.add`.

    Attributes
    ----------
    states : States
        The n objects, or none before the first call.
    log_reward : ndarray, shape (n,), float64
        Their log rewards, nats.
    """

    def __init__(
        self,
        environment: Environment,
        policy: Policy,
        n: int,
        steps: int,
        *,
        epsilon: float = 0.0,
        temperature: float = 1.0,
        keep: Callable[[Any, np.ndarray], Any] = lambda states, log_reward: None,
    ) -> None:
        self.environment, self.policy = environment, policy
        self.n, self.steps = n, steps
        self.epsilon, self.temperature = epsilon, temperature
        self.keep = keep
        self.states: Any = environment.initial(0)
        self.log_reward = np.zeros(0)

    def __call__(self, generator: np.random.Generator) -> Any:
        """Move all walkers and return their objects."""
        if len(self.log_reward):
            found = local_search(
                self.environment,
                self.policy,
                self.states,
                self.log_reward,
                self.steps,
                generator,
                fewest_steps=1,
                epsilon=self.epsilon,
                temperature=self.temperature,
            )
            self.states, self.log_reward = found.terminals, found.log_reward
            proposals, log_reward = found.proposals, found.proposal_log_reward
        else:
            drawn = sample_trajectories(
                self.environment, self.policy, self.n, generator, self.epsilon, self.temperature
            )
            self.states = proposals = drawn.terminals
            self.log_reward = log_reward = self.environment.log_reward(self.states)
        self.keep(proposals, log_reward)
        return self.states

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the walkers: the arrays of their states by name, and ``log_reward``."""
        return state_arrays(self.states) | {"log_reward": self.log_reward}

    def load_arrays(self, stored: dict[str, np.ndarray]) -> None:
        """Replace the walkers by those that `arrays` returned."""
        states = {name: array for name, array in stored.items() if name != "log_reward"}
        self.states = replace(self.environment.initial(0), **states)
        self.log_reward = stored["log_reward"]
