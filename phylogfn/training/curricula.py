"""Training of the policies on what the walks found and on their own draws.

Three sources, mixed in every step of the second kind:

* known topologies, weighted by how well the walks covered the posterior: by their collapsed
  evidence where the table holds nearly all of it, by the visits of the walks where it does not.
  Insertion: cross-entropy against the exact choices at distinct prefixes of their trie
  (`gfncore.training.prefix_tree`). Merging: against the choices of histories drawn backward;
* topologies on which the walks stood, by trajectory balance: they keep every mode in view;
* the policy's own draws, by trajectory balance: they find and close its leaks, and find new modes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import logsumexp

from gfncore.backward.base import BackwardTraining
from gfncore.environment import Environment
from gfncore.exploration import backward_trajectories, local_search
from gfncore.objectives.base import Objective, make_objective
from gfncore.policies import Backbone, Policy, ValueSpec
from gfncore.tempering import TemperatureRange, TemperedEnvironment
from gfncore.training.prefix_tree import PrefixTree
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import StateTargets, StateValues
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.base import TreeEnvironment
from phylogfn.environments.insertion import InsertionEnvironment, InsertionStates
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import ForestStates, MergingEnvironment
from phylogfn.kernels import insertion_numba

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.training.random_trees import RandomTrees

__all__ = [
    "Curriculum",
    "InsertionCurriculum",
    "MergingCurriculum",
    "PrefixDraws",
    "history_targets",
    "make_policy",
    "make_trainer",
]

STATES_A_STEP = 300
HISTORIES_A_STEP = 96
SEARCHED = 24  # of the known topologies of a step that local search changes
TRAJECTORIES_A_STEP = 96
NEGLIGIBLE = 16.0  # nats below the best topology: not worth teaching
LARGEST_WEIGHT = 0.005  # share of the sum that one topology may get
HIDDEN = 64


@dataclass(frozen=True)
class Learning:
    """How a policy is trained, by how many histories a topology has.

    Attributes
    ----------
    optimiser : {"adam", "muon"}
    rate : float
        Of the optimiser.
    average_decay : float
        Of the averaged policy, from which all is drawn that is weighed.
    defence : float
        Of the averaged policy, see `gfncore.policies.Policy`.
    """

    optimiser: str
    rate: float
    average_decay: float
    defence: float


SINGLE_HISTORIES = Learning("adam", 2e-3, 0.985, 0.02)
# histories are learned several times faster with Muon than with Adam; they are noisier than exact
# choices; and of n^2 joins of a state hardly any makes sense
MANY_HISTORIES = Learning("muon", 4e-3, 0.995, 0.002)


def make_policy(
    environment: TreeEnvironment,
    seed: int,
    device: str,
    conditioning: str = "none",
    lengths: ValueSpec | None = None,
    flow: bool = False,
) -> Policy:
    """A fresh policy; it starts as the rates of the environment are.

    `conditioning` says how temperatures enter, see `gfncore.policies.conditioning`; `lengths` what
    densities branch lengths have, where trees are built with them; `flow` whether the objective
    reads state flows.
    """
    torch.manual_seed(seed)
    backbone = Backbone(
        environment.node_features,
        environment.n_taxa + 1,
        environment.relations,
        HIDDEN,
        environment.rounds,
        context=environment.context,
    )
    heads = list(environment.heads)
    policy = Policy(backbone, heads, 1.0, flow, conditioning, lengths)
    return policy.to(device)


def make_trainer(
    environment: TreeEnvironment,
    policy: Policy,
    log_z: float,
    generator: np.random.Generator,
    pool: Executor | None,
    temperatures: TemperatureRange | None = None,
    backward_policy: Policy | None = None,
    backward_training: BackwardTraining | None = None,
    objective: Objective | None = None,
) -> Trainer:
    """A trainer whose sources a `Curriculum` sets step by step.

    With `temperatures`, its environment is the given one at many inverse temperatures. A
    `backward_policy` is trained with the policy, as `backward_training` says; None: uniform. The
    `objective` is that of trajectories; None: trajectory balance, whose log Z starts at `log_z`.
    """
    learning = SINGLE_HISTORIES if environment.is_tree else MANY_HISTORIES
    settings = TrainingSettings(
        steps=10**9,  # the caller decides when it is enough
        on_policy=0,
        optimiser=learning.optimiser,
        learning_rate=learning.rate,
        log_z_learning_rate=2e-2,
        clip_norm=1.0,
        average_decay=learning.average_decay,
    )
    tempered = temperatures is not None
    if objective is None:
        objective = make_objective(
            "trajectory_balance", log_z, "pseudo_huber", conditional=tempered
        )
    trainer = Trainer(
        TemperedEnvironment(environment, 1.0) if tempered else environment,
        policy,
        objective,
        settings,
        generator,
        temperatures=temperatures.draw if tempered else None,
        backward_policy=backward_policy,
        backward_training=backward_training,
    )
    trainer.averaged.policy.defence = learning.defence
    policy.pool = pool  # the average, a copy, draws in the pool's threads and must not wait for it
    return trainer


class PrefixDraws:
    """Draws of distinct prefixes of a trie: by the square root of their flow.

    Parameters
    ----------
    trie : PrefixTree
        Of insertions.
    """

    def __init__(self, trie: PrefixTree):
        self.trie = trie
        chance = np.sqrt(trie.flow)
        self._chance = chance / chance.sum()
        self._cumulative = np.cumsum(self._chance)

    def draw(
        self, n: int, generator: np.random.Generator
    ) -> tuple[InsertionStates, tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
        """At most n prefixes as states, their choices as in `PrefixTree.choices`, their weights.

        The weights are the other half of the flow.
        """
        drawn = np.searchsorted(self._cumulative, generator.random(n))
        trie = self.trie
        prefixes = np.unique(np.minimum(drawn, len(trie) - 1))
        depth = trie.depth[prefixes]
        parents = insertion_numba.states_of_actions(trie.sequences[trie.row[prefixes]], depth)
        weights = trie.flow[prefixes] / self._chance[prefixes]
        return InsertionStates(parents, depth + 3), trie.choices(prefixes), weights


def history_targets(
    environment: Environment,
    terminals: Any,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
) -> StateTargets:
    """The states of histories of finished trees, drawn backward, with the choices made there."""
    paths = backward_trajectories(environment, terminals, generator, backward_policy)
    taken = paths.class_index[paths.class_index >= 0]
    times = np.bincount(taken, minlength=len(paths.actions)).astype(float)
    visits = np.bincount(paths.actions.state, times, minlength=len(paths.states))
    targets = times / visits[paths.actions.state]
    values = None
    if paths.values is not None:
        values = StateValues(taken, paths.values[paths.class_index >= 0])
    return StateTargets(paths.states, paths.actions, targets, visits, values)


class Curriculum(ABC):
    """Chooses what a trainer is taught from a table of topologies.

    Parameters
    ----------
    table : TopologyTable
    random_trees : RandomTrees, optional
        Taught in every step, or every few steps, once the known topologies are known well; drawn
        anew with each refreshment.
    """

    environment: TreeEnvironment
    random_every = 1  # steps

    def __init__(self, table: TopologyTable, random_trees: RandomTrees | None = None):
        self.table = table
        self._random_trees = random_trees
        self._random_due = True
        self._log_z = 0.0  # of all topologies, without their prior
        self._rows = np.zeros(0, np.int64)  # of the table, that are taught
        self._weights = np.zeros(0)
        self._shares = np.zeros(0)

    def refresh(self, log_z: float | None) -> None:
        """Weigh the topologies of the table as it stands.

        Parameters
        ----------
        log_z : float, optional
            Log evidence of all topologies (closed form, without the prior of topologies), if the
            table may hold only a part of it. None: the table holds nearly all.
        """
        evidence = self.table.log_evidence
        self._log_z = float(np.asarray(logsumexp(evidence))) if log_z is None else log_z
        weights = np.exp(evidence - evidence.max())
        if log_z is None:
            keep = weights > np.exp(-NEGLIGIBLE)
        else:
            weights = self._expanded(np.exp(evidence - log_z))
            keep = weights > 0.0
        self._rows = np.flatnonzero(keep)
        self._weights = weights[self._rows]
        share = np.cumsum(self._weights)
        self._shares = share / share[-1]
        self._random_due = True

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

    @abstractmethod
    def set_rates(self) -> None:
        """Give the environment the rates of the topologies as they are weighed."""

    @abstractmethod
    def states(self, generator: np.random.Generator) -> StateTargets:
        """States with the choices that the policy should make there."""

    def _drawn(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Rows (n,) of the table, drawn by weight."""
        drawn = np.searchsorted(self._shares, generator.random(n))
        return self._rows[np.minimum(drawn, len(self._rows) - 1)]

    def terminals(self, generator: np.random.Generator) -> Any:
        """Known topologies, drawn by their weights."""
        rows = self._drawn(TRAJECTORIES_A_STEP, generator)
        return self.environment.terminals(self.table.parents[rows])

    def teach(self, trainer: Trainer, own_draws: bool) -> dict:
        """One step of the trainer; with ``own_draws``, by trajectory balance as well."""
        step = trainer.step_number
        trainer.known_batches = None
        if self._random_trees is not None and step >= self._random_trees.from_step:
            if self._random_due:
                self._random_trees.refresh(trainer, self.table, self._log_z)
                self._random_due = False
            if step % self.random_every == 0:
                trainer.known_batches = self._random_trees.draw
        trainer.state_batches = self.states
        balanced = own_draws or trainer.known_batches is not None
        trainer.terminal_batches = self.terminals if balanced else None
        trainer.on_policy = TRAJECTORIES_A_STEP if own_draws else 0
        return trainer.step()


