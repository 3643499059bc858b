"""Trajectories as one struct of arrays, in which every distinct state is kept once.

Trajectories share states: all begin at s_0, and those of one step often meet. A state is embedded
once however many trajectories pass through it, in sampling and in scoring.

Glossary: n trajectories, T the largest number of steps, U distinct non-terminal states, C classes
of their forward actions in one flat list; V distinct states that a step leads to, D classes of
their backward actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from gfncore.environment import Actions, Environment
from gfncore.graph_batch import GraphBatch, ValueQueries
from gfncore.policies import (
    Policy,
    chunked_logits,
    chunked_logits_and_densities,
    chunked_logits_and_flows,
    chunked_values,
    class_log_probabilities,
    segment_log_softmax,
)
from gfncore.trajectories.batch import (
    BackwardTable,
    StateFlows,
    StateValues,
    Trajectories,
    gather_padded,
)

__all__ = [
    "draw_values",
    "score_backward",
    "score_forward",
    "score_forward_and_flow",
    "score_start",
    "score_step_energies",
    "state_log_probabilities",
    "state_log_probabilities_and_densities",
    "state_log_probabilities_and_flows",
]

CHUNK_NODES = 4096  # nodes embedded at a time: their activations stay in the cache
PROBED = 8  # states that tell how large a state is


def state_log_probabilities(
    environment: Environment,
    policy: Policy,
    states: Any,
    actions: Actions,
    backward: bool = False,
) -> torch.Tensor:
    """log-probability of every class of actions of the states, with gradient.

    Parameters
    ----------
    environment : Environment
    policy : Policy
    states : States
        B non-terminal states (with `backward`: states other than s_0).
    actions : Actions
        Their forward (backward) actions.
    backward : bool
        Read ``environment.backward_graph`` in place of ``environment.graph``.

    Returns
    -------
    Tensor, shape(C,), dtype=float64
    """
    draw = environment.backward_graph if backward else environment.graph
    graphs, _ = _graphs(draw, states)
    log_p = class_log_probabilities(chunked_logits(policy, graphs), actions, len(states))
    return _defended(policy, log_p, actions, len(states))


def state_log_probabilities_and_flows(
    environment: Environment, policy: Policy, states: Any, actions: Actions, backward: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """log-probability of every class of actions, and the flow head of the states, with gradient.

    Parameters
    ----------
    environment : Environment
    policy : Policy
        Made with ``flow=True``.
    states : States
        B non-terminal states (with `backward`: states other than s_0).
    actions : Actions
        Their forward (backward) actions.
    backward : bool
        Read ``environment.backward_graph`` in place of ``environment.graph``.

    Returns
    -------
    log_p : Tensor, shape(C,), dtype=float64
    log_flow : Tensor, shape(B,), dtype=float64
    """
    n = len(states)
    draw = environment.backward_graph if backward else environment.graph
    graphs, pieces = _graphs(draw, states)
    count = np.bincount(actions.state, minlength=n)
    sizes = [(int(count[rows].sum()), len(rows)) for rows in pieces]
    logits, log_flow = chunked_logits_and_flows(policy, graphs, sizes)
    log_p = class_log_probabilities(logits, actions, n)
    return _defended(policy, log_p, actions, n), log_flow.double()


def state_log_probabilities_and_densities(
    environment: Environment, policy: Policy, states: Any, actions: Actions, asked: StateValues
) -> tuple[torch.Tensor, torch.Tensor]:
    """log-probability of every class of forward actions, and log-density of values, with gradient.

    Parameters
    ----------
    environment : Environment
        Its actions carry values.
    policy : Policy
        Made with ``values``.
    states : States
        B non-terminal states.
    actions : Actions
        Their forward actions, each a class of its own.
    asked : StateValues

    Returns
    -------
    log_p : Tensor, shape(C,), dtype=float64
    log_density : Tensor, shape(Q,), dtype=float64
    """
    n = len(states)
    graphs, pieces = _graphs(environment.graph, states)
    values = torch.from_numpy(np.ascontiguousarray(asked.values, np.float64))
    asking, rank = _asked(environment, states, actions, asked.class_index, graphs, pieces, values)
    count = np.bincount(actions.state, minlength=n)
    owner = np.sort(actions.state[asked.class_index], kind="stable")
    queries = np.bincount(owner, minlength=n)
    sizes = [(int(count[rows].sum()), int(queries[rows].sum())) for rows in pieces]
    logits, log_density = chunked_logits_and_densities(policy, asking, sizes)
    log_p = class_log_probabilities(logits, actions, n)
    place = torch.from_numpy(rank).to(log_density.device)
    return _defended(policy, log_p, actions, n), log_density.index_select(0, place)


def draw_values(
    environment: Environment,
    policy: Policy,
    states: Any,
    actions: Actions,
    chosen: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what actions carry.

    Parameters
    ----------
    environment : Environment
        Its actions carry values.
    policy : Policy
        Made with ``values``.
    states : States
        B non-terminal states.
    actions : Actions
        Their forward actions, each a class of its own.
    chosen : ndarray, shape(m,), dtype=int64
        The classes that were chosen.
    generator : numpy Generator

    Returns
    -------
    values : ndarray, shape(m, 2), dtype=float64
    log_density : ndarray, shape(m,), dtype=float64
    """
    graphs, pieces = _graphs(environment.graph, states)
    noise = torch.from_numpy(generator.random((len(chosen), 2, 2)))
    asking, rank = _asked(environment, states, actions, chosen, graphs, pieces, None, noise)
    values, log_density = chunked_values(policy, asking)
    return values.cpu().numpy()[rank], log_density.cpu().numpy()[rank]


