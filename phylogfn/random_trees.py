"""Trees with random joins: what teaches a sampler how unlikely trees far from the posterior are.

The known trees and the sampler's own draws lie within some nats of the posterior; joins at random
lead hundreds or thousands of nats below it, where otherwise all trees seem about as unlikely as
each other. PhyloGFN trains on trajectories with random actions for the same end (Zhou et al., ICLR
2024). Their balance is to hold in proportion, not to a nat: residuals are measured in `SCALE` nats,
which keeps these trees from drowning the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gfncore.evaluation.object_probability import log_object_probabilities
from gfncore.exploration import sample_trajectories
from gfncore.trajectories import KnownObjects

if TYPE_CHECKING:
    from gfncore.policies import Policy
    from phylogfn.environments.merging import MergingEnvironment
    from phylogfn.evidence import CollapsedReward

__all__ = ["RandomTrees"]

SHARES = (0.1, 0.3, 0.5, 0.3, 0.7, 1.0)  # of random joins, one batch of each is drawn
JUDGED = 0.5  # the batch on which the policy is judged before it learns from it
PATHS = 8  # histories of a tree, for this
BATCH = 96  # trees
A_STEP = 64  # trees that a step of training gets
SCALE = 30.0  # nats


class RandomTrees:
    """Topologies drawn with random joins, and their rewards.

    Parameters
    ----------
    environment : MergingEnvironment
    reward : CollapsedReward
        What is drawn is evaluated, and does not go into the table of topologies.
    seed : int

    Attributes
    ----------
    correlation : float, optional
        Pearson's r of the policy's log-probability with log R over the trees last drawn with a
        share `JUDGED` of random joins, before the policy learned from them. None: not drawn yet.
    """

    def __init__(self, environment: MergingEnvironment, reward: CollapsedReward, seed: int):
        self._environment = environment
        self._reward = reward
        self._seed = seed
        self._parents = np.zeros((0, 2 * environment.n_taxa - 2), np.int16)
        self._log_reward = np.zeros(0)
        self.correlation: float | None = None

    def refresh(self, policy: Policy, step: int) -> None:
        """Draw all trees anew, and judge the policy on some of them.

        Parameters
        ----------
        policy : Policy
            Chooses the joins that are not random.
        step : int
            Of training: the draws depend on it and on the seed alone, so that a resumed run
            repeats them.
        """
        environment = self._environment
        rng = np.random.default_rng([self._seed, step])
        drawn = [
            sample_trajectories(environment, policy, BATCH, rng, epsilon=share).terminals
            for share in SHARES
        ]
        self._parents = np.concatenate([environment.trees(terminals) for terminals in drawn])
        found = self._reward.closed_form(self._parents)
        self._log_reward = found.log_evidence + self._reward.log_topology_prior
        judged = drawn[SHARES.index(JUDGED)]
        log_q = log_object_probabilities(environment, policy, judged, PATHS, rng)
        start = BATCH * SHARES.index(JUDGED)
        log_reward = self._log_reward[start : start + BATCH]
        self.correlation = float(np.corrcoef(log_q, log_reward)[0, 1])

    def draw(self, generator: np.random.Generator) -> KnownObjects:
        """Some of the trees, for one step of training."""
        some = generator.integers(len(self._parents), size=A_STEP)
        terminals = self._environment.terminals(self._parents[some])
        return KnownObjects(terminals, self._log_reward[some], np.full(A_STEP, SCALE))
