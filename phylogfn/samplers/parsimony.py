"""Samplers of near-optimal trees: what a run of ``phylogfn parsimony`` asks of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from phylogfn.alignments.patterns import SitePatterns
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.environments.taxon_order import taxon_order
from phylogfn.samplers.base import State
from phylogfn.training.tempered_curricula import (
    TemperedCurriculum,
    TemperedInsertionCurriculum,
    TemperedMergingCurriculum,
)

if TYPE_CHECKING:
    from phylogfn.alignments.characters import Characters
    from phylogfn.environments.base import TreeEnvironment

__all__ = ["PARSIMONY_SAMPLERS", "ParsimonyData", "ParsimonySampler"]

LogReward = Callable[[np.ndarray], np.ndarray]

FEATURES_FROM = 200  # trees of the table, drawn by weight, that the projection is fitted to


class ParsimonyData(Protocol):
    """The parts of a run that a sampler reads."""

    characters: Characters

    @property
    def n_taxa(self) -> int:
        """Taxa of the alignment."""
        ...

    def rng(self, purpose: str, *more: int) -> np.random.Generator:
        """Return the random generator of a purpose."""
        ...


class ParsimonySampler(ABC):
    """One way of building near-optimal trees: its environment and training.

    Attributes
    ----------
    curriculum : type
        Of the environment and the number of trajectories of a step.
    own_draws_every : int
        Steps from one with own draws to the next, once there are any.
    """

    curriculum: ClassVar[type[TemperedCurriculum]]
    own_draws_every: ClassVar[int]

    def prepare(self, state: State, beta: float) -> None:  # noqa: B027 - neutral default
        """Choose the fixed quantities from trees weighted at an inverse temperature."""

    @abstractmethod
    def environment(
        self, run: ParsimonyData, state: State, log_reward: LogReward
    ) -> TreeEnvironment:
        """Return a new environment with the rates that the state holds."""


class InsertionParsimony(ParsimonySampler):
    """Build each topology by its one history of insertions."""

    curriculum = TemperedInsertionCurriculum
    own_draws_every = 6

    def prepare(self, state: State, beta: float) -> None:
        """Choose the order in which taxa are inserted."""
        table = state.table
        weights = np.exp(beta * (state.search.best_score - table.scores))
        state.order = taxon_order(table.parents, weights, table.codes)

    def environment(
        self, run: ParsimonyData, state: State, log_reward: LogReward
    ) -> InsertionEnvironment:
        """Return a new environment with the attachment rates that the state holds."""
        assert state.order is not None
        environment = InsertionEnvironment(state.order, log_reward)
        if isinstance(state.rates, AttachmentRates):
            environment.rates = state.rates
        return environment


class MergingParsimony(ParsimonySampler):
    """Build topologies by joins; a topology has many histories."""

    curriculum = TemperedMergingCurriculum
    own_draws_every = 2

    def environment(
        self, run: ParsimonyData, state: State, log_reward: LogReward
    ) -> MergingEnvironment:
        """Return a new environment with the join rates that the state holds."""
        environment = MergingEnvironment(_fitch_features(run, state), run.n_taxa, log_reward)
        if isinstance(state.rates, JoinRates):
            environment.rates = state.rates
        return environment


def _fitch_features(run: ParsimonyData, state: State) -> ForestFeatures:
    """Return what the policy reads of rooted trees: Fitch's sets, projected."""
    data = run.characters
    patterns = SitePatterns(
        data.masks, data.weights, np.arange(data.n_characters, dtype=np.int32), data.n_states
    )
    frequencies = np.full(data.n_states, 1.0 / data.n_states)
    features = ForestFeatures(patterns, frequencies, None, state.projection)
    if state.projection is None:
        rng = run.rng("features")
        weights = np.exp(state.search.best_score - state.table.scores)
        rows = rng.choice(len(weights), FEATURES_FROM, p=weights / weights.sum())
        features.fit(state.table.parents[rows], rng)
        state.projection = (features.projection[0], features.projection[1])
    return features


PARSIMONY_SAMPLERS: dict[str, type[ParsimonySampler]] = {
    "insertion": InsertionParsimony,
    "merging": MergingParsimony,
}
"""By ``--environment``."""
