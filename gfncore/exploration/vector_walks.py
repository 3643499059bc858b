"""Trajectories of vectors of small integers, drawn in few calls a step.

What `gfncore.exploration.forward` does step by step, sharing states, is done here once for all
steps: a step only evaluates the policy and moves, and the table of distinct states with their
actions is made when all walkers have arrived.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gfncore.environment import Actions, Environment
from gfncore.policies.one_hot import OneHotPolicy
from gfncore.policies.one_hot_numba import distinct_rows
from gfncore.trajectories.batch import BackwardTable, Trajectories

__all__ = ["walk_vectors"]


@torch.inference_mode()
def walk_vectors(
    environment: Environment,
    policy: object,
    n: int,
    generator: np.random.Generator,
    epsilon: float = 0.0,
    temperature: float = 1.0,
) -> Trajectories | None:
    """Draw `n` trajectories from s_0, as `gfncore.exploration.sample_trajectories` does.

    None if the states are not vectors (`Environment.one_hot`), or the policy depends on more than
    their entries. Parameters are those of `sample_trajectories`.
    """
    states = environment.initial(n)
    seen = environment.one_hot(states)
    network = None if seen is None else OneHotPolicy.of(policy, seen.base)
    if seen is None or network is None:
        return None
    rows, log_pf = np.arange(n), np.zeros(n)
    visited, reached, whose = [], [], []
    codes, codes_back, ends, ended = [], [], [], []
    while True:
        action, log_p = network.choose(seen, generator.random(len(rows)), epsilon, temperature)
        log_pf[rows] += log_p
        taken = environment.step(states, action)
        visited.append(states)
        reached.append(taken.states)
        whose.append(rows)
        codes.append(action)
        codes_back.append(taken.inverse)
        states, done = taken.states, environment.is_terminal(taken.states)
        if done.any():
            arrived, going = np.flatnonzero(done), np.flatnonzero(~done)
            ends.append(states.take(arrived))
            ended.append(rows[arrived])
            if not len(going):
                break
            states, rows = states.take(going), rows[going]
        seen = environment.one_hot(states)
        assert seen is not None
    join = type(states).concat
    order = np.argsort(np.concatenate(ended), kind="stable")
    who = np.concatenate(whose)
    step = np.repeat(np.arange(len(whose)), [len(rows) for rows in whose])

    def table(column: np.ndarray) -> np.ndarray:
        padded = np.full((n, len(whose)), -1, np.int64)
        padded[who, step] = column
        return padded

    here, index = _distinct(environment, join(visited))
    actions = environment.forward_actions(here)
    chosen = _classes(actions, index, np.concatenate(codes))
    backward = None
    if not environment.is_tree:
        there, child = _distinct(environment, join(reached))
        ways_back = environment.backward_actions(there)
        undoing = _classes(ways_back, child, np.concatenate(codes_back))
        backward = BackwardTable(there, ways_back, table(undoing))
    terminals = join(ends).take(order)
    return Trajectories(here, actions, table(index), table(chosen), terminals, log_pf, backward)


def _distinct(environment: Environment, states: Any) -> tuple[Any, np.ndarray]:
    """Distinct states, and the row of each state among them."""
    first, inverse = distinct_rows(environment.labels(states).view(np.int64))
    return states.take(first), inverse


def _classes(actions: Actions, state: np.ndarray, code: np.ndarray) -> np.ndarray:
    return actions.class_of_action[actions.find(state, code)]
