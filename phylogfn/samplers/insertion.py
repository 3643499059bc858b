"""Topologies built by insertion: taxa are attached one after the other in a fixed order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gfncore.errors import UserError
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.taxon_order import taxon_order
from phylogfn.samplers.base import Data, State, log_evidence_of
from phylogfn.samplers.topologies import TopologySampler
from phylogfn.training.curricula import InsertionCurriculum
from phylogfn.trees.keys import taxon_codes

if TYPE_CHECKING:
    from phylogfn.settings import SampleSettings

__all__ = ["InsertionSampler"]


class InsertionSampler(TopologySampler):
    """Build each topology by its one history of insertions."""

    parts = True

    curriculum_by = InsertionCurriculum

    @classmethod
    def check(cls, settings: SampleSettings) -> None:
        """Refuse a backward policy that is not uniform, and branch lengths (UserError)."""
        if settings.backward_policy != "uniform":
            raise UserError(
                f"--backward-policy {settings.backward_policy}: needs --environment merging; by "
                "insertion, a topology has a single history, so there is no backward policy to "
                "learn"
            )
        if settings.branch_lengths != "collapsed":
            raise UserError(
                f"--branch-lengths {settings.branch_lengths}: needs --environment merging; by "
                "insertion, a branch is divided whenever a taxon is attached to it"
            )

    def prepare(self, run: Data, state: State) -> None:
        """Choose the order in which taxa are inserted, where there is none yet."""
        if state.order is None:
            table = state.table
            relative = np.exp(table.log_evidence - table.log_evidence.max())
            state.order = taxon_order(table.parents, relative, taxon_codes(run.alignment.n_taxa))

    def environment(self, run: Data, state: State) -> InsertionEnvironment:
        """Return a new environment with the attachment rates in the state."""
        assert state.order is not None
        constraints = state.walkers.reward.constraints
        environment = InsertionEnvironment(state.order, log_evidence_of(state), constraints)
        if isinstance(state.rates, AttachmentRates):
            environment.rates = state.rates
        return environment
