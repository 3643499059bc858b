"""One move, forward or backward, of many walkers that share states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gfncore.environment import Actions, Environment
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.trajectories.scoring import state_log_probabilities

__all__ = ["Moved", "backward_log_probabilities", "move_backward", "move_forward"]

NO_ACTIONS = Actions(np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Moved:
    """Positions of m walkers after a move.

    Attributes
    ----------
    states : States
        Distinct states.
    row : ndarray, shape (m,), int64
        Row of each walker in `states`.
    ways_back : Actions
        Actions of `states` in the direction that undoes the move.
    undoing : ndarray, shape (m,), int64
        Class in `ways_back` that undoes the move of each walker.
    values : ndarray, shape (m, 2), float64, optional
        After a backward move: the values of the undone actions, if actions carry values.

    `ways_back` and `undoing` are empty after a forward move if every state has a single parent.
    """

    states: Any
    row: np.ndarray
    ways_back: Actions
    undoing: np.ndarray
    values: np.ndarray | None = None


def _distinct_moves(states: Any, actions: Actions, chosen: np.ndarray) -> tuple:
    """Return states and codes of the distinct (state, class) pairs, and the pair of each walker."""
    moves, move = np.unique(chosen, return_inverse=True)
    codes = actions.action[actions.first_of_class[moves]]
    return states.take(actions.state_of_class[moves]), codes, move


def move_forward(
    environment: Environment,
    states: Any,
    actions: Actions,
    chosen: np.ndarray,
    values: np.ndarray | None = None,
) -> Moved:
    """Take the classes `chosen`, int64 (m,), of the forward `actions` of `states`.

    Where actions carry values, with these, float64 (m, 2).
    """
    if values is None:
        parents, codes, move = _distinct_moves(states, actions, chosen)
        taken = environment.step(parents, codes)
    else:  # no two walkers draw the same numbers
        parents, codes = states.take(actions.state[chosen]), actions.action[chosen]
        move = np.arange(len(chosen))
        taken = environment.step(parents, codes, values)  # pyright: ignore[reportCallIssue]
    first, inverse = unique_keys(environment.labels(taken.states))
    distinct = taken.states.take(first)
    if environment.is_tree:  # who came by an only parent needs no way back
        return Moved(distinct, inverse[move], NO_ACTIONS, np.zeros(0, np.int64))
    back = environment.backward_actions(distinct)
    classes = back.class_of_action[back.find(inverse, taken.inverse)]
    return Moved(distinct, inverse[move], back, classes[move])


def move_backward(
    environment: Environment, states: Any, actions: Actions, chosen: np.ndarray
) -> Moved:
    """Take the classes `chosen`, int64 (m,), of the backward `actions` of `states`."""
    children, codes, move = _distinct_moves(states, actions, chosen)
    taken = environment.backstep(children, codes)
    first, inverse = unique_keys(environment.labels(taken.states))
    distinct = taken.states.take(first)
    forward = environment.forward_actions(distinct)
    classes = forward.class_of_action[forward.find(inverse, taken.inverse)]
    values = None if taken.values is None else taken.values[move]
    return Moved(distinct, inverse[move], forward, classes[move], values)


def backward_log_probabilities(
    environment: Environment, backward_policy: Policy | None, states: Any, actions: Actions
) -> np.ndarray:
    """Return log P_B of every class of backward `actions` of `states`; float64 (C,).

    Uniform over the classes of a state without a backward policy.
    """
    if backward_policy is None:
        return -np.log(actions.classes_per_state(len(states))[actions.state_of_class])
    with torch.no_grad():
        log_p = state_log_probabilities(
            environment, backward_policy, states, actions, backward=True
        )
    return log_p.cpu().numpy()
