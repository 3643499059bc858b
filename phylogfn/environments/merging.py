"""The merging environment: a forest of rooted trees, joined in pairs until one tree is left.

The environment of PhyloGFN (Zhou et al., ICLR 2024): it begins with single taxa, and a step joins
two trees under a new root. The last join makes an unrooted tree: one branch between the two roots.
A topology has many histories, so there is a backward policy: uniform over the trees whose last join
could be undone, and at the end over the 2n - 3 branches, any of which could have come last, each
once; or learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gfncore.environment import Actions, Stepped
from gfncore.graph_batch import GraphBatch
from gfncore.policies import HeadSpec
from phylogfn.environments.base import TreeEnvironment
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.join_rates import JoinRates
from phylogfn.kernels import forest_numba, merging_numba
from phylogfn.trees.constraints.splits import Constraints

__all__ = ["ForestStates", "MergingEnvironment"]


@dataclass(frozen=True)
class ForestStates:
    """Forests.

    Attributes
    ----------
    parents : ndarray, shape (B, 2n), int16
        See `phylogfn.kernels.merging_numba`.
    counts : ndarray, shape (B,), int64
        Trees in the forest; 1 is a finished, unrooted tree.
    """

    parents: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, index: np.ndarray) -> ForestStates:
        """Return the given rows as a new batch."""
        return ForestStates(self.parents[index], self.counts[index])

    @staticmethod
    def concat(parts: Sequence[ForestStates]) -> ForestStates:
        """Concatenate several batches into one."""
        return ForestStates(
            np.concatenate([part.parents for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )


class MergingEnvironment(TreeEnvironment):
    """Environment that builds unrooted topologies of n taxa by joining rooted trees.

    Parameters
    ----------
    features : ForestFeatures
        Inputs of the network for each tree, in addition to its taxa.
    n_taxa : int
    log_reward_of_trees : callable
        Log reward (B,), nats, of topologies: parents (B, 2n-2), int16, drawn at taxon 0.
    constraints : Constraints, optional
        Splits that all topologies display; None: there are none.

    Attributes
    ----------
    rates : JoinRates
        Initial logits of the policy; may be replaced between training steps.
    """

    relations, rounds, context = 1, 1, True
    heads = (HeadSpec("factors"),)

    def __init__(
        self,
        features: ForestFeatures,
        n_taxa: int,
        log_reward_of_trees: Callable[[np.ndarray], np.ndarray],
        constraints: Constraints | None = None,
    ):
        self.constraints = constraints
        self.features = features
        self.n_taxa = n_taxa
        self.rates = JoinRates.none(n_taxa)
        self._log_reward_of_trees = log_reward_of_trees

    @property
    def node_features(self) -> int:
        """Width of the input of the network: the taxa, and the projected partials."""
        return self.n_taxa + self.features.width

    def initial(self, n: int) -> ForestStates:
        """Return forests of single taxa."""
        parents = np.full((n, 2 * self.n_taxa), -1, np.int16)
        return ForestStates(parents, np.full(n, self.n_taxa))

    def is_terminal(self, states: ForestStates) -> np.ndarray:
        """Return whether forests are a single tree."""
        return states.counts == 1

    def forward_actions(self, states: ForestStates) -> Actions:
        """Return the pairs of trees that may be joined, by their smallest taxa i < j: i n + j."""
        state, code = merging_numba.forward_codes(states.parents, states.counts)
        if self.constraints is not None:
            legal = self.constraints.legal_joins(states.parents, states.counts)
            state, code = state[legal], code[legal]
        return Actions(state, code)

    def step(self, states: ForestStates, action: np.ndarray) -> Stepped:
        """Join a pair of trees in each forest."""
        parents, counts = states.parents.copy(), states.counts.copy()
        undo = np.empty(len(states), np.int64)
        merging_numba.join(parents, counts, np.asarray(action, np.int64), undo)
        return Stepped(ForestStates(parents, counts), undo)

    def backward_actions(self, states: ForestStates) -> Actions:
        """Return the trees whose last join can be undone; for a finished tree, its branches."""
        return Actions(*merging_numba.backward_codes(states.parents, states.counts))

    def backstep(self, states: ForestStates, action: np.ndarray) -> Stepped:
        """Undo a join in each forest."""
        parents, counts = states.parents.copy(), states.counts.copy()
        redo = np.empty(len(states), np.int64)
        merging_numba.split(parents, counts, np.asarray(action, np.int64), redo)
        return Stepped(ForestStates(parents, counts), redo)

    def _rows(self, states: ForestStates, state: np.ndarray, root: np.ndarray) -> np.ndarray:
        """Return features (N, width) of the trees under roots (N,) of the given states (N,)."""
        return self.features.rows(states.parents, state, root)

    def graph(self, states: ForestStates) -> GraphBatch:
        """Return trees as nodes, with taxa and projected partials; joins as pairs of nodes.

        The number of trees is the type of the graph.
        """
        parents, counts = states.parents, states.counts
        state, _, root = merging_numba.slots_and_roots(parents, counts)
        below, pairs, owner = forest_numba.graph_arrays(parents, state, root, counts)
        if self.constraints is not None:
            legal = self.constraints.legal_joins(parents, counts)
            pairs, owner = np.ascontiguousarray(pairs[:, legal]), owner[legal]
        rates = self.rates.log_rates(below, pairs, owner, counts)
        features = self._rows(states, state, root)
        return GraphBatch(
            node_features=torch.from_numpy(np.concatenate([below, features], axis=1)),
            node_graph=torch.from_numpy(state),
            graph_type=torch.from_numpy(counts),
            edge_index=torch.zeros((2, 0), dtype=torch.int64),
            edge_type=torch.zeros(0, dtype=torch.int64),
            action_state=torch.from_numpy(owner),
            action_index=torch.arange(len(owner)),
            pairs=torch.from_numpy(pairs),
            action_bias=torch.from_numpy(rates),
        )

    def backward_graph(self, states: ForestStates) -> GraphBatch:
        """Return the input of a backward policy: trees of a forest, or branches of a finished tree.

        A branch is represented by the rooted tree below it, on the side without taxon 0: by its
        taxa and projected partials, like the trees of a forest. Actions are nodes; their bias
        decreases with the rate of the join that they undo, because joins with a high rate tend to
        come early. The type of the graph is the number of trees.
        """
        parents, counts = states.parents, states.counts
        state, root, below, owner, node = forest_numba.backward_graph_arrays(parents, counts)
        features = self._rows(states, state, root)
        clades = forest_numba.undone_pairs(parents, counts, owner, root[node])
        pairs = np.arange(len(clades)).reshape(-1, 2).T.copy()
        rates = self.rates.log_rates(clades, pairs, owner, counts + 1)
        return GraphBatch(
            node_features=torch.from_numpy(np.concatenate([below, features], axis=1)),
            node_graph=torch.from_numpy(state),
            graph_type=torch.from_numpy(counts),
            edge_index=torch.zeros((2, 0), dtype=torch.int64),
            edge_type=torch.zeros(0, dtype=torch.int64),
            action_state=torch.from_numpy(owner),
            action_index=torch.from_numpy(node),
            action_bias=torch.from_numpy(-rates),
        )

    def trees(self, states: ForestStates) -> np.ndarray:
        """Return parents (B, 2n-2), int16, of finished trees, drawn at taxon 0."""
        return merging_numba.trees_of_states(states.parents)

    def terminals(self, trees: np.ndarray) -> ForestStates:
        """Return finished states of topologies ``trees`` (B, 2n-2), parents drawn at taxon 0."""
        parents = merging_numba.states_of_trees(np.ascontiguousarray(trees, np.int16))
        return ForestStates(parents, np.ones(len(trees), np.int64))

    def log_reward(self, states: ForestStates) -> np.ndarray:
        """Log reward of finished trees, nats."""
        return self._log_reward_of_trees(self.trees(states))

    def keys(self, states: ForestStates) -> np.ndarray:
        """Return keys (B, 2), uint64; a state has a unique representation."""
        return merging_numba.state_keys(states.parents, states.counts)
