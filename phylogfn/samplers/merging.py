"""Topologies built by merging: subtrees of a forest are joined until one tree is left."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gfncore.backward import registry
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.samplers.base import BackwardParts, Data, State, log_evidence_of
from phylogfn.samplers.topologies import TopologySampler
from phylogfn.training.backward import make_backward_policy
from phylogfn.training.curricula import MergingCurriculum

__all__ = ["MergingSampler", "forest_features", "new_backward_policy"]

FEATURES_FROM = 200  # topologies of the table, drawn by evidence, that the projection is fitted to


class MergingSampler(TopologySampler):
    """Build topologies by joins; a topology has many histories."""

    curriculum_by = MergingCurriculum

    # the noise of the histories is averaged out at the end; insertion gained nothing by it
    rates_fall = True

    def environment(self, run: Data, state: State) -> MergingEnvironment:
        """Return a new environment with the join rates in the state."""
        features = forest_features(run, state)
        environment = MergingEnvironment(
            features,
            run.alignment.n_taxa,
            log_evidence_of(state),
            state.walkers.reward.constraints,
        )
        if isinstance(state.rates, JoinRates):
            environment.rates = state.rates
        return environment

    def backward_policy(self, environment: Any, seed: int, device: str) -> BackwardParts:
        """Return a new backward policy of the kind that the settings ask for."""
        return new_backward_policy(self.settings.backward_policy, environment, seed, device)


def new_backward_policy(
    kind: str, environment: MergingEnvironment, seed: int, device: str
) -> BackwardParts:
    """Return a new backward policy of a kind of the settings; None and None: uniform."""
    return registry.make_backward_policy(
        kind, lambda flow: make_backward_policy(environment, seed, device, flow)
    )


def forest_features(run: Data, state: State) -> ForestFeatures:
    """Return the features of rooted trees: fitted once, and kept in the checkpoint."""
    (model,) = state.walkers.reward.likelihood.model.parts
    table = state.table
    best = int(np.argmax(table.log_evidence))
    if state.branch_length is None:
        state.branch_length = float(table.lengths[best, 1:].mean())
    keep = math.exp(-model.decay * state.branch_length)
    features = ForestFeatures(run.patterns, model.frequencies, keep, state.projection, model.decay)
    if state.projection is None:
        relative = np.exp(table.log_evidence - table.log_evidence.max())
        rng = run.rng("features")
        rows = rng.choice(len(table), FEATURES_FROM, p=relative / relative.sum())
        features.fit(table.parents[rows], rng)
        state.projection = features.projection
    return features