class InsertionCurriculum(Curriculum):
    """For the insertion environment: exact choices at the prefixes of a trie.

    Parameters
    ----------
    environment : InsertionEnvironment
    table : TopologyTable
    random_trees : RandomTrees, optional
    """

    def __init__(
        self,
        environment: InsertionEnvironment,
        table: TopologyTable,
        random_trees: RandomTrees | None = None,
    ):
        super().__init__(table, random_trees)
        self.environment: InsertionEnvironment = environment

    def refresh(self, log_z: float | None) -> None:
        """Weigh the topologies of the table as it stands, and build their trie anew."""
        super().refresh(log_z)
        actions = insertion_numba.actions_of_trees(
            self.table.parents[self._rows], self.environment.order
        )
        self._trie = PrefixTree.build(actions, self._weights)
        self._draws = PrefixDraws(self._trie)

    def set_rates(self) -> None:
        """Give the environment the attachment rates of the trie as it stands."""
        self.environment.rates = AttachmentRates.of(self._trie, self.environment.n_taxa)

    def states(self, generator: np.random.Generator) -> StateTargets:
        """Distinct prefixes with the exact choices there, see `PrefixDraws`."""
        states, choices, weights = self._draws.draw(STATES_A_STEP, generator)
        actions = self.environment.forward_actions(states)
        owner, action, probability = choices
        targets = np.zeros(len(actions))
        targets[actions.find(owner, action)] = probability
        return StateTargets(states, actions, targets, weights)


