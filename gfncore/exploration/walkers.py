"""Walkers: chains of local changes that teach a policy objects which it draws too rarely.

A policy that is trained on its own draws learns slowly what it hardly ever draws: an action that
is mostly bad at first is soon taken too rarely for its good continuations to be found.
Metropolis-Hastings chains over finished objects (`gfncore.exploration.local_search`) find them by
changing good objects a little, and converge to the target distribution whatever the policy is.
They are used as in local search GFlowNets (Kim et al. 2024, arXiv:2310.02710), but go on through
the whole training, as the chains of a Markov chain Monte Carlo teacher do.

With several inverse temperatures 1 = beta_1 > beta_2 > ... the walkers of level k follow R^beta_k,
and after each move those of neighbouring levels may exchange their objects: parallel tempering
(Geyer 1991, Computing Science and Statistics 23:156). The exchange of x at beta_k and y at
beta_(k+1) has the Metropolis ratio exp((beta_k - beta_(k+1)) (log R(y) - log R(x))). Good objects
that are far from one another in steps of building are then reached by way of others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    inverse_temperatures : sequence of float
        beta of each level, descending from 1; `n` is a multiple of their number.
    keep : callable, optional
        ``keep(states, log_reward)`` is given all proposals, accepted or not, such as `Replay.add`.

    Attributes
    ----------
    states : States
        The n objects, level by level, or none before the first call.
    log_reward : ndarray, shape (n,), float64
        Their log rewards, nats.
    exchanged : float
        Share of the pairs that exchanged their objects after the last move; nan without levels.

    Raises
    ------
    ValueError
        The levels do not descend from 1 to above 0, or do not divide the walkers.
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
        inverse_temperatures: Sequence[float] = (1.0,),
        keep: Callable[[Any, np.ndarray], Any] = lambda states, log_reward: None,
    ) -> None:
        self.environment, self.policy = environment, policy
        self.n, self.steps = n, steps
        self.epsilon, self.temperature = epsilon, temperature
        levels = np.array(inverse_temperatures, np.float64)
        if not len(levels) or levels[0] != 1.0 or levels[-1] <= 0.0 or (np.diff(levels) >= 0).any():
            raise ValueError(f"inverse temperatures descend from 1, above 0, but are {levels}")
        if n % len(levels):
            raise ValueError(f"{n} walkers cannot be divided among {len(levels)} levels")
        self.levels = levels
        self.exchanged = math.nan
        self._n_moves = 0
        self.keep = keep
        self.states: Any = environment.initial(0)
        self.log_reward = np.zeros(0)

    def __call__(self, generator: np.random.Generator) -> Any:
        """Move all walkers, let levels exchange objects, and return the objects."""
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
                inverse_temperatures=np.repeat(self.levels, self.n // len(self.levels)),
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
        if len(self.levels) > 1:
            self._exchange(generator)
        return self.states

    def _exchange(self, generator: np.random.Generator) -> None:
        """Exchange objects between neighbouring levels, in pairs of walkers drawn at random.

        Levels 1 and 2, 3 and 4, ... after one move, 2 and 3, 4 and 5, ... after the next.
        """
        size = self.n // len(self.levels)
        order = np.arange(self.n)
        accepted: list[np.ndarray] = []
        for level in range(self._n_moves % 2, len(self.levels) - 1, 2):
            colder = size * level + np.arange(size)
            hotter = size * (level + 1) + generator.permutation(size)
            gap = self.levels[level] - self.levels[level + 1]
            rise = gap * (self.log_reward[hotter] - self.log_reward[colder])
            done = np.log1p(-generator.random(size)) < rise
            order[colder[done]], order[hotter[done]] = hotter[done], colder[done]
            accepted.append(done)
        self._n_moves += 1
        if accepted:
            self.exchanged = float(np.mean(accepted))
            self.states, self.log_reward = self.states.take(order), self.log_reward[order]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the walkers: the arrays of their states by name, ``log_reward``, ``n_moves``."""
        own = {"log_reward": self.log_reward, "n_moves": np.array([self._n_moves])}
        return state_arrays(self.states) | own

    def load_arrays(self, stored: dict[str, np.ndarray]) -> None:
        """Replace the walkers by those that `arrays` returned."""
        states = dict(stored)
        self.log_reward = states.pop("log_reward")
        self._n_moves = int(states.pop("n_moves", np.zeros(1))[0])  # absent in older checkpoints
        self.states = replace(self.environment.initial(0), **states)
