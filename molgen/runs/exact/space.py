"""All states of a small space, and the exact distribution of a policy over its molecules.

States are walked level by level over classes of actions, so that a state is visited once however
many ways lead to it, and the probability of a state is the sum over the ways of the probability
of where they come from times P_F: dynamic programming, without sampling.

Glossary: S states that are not finished, C classes of their actions, T finished states, M
molecules; a molecule may be several finished states (Kekule forms, fragment graphs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from gfncore.environment import Actions
from gfncore.errors import UserError
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.tempering import TemperedEnvironment
from gfncore.trajectories.scoring import state_log_probabilities

__all__ = ["Space", "enumerate_space", "policy_distribution"]

PIECE = 50_000  # children made at a time


@dataclass(frozen=True)
class Space:
    """A whole space, seen through classes of actions.

    Attributes
    ----------
    environment : environment
        In the regime "merged".
    states : States
        The S states that are not finished, s_0 first, level after level.
    levels : ndarray, shape(L + 1,), dtype=int64
        Level l is rows ``levels[l]`` to ``levels[l + 1]`` of `states`.
    actions : Actions
        Forward actions of `states`, of C classes.
    child : ndarray, shape(C,), dtype=int64
        Where each class leads: a row of `states`, or S plus a row of `terminals`.
    terminals : States
        The T finished states.
    molecule : ndarray, shape(T,), dtype=int64
        Row of each one's molecule.
    molecules : tuple of str, length M
        Canonical SMILES, or another name of what counts as one object; sorted.
    log_reward : ndarray, shape(M,), dtype=float64
        log R, nats.
    """

    environment: Any
    states: Any
    levels: np.ndarray
    actions: Actions
    child: np.ndarray
    terminals: Any
    molecule: np.ndarray
    molecules: tuple[str, ...]
    log_reward: np.ndarray

    @property
    def n_states(self) -> int:
        """States visited, s_0 and the finished ones counted."""
        return len(self.states) + len(self.terminals)

    @property
    def log_partition(self) -> float:
        """log Z, nats."""
        return float(np.logaddexp.reduce(self.log_reward))

    @property
    def target(self) -> np.ndarray:
        """R(x) / Z of the molecules; float64 (M,)."""
        return np.exp(self.log_reward - self.log_partition)

    def at(self, inverse_temperature: float) -> Space:
        """Return the same space with the reward R^beta, seen at the temperature 1 / beta."""
        tempered = TemperedEnvironment(self.environment, inverse_temperature)
        return replace(
            self,
            environment=tempered,
            states=tempered.with_temperature(self.states),
            terminals=tempered.with_temperature(self.terminals),
            log_reward=inverse_temperature * self.log_reward,
        )

    def molecules_of(self, terminals: Any) -> np.ndarray:
        """Row of the molecule of each finished state; int64 (n,).

        Raises
        ------
        KeyError
            If a state is not of this space.
        """
        known, asked = self.environment.keys(self.terminals), self.environment.keys(terminals)
        first, inverse = unique_keys(np.concatenate([known, asked]))
        if len(first) != len(known):
            raise KeyError("a finished state is not among those that were enumerated")
        row = np.empty(len(first), np.int64)
        row[inverse[: len(known)]] = np.arange(len(known))
        return self.molecule[row[inverse[len(known) :]]]


def enumerate_space(
    environment: Any, names: Callable[[Any], Sequence[str]] | None = None, largest: int = 2_000_000
) -> Space:
    """Visit every state of a space.

    Parameters
    ----------
    environment : MoleculeEnvironment
        In any regime. Every molecule is scored once.
    names : callable, optional
        Names of finished states; states with one name are one object. None: canonical SMILES.
    largest : int
        Most states to visit.

    Raises
    ------
    UserError
        If there are more.
    """
    merged = environment.with_symmetry("merged")
    level, levels = merged.initial(1), [0, 1]
    states, ends, actions, children = [], [], [], []  # of each level
    visited = 1
    while len(level):
        forward = merged.forward_actions(level)
        distinct, inverse = _children(merged, level, forward)
        visited += len(distinct)
        if visited > largest:
            raise UserError(
                f"the space has more than {largest:,} states, too many to enumerate; "
                "lower --max-atoms or --max-fragments"
            )
        finished = merged.is_terminal(distinct)
        place = np.where(finished, np.cumsum(finished), np.cumsum(~finished)) - 1
        # numbers of finished states wait below zero until S is known
        n_ends = sum(len(part) for part in ends)
        row = np.where(finished, -1 - (n_ends + place), levels[-1] + place)
        states.append(level)
        actions.append(forward)
        children.append(row[inverse])
        ends.append(distinct.take(np.flatnonzero(finished)))
        level = distinct.take(np.flatnonzero(~finished))
        levels.append(levels[-1] + len(level))
    child = np.concatenate(children)
    n_states = levels[-1]
    child = np.where(child < 0, n_states - 1 - child, child)
    terminals = type(level).concat(ends)
    named = list((names or merged.smiles)(terminals))
    molecules, molecule = np.unique(np.array(named), return_inverse=True)
    log_reward = np.full(len(molecules), -np.inf)
    np.logaddexp.at(log_reward, molecule, merged.log_reward(terminals))
    return Space(
        merged,
        type(level).concat(states),
        np.array(levels[:-1]),
        Actions.concat(actions, [len(part) for part in states]),
        child,
        terminals,
        molecule,
        tuple(molecules.tolist()),
        log_reward,
    )


def _children(merged: Any, level: Any, actions: Actions) -> tuple[Any, np.ndarray]:
    """Distinct states that classes of actions lead to, and the row there of each class's."""
    origin, codes = actions.state_of_class, actions.action[actions.first_of_class]
    parts, keys = [], []
    for begin in range(0, len(origin), PIECE):
        piece = slice(begin, begin + PIECE)
        made = merged.step(level.take(origin[piece]), codes[piece]).states
        found = merged.keys(made)
        keys.append(found)
        parts.append((made, begin))
    keys = np.concatenate(keys)
    first, inverse = unique_keys(keys)
    order = np.argsort(first)  # by piece
    kept = [
        made.take(
            first[order][(first[order] >= begin) & (first[order] < begin + len(made))] - begin
        )
        for made, begin in parts
    ]
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first))
    return type(level).concat(kept), place[inverse]


def policy_distribution(space: Space, policy: Policy) -> np.ndarray:
    """Probability of every molecule under a policy of any regime, exactly.

    A policy's logits are of raw actions and do not know the regime it was trained in; the
    probability of a class is the sum over its actions.

    Parameters
    ----------
    space : Space
    policy : Policy

    Returns
    -------
    ndarray, shape(M,), dtype=float64
        Sums to one.
    """
    with torch.no_grad():
        log_p = state_log_probabilities(space.environment, policy, space.states, space.actions)
    step = log_p.exp().cpu().numpy()
    origin = space.actions.state_of_class
    mass = np.zeros(space.n_states)
    mass[0] = 1.0
    ends = np.searchsorted(origin, space.levels)
    for begin, end in zip(ends[:-1], ends[1:], strict=True):
        reached = space.child[begin:end]
        flow = mass[origin[begin:end]] * step[begin:end]
        mass += np.bincount(reached, flow, minlength=space.n_states)
    finished = mass[len(space.states) :]
    return np.bincount(space.molecule, finished, minlength=len(space.molecules))
