"""The draws that judged the last cycles of training, kept as what the next cycles teach.

A tree that the search did not find stands, at the inverse temperature at which a policy drew it,
for all its likes: by its importance weight R / (q n). Cycles count by how good their draws were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gfncore.evaluation import WeightedDraws
from phylogfn.estimates.tempered import TemperedDraws
from phylogfn.parsimony.table import ParsimonyTable
from phylogfn.training.tempered_curricula import WeightedTrees

__all__ = ["Pilots"]

MEMORY = 10  # cycles
LARGEST_WEIGHT = 0.01


@dataclass(frozen=True)
class Pilots:
    """Trees outside those of the search.

    Attributes
    ----------
    betas : ndarray, shape (K,), float64
        Inverse temperatures of the draws of every cycle.
    ess : ndarray, shape (C, K), float64
        Effective number of the draws, by cycle, the oldest first.
    parents : ndarray, shape (N, 2n-2), int16
    cycle, place : ndarray, shape (N,), int64
        Row and column of `ess` that a tree belongs to.
    log_weights : ndarray, shape (N,), float64
        log R / (q n).
    """

    betas: np.ndarray
    ess: np.ndarray
    parents: np.ndarray
    cycle: np.ndarray
    place: np.ndarray
    log_weights: np.ndarray

    @classmethod
    def none(cls, betas: np.ndarray, n_taxa: int) -> Pilots:
        """Nothing drawn yet."""
        nothing = np.zeros(0, np.int64)
        parents = np.zeros((0, 2 * n_taxa - 2), np.int16)
        return cls(betas, np.zeros((0, len(betas))), parents, nothing, nothing, np.zeros(0))

    def after(
        self,
        draws: list[TemperedDraws],
        outside: list[np.ndarray],
        weighted: list[WeightedDraws],
    ) -> Pilots:
        """With the draws of one more cycle.

        Parameters
        ----------
        draws : list of TemperedDraws
            One for each of `betas`.
        outside : list of ndarray, shape (n,), bool
            Which of them the search had not found.
        weighted : list of WeightedDraws
            The same draws with their weights.
        """
        drop = max(0, len(self.ess) + 1 - MEMORY)
        kept = self.cycle >= drop
        parents, cycle, place, weights = [self.parents[kept]], [self.cycle[kept] - drop], [], []
        place.append(self.place[kept])
        weights.append(self.log_weights[kept])
        now = len(self.ess) - drop
        for k, (drawn, new, one) in enumerate(zip(draws, outside, weighted, strict=True)):
            parents.append(drawn.parents[new])
            cycle.append(np.full(int(new.sum()), now))
            place.append(np.full(int(new.sum()), k))
            weights.append(one.log_weights[new] - np.log(len(new)))
        return Pilots(
            self.betas,
            np.concatenate([self.ess[drop:], [[one.ess for one in weighted]]]),
            np.concatenate(parents),
            np.concatenate(cycle),
            np.concatenate(place),
            np.concatenate(weights),
        )

    def weigh(
        self, found: ParsimonyTable, reference: float, largest_weight: float = LARGEST_WEIGHT
    ) -> WeightedTrees:
        """The trees of the search with their exact weights, and these with theirs.

        `reference` is the score of weight 1; `largest_weight` is the largest share of the sum that
        one tree met by luck may get.
        """
        met = ParsimonyTable(found.n_taxa)
        rows = met.add(self.parents, np.zeros(len(self.parents)))
        share = self.ess / np.maximum(self.ess.sum(axis=0), 1e-300)
        known = np.exp(self.betas[:, None] * (reference - found.scores))
        lucky = np.zeros((len(self.betas), len(met)))
        values = np.exp(self.log_weights) * share[self.cycle, self.place]
        np.add.at(lucky, (self.place, rows), values)
        most = largest_weight * (known.sum(axis=1) + lucky.sum(axis=1))
        return WeightedTrees(
            np.concatenate([found.parents, met.parents]),
            self.betas,
            np.concatenate([known, np.minimum(lucky, most[:, None])], axis=1),
        )

    def state(self) -> dict[str, np.ndarray]:
        """As arrays, for a checkpoint."""
        return {
            "betas": self.betas,
            "ess": self.ess,
            "parents": self.parents,
            "cycle": self.cycle,
            "place": self.place,
            "log_weights": self.log_weights,
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Pilots:
        """The pilots that `state` described."""
        return cls(**state)
