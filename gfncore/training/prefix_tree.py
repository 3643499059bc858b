"""Known objects of an environment that is a tree, as a trie of their prefixes, with exact flows.

Where every state has one parent, an object is its sequence of actions. The flow through a prefix is
the sum of the weights of the objects under it, so the choice that a policy should make there is
known exactly, without drawing trajectories and without a log Z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["PrefixTree"]


@dataclass(frozen=True)
class PrefixTree:
    """Distinct proper prefixes of sequences of L actions.

    Attributes
    ----------
    sequences : ndarray, shape (M, L)
        The objects, in lexicographic order.
    weights : ndarray, shape (M,), float64
        Their shares of the flow; sum to one.
    row, depth : ndarray, shape (S,), int64
        A sequence that begins with each prefix, and the prefix's length, 0..L-1.
    flow : ndarray, shape (S,), float64
        Share of the flow that passes each prefix.
    first : ndarray, shape (S + 1,), int64
        Where the choices of each prefix begin.
    action : ndarray, shape (D,), int64
    probability : ndarray, shape (D,), float64
        The choices that known objects make, and their exact probabilities; sum to one a prefix.
    """

    sequences: np.ndarray
    weights: np.ndarray
    row: np.ndarray
    depth: np.ndarray
    flow: np.ndarray
    first: np.ndarray
    action: np.ndarray
    probability: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def build(cls, sequences: np.ndarray, weights: np.ndarray) -> PrefixTree:
        """Build from distinct sequences (M, L) and positive weights (M,)."""
        order = np.lexsort(sequences.T[::-1])
        sequences = sequences[order]
        weights = weights[order] / weights.sum()
        m, length = sequences.shape
        # differs[i, d]: sequence i differs from the one before it within its first d + 1 actions
        differs = np.ones((m, length), bool)
        differs[1:] = np.logical_or.accumulate(sequences[1:] != sequences[:-1], axis=1)
        below = np.concatenate([[0.0], np.cumsum(weights)])
        rows, depths, flows, firsts, actions, shares = [], [], [], [], [], []
        total = 0
        for d in range(length):
            starts = np.flatnonzero(differs[:, d - 1]) if d else np.zeros(1, np.int64)
            children = np.flatnonzero(differs[:, d])
            child_flow = np.diff(below[np.append(children, m)])
            flow = np.diff(below[np.append(starts, m)])
            owner = np.searchsorted(starts, children, side="right") - 1
            rows.append(starts)
            depths.append(np.full(len(starts), d))
            flows.append(flow)
            firsts.append(total + np.searchsorted(children, starts))
            actions.append(sequences[children, d].astype(np.int64))
            safe = np.maximum(np.bincount(owner, child_flow, len(starts)), 1e-300)
            shares.append(child_flow / safe[owner])
            total += len(children)
        return cls(
            sequences,
            weights,
            np.concatenate(rows),
            np.concatenate(depths),
            np.concatenate(flows),
            np.append(np.concatenate(firsts), total),
            np.concatenate(actions),
            np.concatenate(shares),
        )

    def choices(self, prefixes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choices of some prefixes as flat arrays: place in ``prefixes``, action, probability."""
        counts = self.first[prefixes + 1] - self.first[prefixes]
        owner = np.repeat(np.arange(len(prefixes)), counts)
        offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        at = self.first[prefixes][owner] + offset
        return owner, self.action[at], self.probability[at]
