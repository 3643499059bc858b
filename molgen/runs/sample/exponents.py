"""The range of reward exponents that the sampler of a run learns.

With one exponent e, the reward is score^e, and the sampler learns it alone. With several, it learns
a range around them, see `gfncore.tempering`: the reward of the training is score^m, m being the
middle of the range, and the exponent e is the inverse temperature e / m.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gfncore.errors import UserError
from gfncore.tempering import TemperatureRange

if TYPE_CHECKING:
    from molgen.settings import SampleSettings

__all__ = ["ExponentRange"]

HEADROOM = 1.2  # learned beyond the lowest and the highest exponent asked for, as a factor
ROUNDING = 1e-9


@dataclass(frozen=True)
class ExponentRange:
    """Reward exponents that a sampler learns.

    Attributes
    ----------
    low, high : float
        Equal if there is one.
    """

    low: float
    high: float

    @classmethod
    def for_settings(cls, settings: SampleSettings) -> ExponentRange:
        """Return the range for the exponents that settings ask for."""
        wider = 1.0 if settings.conditioning is None else HEADROOM
        return cls(settings.exponents[0] / wider, settings.exponents[-1] * wider)

    @property
    def middle(self) -> float:
        """The exponent of the reward in training: the geometric mean of the ends."""
        return self.low if self.low == self.high else math.sqrt(self.low * self.high)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the inverse temperatures of a training step, relative to `middle`; float64 (K,)."""
        return TemperatureRange(self.low / self.middle, self.high / self.middle).draw(rng)

    def check(self, exponents: Iterable[float]) -> None:
        """Refuse exponents outside of the range.

        Raises
        ------
        UserError
            The message names the range.
        """
        low, high = self.low * (1.0 - ROUNDING), self.high * (1.0 + ROUNDING)
        for exponent in exponents:
            if not low <= exponent <= high:
                learned = f"{self.low:.4g}"
                learned += f" to {self.high:.4g}" if self.high > self.low else " alone"
                raise UserError(
                    f"--reward-exponent {exponent:g}: the sampler of this run was trained for "
                    f"{learned}; start a new run for others"
                )
