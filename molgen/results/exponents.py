"""What was drawn at one of several reward exponents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExponentSample"]


@dataclass(frozen=True, eq=False)
class ExponentSample:
    """The molecules of a library that were drawn at one reward exponent.

    Attributes
    ----------
    exponent : float
        Molecules were drawn in proportion to the score raised to this power.
    log_partition, log_partition_se, ess, pareto_k : float
        Estimates from the draws, see :class:`molgen.results.facts.RunFacts`.
    n_proposals : int
        Draws made.
    mean_score, top10_mean, internal_diversity : float
        Of the molecules drawn, each once.
    log_reward : ndarray, shape (n,), float64
        Log of the target for each molecule of the library, drawn or not.
    log_probability, log_probability_se : ndarray, shape (n,), float64
        Log of the sampling probability and its standard error; nan for molecules not drawn.
    count : ndarray, shape (n,), int64
        Number of times that each was drawn, 0 for molecules not taken at this exponent.
    weight : ndarray, shape (n,), float64
        Share of the target distribution that the molecule stands for, see
        :class:`molgen.results.columns.LibraryColumns`; 0 for molecules not taken.
    """

    exponent: float
    log_partition: float
    log_partition_se: float
    ess: float
    pareto_k: float
    n_proposals: int
    mean_score: float
    top10_mean: float
    internal_diversity: float
    log_reward: NDArray[np.float64]
    log_probability: NDArray[np.float64]
    log_probability_se: NDArray[np.float64]
    count: NDArray[np.int64]
    weight: NDArray[np.float64]

    @property
    def suffix(self) -> str:
        """What the names of its columns end with, such as ``_E16``."""
        return f"_E{self.exponent:g}"

    @property
    def n_unique(self) -> int:
        """Number of molecules taken at this exponent."""
        return int((self.count > 0).sum())

    @property
    def effective_size(self) -> float:
        """Number of equal weights that would be as uneven as these: 1 / sum of squares."""
        return float(1.0 / (self.weight**2).sum())

    @property
    def effective_share(self) -> float:
        """Effective size over the number of molecules."""
        return self.effective_size / self.n_unique

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns of the library's table, by name."""
        return {
            f"log_probability{self.suffix}": self.log_probability,
            f"log_probability_se{self.suffix}": self.log_probability_se,
            f"count{self.suffix}": self.count,
            f"weight{self.suffix}": self.weight,
        }

    def as_dict(self) -> dict[str, float]:
        """Return the figures as the summary names them."""
        return {
            "reward_exponent": self.exponent,
            "log_partition": self.log_partition,
            "log_partition_se": self.log_partition_se,
            "ess": self.ess,
            "n_proposals": self.n_proposals,
            "pareto_k": self.pareto_k,
            "n_samples": int(self.count.sum()),
            "n_unique": self.n_unique,
            "library_ess": self.effective_size,
            "mean_score": self.mean_score,
            "top10_mean": self.top10_mean,
            "internal_diversity": self.internal_diversity,
        }
