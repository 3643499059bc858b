"""Training of the insertion policy on what the walks found and on its own draws.

Three sources, mixed in every step of the second kind:

* the trie of known topologies, weighted by how well the walks covered the posterior: by their
  collapsed evidence where the table holds nearly all of it, by the visits of the walks where it
  does not; cross-entropy against the exact choices at distinct prefixes (`gfncore.prefix_tree`);
* topologies on which the walks stood, by trajectory balance: they keep every mode in view;
* the policy's own draws, by trajectory balance: they find and close its leaks, and find new modes.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from gfncore.objectives import make_objective
from gfncore.policies import Backbone, HeadSpec, Policy
from gfncore.prefix_tree import PrefixTree
from gfncore.training import Trainer, TrainingSettings
from gfncore.trajectories import StateTargets
from phylogfn.attachment_rates import AttachmentRates
from phylogfn.environments.insertion import InsertionEnvironment, InsertionStates
from phylogfn.kernels import insertion_numba

if TYPE_CHECKING:
    from phylogfn.topologies import TopologyTable

__all__ = ["Curriculum", "make_policy", "make_trainer"]

STATES_A_STEP = 300
TRAJECTORIES_A_STEP = 96
NEGLIGIBLE = 16.0  # nats below the best topology: not worth teaching
LARGEST_WEIGHT = 0.005  # share of the sum that one topology may get
DEFENCE = 0.02  # of the averaged policy, from which all is drawn that is weighed
HIDDEN = 64
ROUNDS = 2
RELATIONS = 2
LEARNING_RATE = 2e-3
AVERAGE_DECAY = 0.985


def make_policy(n_taxa: int, seed: int, device: str) -> Policy:
    """A fresh policy for the insertion of n taxa; it starts as the attachment rates are."""
    import torch

    torch.manual_seed(seed)
    backbone = Backbone(n_taxa + 1, n_taxa + 1, RELATIONS, HIDDEN, ROUNDS)
    return Policy(backbone, [HeadSpec("node")], initial_scale=1.0).to(device)


def make_trainer(
    environment: InsertionEnvironment,
    policy: Policy,
    log_z: float,
    generator: np.random.Generator,
    pool: Executor | None,
) -> Trainer:
    """A trainer whose sources a `Curriculum` sets step by step."""
    settings = TrainingSettings(
        steps=10**9,  # the caller decides when it is enough
        on_policy=0,
        learning_rate=LEARNING_RATE,
        log_z_learning_rate=2e-2,
        clip_norm=1.0,
        average_decay=AVERAGE_DECAY,
    )
    objective = make_objective("trajectory_balance", log_z, "pseudo_huber")
    trainer = Trainer(environment, policy, objective, settings, generator)
    trainer.averaged.policy.defence = DEFENCE
    policy.pool = pool  # the average, a copy, draws in the pool's threads and must not wait for it
    return trainer


class Curriculum:
    """Chooses what a trainer is taught from a table of topologies.

    Parameters
    ----------
    environment : InsertionEnvironment
    table : TopologyTable
    """

    def __init__(self, environment: InsertionEnvironment, table: TopologyTable):
        self.environment = environment
        self.table = table

    def refresh(self, log_z: float | None) -> None:
        """Build the trie anew from the table as it stands.

        Parameters
        ----------
        log_z : float, optional
            Log evidence of all topologies (closed form, without the prior of topologies), if the
            table may hold only a part of it. None: the table holds nearly all.
        """
        evidence = self.table.log_evidence
        weights = np.exp(evidence - evidence.max())
        if log_z is None:
            keep = weights > np.exp(-NEGLIGIBLE)
        else:
            weights = self._expanded(np.exp(evidence - log_z))
            keep = weights > 0.0
        self._rows = np.flatnonzero(keep)
        actions = insertion_numba.actions_of_trees(
            self.table.parents[self._rows], self.environment.order
        )
        self._trie = PrefixTree.build(actions, weights[self._rows])
        chance = np.sqrt(self._trie.flow)
        self._chance = chance / chance.sum()
        self._cumulative = np.cumsum(self._chance)
        share = np.cumsum(weights[self._rows])
        self._shares = share / share[-1]

    def _expanded(self, probability: np.ndarray) -> np.ndarray:
        """Weights (size,) by which the topologies met so far stand for the whole posterior.

        A topology of probability p was met by D distinct visits of the walks, which come from the
        posterior, and by n draws of policies that gave it q: expected lambda = D p + n q times. It
        stands for p / min(1, lambda): for itself where it was bound to be met, for its likes where
        it was met by luck (Horvitz & Thompson 1952). Weights are cut at `LARGEST_WEIGHT` of their
        sum.
        """
        visited = self.table.visits > 0
        drawn = np.exp(self.table.log_q) * self.table.n_draws
        met = np.where(visited, np.count_nonzero(visited) * probability, 0.0) + drawn
        known = met > 0.0
        weights = np.zeros(len(met))
        weights[known] = probability[known] / np.minimum(met[known], 1.0)
        return np.minimum(weights, LARGEST_WEIGHT * weights.sum())

    def set_rates(self) -> None:
        """Give the environment the attachment rates of the trie as it stands."""
        self.environment.rates = AttachmentRates.of(self._trie, self.environment.n_taxa)

    @property
    def n_prefixes(self) -> int:
        """Distinct partial trees in the trie."""
        return len(self._trie)

    def states(self, generator: np.random.Generator) -> StateTargets:
        """Distinct prefixes with the exact choices there.

        Drawn by the square root of their flow and weighted by the other half of it.
        """
        drawn = np.searchsorted(self._cumulative, generator.random(STATES_A_STEP))
        prefixes = np.unique(np.minimum(drawn, len(self._trie) - 1))
        trie = self._trie
        depth = trie.depth[prefixes]
        parents = insertion_numba.states_of_actions(trie.sequences[trie.row[prefixes]], depth)
        states = InsertionStates(parents, depth + 3)
        actions = self.environment.forward_actions(states)
        owner, action, probability = trie.choices(prefixes)
        targets = np.zeros(len(actions))
        targets[actions.find(owner, action)] = probability
        return StateTargets(states, actions, targets, trie.flow[prefixes] / self._chance[prefixes])

    def terminals(self, generator: np.random.Generator) -> InsertionStates:
        """Known topologies, drawn by their weights."""
        drawn = np.searchsorted(self._shares, generator.random(TRAJECTORIES_A_STEP))
        rows = self._rows[np.minimum(drawn, len(self._rows) - 1)]
        return self.environment.terminals(self.table.parents[rows])

    def teach(self, trainer: Trainer, own_draws: bool) -> dict:
        """One step of the trainer; with ``own_draws``, by trajectory balance as well."""
        trainer.state_batches = self.states
        trainer.terminal_batches = self.terminals if own_draws else None
        trainer.on_policy = TRAJECTORIES_A_STEP if own_draws else 0
        return trainer.step()
