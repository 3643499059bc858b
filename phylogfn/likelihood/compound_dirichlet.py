"""Priors on the tree length and its proportions: the compound Dirichlet priors.

Independent priors on branches are a strong prior on their sum: with many taxa, it is nearly fixed
at the number of branches times their mean. Here the tree length t has a prior of its own, and the
proportions of the branches have a Dirichlet distribution. For an unrooted tree of n taxa, with
parameter alpha for each of the n external branches, alpha c for each of the n - 3 internal ones and
a = n alpha + (n - 3) alpha c, the density of the branch lengths is

    p(b) = f(t) t^(1 - a) Gamma(a) / [Gamma(alpha)^n Gamma(alpha c)^(n - 3)]
           prod_external b^(alpha - 1) prod_internal b^(alpha c - 1)

(Rannala, Zhu & Yang, Mol Biol Evol 29:325, 2012; Zhang, Rannala & Yang, Syst Biol 61:779, 2012).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from phylogfn.likelihood.branch_prior_base import BranchPrior, TreeDensity, parse_numbers, text

if TYPE_CHECKING:
    from phylogfn.kernels.branch_prior_numba import PriorFunctions

__all__ = ["GammaDirichletPrior", "InverseGammaDirichletPrior"]

SHAPES, RATES = (0.01, 1000.0), (1e-6, 1e6)
RANGES = (
    f"ALPHA_T, ALPHA and C from {SHAPES[0]:g} to {SHAPES[1]:g} and BETA_T from {RATES[0]:g} to "
    f"{RATES[1]:g}"
)


@dataclass(frozen=True)
class _CompoundDirichletPrior(BranchPrior):
    """A density of the tree length, and a Dirichlet distribution of its proportions.

    Parameters
    ----------
    total_shape, total_rate : float
        Parameters of the tree length.
    alpha : float
        Dirichlet parameter of external branches.
    ratio : float
        Dirichlet parameter of internal branches in units of ``alpha``; the mean length of an
        internal branch in units of that of an external one.
    """

    total_shape: float
    total_rate: float
    alpha: float
    ratio: float

    couples = True
    kind: ClassVar[str]

    @classmethod
    def parse(cls, values: str) -> Self:
        """Return the prior of four numbers given as text."""
        return cls(*parse_numbers(values, SHAPES, RATES, SHAPES, SHAPES))

    @property
    def name(self) -> str:
        """Its kind with ALPHA_T, BETA_T, ALPHA and C."""
        numbers = text(self.total_shape, self.total_rate, self.alpha, self.ratio)
        return f"{self.kind}:{numbers}"

    @property
    @abstractmethod
    def _total_moments(self) -> tuple[float, float]:
        """Mean and variance of the log of the tree length."""

    def _proportions(self, lengths: np.ndarray, external: np.ndarray | None) -> np.ndarray:
        """Return the Dirichlet parameters, in the shape of ``lengths``."""
        if external is not None:
            return np.broadcast_to(
                np.where(external, self.alpha, self.alpha * self.ratio), lengths.shape
            )
        if self.ratio != 1.0:
            raise ValueError(f"{self.name} needs to know which branches are external")
        return np.full(lengths.shape, self.alpha)

    def log_density(self, lengths: np.ndarray, external: np.ndarray | None = None) -> np.ndarray:
        """Return the log density (B,) of trees with branch lengths (B, 2n-3)."""
        from scipy.special import gammaln

        a = self._proportions(lengths, external)
        total, length = a.sum(axis=1), lengths.sum(axis=1)
        return (
            self.densities(length).value
            + gammaln(total)
            - gammaln(a).sum(axis=1)
            + ((a - 1.0) * np.log(lengths)).sum(axis=1)
            - (total - 1.0) * np.log(length)
        )

    def tree_density(self, lengths: np.ndarray, external: np.ndarray) -> TreeDensity:
        """Return the log density of one tree with branch lengths (2n-3,), and its derivatives."""
        a = self._proportions(lengths, external)
        length = float(lengths.sum())
        value = float(self.log_density(lengths[None], external[None])[0])
        of_total = float(self.densities(np.array([length])).slope[0])
        of_total -= (float(a.sum()) - 1.0) / length
        return TreeDensity(value, (a - 1.0) / lengths + of_total, -(a - 1.0) / lengths**2)

    def log_length_moments(self, n_taxa: int) -> tuple[float, float]:
        """Return mean and variance of log b of a branch drawn evenly from a tree of n taxa."""
        from scipy.special import polygamma, psi

        mean, variance = self._total_moments
        a = np.repeat([self.alpha, self.alpha * self.ratio], [n_taxa, n_taxa - 3])
        means = mean + psi(a) - psi(a.sum())
        variances = variance + polygamma(1, a) - polygamma(1, a.sum())
        return float(means.mean()), float(variances.mean() + means.var())


@dataclass(frozen=True)
class GammaDirichletPrior(_CompoundDirichletPrior):
    """Tree length with a gamma distribution, of mean shape / rate."""

    kind = "gammadir"
    usage = (
        "gammadir:ALPHA_T,BETA_T,ALPHA,C, such as gammadir:1,0.1,1,1 (tree length of mean "
        f"ALPHA_T/BETA_T), with {RANGES}"
    )

    @cached_property
    def functions(self) -> PriorFunctions:
        """Parameters and compiled functions, which kernels read."""
        from phylogfn.kernels import branch_prior_numba as kernels

        return kernels.PriorFunctions(
            self.total_shape * math.log(self.total_rate) - math.lgamma(self.total_shape),
            np.array([self.total_shape, self.total_rate], float),
            kernels.gamma_terms,
            kernels.gamma_draw,
            float(self.alpha),
            float(self.alpha * self.ratio),
        )

    @property
    def _total_moments(self) -> tuple[float, float]:
        from scipy.special import polygamma, psi

        mean = float(psi(self.total_shape)) - math.log(self.total_rate)
        return mean, float(polygamma(1, self.total_shape))


@dataclass(frozen=True)
class InverseGammaDirichletPrior(_CompoundDirichletPrior):
    """Tree length with an inverse gamma distribution, of mean rate / (shape - 1)."""

    kind = "invgammadir"
    usage = (
        "invgammadir:ALPHA_T,BETA_T,ALPHA,C, such as invgammadir:3,1,1,1 (tree length of mean "
        f"BETA_T/(ALPHA_T - 1)), with {RANGES}"
    )

    @cached_property
    def functions(self) -> PriorFunctions:
        """Parameters and compiled functions, which kernels read."""
        from phylogfn.kernels import branch_prior_numba as kernels

        return kernels.PriorFunctions(
            self.total_shape * math.log(self.total_rate) - math.lgamma(self.total_shape),
            np.array([self.total_shape, self.total_rate], float),
            kernels.inverse_gamma_terms,
            kernels.inverse_gamma_draw,
            float(self.alpha),
            float(self.alpha * self.ratio),
        )

    @property
    def _total_moments(self) -> tuple[float, float]:
        from scipy.special import polygamma, psi

        mean = math.log(self.total_rate) - float(psi(self.total_shape))
        return mean, float(polygamma(1, self.total_shape))
