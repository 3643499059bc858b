"""The merging environment with branch lengths: a step joins two trees and draws branch lengths.

As in PhyloGFN (Zhou et al., ICLR 2024) a tree is built with its lengths: a join of two rooted trees
includes the lengths of the two branches that lead to them, and the last join the length of the
single branch that it adds. The reward of a tree with lengths is a density with respect to Lebesgue
measure on its 2n - 3 lengths, and so is its probability under a policy: the product of the
probabilities of the joins and of the densities of the lengths. A tree has many histories, wherever
its last branch is; all of them have the same lengths, so there is no Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gfncore.environment import Stepped
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.length_rates import LengthRates
from phylogfn.environments.merging import ForestStates, MergingEnvironment
from phylogfn.kernels import forest_lengths_numba, merging_numba
from phylogfn.likelihood.branch_prior import BranchPrior
from phylogfn.trees.constraints.splits import Constraints

__all__ = ["LengthForestStates", "MergingLengthsEnvironment"]


@dataclass(frozen=True)
class LengthForestStates(ForestStates):
    """Forests with branch lengths.

    Attributes
    ----------
    lengths : ndarray, shape (B, 2n), float64
        Of the branch above each node, expected substitutions per site; 0 where there is none.
    """

    lengths: np.ndarray

    def take(self, index: np.ndarray) -> LengthForestStates:
        """Return the given rows as a new batch."""
        return LengthForestStates(self.parents[index], self.counts[index], self.lengths[index])

    @staticmethod
    def concat(parts: Sequence[LengthForestStates]) -> LengthForestStates:  # pyright: ignore
        """Concatenate several batches into one."""
        return LengthForestStates(
            np.concatenate([part.parents for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.lengths for part in parts]),
        )


class MergingLengthsEnvironment(MergingEnvironment):
    """Environment that builds unrooted trees with branch lengths by joining rooted trees.

    Parameters
    ----------
    features : ForestFeatures
        Inputs of the network for each tree, in addition to its taxa; created with ``beta``.
    n_taxa : int
    log_density : callable
        Log reward (B,), nats, of trees: parents (B, 2n-2), int16, drawn at taxon 0, and their
        lengths (B, 2n-2), float64.
    branch_prior : BranchPrior
    constraints : Constraints, optional
        Splits that all trees display; None: there are none.

    Attributes
    ----------
    rates : JoinRates
    length_rates : LengthRates
        Initial logits and densities of the policy; may be replaced between training steps.
    """

    carries_values = True

    def __init__(
        self,
        features: ForestFeatures,
        n_taxa: int,
        log_density: Callable[[np.ndarray, np.ndarray], np.ndarray],
        branch_prior: BranchPrior,
        constraints: Constraints | None = None,
    ):
        def no_reward(trees: np.ndarray) -> np.ndarray:
            raise TypeError("a topology has no reward here: trees have lengths")

        super().__init__(features, n_taxa, no_reward, constraints)
        self.prior_rates = LengthRates.of_prior(n_taxa, branch_prior)
        self.length_rates = self.prior_rates
        self._log_density = log_density

    def initial(self, n: int) -> LengthForestStates:
        """Return forests of single taxa."""
        bare = super().initial(n)
        return LengthForestStates(bare.parents, bare.counts, np.zeros(bare.parents.shape))

    def step(
        self, states: LengthForestStates, action: np.ndarray, values: np.ndarray | None = None
    ) -> Stepped:
        """Join a pair of trees in each forest by branches of lengths ``values`` (B, 2)."""
        if values is None:
            raise TypeError("a join carries the lengths of its branches here")
        new = states.take(np.arange(len(states)))
        undo = np.empty(len(states), np.int64)
        codes, carried = np.asarray(action, np.int64), np.asarray(values, float)
        forest_lengths_numba.join(new.parents, new.counts, new.lengths, codes, carried, undo)
        return Stepped(new, undo)

    def backstep(self, states: LengthForestStates, action: np.ndarray) -> Stepped:
        """Undo a join in each forest; values are the lengths that it had carried."""
        new = states.take(np.arange(len(states)))
        redo, values = np.empty(len(states), np.int64), np.empty((len(states), 2))
        codes = np.asarray(action, np.int64)
        forest_lengths_numba.split(new.parents, new.counts, new.lengths, codes, redo, values)
        return Stepped(new, redo, values)

    def value_features(
        self, states: LengthForestStates, action: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return features of the lengths of a join of each forest, and which of the two exist.

        See `forest_lengths_numba.length_features`.
        """
        return self.length_rates.features(states.parents, states.counts, states.lengths, action)

    def _rows(self, states: LengthForestStates, state: np.ndarray, root: np.ndarray) -> np.ndarray:
        return self.features.rows_with_lengths(states.parents, states.lengths, state, root)

    def trees_with_lengths(self, states: LengthForestStates) -> tuple[np.ndarray, np.ndarray]:
        """Return parents (B, 2n-2), int16, of finished trees drawn at taxon 0, and lengths."""
        lengths = forest_lengths_numba.trees_of_states(states.lengths)
        return self.trees(states), lengths

    def terminals(self, trees: np.ndarray, lengths: np.ndarray | None = None) -> LengthForestStates:
        """Return the finished states of trees with lengths (B, 2n-2), parents drawn at taxon 0."""
        if lengths is None:
            raise TypeError("a finished tree has lengths here")
        parents, own = forest_lengths_numba.states_of_trees(
            np.ascontiguousarray(trees, np.int16), np.asarray(lengths, float)
        )
        return LengthForestStates(parents, np.ones(len(trees), np.int64), own)

    def log_reward(self, states: LengthForestStates) -> np.ndarray:
        """Log density of finished trees, nats."""
        return self._log_density(*self.trees_with_lengths(states))

    def keys(self, states: LengthForestStates) -> np.ndarray:
        """Return keys (B, 2), uint64, of forests with their lengths."""
        keys = merging_numba.state_keys(states.parents, states.counts)
        bits = np.ascontiguousarray(states.lengths).view(np.uint64)
        forest_lengths_numba.hash_lengths(bits, keys)
        return keys
