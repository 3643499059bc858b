"""A table of distinct topologies with their computed quantities.

Rows are found by a 128-bit key that does not depend on the numbering of nodes: the sum of hashes of
the clades on the side without taxon 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.likelihood.collapsed import CHUNK, CollapsedReward
from phylogfn.trees.keys import taxon_codes

__all__ = ["TopologyTable"]


class TopologyTable:
    """Distinct topologies, the lengths at their mode and their collapsed log evidence.

    Attributes
    ----------
    parents : ndarray, shape (size, 2n-2), int16
        Drawn at taxon 0.
    lengths : ndarray, shape (size, 2n-2), float32
        Branch lengths near the mode, expected substitutions per site.
    log_evidence : ndarray, shape (size,), float64
        Closed form of log p(Y | topology), nats; without the prior of the topology.
    visits : ndarray, shape (size,), int64
        Number of steps that walks at temperature 1 spent on it.
    searches : ndarray, shape (size,), uint8
        Bit h is set if search h evaluated it; 0 if only policies have drawn it.
    log_q : ndarray, shape (size,), float64
        Log-probability under the last policy that drew it; -inf if none has.
    n_draws : int
        Total number of draws by policies.
    """

    def __init__(self, n_taxa: int):
        self.n_taxa = n_taxa
        self._codes = taxon_codes(n_taxa)
        self._rows: dict[bytes, int] = {}
        self._size = 0
        width = 2 * n_taxa - 2
        self._parents = np.zeros((1024, width), np.int16)
        self._lengths = np.zeros((1024, width), np.float32)
        self._log_evidence = np.zeros(1024)
        self._visits = np.zeros(1024, np.int64)
        self._searches = np.zeros(1024, np.uint8)
        self._log_q = np.full(1024, -np.inf)
        self.n_draws = 0

    def __len__(self) -> int:
        return self._size

    @property
    def parents(self) -> np.ndarray:
        """Parents of all topologies."""
        return self._parents[: self._size]

    @property
    def lengths(self) -> np.ndarray:
        """Branch lengths of all topologies."""
        return self._lengths[: self._size]

    @property
    def log_evidence(self) -> np.ndarray:
        """Collapsed log evidence of all topologies."""
        return self._log_evidence[: self._size]

    @property
    def visits(self) -> np.ndarray:
        """Visits at temperature 1 to all topologies."""
        return self._visits[: self._size]

    @property
    def searches(self) -> np.ndarray:
        """Which searches evaluated each topology, as bits."""
        return self._searches[: self._size]

    @property
    def log_q(self) -> np.ndarray:
        """Log-probability of all topologies under the policy that drew them last."""
        return self._log_q[: self._size]

    def find(self, parents: np.ndarray) -> np.ndarray:
        """Return rows of topologies, shape (B,); -1 for topologies not in the table."""
        keys = topology_keys(np.ascontiguousarray(parents, np.int16), self._codes)
        rows = [self._rows.get(key.tobytes(), -1) for key in keys]
        return np.array(rows, np.int64)

    def add(self, parents: np.ndarray, lengths: np.ndarray, log_evidence: np.ndarray) -> np.ndarray:
        """Add topologies that are not there yet; return the rows of all, shape (B,)."""
        parents = np.ascontiguousarray(parents, np.int16)
        keys = topology_keys(parents, self._codes)
        rows = np.empty(len(keys), np.int64)
        for i, key in enumerate(keys):
            name = key.tobytes()
            row = self._rows.get(name, -1)
            if row < 0:
                row = self._size
                if row == len(self._parents):
                    self._grow()
                self._rows[name] = row
                self._parents[row] = parents[i]
                self._lengths[row] = lengths[i]
                self._log_evidence[row] = log_evidence[i]
                self._size += 1
            elif log_evidence[i] > self._log_evidence[row]:
                # the same topology, optimised from elsewhere, a little better
                self._parents[row] = parents[i]
                self._lengths[row] = lengths[i]
                self._log_evidence[row] = log_evidence[i]
            rows[i] = row
        return rows

    def look_up(
        self,
        reward: CollapsedReward,
        parents: np.ndarray,
        until: Callable[[], bool] | None = None,
    ) -> np.ndarray:
        """Find topologies, evaluating and adding missing ones; return rows, shape (B,).

        ``until`` is called from time to time and ends the search when it returns True; the rows of
        the remaining topologies are omitted, except for the first few.
        """
        rows = self.find(parents)
        missing = np.flatnonzero(rows < 0)
        together = CHUNK * reward.threads
        for start in range(0, missing.size, together):
            if start and until is not None and until():
                return rows[: missing[start]]
            part = missing[start : start + together]
            new = reward.closed_form(parents[part])
            rows[part] = self.add(parents[part], new.lengths, new.log_evidence)
        return rows

    def _grow(self) -> None:
        for name in ("_parents", "_lengths", "_log_evidence", "_visits", "_searches", "_log_q"):
            old = getattr(self, name)
            empty = -np.inf if name == "_log_q" else 0
            new = np.full((2 * len(old), *old.shape[1:]), empty, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def state(self) -> dict[str, np.ndarray]:
        """Return all rows as arrays, for a checkpoint."""
        return {
            "parents": self.parents.copy(),
            "lengths": self.lengths.copy(),
            "log_evidence": self.log_evidence.copy(),
            "visits": self.visits.copy(),
            "searches": self.searches.copy(),
            "log_q": self.log_q.copy(),
            "n_draws": np.array([self.n_draws]),
        }

    @classmethod
    def from_state(cls, n_taxa: int, state: dict[str, np.ndarray]) -> TopologyTable:
        """Return the table from the result of `state`."""
        table = cls(n_taxa)
        table.add(state["parents"], state["lengths"], state["log_evidence"])
        table.visits[:] = state["visits"]
        table.searches[:] = state["searches"]
        table.log_q[:] = state["log_q"]
        table.n_draws = int(state["n_draws"][0])
        return table
