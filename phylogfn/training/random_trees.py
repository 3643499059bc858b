"""Trees built by random steps: they teach a sampler how unlikely trees far from the posterior are.

The known trees and the sampler's own draws lie within some nats of the posterior; steps at random
lead hundreds or thousands of nats below it, where otherwise all trees seem about as unlikely as
each other. PhyloGFN trains on trajectories with random actions for the same end (Zhou et al., ICLR
2024). Their balance is to hold in proportion, not to a nat: residuals are measured in `SCALE` nats,
which keeps these trees from drowning the others.

Beside them stand overrated trees: those that policies have drawn though they hardly ever should.
They are too rare for the other losses to see, but decide how well log q and log R agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gfncore.evaluation.object_probability import log_object_probabilities
from gfncore.exploration import sample_trajectories
from gfncore.trajectories.batch import KnownObjects

if TYPE_CHECKING:
    from gfncore.policies import Policy
    from gfncore.training.trainer import Trainer
    from phylogfn.environments.base import TreeEnvironment
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward

__all__ = ["BATCH", "FROM_STEP", "RandomTrees"]

SHARES = (0.1, 0.3, 0.3, 0.5, 0.7)  # of random steps, one batch of each is drawn
JUDGED = 0.5  # of one more batch, on which the policy is judged before it learns from it
PATHS = 8  # histories of a tree, for this, where it has many
BATCH = 96  # trees
FROM_STEP = 240  # of training, from which on they are taught
A_STEP = 64  # trees that a step of training gets
SCALE = 30.0  # nats
TOO_MUCH = 1.5  # nats by which log q of an overrated tree is above its target
CANDIDATES = 512  # topologies drawn with the largest excess, which are looked at
OVERRATED_A_STEP = 48


class RandomTrees:
    """Topologies drawn with random steps, overrated ones, and their rewards.

    Parameters
    ----------
    environment : TreeEnvironment
    reward : CollapsedReward
        What is drawn is evaluated, and does not go into the table of topologies.
    seed : int
    batch : int
        Trees drawn with each share of random steps.
    from_step : int
        Step of training from which on they are taught.

    Attributes
    ----------
    from_step : int
    correlation : float, optional
        Pearson's r of the policy's log-probability with log R over the trees last drawn with a
        share `JUDGED` of random steps, before the policy learned from them. None: not drawn yet.
    """

    def __init__(
        self,
        environment: TreeEnvironment,
        reward: CollapsedReward,
        seed: int,
        batch: int = BATCH,
        from_step: int = FROM_STEP,
    ):
        self._environment = environment
        self._reward = reward
        self._seed = seed
        self._batch = batch
        self.from_step = from_step
        self._parents = np.zeros((0, 2 * environment.n_taxa - 2), np.int16)
        self._log_reward = np.zeros(0)
        self._overrated_parents, self._overrated_log_reward = self._parents, self._log_reward
        self.correlation: float | None = None

    def judge(self, policy: Policy, step: int) -> float:
        """Measure `correlation` of a policy, after a step of training, on trees drawn for it."""
        rng = np.random.default_rng([self._seed, step])
        parents, log_reward = self._sampled(policy, JUDGED, rng)
        return self._judged(policy, parents, log_reward, rng)

    def refresh(self, trainer: Trainer, table: TopologyTable, log_z: float) -> None:
        """Draw all random trees anew, judge the policy on some of them, look for overrated ones.

        Parameters
        ----------
        trainer : Trainer
            Its averaged policy takes the steps that are not random. Draws depend on its step and
            on the seed alone, so that a resumed run repeats them.
        table : TopologyTable
            With what policies have drawn.
        log_z : float
            Log evidence of all topologies, without their prior.
        """
        policy, step = trainer.averaged.policy, trainer.step_number
        rng = np.random.default_rng([self._seed, step])
        drawn = [self._sampled(policy, share, rng) for share in (JUDGED, *SHARES)]
        self._judged(policy, *drawn[0], rng)
        self._parents = np.concatenate([parents for parents, _ in drawn])
        self._log_reward = np.concatenate([log_reward for _, log_reward in drawn])
        rows = self._overrated(trainer.policy, table, log_z, rng)
        self._overrated_parents = table.parents[rows]
        self._overrated_log_reward = table.log_evidence[rows] + self._reward.log_topology_prior

    def _overrated(
        self, policy: Policy, table: TopologyTable, log_z: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Rows of topologies that were drawn and to which the policy gives too much."""
        target = table.log_evidence - log_z
        excess = table.log_q - target
        rows = np.argsort(-excess, kind="stable")[:CANDIDATES]
        rows = rows[excess[rows] > TOO_MUCH]
        if not len(rows):
            return rows
        terminals = self._environment.terminals(table.parents[rows])
        log_q = log_object_probabilities(self._environment, policy, terminals, PATHS, rng)
        return rows[log_q - target[rows] > TOO_MUCH]

    def _sampled(
        self, policy: Policy, share: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Trees drawn with a share of random steps, int16 (B, 2n-2), and their log R (B,)."""
        environment = self._environment
        drawn = sample_trajectories(environment, policy, self._batch, rng, epsilon=share)
        parents = environment.trees(drawn.terminals)
        found = self._reward.closed_form(parents)
        return parents, found.log_evidence + self._reward.log_topology_prior

    def _judged(
        self, policy: Policy, parents: np.ndarray, log_reward: np.ndarray, rng: np.random.Generator
    ) -> float:
        terminals = self._environment.terminals(parents)
        log_q = log_object_probabilities(self._environment, policy, terminals, PATHS, rng)
        self.correlation = float(np.corrcoef(log_q, log_reward)[0, 1])
        return self.correlation

    def draw(self, generator: np.random.Generator) -> KnownObjects:
        """Some random and some overrated trees, for one step of training."""
        some = generator.integers(len(self._parents), size=A_STEP)
        over = generator.permutation(len(self._overrated_parents))[:OVERRATED_A_STEP]
        terminals = self._environment.terminals(
            np.concatenate([self._parents[some], self._overrated_parents[over]])
        )
        log_reward = np.concatenate([self._log_reward[some], self._overrated_log_reward[over]])
        return KnownObjects(terminals, log_reward, np.repeat([SCALE, 1.0], [A_STEP, len(over)]))
