"""The exact distribution of a policy over the objects of a small space.

All states are walked level by level from s_0, the probability of each state being the sum over
its parents of theirs times P_F: dynamic programming, so that P(x) needs no sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gfncore.environment import Actions, Environment
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.trajectories.scoring import state_log_probabilities

__all__ = ["ExactDistribution", "exact_distribution"]


@dataclass(frozen=True)
class ExactDistribution:
    """All objects of a space.

    Attributes
    ----------
    terminals : States
        Each object once, in the order of its key.
    keys : ndarray, shape (m, 2), uint64
    probability : ndarray, shape (m,), float64
        Under the policy; sums to one.
    n_states : int
        States visited, s_0 and terminal ones counted, once a level.
    """

    terminals: Any
    keys: np.ndarray
    probability: np.ndarray
    n_states: int

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """Return the row of each key, uint64 (n, 2); KeyError if a key is missing."""
        first, inverse = unique_keys(np.concatenate([self.keys, keys]))
        if len(first) != len(self.keys):
            raise KeyError("a key is not among the objects of the space")
        row_of_group = np.empty(len(first), np.int64)
        row_of_group[inverse[: len(self.keys)]] = np.arange(len(self.keys))
        return row_of_group[inverse[len(self.keys) :]]


def exact_distribution(environment: Environment, policy: Policy | None = None) -> ExactDistribution:
    """Return the distribution of a policy over all objects, without sampling.

    Parameters
    ----------
    environment : Environment
        Small: every state is visited.
    policy : Policy, optional
        None: uniform over the classes of actions.
    """
    states, mass = environment.initial(1), np.ones(1)
    ends, end_mass, n_states = [], [], 1
    while len(states):
        actions = environment.forward_actions(states)
        p = _probabilities(environment, policy, states, actions)
        origin = actions.state_of_class
        codes = actions.action[actions.first_of_class]
        children = environment.step(states.take(origin), codes).states
        first, inverse = unique_keys(environment.keys(children))
        mass = np.bincount(inverse, p * mass[origin], minlength=len(first))
        states = children.take(first)
        n_states += len(states)
        finished = environment.is_terminal(states)
        ends.append(states.take(np.flatnonzero(finished)))
        end_mass.append(mass[finished])
        states, mass = states.take(np.flatnonzero(~finished)), mass[~finished]
    terminals = type(states).concat(ends)
    keys = environment.keys(terminals)
    first, inverse = unique_keys(keys)
    probability = np.bincount(inverse, np.concatenate(end_mass), minlength=len(first))
    return ExactDistribution(terminals.take(first), keys[first], probability, n_states)


def _probabilities(
    environment: Environment, policy: Policy | None, states: Any, actions: Actions
) -> np.ndarray:
    if policy is None:
        return 1.0 / actions.classes_per_state(len(states))[actions.state_of_class]
    with torch.no_grad():
        log_p = state_log_probabilities(environment, policy, states, actions)
    return log_p.exp().cpu().numpy()
