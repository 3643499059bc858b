"""Trees with branch lengths, built by merging: each join draws the lengths of its two branches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.errors import UserError
from gfncore.objectives.registry import find_objective
from gfncore.policies import ValueSpec
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging_lengths import MergingLengthsEnvironment
from phylogfn.estimates.collapsed import Drawn
from phylogfn.estimates.with_lengths import DrawnTrees, divergence, draw_trees, estimate_trees
from phylogfn.kernels.forest_lengths_numba import FEATURES
from phylogfn.likelihood.branch_prior import parse_branch_prior
from phylogfn.samplers.base import BackwardParts, Data, State, TreeSampler
from phylogfn.samplers.merging import forest_features, new_backward_policy
from phylogfn.settings import parse_length_bins
from phylogfn.training.lengths_curriculum import LengthsCurriculum, posterior_lengths

if TYPE_CHECKING:
    from gfncore.evaluation import PartitionEstimate
    from phylogfn.settings import SampleSettings
    from phylogfn.training.curricula import Curriculum
    from phylogfn.training.random_trees import RandomTrees

__all__ = ["MergingLengthsSampler"]


class MergingLengthsSampler(TreeSampler):
    """Build trees with their branch lengths by joins."""

    draw_by = staticmethod(draw_trees)

    rates_fall = True  # as for `MergingSampler`

    @classmethod
    def check(cls, settings: SampleSettings) -> None:
        """Refuse random trees, state flows and priors with bounds (UserError)."""
        if find_objective(settings.objective).load().needs_flow:
            raise UserError(
                f"--objective {settings.objective}: needs --branch-lengths collapsed; flows of "
                "unfinished trees are not learned with branch lengths"
            )
        if settings.random_trees:
            raise UserError("--random-trees: needs --branch-lengths collapsed")
        if parse_branch_prior(settings.branch_prior).bounded:
            raise UserError(
                f"--branch-prior {settings.branch_prior}: needs --branch-lengths collapsed; "
                "lengths that a network draws have no bounds"
            )

    def environment(self, run: Data, state: State) -> MergingLengthsEnvironment:
        """Return a new environment with the rates of joins and lengths in the state."""
        reward = state.walkers.reward
        environment = MergingLengthsEnvironment(
            forest_features(run, state),
            run.alignment.n_taxa,
            lambda trees, lengths: (
                reward.log_likelihoods(trees, lengths) + reward.log_priors(lengths, trees)
            ),
            reward.branch_prior,
            reward.constraints,
        )
        if isinstance(state.rates, JoinRates):
            environment.rates = state.rates
        if state.length_rates is not None:
            environment.length_rates = state.length_rates
        return environment

    def value_spec(self) -> ValueSpec:
        """Return the densities of branch lengths that the settings ask for."""
        bins = parse_length_bins(self.settings.length_bins)
        return ValueSpec(self.settings.branch_lengths, FEATURES, *bins)

    def backward_policy(self, environment: Any, seed: int, device: str) -> BackwardParts:
        """Return a new backward policy of the kind that the settings ask for."""
        return new_backward_policy(self.settings.backward_policy, environment, seed, device)

    def curriculum(
        self,
        run: Data,
        state: State,
        environment: Any,
        random_trees: RandomTrees | None,
        n_pool: int,
    ) -> Curriculum:
        """Return the curriculum, which learns from n_pool trees with lengths drawn by weight."""
        seed = int(run.rng("lengths").integers(2**31))
        return LengthsCurriculum(environment, state.table, state.walkers.reward, seed, n_pool)

    def keep_rates(self, state: State, environment: Any) -> None:
        """Copy the rates of joins and lengths into the state for checkpoints."""
        super().keep_rates(state, environment)
        state.length_rates = environment.length_rates

    def estimate(self, state: State, drawn: Drawn, n_known: int) -> PartitionEstimate:
        """Return the evidence that the draws give."""
        assert isinstance(drawn, DrawnTrees)
        return estimate_trees(drawn, n_known)

    def divergence(
        self, run: Data, state: State, environment: Any, estimate: PartitionEstimate, n: int
    ) -> tuple[float, float]:
        """Return the divergence from the posterior on known topologies and its error, nats."""
        rng = run.rng("pilot", 0, state.cycles)
        mass = np.exp(state.table.log_evidence - state.table.log_evidence.max())
        rows = rng.choice(len(mass), n, p=mass / mass.sum())
        seed = int(rng.integers(2**31))
        lengths = posterior_lengths(state.walkers.reward, state.table, rows, seed)
        trees = environment.terminals(state.table.parents[rows], lengths)
        policy, backward = state.trainer.averaged.policy, state.trainer.backward_policy
        missed, error = divergence(
            environment, policy, trees, estimate.log_z, run.rng("pilot"), backward
        )
        return missed, math.hypot(error, estimate.standard_error)
