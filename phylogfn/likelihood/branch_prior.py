"""Priors on branch lengths, each an object: what it is called, its density, and how it is drawn.

The lengths of all branches are independent and have the same prior. A new prior is a subclass of
`BranchPrior` in `BRANCH_PRIORS`; its two compiled functions are what all kernels read of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from gfncore.text.numbers import parse_float, shortened

if TYPE_CHECKING:
    from phylogfn.kernels.branch_prior_numba import PriorFunctions

__all__ = ["BRANCH_PRIORS", "BranchPrior", "Densities", "ExponentialPrior", "parse_branch_prior"]

LEAST_RATE, MOST_RATE = 1e-6, 1e6
# of log b, for moments: where a prior is narrower than a step, or wider than the range, override
GRID = np.linspace(-60.0, 20.0, 80_001)


class Densities(NamedTuple):
    """Log density of a prior (nats) and its first and second derivative by the length."""

    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


class BranchPrior(ABC):
    """The prior on the length b of a branch, expected substitutions per site."""

    usage: ClassVar[str]
    """Form of its text, with an example, for an error message: ``write ...``."""

    @classmethod
    @abstractmethod
    def parse(cls, values: str) -> BranchPrior:
        """Return the prior whose parameters ``values``, text after the colon, gives.

        Raises
        ------
        ValueError
            The text does not give them.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """Text that `parse_branch_prior` reads as this prior."""

    @property
    @abstractmethod
    def functions(self) -> PriorFunctions:
        """Parameters and compiled functions, which kernels read."""

    def densities(self, lengths: np.ndarray) -> Densities:
        """Return log density, slope and curvature at positive lengths, each of their shape."""
        from phylogfn.kernels.branch_prior_numba import evaluate

        flat = np.ascontiguousarray(lengths, float).ravel()
        out = Densities(np.empty(flat.size), np.empty(flat.size), np.empty(flat.size))
        evaluate(self.functions, flat, *out)
        return Densities(*(values.reshape(np.shape(lengths)) for values in out))

    def log_length_moments(self) -> tuple[float, float]:
        """Return mean and variance of log b."""
        log_density = self.densities(np.exp(GRID)).value + GRID
        mass = np.exp(log_density - log_density.max())
        mass /= mass.sum()
        mean = float(mass @ GRID)
        return mean, float(mass @ (GRID - mean) ** 2)


@dataclass(frozen=True)
class ExponentialPrior(BranchPrior):
    """The exponential distribution.

    Parameters
    ----------
    rate : float
        One over the mean.
    """

    rate: float

    usage = (
        "exp:RATE, such as exp:10 (mean 0.1 expected substitutions per site), with a rate from "
        f"{LEAST_RATE:g} to {MOST_RATE:g}"
    )

    @classmethod
    def parse(cls, values: str) -> ExponentialPrior:
        """Return the prior of a rate given as text."""
        return cls(parse_float(values.strip(), LEAST_RATE, MOST_RATE))

    @property
    def name(self) -> str:
        """``exp:RATE``."""
        return f"exp:{self.rate!r}".removesuffix(".0")

    @cached_property
    def functions(self) -> PriorFunctions:
        """Parameters and compiled functions, which kernels read."""
        from phylogfn.kernels import branch_prior_numba as kernels

        return kernels.PriorFunctions(
            math.log(self.rate),
            np.array([self.rate]),
            kernels.exponential_terms,
            kernels.exponential_draw,
        )

    def log_length_moments(self) -> tuple[float, float]:
        """Return mean and variance of log b."""
        return -np.euler_gamma - math.log(self.rate), math.pi**2 / 6.0


# by what stands before the colon
BRANCH_PRIORS: dict[str, type[BranchPrior]] = {
    "exp": ExponentialPrior,
    "exponential": ExponentialPrior,
}


def parse_branch_prior(text: str) -> BranchPrior:
    """Return the prior on branch lengths from text such as ``exp:10``.

    Raises
    ------
    ValueError
        There is no such prior, or it cannot have such parameters.
    """
    kind, colon, values = text.strip().partition(":")
    prior = BRANCH_PRIORS.get(kind.lower())
    if prior is not None and colon:
        try:
            return prior.parse(values)
        except ValueError:
            pass
    usages = "; or ".join(dict.fromkeys(known.usage for known in BRANCH_PRIORS.values()))
    raise ValueError(f"'{shortened(text)}' is not a prior on branch lengths; write {usages}")
