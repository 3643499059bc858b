"""Local search in object space: undo some steps by P_B, rebuild by P_F, accept or reject.

From an object x, k steps are undone along a path b, x -> ... -> s, and an object x' is built from s
along a path f. In the space of objects with their paths the reverse move undoes f and repeats b, so
the move from x to x' has the Metropolis-Hastings ratio

    R(x') p(k') P_B(f | x') P_F(b | s)
    ----------------------------------
    R(x)  p(k)  P_B(b | x)  P_F(f | s)

where k' is the number of steps of f, and p(k) the probability of undoing k steps. This leaves R(x)
/ Z invariant for any two policies. Kim et al. (2024, Local search GFlowNets, ICLR,
arXiv:2310.02710) proposed the move for training, with either this rule or the rule of keeping the
object with the higher reward; there k is fixed and all objects have the same number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from gfncore.environment import Actions, Environment
from gfncore.exploration.draws import draw_classes, explored
from gfncore.exploration.moves import (
    Moved,
    backward_log_probabilities,
    move_backward,
    move_forward,
)
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.trajectories.scoring import state_log_probabilities

__all__ = ["LocalSearch", "local_search"]


@dataclass(frozen=True)
class LocalSearch:
    """Result of a round of local search.

    Attributes
    ----------
    terminals : States
        The n objects after the round: accepted proposals, and the given objects otherwise.
    log_reward : ndarray, shape (n,), float64
        Their log reward, nats.
    accepted : ndarray, shape (n,), bool
    proposals : States
        The n rebuilt objects, accepted or not, for a replay buffer.
    proposal_log_reward : ndarray, shape (n,), float64
    """

    terminals: Any
    log_reward: np.ndarray
    accepted: np.ndarray
    proposals: Any
    proposal_log_reward: np.ndarray


@dataclass(frozen=True)
class _Path:
    """Where n walkers came to, by how many steps, and the chances of their steps both ways."""

    states: Any
    length: np.ndarray
    log_pf: np.ndarray
    log_pb: np.ndarray


def local_search(
    environment: Environment,
    policy: Policy,
    terminals: Any,
    log_reward: np.ndarray,
    steps: int,
    generator: np.random.Generator,
    *,
    fewest_steps: int | None = None,
    backward_policy: Policy | None = None,
    acceptance: Literal["metropolis", "greedy"] = "metropolis",
    epsilon: float = 0.0,
    temperature: float = 1.0,
    inverse_temperatures: np.ndarray | None = None,
) -> LocalSearch:
    """Propose a neighbour of each object and return the objects after acceptance or rejection.

    Parameters
    ----------
    environment : Environment
    policy : Policy
        P_F, which rebuilds.
    terminals : States
        n terminal states, at least one, repeats allowed.
    log_reward : ndarray, shape (n,), float64
        Their log reward, nats.
    steps : int
        Number of undone steps, limited by the number of steps from s_0.
    generator : numpy Generator
    fewest_steps : int, optional
        If given, the number of steps of each object is uniform on ``fewest_steps..steps``. Default:
        always `steps`; if objects differ in their number of steps, the Metropolis-Hastings rule
        then accepts only objects rebuilt in the number of undone steps, or from s_0.
    backward_policy : Policy, optional
        P_B, which undoes steps. Default: uniform over the backward classes of a state.
    acceptance : {"metropolis", "greedy"}
        "greedy" keeps the proposal if its reward is higher.
    epsilon, temperature : float
        P_F is softened as in `sample_trajectories`: broader proposals, with their own probabilities
        in the rule.
    inverse_temperatures : ndarray, shape (n,), float64, optional
        beta of each object, 0 or more: the rule leaves R(x)^beta invariant. Default: 1.

    Returns
    -------
    LocalSearch

    Raises
    ------
    ValueError
        If there are no objects, the numbers of steps do not fit, or the rule is unknown.
    TypeError
        If actions carry values, because the rule above does not apply to densities.
    """
    if environment.carries_values:
        raise TypeError("local search requires discrete actions, but these carry values")
    if not len(terminals):
        raise ValueError("there are no objects to search around: give at least one")
    fewest = steps if fewest_steps is None else fewest_steps
    if not 1 <= fewest <= steps:
        raise ValueError(f"{fewest}..{steps} steps cannot be undone: need 1 <= fewest <= steps")
    if acceptance not in ("metropolis", "greedy"):
        raise ValueError(f"acceptance is {acceptance!r}, but must be 'metropolis' or 'greedy'")
    wanted = generator.integers(fewest, steps, size=len(terminals), endpoint=True)

    def forward(states: Any, actions: Actions) -> np.ndarray:
        with torch.no_grad():
            log_p = state_log_probabilities(environment, policy, states, actions).cpu().numpy()
        if epsilon == 0.0 and temperature == 1.0:
            return log_p
        of_class = actions.state_of_class
        with np.errstate(divide="ignore"):
            return np.log(explored(log_p, of_class, len(states), epsilon, temperature))

    undone, at_start = _undone(environment, forward, backward_policy, terminals, wanted, generator)
    rebuilt = _rebuilt(environment, forward, backward_policy, undone.states, generator)
    proposals = rebuilt.states
    first, inverse = unique_keys(environment.keys(proposals))
    new_log_reward = environment.log_reward(proposals.take(first))[inverse]

    if acceptance == "greedy":
        accepted = new_log_reward > log_reward
    else:
        log_ratio = rebuilt.log_pb - undone.log_pb + undone.log_pf - rebuilt.log_pf
        # of both paths: it belongs to log P_B
        log_ratio += environment.log_scale(proposals) - environment.log_scale(terminals)
        log_ratio += _log_chance(rebuilt.length, at_start, fewest, steps)
        log_ratio -= _log_chance(undone.length, at_start, fewest, steps)
        possible = np.isfinite(new_log_reward) & np.isfinite(log_ratio)
        with np.errstate(invalid="ignore"):  # from one object without reward to another
            rise = new_log_reward - log_reward
            if inverse_temperatures is not None:
                rise = rise * inverse_temperatures
            log_ratio = np.where(possible, log_ratio + rise, -np.inf)
        accepted = np.log1p(-generator.random(len(terminals))) < log_ratio

    n = len(terminals)
    both = type(terminals).concat([terminals, proposals])
    return LocalSearch(
        both.take(np.where(accepted, n + np.arange(n), np.arange(n))),
        np.where(accepted, new_log_reward, log_reward),
        accepted,
        proposals,
        new_log_reward,
    )


def _log_chance(length: np.ndarray, at_start: np.ndarray, fewest: int, steps: int) -> np.ndarray:
    """Return the log-probability of undoing `length` steps (or more, if they lead to s_0)."""
    ways = (length >= fewest) & (length <= steps)
    ways = np.where(at_start, np.maximum(steps - np.maximum(length, fewest) + 1, 0), ways)
    with np.errstate(divide="ignore"):
        return np.log(ways / (steps - fewest + 1))


def _undone(
    environment: Environment,
    forward: Callable[[Any, Actions], np.ndarray],
    backward_policy: Policy | None,
    terminals: Any,
    wanted: np.ndarray,
    generator: np.random.Generator,
) -> tuple[_Path, np.ndarray]:
    """Undo `wanted` steps, int64 (n,), of each object; the path, and who came to s_0, bool (n,)."""
    n = len(terminals)
    at_start = np.zeros(n, bool)
    log_pf, log_pb, length = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    first, state = unique_keys(environment.labels(terminals))
    states, rows = terminals.take(first), np.arange(n)
    actions = environment.backward_actions(states)
    ends, ended = [], []
    passed: list[tuple[Moved, np.ndarray]] = []  # what each step led to, and whose step it was
    while len(rows):
        log_p = backward_log_probabilities(environment, backward_policy, states, actions)
        chosen = draw_classes(np.exp(log_p), actions, len(states), state, generator)
        log_pb[rows] += log_p[chosen]
        moved = move_backward(environment, states, actions, chosen)
        passed.append((moved, rows))
        length[rows] += 1
        actions = environment.backward_actions(moved.states)
        at_start[rows] = (actions.classes_per_state(len(moved.states)) == 0)[moved.row]
        done = (length[rows] == wanted[rows]) | at_start[rows]
        ends.append(moved.states.take(moved.row[done]))
        ended.append(rows[done])
        rows = rows[~done]
        going, state = np.unique(moved.row[~done], return_inverse=True)
        states = moved.states.take(going)
        actions = environment.backward_actions(states)
    # P_F does not decide which steps are undone: all states are given to the policy at once
    met = type(terminals).concat([moved.states for moved, _ in passed])
    steps = [moved.ways_back for moved, _ in passed]
    log_p = forward(met, Actions.concat(steps, [len(moved.states) for moved, _ in passed]))
    shift = np.cumsum([0, *(len(ways.first_of_class) for ways in steps)])
    for (moved, rows), start in zip(passed, shift[:-1], strict=True):
        log_pf[rows] += log_p[start + moved.undoing]
    return _Path(_in_order(ends, ended), length, log_pf, log_pb), at_start


def _rebuilt(
    environment: Environment,
    forward: Callable[[Any, Actions], np.ndarray],
    backward_policy: Policy | None,
    starts: Any,
    generator: np.random.Generator,
) -> _Path:
    """Build an object from each unfinished state."""
    n = len(starts)
    log_pf, log_pb, length = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    first, state = unique_keys(environment.labels(starts))
    states, rows = starts.take(first), np.arange(n)
    ends, ended = [], []
    while len(rows):
        actions = environment.forward_actions(states)
        log_p = forward(states, actions)
        chosen = draw_classes(np.exp(log_p), actions, len(states), state, generator)
        log_pf[rows] += log_p[chosen]
        moved = move_forward(environment, states, actions, chosen)
        if not environment.is_tree:  # else log P_B = 0
            log_p = backward_log_probabilities(
                environment, backward_policy, moved.states, moved.ways_back
            )
            log_pb[rows] += log_p[moved.undoing]
        length[rows] += 1
        done = environment.is_terminal(moved.states)[moved.row]
        ends.append(moved.states.take(moved.row[done]))
        ended.append(rows[done])
        rows = rows[~done]
        going, state = np.unique(moved.row[~done], return_inverse=True)
        states = moved.states.take(going)
    return _Path(_in_order(ends, ended), length, log_pf, log_pb)


def _in_order(parts: list[Any], rows: list[np.ndarray]) -> Any:
    """Return the states of walkers `rows` as one batch in the order of the walkers."""
    order = np.argsort(np.concatenate(rows), kind="stable")
    return type(parts[0]).concat(parts).take(order)
