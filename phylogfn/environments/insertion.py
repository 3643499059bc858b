"""The insertion environment: taxa are inserted in a fixed order, each into a branch of the tree.

Every topology has exactly one trajectory, so P_F(topology) is exact and there is no backward
policy. The order of the taxa is chosen in advance (`phylogfn.environments.taxon_order`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gfncore.environment import Actions, Stepped
from gfncore.graph_batch import GraphBatch
from gfncore.policies import HeadSpec
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.base import TreeEnvironment
from phylogfn.kernels import insertion_numba as kernels
from phylogfn.trees.constraints.splits import Constraints

__all__ = ["InsertionEnvironment", "InsertionStates"]

RATE_UNIT = 0.2  # of log rates as an input of the network


@dataclass(frozen=True)
class InsertionStates:
    """Trees of the first taxa of the order.

    Attributes
    ----------
    parents : ndarray, shape (B, 2n-2), int16
        See `phylogfn.kernels.insertion_numba`.
    counts : ndarray, shape (B,), int64
        Taxa that are in the tree.
    """

    parents: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, index: np.ndarray) -> InsertionStates:
        """Return the given rows as a new batch."""
        return InsertionStates(self.parents[index], self.counts[index])

    @staticmethod
    def concat(parts: Sequence[InsertionStates]) -> InsertionStates:
        """Concatenate several batches into one."""
        return InsertionStates(
            np.concatenate([part.parents for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )


class InsertionEnvironment(TreeEnvironment):
    """Environment that builds unrooted topologies of n taxa by insertion.

    Parameters
    ----------
    order : ndarray, shape (n,)
        The taxon at each position; the first three form the initial tree.
    log_reward_of_trees : callable
        Log reward (B,), nats, of topologies: parents (B, 2n-2), int16, drawn at taxon 0.
    constraints : Constraints, optional
        Splits that all topologies display; None: there are none.

    Attributes
    ----------
    rates : AttachmentRates
        Initial logits of the policy; may be replaced between training steps.
    """

    is_tree = True
    relations, rounds = 2, 2
    heads = (HeadSpec("node"),)

    def __init__(
        self,
        order: np.ndarray,
        log_reward_of_trees: Callable[[np.ndarray], np.ndarray],
        constraints: Constraints | None = None,
    ):
        self.constraints = constraints
        self.order = np.asarray(order, np.int64)
        self.n_taxa = len(self.order)
        self.rates = AttachmentRates.none(self.n_taxa)
        self._log_reward_of_trees = log_reward_of_trees
        width = 2 * self.n_taxa - 2
        rng = np.random.default_rng(width)  # fixed: keys must agree between runs
        self._codes = rng.integers(0, 2**64, size=(2, width, width + 1), dtype=np.uint64)

    @property
    def node_features(self) -> int:
        """Width of what a policy reads of a branch: the taxa below, and the rate there."""
        return self.n_taxa + 1

    def initial(self, n: int) -> InsertionStates:
        """Return trees of the first three taxa."""
        actions = np.zeros((n, self.n_taxa - 3), np.int16)
        depths = np.zeros(n, np.int64)
        return InsertionStates(kernels.states_of_actions(actions, depths), depths + 3)

    def is_terminal(self, states: InsertionStates) -> np.ndarray:
        """Return whether trees have all taxa."""
        return states.counts == self.n_taxa

    def forward_actions(self, states: InsertionStates) -> Actions:
        """Return the branches of unfinished trees where a taxon has a place, by the node below."""
        branches = self._places(states)[:, 1:]
        branches &= ~self.is_terminal(states)[:, None]
        state, node = np.nonzero(branches)
        return Actions(state, node + 1)

    def _places(self, states: InsertionStates) -> np.ndarray:
        """Return branches that the next taxon may divide, bool (B, 2n-2); all of finished trees."""
        if self.constraints is None:
            return states.parents >= 0
        return self.constraints.legal_insertions(states.parents, states.counts, self.order)

    def step(self, states: InsertionStates, action: np.ndarray) -> Stepped:
        """Insert the next taxon into branch ``action`` of each tree."""
        parents, counts = states.parents.copy(), states.counts.copy()
        kernels.insert(parents, counts, action)
        return Stepped(InsertionStates(parents, counts), np.zeros(len(counts), np.int64))

    def backward_actions(self, states: InsertionStates) -> Actions:
        """Return the only backward action: remove the last taxon."""
        state = np.flatnonzero(states.counts > 3)
        return Actions(state, np.zeros_like(state))

    def backstep(self, states: InsertionStates, action: np.ndarray) -> Stepped:
        """Take the last taxon off the branch that it was inserted into."""
        parents, counts = states.parents.copy(), states.counts.copy()
        branches = np.empty(len(states), np.int64)
        kernels.remove_last(parents, counts, branches)
        return Stepped(InsertionStates(parents, counts), branches)

    def graph(self, states: InsertionStates) -> GraphBatch:
        """Return branches as nodes, with the taxa below each and the log rate of the next taxon.

        The next taxon is the type of the graph.
        """
        below, node_state, names, edges, edge_type = kernels.graph_arrays(
            states.parents, states.counts
        )
        rows = torch.from_numpy(node_state)
        log_rates = torch.from_numpy(self.rates.log_rates(states.parents, states.counts))
        places = torch.arange(len(node_state))
        if self.constraints is not None:
            places = places[torch.from_numpy(self._places(states)[node_state, names])]
        inputs = [torch.from_numpy(below), RATE_UNIT * log_rates.unsqueeze(1)]
        return GraphBatch(
            node_features=torch.cat(inputs, dim=1),
            node_graph=rows,
            graph_type=torch.from_numpy(states.counts),
            edge_index=torch.from_numpy(edges),
            edge_type=torch.from_numpy(edge_type),
            action_state=rows[places],
            action_index=places,
            action_bias=log_rates[places],
        )

    def trees(self, states: InsertionStates) -> np.ndarray:
        """Return parents (B, 2n-2), int16, of finished trees, drawn at taxon 0."""
        return kernels.trees_of_states(states.parents, self.order)

    def terminals(self, trees: np.ndarray) -> InsertionStates:
        """Return finished states of topologies ``trees`` (B, 2n-2), parents drawn at taxon 0."""
        actions = kernels.actions_of_trees(np.ascontiguousarray(trees, np.int16), self.order)
        depths = np.full(len(trees), self.n_taxa - 3)
        return InsertionStates(kernels.states_of_actions(actions, depths), depths + 3)

    def log_reward(self, states: InsertionStates) -> np.ndarray:
        """Log reward of finished trees, nats."""
        return self._log_reward_of_trees(self.trees(states))

    def keys(self, states: InsertionStates) -> np.ndarray:
        """Return keys (B, 2), uint64: sums of hashed (node, parent) pairs.

        A state has a unique representation, so its numbers identify it.
        """
        columns = np.arange(states.parents.shape[1])
        values = states.parents.astype(np.int64) + 1
        return np.stack([codes[columns, values].sum(axis=1) for codes in self._codes], axis=1)
