"""Integrals over the branch lengths of batches of topologies: closed forms and importance draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    pass

__all__ = ["Collapsed", "LengthDraws"]


@dataclass(frozen=True)
class Collapsed:
    """Closed forms of a batch of topologies.

    Attributes
    ----------
    log_evidence : ndarray, shape (B,)
        log p(Y | topology), nats.
    log_likelihood : ndarray, shape (B,)
        At the mode of the branch lengths.
    lengths, shapes : ndarray, shape (B, 2n-2)
        Modes (expected substitutions per site) and shapes of the gammas.
    """

    log_evidence: np.ndarray
    log_likelihood: np.ndarray
    lengths: np.ndarray
    shapes: np.ndarray

    def take(self, index: np.ndarray) -> Collapsed:
        """Rows as a new batch."""
        return Collapsed(
            self.log_evidence[index],
            self.log_likelihood[index],
            self.lengths[index],
            self.shapes[index],
        )


@dataclass(frozen=True)
class LengthDraws:
    """Importance draws of branch lengths for a batch of topologies.

    Attributes
    ----------
    log_weights : ndarray, shape (B, M)
        The mean of exp over M is an unbiased estimate of p(Y | topology).
    log_likelihoods : ndarray, shape (B, M)
    lengths : ndarray, shape (B, M, 2n-2)
    thetas : ndarray, shape (B, M, d)
        Free parameters that are drawn with the lengths; d = 0 at fixed parameters.
    """

    log_weights: np.ndarray
    log_likelihoods: np.ndarray
    lengths: np.ndarray
    thetas: np.ndarray
