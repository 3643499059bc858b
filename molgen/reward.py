"""The reward, computed from scores, to which sampling probabilities are proportional.

    log R(x) = exponent * log score(x)        exactly, for every score above zero

A score that is zero or could not be computed has no log. Such molecules are counted, have weight
zero in estimates, and are left out of the library. Training needs a finite number for them:
`Reward.least`, which scales with the exponent such that it is below all scores down to
`LEAST_SCORE`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from molgen.scoring import Scoring

__all__ = ["LEAST_SCORE", "Reward"]

LEAST_SCORE = 1e-6  # score used in training for a score of zero
FLOOR = 200.0  # minimum distance of this below a perfect score, in nats


class Reward:
    """log R of molecules by canonical SMILES.

    Parameters
    ----------
    scoring : Scoring
    exponent : float
        The reward is the score raised to this power.
    lowest : float, optional
        Lowest exponent at which it is used, see `gfncore.tempering`; default: `exponent`.

    Attributes
    ----------
    environment : environment or None
        Set by the caller if `objectives` is used; it provides the SMILES of states.
    floored : set of str
        Molecules whose score is zero or could not be computed.
    buried : set of str
        Molecules with a positive score that training cannot distinguish from zero.
    least : float
        log R of a score of zero in training, in nats.
    best : float
        The best score since this object was created.
    """

    def __init__(
        self, scoring: Scoring, exponent: float = 1.0, lowest: float | None = None
    ) -> None:
        self.scoring = scoring
        self.set_exponent(exponent, lowest)
        self.environment: Any = None
        self.floored: set[str] = set()
        self.buried: set[str] = set()
        self.best = 0.0

    def set_exponent(self, exponent: float, lowest: float | None = None) -> None:
        """Set the exponent, and the log reward of a score of zero that goes with it."""
        self.exponent = exponent
        wider = 1.0 if lowest is None or lowest == exponent else exponent / lowest
        self.least = min(-FLOOR * wider, exponent * math.log(LEAST_SCORE))

    def __call__(self, smiles: Sequence[str]) -> np.ndarray:
        """Return log R of distinct canonical SMILES in nats; float64 (n,), finite."""
        total = self.scoring.evaluate(smiles, canonical=True).total
        log_reward = np.full(len(total), self.least)  # whatever the exponent
        good = total > 0.0
        self.best = max(self.best, float(total[good].max(initial=0.0)))
        log_reward[good] = self.exponent * np.log(total[good])
        names = np.array(list(smiles), object)
        self.floored.update(names[~good].tolist())
        self.buried.update(names[good & (log_reward <= self.least)].tolist())
        return log_reward

    def positive(self, smiles: Sequence[str]) -> np.ndarray:
        """Return whether canonical SMILES have a score above zero; bool (n,)."""
        return self.scoring.evaluate(smiles, canonical=True).total > 0.0

    def objectives(self, states: Any) -> np.ndarray:
        """Return figures of merit of finished states; float64 (B, K), zero for failed scores."""
        table = self.scoring.evaluate(self.environment.smiles(states), canonical=True)
        return np.nan_to_num(table.objectives, nan=0.0)
