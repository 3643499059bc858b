"""Trajectories drawn by a policy from s_0, with epsilon-uniform and tempered exploration."""

from __future__ import annotations

import numpy as np
import torch

from gfncore.environment import Environment
from gfncore.exploration.draws import draw_classes, explored
from gfncore.exploration.moves import move_forward
from gfncore.exploration.vector_walks import walk_vectors
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.trajectories.batch import Trajectories
from gfncore.trajectories.builder import TrajectoryBuilder
from gfncore.trajectories.scoring import draw_values, state_log_probabilities

__all__ = ["sample_trajectories"]


def sample_trajectories(
    environment: Environment,
    policy: Policy,
    n: int,
    generator: np.random.Generator,
    epsilon: float = 0.0,
    temperature: float = 1.0,
) -> Trajectories:
    """Draw `n` trajectories from s_0 to a terminal state and return them.

    If states have temperatures, trajectory i starts at state i of ``environment.initial(n)``.

    Parameters
    ----------
    environment : Environment
    policy : Policy
    n : int
        At least 1.
    generator : numpy Generator
    epsilon : float
        Share of choices drawn uniformly from the classes of actions of a state.
    temperature : float
        Choices are drawn from P_F ** (1 / temperature), normalised.

    Returns
    -------
    Trajectories
        Their `log_pf` refers to P_F itself, without epsilon and temperature.

    Raises
    ------
    ValueError
        If `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"{n} trajectories cannot be drawn; give at least 1")
    drawn = walk_vectors(environment, policy, n, generator, epsilon, temperature)
    if drawn is not None:
        return drawn
    builder = TrajectoryBuilder(n)
    states = environment.initial(1)
    state = np.zeros(n, np.int64)  # row in `states` of each unfinished trajectory
    if environment.is_conditioned:
        starts = environment.initial(n)
        first, state = unique_keys(environment.labels(starts))
        states = starts.take(first)
    rows = np.arange(n)  # these trajectories
    log_pf = np.zeros(n)
    ends, ended = [], []  # finished objects, and whose they are
    while len(rows):
        actions = environment.forward_actions(states)
        with torch.no_grad():
            log_p = state_log_probabilities(environment, policy, states, actions).cpu().numpy()
        p = explored(log_p, actions.state_of_class, len(states), epsilon, temperature)
        chosen = draw_classes(p, actions, len(states), state, generator)
        log_pf[rows] += log_p[chosen]
        values = None
        if environment.carries_values:
            values, log_density = draw_values(
                environment, policy, states, actions, chosen, generator
            )
            log_pf[rows] += log_density
        builder.add_forward(states, actions, rows, state, chosen, values)

        moved = move_forward(environment, states, actions, chosen, values)
        distinct, child = moved.states, moved.row
        if not environment.is_tree:
            builder.add_backward(distinct, moved.ways_back, rows, moved.undoing)
        finished = environment.is_terminal(distinct)
        done = finished[child]
        ends.append(distinct.take(child[done]))
        ended.append(rows[done])
        going = np.flatnonzero(~finished)
        renumbered = np.full(len(finished), -1, np.int64)
        renumbered[going] = np.arange(len(going))
        states = distinct.take(going)
        rows, state = rows[~done], renumbered[child[~done]]
    order = np.argsort(np.concatenate(ended), kind="stable")
    terminals = type(states).concat(ends).take(order)
    return builder.build(terminals, log_pf)
