"""Batches of trajectories, and their scores, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from gfncore.environment import Actions

__all__ = [
    "BackwardTable",
    "KnownObjects",
    "ScoredTrajectories",
    "StateFlows",
    "StateTargets",
    "StateValues",
    "StopTerms",
    "Trajectories",
    "gather_padded",
]


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


@dataclass(frozen=True)
class StateFlows:
    """Flows of the states of trajectories, for objectives that balance single steps.

    Attributes
    ----------
    log_flow : Tensor, shape(n, T), dtype=float64
        What the flow head gives for the state s_t of every step, with gradient; zero at padding.
    energy : Tensor, shape(n, T), dtype=float64, optional
        Energy of s_t, nats; zero at padding. None where no objective asks for it
        (`needs_energies`).
    lengths : Tensor, shape(n,), dtype=int64
        Number of steps.
    """

    log_flow: torch.Tensor
    energy: torch.Tensor | None
    lengths: torch.Tensor


@dataclass(frozen=True)
class StopTerms:
    """What is known of stopping at the states of trajectories, where these are objects.

    Attributes
    ----------
    log_pf : Tensor, shape(n, T), dtype=float64
        log P_F(stop | s_t), with gradient; zero at padding and where it is not possible.
    log_reward : Tensor, shape(n, T), dtype=float64
        log R of s_t as an object; likewise.
    possible : Tensor, shape(n, T), dtype=bool
        Whether s_t can be finished as it is; False at padding.
    goes_on : Tensor, shape(n, T), dtype=bool
        Whether step t does something else than to stop; False at padding.
    """

    log_pf: torch.Tensor
    log_reward: torch.Tensor
    possible: torch.Tensor
    goes_on: torch.Tensor


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
    stop : StopTerms, optional
        Where an objective asks for them (`needs_stops`).
    log_prior : Tensor, shape(n,), dtype=float64, optional
        Sum of log P_F of a prior policy, where an objective asks for it (`needs_prior`).
    log_inflow : Tensor, shape(n, T), dtype=float64, optional
        Log of the flow into the state that each step leads to, over all of its parents, with
        gradient; zero at padding. Where an objective asks for it (`needs_inflow`).
    step_energy : Tensor, shape(n, T), dtype=float64, optional
        Learned energy of every step, nats, with gradient; zero at padding. Where an objective asks
        for it (`needs_step_energies`).
    """

    log_pf: torch.Tensor
    log_pb: torch.Tensor
    log_reward: torch.Tensor
    objectives: torch.Tensor | None = None
    condition: torch.Tensor | None = None
    flow: StateFlows | None = None
    scale: torch.Tensor | None = None
    stop: StopTerms | None = None
    log_prior: torch.Tensor | None = None
    log_inflow: torch.Tensor | None = None
    step_energy: torch.Tensor | None = None

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
            energies = [one.energy for one in flows if one.energy is not None]
            flow = StateFlows(
                join([one.log_flow for one in flows]),
                join(energies) if len(energies) == len(parts) else None,
                torch.cat([one.lengths for one in flows]),
            )
        stops = [part.stop for part in parts if part.stop is not None]
        stop = None
        if len(stops) == len(parts):
            stop = StopTerms(
                *(join([getattr(one, field.name) for one in stops]) for field in fields(StopTerms))
            )

        def join_if_all(tables: list[torch.Tensor | None]) -> torch.Tensor | None:
            known = [table for table in tables if table is not None]
            return join(known) if len(known) == len(tables) else None

        return ScoredTrajectories(
            join([part.log_pf for part in parts]),
            join([part.log_pb for part in parts]),
            torch.cat([part.log_reward for part in parts]),
            if_all([part.objectives for part in parts]),
            if_all([part.condition for part in parts]),
            flow,
            scale,
            stop,
            if_all([part.log_prior for part in parts]),
            join_if_all([part.log_inflow for part in parts]),
            join_if_all([part.step_energy for part in parts]),
        )


def gather_padded(log_p: torch.Tensor, class_index: np.ndarray) -> torch.Tensor:
    """Entries of `log_p` at `class_index`, zero at padding; float64 (n, T)."""
    index = torch.from_numpy(class_index).to(log_p.device)
    picked = log_p.index_select(0, index.clamp(min=0).flatten()).view(index.shape)
    return torch.where(index >= 0, picked, 0.0)
