"""Priors on branch lengths: those of independent branches, and the table of all priors.

The names are those of MrBayes' ``brlenspr``, and so are the parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gfncore.text.numbers import shortened
from phylogfn.likelihood.branch_prior_base import (
    BranchPrior,
    Densities,
    external_branches,
    parse_numbers,
    text,
)
from phylogfn.likelihood.compound_dirichlet import GammaDirichletPrior, InverseGammaDirichletPrior

if TYPE_CHECKING:
    from phylogfn.kernels.branch_prior_numba import PriorFunctions

__all__ = [
    "BRANCH_PRIORS",
    "BranchPrior",
    "Densities",
    "ExponentialPrior",
    "GammaDirichletPrior",
    "GammaPrior",
    "InverseGammaDirichletPrior",
    "UniformPrior",
    "external_branches",
    "parse_branch_prior",
]

RATES = (1e-6, 1e6)
SHAPES = (0.01, 1000.0)
LEAST_WIDTH, LONGEST = 1e-6, 1000.0  # of uniform priors, expected substitutions per site


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
        f"{RATES[0]:g} to {RATES[1]:g}"
    )

    @classmethod
    def parse(cls, values: str) -> ExponentialPrior:
        """Return the prior of a rate given as text."""
        return cls(*parse_numbers(values, RATES))

    @property
    def name(self) -> str:
        """``exp:RATE``."""
        return f"exp:{text(self.rate)}"

    @cached_property
    def functions(self) -> PriorFunctions:
        """Parameters and compiled functions, which kernels read."""
        from phylogfn.kernels import branch_prior_numba as kernels

        return kernels.PriorFunctions(
            math.log(self.rate),
            np.array([self.rate], float),
            kernels.exponential_terms,
            kernels.exponential_draw,
        )

    def log_length_moments(self, n_taxa: int) -> tuple[float, float]:
        """Return mean and variance of log b."""
        return -np.euler_gamma - math.log(self.rate), math.pi**2 / 6.0


@dataclass(frozen=True)
class UniformPrior(BranchPrior):
    """The uniform distribution on an interval.

    Parameters
    ----------
    low, high : float
        Its ends, expected substitutions per site.
    """

    low: float
    high: float

    usage = (
        "uniform:LOW,HIGH, such as uniform:0,10, with lengths from 0 to "
        f"{LONGEST:g} expected substitutions per site"
    )
    bounded = True

    @classmethod
    def parse(cls, values: str) -> UniformPrior:
        """Return the prior of two lengths given as text."""
        low, high = parse_numbers(values, (0.0, LONGEST), (0.0, LONGEST))
        if high - low < max(LEAST_WIDTH, LEAST_WIDTH * high):
            raise ValueError("HIGH is not above LOW")
        return cls(low, high)

    @property
    def name(self) -> str:
        """``uniform:LOW,HIGH``."""
        return f"uniform:{text(self.low, self.high)}"

    @cached_property
    def functions(self) -> PriorFunctions:
        """Parameters and compiled functions, which kernels read."""
        from phylogfn.kernels import branch_prior_numba as kernels

        return kernels.PriorFunctions(
            -math.log(self.high - self.low),
            np.array([self.low, self.high], float),
            kernels.uniform_terms,
            kernels.uniform_draw,
            low=float(self.low),
            high=float(self.high),
        )

    def log_length_moments(self, n_taxa: int) -> tuple[float, float]:
        """Return mean and variance of log b."""
        ends = np.array([max(self.low, 1e-300), self.high])
        log_ends, width = np.log(ends), self.high - self.low
        mean = np.diff(ends * log_ends - ends)[0] / width
        # about the mean, which keeps the digits of a narrow interval
        log_ends = log_ends - mean
        variance = np.diff(ends * (log_ends**2 - 2.0 * log_ends + 2.0))[0] / width
        return float(mean), max(float(variance), 1e-12)


@dataclass(frozen=True)
class GammaPrior(BranchPrior):
    """The gamma distribution.

    Parameters
    ----------
    shape, rate : float
        The mean is shape / rate.
    """

    shape: float
    rate: float

    usage = (
        "gamma:SHAPE,RATE, such as gamma:2,20 (mean SHAPE/RATE), with a shape from "
        f"{SHAPES[0]:g} to {SHAPES[1]:g} and a rate from {RATES[0]:g} to {RATES[1]:g}"
    )

    @classmethod
    def parse(cls, values: str) -> GammaPrior:
        """Return the prior of a shape and a rate given as text."""
        return cls(*parse_numbers(values, SHAPES, RATES))

    @property
    def name(self) -> str:
        """``gamma:SHAPE,RATE``."""
        return f"gamma:{text(self.shape, self.rate)}"

    @cached_property
    def functions(self) -> PriorFunctions:
        """Parameters and compiled functions, which kernels read."""
        from phylogfn.kernels import branch_prior_numba as kernels

        return kernels.PriorFunctions(
            self.shape * math.log(self.rate) - math.lgamma(self.shape),
            np.array([self.shape, self.rate], float),
            kernels.gamma_terms,
            kernels.gamma_draw,
        )

    def log_length_moments(self, n_taxa: int) -> tuple[float, float]:
        """Return mean and variance of log b."""
        from scipy.special import polygamma, psi

        return float(psi(self.shape)) - math.log(self.rate), float(polygamma(1, self.shape))


# by what stands before the colon; the first name of a prior is the one of its usage
BRANCH_PRIORS: dict[str, type[BranchPrior]] = {
    "exp": ExponentialPrior,
    "exponential": ExponentialPrior,
    "uniform": UniformPrior,
    "gamma": GammaPrior,
    "gammadir": GammaDirichletPrior,
    "invgammadir": InverseGammaDirichletPrior,
    "invgamdir": InverseGammaDirichletPrior,
}


def parse_branch_prior(text: str) -> BranchPrior:
    """Return the prior on branch lengths from text such as ``exp:10``.

    Raises
    ------
    ValueError
        There is no such prior, or it cannot have such parameters.

    Examples
    --------
    >>> parse_branch_prior("gammadir:1,0.1,1,1").couples
    True
    """
    kind, colon, values = text.strip().partition(":")
    prior = BRANCH_PRIORS.get(kind.lower())
    if prior is not None:
        try:
            if colon:
                return prior.parse(values)
        except ValueError:
            pass
        usage = prior.usage
    else:
        forms = [known.usage.partition(", such as ")[0] for known in BRANCH_PRIORS.values()]
        *others, last = dict.fromkeys(forms)
        usage = f"{', '.join(others)} or {last}"
    raise ValueError(f"'{shortened(text)}' is not a prior on branch lengths; write {usage}")
