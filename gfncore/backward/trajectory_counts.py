"""Exact numbers of trajectories in a space that can be enumerated.

n(s_0) = 1, and n(s') is the sum of n(s) over the classes of actions that lead from s to s'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gfncore.environment import Environment
from gfncore.keys import key_bytes, unique_keys

__all__ = ["TrajectoryCounts", "count_trajectories"]


@dataclass(frozen=True)
class TrajectoryCounts:
    """All states of a space with their numbers of trajectories.

    Attributes
    ----------
    environment : Environment
    states : States
        Each state once.
    log_n : ndarray, shape (m,), float64
        log of the number of trajectories from s_0.
    row : dict of bytes to int
        Row of each state by its key.
    """

    environment: Environment
    states: Any
    log_n: np.ndarray
    row: dict[bytes, int]

    def log_n_of(self, states: Any) -> np.ndarray:
        """Return log n of states, float64 (B,); KeyError if one is not of the space."""
        names = key_bytes(self.environment.keys(states))
        return self.log_n[[self.row[name] for name in names]]

    def log_probabilities(self, states: Any) -> np.ndarray:
        """Return log P_B = log n(s) - log n(s') of all backward classes of states, float64 (C,)."""
        actions = self.environment.backward_actions(states)
        child = actions.state_of_class
        codes = actions.action[actions.first_of_class]
        parents = self.environment.backstep(states.take(child), codes).states
        return self.log_n_of(parents) - self.log_n_of(states)[child]


def count_trajectories(environment: Environment) -> TrajectoryCounts:
    """Return the number of trajectories to every state of a small space.

    States are visited level by level; one that is reached after different numbers of steps is
    counted on each of its levels.
    """
    states, log_n = environment.initial(1), np.zeros(1)
    found, numbers = [], []
    while len(states):
        found.append(states)
        numbers.append(log_n)
        actions = environment.forward_actions(states)
        origin = actions.state_of_class
        codes = actions.action[actions.first_of_class]
        children = environment.step(states.take(origin), codes).states
        first, inverse = unique_keys(environment.keys(children))
        log_n = _log_sums(log_n[origin], inverse, len(first))
        states = children.take(first)
    everything = type(states).concat(found)
    first, inverse = unique_keys(environment.keys(everything))
    distinct = everything.take(first)
    log_n = _log_sums(np.concatenate(numbers), inverse, len(first))
    names = key_bytes(environment.keys(distinct))
    return TrajectoryCounts(environment, distinct, log_n, {name: i for i, name in enumerate(names)})


def _log_sums(values: np.ndarray, segment: np.ndarray, n: int) -> np.ndarray:
    """Return log sum exp within n segments; float64 (n,)."""
    total = np.full(n, -np.inf)
    np.logaddexp.at(total, segment, values)
    return total
