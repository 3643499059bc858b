"""Training of the policies that build trees with branch lengths.

Known topologies are weighted as for the other environments. Each that is taught gets lengths of its
own: draws around the mode of its collapsed reward, one of which is kept by its importance weight,
p(Y, b | topology) over the density it was drawn by. So the teacher's trees are close to draws from
the posterior, and maximum likelihood on their histories, drawn backward, closes nearly all of the
divergence; trajectory balance on the policy's own draws is there for what the teacher has not met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from gfncore.trajectories.batch import StateTargets
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.length_rates import LengthRates
from phylogfn.environments.merging_lengths import LengthForestStates, MergingLengthsEnvironment
from phylogfn.training.curricula import (
    HISTORIES_A_STEP,
    TRAJECTORIES_A_STEP,
    MergingCurriculum,
    history_targets,
)

if TYPE_CHECKING:
    from gfncore.policies import Policy
    from gfncore.training.trainer import Trainer
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward

__all__ = ["POOL", "TRIES", "LengthsCurriculum", "posterior_lengths"]

POOL = 3000  # trees with lengths that are taught between two refreshments
TRIES = 8  # lengths drawn for each, of which one is kept


def posterior_lengths(
    reward: CollapsedReward, table: TopologyTable, rows: np.ndarray, seed: int
) -> np.ndarray:
    """Lengths (B, 2n-2) of topologies, close to draws from their posterior.

    Parameters
    ----------
    reward : CollapsedReward
    table : TopologyTable
    rows : ndarray, shape (B,)
        Of the table, repeats allowed; each gets a draw of its own.
    seed : int
    """
    distinct, inverse = np.unique(rows, return_inverse=True)
    fit = reward.closed_form(table.parents[distinct], table.lengths[distinct])
    draws = reward.draw_lengths(table.parents[rows], fit.take(inverse), TRIES, seed)
    log_share = draws.log_weights - logsumexp(draws.log_weights, axis=1, keepdims=True)
    cumulative = np.cumsum(np.exp(log_share), axis=1)
    target = np.random.default_rng(seed).random(len(rows)) * cumulative[:, -1]
    chosen = np.minimum((cumulative < target[:, None]).sum(axis=1), TRIES - 1)
    return draws.lengths[np.arange(len(rows)), chosen]


class LengthsCurriculum(MergingCurriculum):
    """For the merging environment with lengths: choices and lengths of histories.

    Parameters
    ----------
    environment : MergingLengthsEnvironment
    table : TopologyTable
    reward : CollapsedReward
        What lengths are drawn by.
    seed : int
        Of these draws, together with how much the table holds, so that a resumed run repeats them.
    pool : int
        Trees with lengths that are taught between two refreshments.
    """

    def __init__(
        self,
        environment: MergingLengthsEnvironment,
        table: TopologyTable,
        reward: CollapsedReward,
        seed: int,
        pool: int = POOL,
    ):
        super().__init__(environment, table)
        self.environment: MergingLengthsEnvironment = environment
        self._reward = reward
        self._seed = seed
        self._pool = pool
        self._trees = np.zeros((0, 2 * environment.n_taxa - 2), np.int16)
        self._lengths = np.zeros(self._trees.shape)

    def refresh(self, log_z: float | None) -> None:
        """Weigh the topologies of the table as it stands, and draw trees with lengths from them."""
        super().refresh(log_z)
        rng = np.random.default_rng([self._seed, len(self.table), self.table.n_draws])
        rows = self._drawn(self._pool, rng)
        self._trees = self.table.parents[rows]
        seed = int(rng.integers(2**31))
        self._lengths = posterior_lengths(self._reward, self.table, rows, seed)

    def set_rates(self) -> None:
        """Give the environment the rates of joins and of lengths of the trees as they are drawn."""
        environment = self.environment
        environment.rates = JoinRates.of(self.table.parents[self._rows], self._weights)
        environment.length_rates = LengthRates.of(
            self._trees, self._lengths, np.ones(len(self._trees)), environment.prior_rates
        )

    def known(self, n: int, generator: np.random.Generator) -> LengthForestStates:
        """Trees (n,) of the teacher, drawn evenly."""
        some = generator.integers(len(self._trees), size=n)
        return self.environment.terminals(self._trees[some], self._lengths[some])

    def terminals(self, generator: np.random.Generator) -> LengthForestStates:
        """Trees of the teacher, for trajectory balance."""
        return self.known(TRAJECTORIES_A_STEP, generator)

    def states(self, generator: np.random.Generator) -> StateTargets:
        """The forests of histories of the teacher's trees, with the joins made there."""
        backward = self._backward_policy()
        terminals = self.known(HISTORIES_A_STEP, generator)
        return history_targets(self.environment, terminals, generator, backward)

    def _backward_policy(self) -> Policy | None:
        trainer: Trainer | None = self._trainer
        return None if trainer is None else trainer.backward_policy
