"""What a sampler of near-optimal trees is taught: known trees at several temperatures, own draws.

At inverse temperature beta a tree of score s has the weight exp(beta (C - s)). The weights of the
trees that are known are exact; those of trees met by the sampler's own draws are importance
weights, so that together they stand for all trees (`phylogfn.estimates.tempered`). As in
`phylogfn.training.curricula`, the insertion environment is taught the exact choices at the prefixes
of a trie, one trie a temperature, and the merging environment the choices of histories; both also
learn by trajectory balance from known trees and from their own draws.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.tempering import TemperedEnvironment, TemperedStates
from gfncore.training.prefix_tree import PrefixTree
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import StateTargets
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.base import TreeEnvironment
from phylogfn.environments.insertion import InsertionEnvironment, InsertionStates
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.kernels import insertion_numba
from phylogfn.training.curricula import (
    HISTORIES_A_STEP,
    NEGLIGIBLE,
    STATES_A_STEP,
    PrefixDraws,
    history_targets,
)

__all__ = [
    "TemperedCurriculum",
    "TemperedInsertionCurriculum",
    "TemperedMergingCurriculum",
    "WeightedTrees",
    "fit_log_partition",
]

FIT_ROUNDS = 60  # of L-BFGS, to set log Z(beta)


@dataclass(frozen=True)
class WeightedTrees:
    """Distinct topologies that stand for all, at several inverse temperatures.

    Attributes
    ----------
    parents : ndarray, shape (M, 2n-2), int16
    betas : ndarray, shape (K,), float64
    weights : ndarray, shape (K, M), float64
        In any unit, 0 where a topology does not count.
    """

    parents: np.ndarray
    betas: np.ndarray
    weights: np.ndarray


class TemperedCurriculum(ABC):
    """Chooses what a trainer is taught.

    Parameters
    ----------
    environment : TreeEnvironment
        Without temperature.
    n_trajectories : int
        Known and own ones, of each so many, in a step with own draws.
    """

    def __init__(self, environment: TreeEnvironment, n_trajectories: int):
        self.environment = environment
        self.tempered = TemperedEnvironment(environment, 1.0)
        self.n_trajectories = n_trajectories
        self._known: list[tuple[np.ndarray, np.ndarray]] = []  # rows, cumulative shares
        self._trees = WeightedTrees(np.zeros((0, 0), np.int16), np.ones(1), np.zeros((1, 0)))

    def refresh(self, trees: WeightedTrees) -> None:
        """Teach these trees from now on."""
        self._trees = trees
        self._known = []
        for weights in trees.weights:
            rows = np.flatnonzero(weights > weights.max() * np.exp(-NEGLIGIBLE))
            share = np.cumsum(weights[rows])
            self._known.append((rows, share / share[-1]))

    @property
    def _middle(self) -> int:
        """The inverse temperature that rates are made for: they have none of their own."""
        return int(np.argsort(self._trees.betas, kind="stable")[len(self._trees.betas) // 2])

    @abstractmethod
    def set_rates(self) -> None:
        """Give the environment the rates of the trees as they are weighed."""

    @abstractmethod
    def states(self, generator: np.random.Generator) -> StateTargets:
        """States with the choices that the policy should make there."""

    def _drawn(self, n: int, generator: np.random.Generator) -> TemperedStates:
        """About n finished trees, as many at each temperature, by weight."""
        each = max(1, n // len(self._known))
        rows = [
            known[np.minimum(np.searchsorted(shares, generator.random(each)), len(known) - 1)]
            for known, shares in self._known
        ]
        terminals = self.environment.terminals(self._trees.parents[np.concatenate(rows)])
        return self.tempered.with_temperature(terminals, np.repeat(self._trees.betas, each))

    def terminals(self, generator: np.random.Generator) -> TemperedStates:
        """Known trees for trajectory balance."""
        return self._drawn(self.n_trajectories, generator)

    def teach(self, trainer: Trainer, own_draws: bool) -> dict:
        """One step of the trainer; with ``own_draws``, by trajectory balance as well."""
        trainer.state_batches = self.states
        trainer.terminal_batches = self.terminals if own_draws else None
        trainer.on_policy = self.n_trajectories if own_draws else 0
        return trainer.step()


class TemperedInsertionCurriculum(TemperedCurriculum):
    """For the insertion environment: exact choices at the prefixes of one trie a temperature."""

    environment: InsertionEnvironment

    def refresh(self, trees: WeightedTrees) -> None:
        """Teach these trees from now on: build their tries."""
        super().refresh(trees)
        actions = insertion_numba.actions_of_trees(
            np.ascontiguousarray(trees.parents, np.int16), self.environment.order
        )
        self._draws = [
            PrefixDraws(PrefixTree.build(actions[rows], weights[rows]))
            for weights, (rows, _) in zip(trees.weights, self._known, strict=True)
        ]

    def set_rates(self) -> None:
        """Give the environment the attachment rates of the trie in the middle."""
        trie = self._draws[self._middle].trie
        self.environment.rates = AttachmentRates.of(trie, self.environment.n_taxa)

    def states(self, generator: np.random.Generator) -> StateTargets:
        """Distinct prefixes at each temperature, with the exact choices there."""
        each = max(1, STATES_A_STEP // len(self._draws))
        parts = [draws.draw(each, generator) for draws in self._draws]
        sizes = [len(states) for states, _, _ in parts]
        states = InsertionStates.concat([states for states, _, _ in parts])
        offsets = np.cumsum([0, *sizes[:-1]])
        owner = np.concatenate([c[0] + at for (_, c, _), at in zip(parts, offsets, strict=True)])
        action = np.concatenate([choices[1] for _, choices, _ in parts])
        probability = np.concatenate([choices[2] for _, choices, _ in parts])
        weights = np.concatenate([weights for _, _, weights in parts])
        actions = self.environment.forward_actions(states)
        targets = np.zeros(len(actions))
        targets[actions.find(owner, action)] = probability
        tempered = self.tempered.with_temperature(states, np.repeat(self._trees.betas, sizes))
        return StateTargets(tempered, actions, targets, weights)


class TemperedMergingCurriculum(TemperedCurriculum):
    """For the merging environment: choices of histories that are drawn backward."""

    environment: MergingEnvironment

    def set_rates(self) -> None:
        """Give the environment the join rates of the trees at the temperature in the middle."""
        rows, _ = self._known[self._middle]
        weights = self._trees.weights[self._middle]
        self.environment.rates = JoinRates.of(self._trees.parents[rows], weights[rows])

    def states(self, generator: np.random.Generator) -> StateTargets:
        """The forests of histories of known trees, with the joins that were made there."""
        drawn = self._drawn(HISTORIES_A_STEP, generator)
        return history_targets(self.tempered, drawn, generator)


def fit_log_partition(objective: TrajectoryBalance, betas: np.ndarray, log_z: np.ndarray) -> None:
    """Set the learned log Z(beta) to estimates, so that training need not look for it.

    Parameters
    ----------
    objective : TrajectoryBalance
        With temperatures.
    betas, log_z : ndarray, shape (K,), float64
    """
    device = objective.log_z.device
    condition = torch.from_numpy(np.log(betas)).to(device)
    wanted = torch.from_numpy(log_z).to(device)
    parameters = list(objective.parameters())
    start = [parameter.detach().clone() for parameter in parameters]
    optimiser = torch.optim.LBFGS(parameters, max_iter=FIT_ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        miss = (objective.log_z_at(condition) - wanted).square().sum()
        moved = sum(
            (p - s).square().sum() for p, s in zip(parameters, start, strict=True)
        )  # of all curves through the estimates, one that is near the present one
        loss = miss + 1e-4 * moved
        loss.backward()
        return loss

    optimiser.step(closure)
    optimiser.zero_grad()