class MergingCurriculum(Curriculum):
    """For the merging environment: choices of histories that are drawn backward.

    Of the known topologies that are taught beside the policy's own draws, some are replaced by what
    local search makes of them: some of their joins undone, and made again by the policy.

    Parameters
    ----------
    environment : MergingEnvironment
    table : TopologyTable
    random_trees : RandomTrees, optional
    """

    random_every = 2  # their histories share hardly a state, so that they cost most of a step

    def __init__(
        self,
        environment: MergingEnvironment,
        table: TopologyTable,
        random_trees: RandomTrees | None = None,
    ):
        super().__init__(table, random_trees)
        self.environment: MergingEnvironment = environment
        self._trainer: Trainer | None = None

    def teach(self, trainer: Trainer, own_draws: bool) -> dict:
        """One step of the trainer; with ``own_draws``, by trajectory balance as well."""
        self._trainer = trainer  # whose policies draw histories and rebuild
        return super().teach(trainer, own_draws)

    def terminals(self, generator: np.random.Generator) -> ForestStates:
        """Known topologies, drawn by their weights, and neighbours of some of them."""
        known = super().terminals(generator)
        assert self._trainer is not None
        n = self.environment.n_taxa
        some, rest = np.arange(SEARCHED), np.arange(SEARCHED, len(known))
        found = local_search(
            self.environment,
            self._trainer.policy,
            known.take(some),
            self.environment.log_reward(known.take(some)),
            max(2, n // 4),
            generator,
            fewest_steps=2,
            backward_policy=self._trainer.backward_policy,
        )
        return ForestStates.concat([found.proposals, known.take(rest)])

    def set_rates(self) -> None:
        """Give the environment the join rates of the topologies as they are weighed."""
        self.environment.rates = JoinRates.of(self.table.parents[self._rows], self._weights)

    def states(self, generator: np.random.Generator) -> StateTargets:
        """The forests of histories of known topologies, with the joins that were made there."""
        rows = self._drawn(HISTORIES_A_STEP, generator)
        terminals = self.environment.terminals(self.table.parents[rows])
        backward = None if self._trainer is None else self._trainer.backward_policy
        return history_targets(self.environment, terminals, generator, backward)
