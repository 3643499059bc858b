"""From scores to the reward that molecules are drawn in proportion to.

    log R(x) = exponent * log score(x),  not less than -FLOOR

A score of zero, or one that could not be computed, would make training impossible; both get the
floor, are counted, and are kept out of the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from molgen.scoring import Scoring

__all__ = ["FLOOR", "Reward"]

FLOOR = 200.0  # nats below the reward of a perfect score


class Reward:
    """log R of molecules by canonical SMILES.

    Parameters
    ----------
    scoring : Scoring
    exponent : float
        The power of the score that the reward is.

    Attributes
    ----------
    environment : environment or None
        Set by the caller where `objectives` is asked for: it knows the SMILES of states.
    floored : set of str
        Molecules whose reward was raised to the floor, failed ones included.
    best : float
        The best score seen since this object was made.
    """

    def __init__(self, scoring: Scoring, exponent: float = 1.0) -> None:
        self.scoring = scoring
        self.exponent = exponent
        self.environment: Any = None
        self.floored: set[str] = set()
        self.best = 0.0

    def __call__(self, smiles: Sequence[str]) -> np.ndarray:
        """log R of distinct canonical SMILES, nats; float64 (n,), finite."""
        total = self.scoring.evaluate(smiles, canonical=True).total
        log_reward = np.full(len(total), -np.inf)  # exponent 0 must not make a failure count
        good = total > 0.0
        self.best = max(self.best, float(total[good].max(initial=0.0)))
        log_reward[good] = self.exponent * np.log(total[good])
        low = ~(log_reward >= -FLOOR)
        self.floored.update(np.array(list(smiles), object)[low].tolist())
        return np.where(low, -FLOOR, log_reward)

    def objectives(self, states: Any) -> np.ndarray:
        """Figures of merit of finished states; float64 (B, K), zero where a score failed."""
        table = self.scoring.evaluate(self.environment.smiles(states), canonical=True)
        return np.nan_to_num(table.objectives, nan=0.0)