def _asked(
    environment: Environment,
    states: Any,
    actions: Actions,
    classes: np.ndarray,
    graphs: list[Callable[[], GraphBatch]],
    pieces: list[np.ndarray],
    values: torch.Tensor | None,
    noise: torch.Tensor | None = None,
) -> tuple[list[Callable[[], GraphBatch]], np.ndarray]:
    """Makers of the graphs with their queries, and where each query stands among all of them."""
    if actions.action_class is not None:
        raise ValueError("actions that carry values cannot share a class")
    owner = actions.state[classes]
    order = np.argsort(owner, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    owner, rows = owner[order], classes[order]
    features, present = environment.value_features(states.take(owner), actions.action[rows])

    def queries(piece: np.ndarray) -> ValueQueries:
        first, last = piece[0], piece[-1]  # states of a piece stand together
        part = slice(*np.searchsorted(owner, [first, last + 1]))
        start = np.searchsorted(actions.state, first)
        own = torch.from_numpy(order[part])
        return ValueQueries(
            torch.from_numpy(rows[part] - start),
            torch.from_numpy(features[part]),
            torch.from_numpy(present[part]),
            None if values is None else values[own],
            None if noise is None else noise[own],
        )

    def graph(make: Callable[[], GraphBatch], asked: ValueQueries) -> GraphBatch:
        return replace(make(), queries=asked)

    asking = [
        partial(graph, make, queries(piece)) for make, piece in zip(graphs, pieces, strict=True)
    ]
    return asking, rank


def _graphs(
    draw: Callable[[Any], GraphBatch], states: Any
) -> tuple[list[Callable[[], GraphBatch]], list[np.ndarray]]:
    """Makers of the graphs of chunks of states, and the rows of each chunk."""
    n = len(states)
    # a few states tell how many nodes one has
    probe = np.unique(np.linspace(0, n - 1, PROBED).astype(np.int64))
    nodes = len(draw(states.take(probe)).node_features) / len(probe)
    pieces = np.array_split(np.arange(n), max(1, math.ceil(n * nodes / CHUNK_NODES)))
    return [partial(lambda rows: draw(states.take(rows)), rows) for rows in pieces], pieces


def _defended(policy: Policy, log_p: torch.Tensor, actions: Actions, n: int) -> torch.Tensor:
    """Mixed with the square root of the probabilities, see `Policy.defence`; (C,)."""
    defence = getattr(policy, "defence", 0.0)
    if defence > 0.0:
        owner = torch.from_numpy(actions.state_of_class).to(log_p.device)
        softened = segment_log_softmax(0.5 * log_p, owner, n)
        log_p = torch.logaddexp(log_p + math.log1p(-defence), softened + math.log(defence))
    return log_p


def score_forward(
    environment: Environment, policy: Policy, trajectories: Trajectories
) -> torch.Tensor:
    """log P_F of every step, with gradient; float64 (n, T), zero at padding."""
    states, actions = trajectories.states, trajectories.actions
    index = trajectories.class_index
    if trajectories.values is None:
        return gather_padded(state_log_probabilities(environment, policy, states, actions), index)
    taken = index >= 0
    asked = StateValues(index[taken], trajectories.values[taken])
    log_p, log_density = state_log_probabilities_and_densities(
        environment, policy, states, actions, asked
    )
    place = np.full(index.shape, -1, np.int64)
    place[taken] = np.arange(len(asked.class_index))
    return gather_padded(log_p, index) + gather_padded(log_density, place)


def score_forward_and_flow(
    environment: Environment, policy: Policy, trajectories: Trajectories, energies: bool = True
) -> tuple[torch.Tensor, StateFlows]:
    """log P_F of every step, float64 (n, T), and the flow and energy of its state.

    Without `energies`, flows alone.

    Raises
    ------
    ValueError
        If the policy has no flow, or the environment no energies and they are asked for.
    TypeError
        If actions carry values, whose densities are not scored beside flows.
    """
    if trajectories.values is not None:
        raise TypeError("state flows require discrete actions, but these carry values")
    log_p, log_flow = state_log_probabilities_and_flows(
        environment, policy, trajectories.states, trajectories.actions
    )
    energy = None
    if energies:
        known = environment.energy(trajectories.states)
        if known is None:
            raise ValueError(
                "energies of unfinished states were asked for; the environment has none"
            )
        value = torch.from_numpy(np.asarray(known, np.float64)).to(log_flow.device)
        energy = gather_padded(value, trajectories.state_index)
    flow = StateFlows(
        gather_padded(log_flow, trajectories.state_index),
        energy,
        torch.from_numpy(trajectories.lengths).to(log_flow.device),
    )
    return gather_padded(log_p, trajectories.class_index), flow


def score_step_energies(
    environment: Environment, network: Policy, trajectories: Trajectories
) -> torch.Tensor:
    """Energy of every step, with gradient: the logit of its action; float64 (n, T), 0 at padding.

    Actions of one class have one logit, that of the first is taken.
    """
    graphs, _ = _graphs(environment.graph, trajectories.states)
    logits = chunked_logits(network, graphs).double()
    first = torch.from_numpy(trajectories.actions.first_of_class).to(logits.device)
    return gather_padded(logits.index_select(0, first), trajectories.class_index)


def score_start(environment: Environment, policy: Policy, energies: bool = True) -> StateFlows:
    """Flow and energy of s_0, as of one trajectory of one step, without gradient."""
    start = environment.initial(1)
    with torch.no_grad():
        actions = environment.forward_actions(start)
        log_flow = state_log_probabilities_and_flows(environment, policy, start, actions)[1]
    energy = None
    if energies:
        known = environment.energy(start)
        assert known is not None
        energy = torch.from_numpy(np.asarray(known, np.float64)).to(log_flow.device)[:, None]
    return StateFlows(log_flow[:, None], energy, torch.ones(1, dtype=torch.int64))


def score_backward(
    environment: Environment, backward_policy: Policy | None, trajectories: Trajectories
) -> torch.Tensor:
    """log P_B of every step; float64 (n, T), zero at padding.

    Zero where every state has one parent; uniform over the backward classes of a state without a
    backward policy; else that policy's, with gradient. The environment's scales of flows are in.
    """
    table = trajectories.backward
    if table is None:
        return torch.zeros(trajectories.class_index.shape, dtype=torch.float64)
    log_pb = _class_log_pb(environment, backward_policy, table)
    scale = torch.from_numpy(_scale_steps(environment, trajectories))
    return log_pb + scale.to(log_pb.device)


def _scale_steps(environment: Environment, trajectories: Trajectories) -> np.ndarray:
    """log_scale(s_{t+1}) - log_scale(s_t) of every step; float64 (n, T), zero at padding."""
    end = environment.log_scale(trajectories.terminals)[:, None]
    index = trajectories.state_index
    start = np.where(index >= 0, environment.log_scale(trajectories.states)[index], end)
    return np.diff(np.concatenate([start, end], axis=1), axis=1)


def _class_log_pb(
    environment: Environment, backward_policy: Policy | None, table: BackwardTable
) -> torch.Tensor:
    """log P_B of every step by classes, float64 (n, T)."""
    if backward_policy is None:
        count = table.actions.classes_per_state(len(table.states))
        log_p = torch.from_numpy(-np.log(count[table.actions.state_of_class]))
    else:
        log_p = state_log_probabilities(
            environment, backward_policy, table.states, table.actions, backward=True
        )
    return gather_padded(log_p, table.class_index)
