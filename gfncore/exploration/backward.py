"""Trajectories drawn backward from given objects, e.g. from replay or a walk."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfncore.environment import Environment
from gfncore.exploration.draws import draw_classes
from gfncore.exploration.moves import backward_log_probabilities, move_backward
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.trajectories.batch import Trajectories
from gfncore.trajectories.builder import TrajectoryBuilder

__all__ = ["backward_trajectories"]


def backward_trajectories(
    environment: Environment,
    terminals: Any,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
) -> Trajectories:
    """Draw one trajectory to each of the given terminal states by P_B and return them.

    Parameters
    ----------
    environment : Environment
    terminals : States
        n terminal states, at least one, repeats allowed.
    generator : numpy Generator
        Not used if every state has a single parent.
    backward_policy : Policy, optional
        Default: uniform over the backward classes of a state.

    Returns
    -------
    Trajectories

    Raises
    ------
    ValueError
        If there are no terminal states.
    """
    if not len(terminals):
        raise ValueError(
            "there are no objects to draw backward trajectories from; give at least one"
        )
    builder = TrajectoryBuilder(len(terminals))
    first, state = unique_keys(environment.labels(terminals))
    states = terminals.take(first)
    rows = np.arange(len(terminals))
    while True:
        actions = environment.backward_actions(states)
        has_parent = actions.classes_per_state(len(states)) > 0
        if not has_parent.all():  # s_0 is reached
            going = np.flatnonzero(has_parent)
            renumbered = np.full(len(states), -1, np.int64)
            renumbered[going] = np.arange(len(going))
            keep = has_parent[state]
            states, rows, state = states.take(going), rows[keep], renumbered[state[keep]]
            if not len(rows):
                break
            actions = environment.backward_actions(states)
        if backward_policy is None:
            p = np.ones(len(actions.first_of_class))
        else:
            p = np.exp(backward_log_probabilities(environment, backward_policy, states, actions))
        chosen = draw_classes(p, actions, len(states), state, generator)
        if not environment.is_tree:
            builder.add_backward(states, actions, rows, chosen)

        moved = move_backward(environment, states, actions, chosen)
        states, state = moved.states, moved.row
        builder.add_forward(states, moved.ways_back, rows, state, moved.undoing, moved.values)
    return builder.build(terminals, reverse=True)
