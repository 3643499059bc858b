"""Trajectories as one struct of arrays, in which every distinct state is kept once.

Trajectories share states: all begin at s_0, and those of one step often meet. A state is embedded
once however many trajectories pass through it, in sampling and in scoring.

Glossary: n trajectories, T the largest number of steps, U distinct non-terminal states, C classes
of their forward actions in one flat list; V distinct states that a step leads to, D classes of
their backward actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from gfncore.environment import (
    Actions,
    Environment,
    FlowScaled,
    GraphBatch,
    LearnedBackward,
    ValuedActions,
    ValueQueries,
)
from gfncore.policies import (
    Policy,
    chunked_logits,
    chunked_logits_and_densities,
    chunked_logits_and_flows,
    chunked_values,
    class_log_probabilities,
    segment_log_softmax,
)

__all__ = [
    "BackwardTable",
    "KnownObjects",
    "ScoredTrajectories",
    "StateFlows",
    "StateTargets",
    "StateValues",
    "TrajectoryBuilder",
    "Trajectories",
    "draw_values",
    "score_backward",
    "score_forward",
    "score_forward_and_flow",
    "state_log_probabilities",
    "state_log_probabilities_and_densities",
    "state_log_probabilities_and_flows",
]

CHUNK_NODES = 4096  # nodes embedded at a time: their activations stay in the cache
PROBED = 8  # states that tell how large a state is


@dataclass(frozen=True)
class BackwardTable:
    """The backward side of a batch of trajectories, for environments that are not trees.

    Attributes
    ----------
    states : States
        The V distinct states that a step leads to.
    actions : Actions
        Their backward actions.
    class_index : ndarray, shape(n, T), dtype=int64
        Row in the D classes of `actions` of the move that undoes each step; -1 is padding.
    """

    states: Any
    actions: Actions
    class_index: np.ndarray


@dataclass(frozen=True)
class Trajectories:
    """A batch of whole trajectories from s_0 to a terminal state.

    Attributes
    ----------
    states : States
        The U distinct non-terminal states.
    actions : Actions
        Their forward actions.
    state_index : ndarray, shape(n, T), dtype=int64
        Row of s_t in `states`; -1 is padding, at the end of a row.
    class_index : ndarray, shape(n, T), dtype=int64
        Row in the C classes of `actions` that step t took; -1 is padding.
    terminals : States
        The n objects.
    log_pf : ndarray, shape(n,), dtype=float64, optional
        Sum of log P_F under the policy that drew them, without exploration; None where they were
        drawn backward.
    backward : BackwardTable, optional
        None where every state has one parent, so that log P_B = 0.
    values : ndarray, shape(n, T, 2), dtype=float64, optional
        What each step's action carried; zero at padding. None where actions carry nothing. Then
        log P_F is that of a class and the log-density of its values, together.
    """

    states: Any
    actions: Actions
    state_index: np.ndarray
    class_index: np.ndarray
    terminals: Any
    log_pf: np.ndarray | None = None
    backward: BackwardTable | None = None
    values: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.state_index)

    @property
    def lengths(self) -> np.ndarray:
        """Number of steps of each trajectory; int64 (n,)."""
        return (self.state_index >= 0).sum(axis=1)


@dataclass(frozen=True)
class StateValues:
    """Values that classes of forward actions of a batch of states carry.

    Attributes
    ----------
    class_index : ndarray, shape(Q,), dtype=int64
        Row in the classes of the states' actions.
    values : ndarray, shape(Q, 2), dtype=float64
        Zero where there is none.
    """

    class_index: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class KnownObjects:
    """Objects with their rewards, to learn from by trajectories drawn backward.

    Attributes
    ----------
    terminals : States
        n terminal states.
    log_reward : ndarray, shape(n,), dtype=float64
    scale : ndarray, shape(n,), dtype=float64, optional
        What their residuals are measured in, nats, in the place of 1: more for objects so far from
        the target that their balance is to hold in proportion only.
    """

    terminals: Any
    log_reward: np.ndarray
    scale: np.ndarray | None = None


@dataclass(frozen=True)
class StateTargets:
    """States with the distribution over their forward actions that a policy should have.

    Attributes
    ----------
    states : States
        B non-terminal states.
    actions : Actions
        Their forward actions.
    targets : ndarray, shape(C,), dtype=float64
        Target probability of each class; sums to one in each state.
    weights : ndarray, shape(B,), dtype=float64
        Weight of each state's cross-entropy, e.g. its flow.
    values : StateValues, optional
        Draws of what the actions carry, each of weight one, where they carry something.
    """

    states: Any
    actions: Actions
    targets: np.ndarray
    weights: np.ndarray
    values: StateValues | None = None


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
    draw = _drawing(environment, backward)
    graphs, _ = _graphs(draw, states)
    log_p = class_log_probabilities(chunked_logits(policy, graphs), actions, len(states))
    return _defended(policy, log_p, actions, len(states))


def state_log_probabilities_and_flows(
    environment: Environment, policy: Policy, states: Any, actions: Actions
) -> tuple[torch.Tensor, torch.Tensor]:
    """log-probability of every class of forward actions, and log F of the states, with gradient.

    Parameters
    ----------
    environment : Environment
    policy : Policy
        Made with ``flow=True``.
    states : States
        B non-terminal states.
    actions : Actions
        Their forward actions.

    Returns
    -------
    log_p : Tensor, shape(C,), dtype=float64
    log_flow : Tensor, shape(B,), dtype=float64
    """
    n = len(states)
    graphs, pieces = _graphs(_drawing(environment, False), states)
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
        With `ValuedActions`.
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
    graphs, pieces = _graphs(_drawing(environment, False), states)
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
        With `ValuedActions`.
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
    graphs, pieces = _graphs(_drawing(environment, False), states)
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
    if not isinstance(environment, ValuedActions):
        raise TypeError("values were asked for, but the actions of the environment carry none")
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


def _drawing(environment: Environment, backward: bool) -> Callable[[Any], GraphBatch]:
    """What makes the graphs of states."""
    if backward:
        if not isinstance(environment, LearnedBackward):
            raise TypeError("a learned backward policy needs an environment with backward_graph")
        return environment.backward_graph
    return environment.graph


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


@dataclass(frozen=True)
class StateFlows:
    """Flows of the states of trajectories, for objectives that balance single steps.

    Attributes
    ----------
    log_flow : Tensor, shape(n, T), dtype=float64
        What the flow head gives for the state s_t of every step, with gradient; zero at padding.
    energy : Tensor, shape(n, T), dtype=float64
        Energy of s_t, nats; zero at padding.
    lengths : Tensor, shape(n,), dtype=int64
        Number of steps.
    """

    log_flow: torch.Tensor
    energy: torch.Tensor
    lengths: torch.Tensor


@dataclass(frozen=True)
class ScoredTrajectories:
    """What an objective reads.

    Attributes
    ----------
    log_pf, log_pb : Tensor, shape(n, T), dtype=float64
        log P_F and log P_B of every step, zero at padding, with gradient.
    log_reward : Tensor, shape(n,), dtype=float64
        log R of the object that each trajectory ends in.
    objectives : Tensor, shape(n, K), dtype=float64, optional
        Its figures of merit, where an objective asks for them (`needs_objectives`).
    condition : Tensor, shape(n,), dtype=float64, optional
        log of the inverse temperature of each trajectory, where it has one.
    flow : StateFlows, optional
        Where an objective asks for them (`needs_flow`).
    scale : Tensor, shape(n,), dtype=float64, optional
        What each trajectory's residual is measured in, where not all are in nats
        (`takes_scales`).
    """

    log_pf: torch.Tensor
    log_pb: torch.Tensor
    log_reward: torch.Tensor
    objectives: torch.Tensor | None = None
    condition: torch.Tensor | None = None
    flow: StateFlows | None = None
    scale: torch.Tensor | None = None

    @staticmethod
    def concat(parts: Sequence[ScoredTrajectories]) -> ScoredTrajectories:
        """One batch out of several, padded to the longest."""
        steps = max(part.log_pf.shape[1] for part in parts)

        def join(tables: list[torch.Tensor]) -> torch.Tensor:
            pad = torch.nn.functional.pad
            return torch.cat([pad(table, (0, steps - table.shape[1])) for table in tables])

        def if_all(tables: list[torch.Tensor | None]) -> torch.Tensor | None:
            known = [table for table in tables if table is not None]
            return torch.cat(known) if len(known) == len(tables) else None

        scale = None
        if any(part.scale is not None for part in parts):
            ones = [torch.ones_like(part.log_reward) for part in parts]
            scales = [part.scale for part in parts]
            scale = torch.cat(
                [one if own is None else own for one, own in zip(ones, scales, strict=True)]
            )
        flows = [part.flow for part in parts if part.flow is not None]
        flow = None
        if len(flows) == len(parts):
            flow = StateFlows(
                join([one.log_flow for one in flows]),
                join([one.energy for one in flows]),
                torch.cat([one.lengths for one in flows]),
            )
        return ScoredTrajectories(
            join([part.log_pf for part in parts]),
            join([part.log_pb for part in parts]),
            torch.cat([part.log_reward for part in parts]),
            if_all([part.objectives for part in parts]),
            if_all([part.condition for part in parts]),
            flow,
            scale,
        )


def _gather(log_p: torch.Tensor, class_index: np.ndarray) -> torch.Tensor:
    """Entries of `log_p` at `class_index`, zero at padding; float64 (n, T)."""
    index = torch.from_numpy(class_index).to(log_p.device)
    picked = log_p.index_select(0, index.clamp(min=0).flatten()).view(index.shape)
    return torch.where(index >= 0, picked, 0.0)


def score_forward(
    environment: Environment, policy: Policy, trajectories: Trajectories
) -> torch.Tensor:
    """log P_F of every step, with gradient; float64 (n, T), zero at padding."""
    states, actions = trajectories.states, trajectories.actions
    index = trajectories.class_index
    if trajectories.values is None:
        return _gather(state_log_probabilities(environment, policy, states, actions), index)
    taken = index >= 0
    asked = StateValues(index[taken], trajectories.values[taken])
    log_p, log_density = state_log_probabilities_and_densities(
        environment, policy, states, actions, asked
    )
    place = np.full(index.shape, -1, np.int64)
    place[taken] = np.arange(len(asked.class_index))
    return _gather(log_p, index) + _gather(log_density, place)


def score_forward_and_flow(
    environment: Environment, policy: Policy, trajectories: Trajectories
) -> tuple[torch.Tensor, StateFlows]:
    """log P_F of every step, float64 (n, T), and flows and energies of its state.

    Raises
    ------
    ValueError
        If the environment has no energies, or the policy no flow.
    TypeError
        If actions carry values, whose densities are not scored beside flows.
    """
    if trajectories.values is not None:
        raise TypeError("state flows are for discrete actions, and these carry values")
    log_p, log_flow = state_log_probabilities_and_flows(
        environment, policy, trajectories.states, trajectories.actions
    )
    energy = environment.energy(trajectories.states)
    if energy is None:
        raise ValueError("energies of unfinished states were asked for; the environment has none")
    value = torch.from_numpy(np.asarray(energy, np.float64)).to(log_flow.device)
    flow = StateFlows(
        _gather(log_flow, trajectories.state_index),
        _gather(value, trajectories.state_index),
        torch.from_numpy(trajectories.lengths).to(log_flow.device),
    )
    return _gather(log_p, trajectories.class_index), flow


def score_backward(
    environment: Environment, backward_policy: Policy | None, trajectories: Trajectories
) -> torch.Tensor:
    """log P_B of every step; float64 (n, T), zero at padding.

    Zero where every state has one parent; uniform over the backward classes of a state without a
    backward policy; else that policy's, with gradient. A `FlowScaled` environment's scales are in.
    """
    table = trajectories.backward
    if table is None:
        return torch.zeros(trajectories.class_index.shape, dtype=torch.float64)
    log_pb = _class_log_pb(environment, backward_policy, table)
    if isinstance(environment, FlowScaled):
        log_pb = log_pb + torch.from_numpy(_scale_steps(environment, trajectories)).to(
            log_pb.device
        )
    return log_pb


def _scale_steps(environment: FlowScaled, trajectories: Trajectories) -> np.ndarray:
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
    return _gather(log_p, table.class_index)


class TrajectoryBuilder:
    """Collects the steps of trajectories, each step with its distinct states, into one batch.

    Parameters
    ----------
    n : int
        Number of trajectories.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._forward: list[tuple[Any, Actions, np.ndarray]] = []
        self._values: list[np.ndarray] = []
        self._backward: list[tuple[Any, Actions, np.ndarray]] = []

    def add_forward(
        self,
        states: Any,
        actions: Actions,
        rows: np.ndarray,
        state: np.ndarray,
        chosen: np.ndarray,
        values: np.ndarray | None = None,
    ) -> None:
        """Add a step: trajectories `rows` are at `state` of `states` and take class `chosen`.

        The action carries ``values``, float64 (len(rows), 2), if it carries anything.
        """
        columns = np.full((self.n, 2), -1, np.int64)
        columns[rows, 0], columns[rows, 1] = state, chosen
        self._forward.append((states, actions, columns))
        if values is not None:
            column = np.zeros((self.n, 2))
            column[rows] = values
            self._values.append(column)

    def add_backward(
        self, states: Any, actions: Actions, rows: np.ndarray, chosen: np.ndarray
    ) -> None:
        """Add the backward side of a step: backward class `chosen` of `states` undoes it."""
        columns = np.full((self.n, 1), -1, np.int64)
        columns[rows, 0] = chosen
        self._backward.append((states, actions, columns))

    @staticmethod
    def _join(steps: list[tuple[Any, Actions, np.ndarray]]) -> tuple[Any, Actions, np.ndarray]:
        """Lay the states of all steps end to end; columns become (n, T, 2 or 1)."""
        sizes = [len(states) for states, _, _ in steps]
        classes = [len(actions.first_of_class) for _, actions, _ in steps]
        table = np.stack([columns for _, _, columns in steps], axis=1)  # (n, T, 2 or 1)
        shifts = [np.cumsum([0, *classes[:-1]])]
        if table.shape[2] == 2:
            shifts.insert(0, np.cumsum([0, *sizes[:-1]]))
        table = np.where(table >= 0, table + np.stack(shifts, axis=1)[None], -1)
        states = type(steps[0][0]).concat([states for states, _, _ in steps])
        return states, Actions.concat([actions for _, actions, _ in steps], sizes), table

    def build(
        self, terminals: Any, log_pf: np.ndarray | None = None, reverse: bool = False
    ) -> Trajectories:
        """The batch; with `reverse`, steps were added from the last one to the first."""
        states, actions, table = self._join(self._forward)
        backward = None
        if self._backward:
            *sides, column = self._join(self._backward)
            backward = BackwardTable(sides[0], sides[1], _aligned(column[:, :, 0], reverse))
        values = None
        if self._values:
            values = np.stack(self._values, axis=1)
            order = _alignment(table[:, :, 0], reverse)
            values = values[:, ::-1] if reverse else values
            values = np.take_along_axis(values, order[:, :, None], axis=1)
        return Trajectories(
            states,
            actions,
            _aligned(table[:, :, 0], reverse),
            _aligned(table[:, :, 1], reverse),
            terminals,
            log_pf,
            backward,
            values,
        )


def _alignment(index: np.ndarray, reverse: bool) -> np.ndarray:
    """Order of the columns, first put in order of time, with each row's padding at its end."""
    return np.argsort((index[:, ::-1] if reverse else index) < 0, axis=1, kind="stable")


def _aligned(index: np.ndarray, reverse: bool) -> np.ndarray:
    """Padding moved to the end of each row, after the columns were put in order of time."""
    order = _alignment(index, reverse)
    index = index[:, ::-1] if reverse else index
    return np.ascontiguousarray(np.take_along_axis(index, order, axis=1))
