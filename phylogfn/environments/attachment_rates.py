"""Attachment rates: probabilities of the next insertion from a table of known trees.

The rates initialise the policy: log rates are a logit with a learned scale, and an input. They
describe a branch only by its neighbourhood; the network adds dependencies between distant parts.
They are the analogue for insertion of conditional clade probabilities for splits (Hoehna & Drummond
2012; Larget 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gfncore.training.prefix_tree import PrefixTree
from phylogfn.kernels import insertion_numba, rates_numba

__all__ = ["AttachmentRates"]

UNSEEN = 0.01  # rate of a kind of branch that was never there, times the number of branches
CHUNK = 4096  # prefixes at a time
LARGEST = 2**25


@dataclass(frozen=True)
class AttachmentRates:
    """Counts over prefix states, as `phylogfn.kernels.rates_numba` keeps them.

    Attributes
    ----------
    codes : ndarray, shape (n,), uint64
    table : ndarray, shape (2^k,), uint64
    total, taken : ndarray, shape (2^k,), float64
    smoothing : float
        c, in shares of the flow.
    """

    codes: np.ndarray
    table: np.ndarray
    total: np.ndarray
    taken: np.ndarray
    smoothing: float

    @classmethod
    def none(cls, n_taxa: int) -> AttachmentRates:
        """Return uninformative rates, equal for all branches."""
        size = 2
        codes = np.random.default_rng(n_taxa).integers(0, 2**64, size=n_taxa, dtype=np.uint64)
        return cls(codes, np.zeros(size, np.uint64), np.zeros(size), np.zeros(size), 1.0)

    @classmethod
    def of(cls, trie: PrefixTree, n_taxa: int) -> AttachmentRates:
        """Return rates from counts over all prefixes of a trie of topologies, by flow.

        The smoothing constant is the weight of one topology if all had the same weight.
        """
        codes = cls.none(n_taxa).codes
        size = 2**16
        smoothing = 1.0 / len(trie.sequences)
        while True:
            table = np.zeros(size, np.uint64)
            total, taken = np.zeros(size), np.zeros(size)
            used = 0
            for start in range(0, len(trie), CHUNK):
                prefixes = np.arange(start, min(start + CHUNK, len(trie)))
                depth = trie.depth[prefixes]
                parents = insertion_numba.states_of_actions(
                    trie.sequences[trie.row[prefixes]], depth
                )
                owner, action, probability = trie.choices(prefixes)
                used = rates_numba.collect(
                    parents,
                    depth + 3,
                    trie.flow[prefixes],
                    owner,
                    action,
                    probability,
                    codes,
                    table,
                    total,
                    taken,
                    used,
                )
                if used < 0:
                    break
            if used >= 0 or size >= LARGEST:
                return cls(codes, table, total, taken, smoothing)
            size *= 4

    def log_rates(self, parents: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Log rate of each branch of states, float32 (N,), in order of state and node."""
        return rates_numba.log_rates(
            parents, counts, self.codes, self.table, self.total, self.taken, self.smoothing, UNSEEN
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return the rates as arrays, for a checkpoint."""
        return {
            "codes": self.codes,
            "table": self.table,
            "total": self.total,
            "taken": self.taken,
            "smoothing": np.array([self.smoothing]),
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> AttachmentRates:
        """Return the rates from the result of `state`."""
        return cls(
            state["codes"],
            state["table"],
            state["total"],
            state["taken"],
            float(state["smoothing"][0]),
        )
