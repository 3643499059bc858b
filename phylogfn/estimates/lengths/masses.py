"""Distinct topologies with their shares of the evidence by the closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.estimates.collapsed import weigh

if TYPE_CHECKING:
    from phylogfn.estimates.collapsed import Drawn
    from phylogfn.exploration.topologies import TopologyTable

__all__ = ["TopologyMasses"]


@dataclass(frozen=True)
class TopologyMasses:
    """Distinct topologies and the share of the evidence that each represents, by the closed form.

    Attributes
    ----------
    rows : ndarray, shape (T,), int64
        Rows of the table.
    shares : ndarray, shape (T,), float64
        Sum 1.
    """

    rows: np.ndarray
    shares: np.ndarray

    @classmethod
    def from_draws(
        cls,
        drawn: Drawn,
        table: TopologyTable,
        n_known: int,
        log_topology_prior: float,
    ) -> TopologyMasses:
        """Return the masses that are summed by `phylogfn.estimates.collapsed.estimate`.

        The first ``n_known`` rows of the table have their closed form; others the mean weight of
        their draws.
        """
        outside = drawn.rows >= n_known
        others, inverse = np.unique(drawn.rows[outside], return_inverse=True)
        weighted = weigh(drawn, table, n_known, log_topology_prior)
        log_weights = weighted.log_weights[outside] - math.log(len(drawn.rows))
        log_known = table.log_evidence[:n_known] + log_topology_prior
        top = max(np.max(log_known, initial=-np.inf), np.max(log_weights, initial=-np.inf))
        mass = np.concatenate(
            [
                np.exp(log_known - top),
                np.bincount(inverse, np.exp(log_weights - top), minlength=len(others)),
            ]
        )
        return cls(np.concatenate([np.arange(n_known), others]), mass / mass.sum())
