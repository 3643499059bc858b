"""What a prior on the branch lengths of a tree is: its name, its density, and how it is drawn.

`phylogfn.likelihood.branch_prior` lists the priors. A new prior is a subclass of `BranchPrior` in
its table; the two compiled functions of a prior are what all kernels read of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from gfncore.text.numbers import parse_float

if TYPE_CHECKING:
    from phylogfn.kernels.branch_prior_numba import PriorFunctions

__all__ = ["BranchPrior", "Densities", "TreeDensity", "external_branches", "parse_numbers", "text"]

# of log b, for moments: where a prior is narrower than a step, or wider than the range, override
GRID = np.linspace(-60.0, 20.0, 80_001)


class Densities(NamedTuple):
    """Log density of a prior (nats) and its first and second derivative by the length."""

    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


class TreeDensity(NamedTuple):
    """Log density of all branch lengths of a tree (nats), and derivatives by each of them.

    Attributes
    ----------
    value : float
    slope, curvature : ndarray, shape (2n-3,), float64
        First derivative; second derivative at a fixed derivative by the tree length, so that it
        is negative where the density has a mode in each branch.
    """

    value: float
    slope: np.ndarray
    curvature: np.ndarray


class BranchPrior(ABC):
    """The prior on branch lengths b, expected substitutions per site.

    Branches are independent and have the same prior, unless a subclass says otherwise.
    """

    usage: ClassVar[str]
    """Form of its text, with an example, for an error message: ``write ...``."""

    couples: ClassVar[bool] = False
    """Whether branches depend on one another (through the tree length)."""

    bounded: ClassVar[bool] = False
    """Whether some positive lengths have density 0."""

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
        """Return log density, slope and curvature at positive lengths, each of their shape.

        Lengths are those of independent branches; of a prior that couples branches, they are
        lengths of trees.
        """
        from phylogfn.kernels.branch_prior_numba import evaluate

        flat = np.ascontiguousarray(lengths, float).ravel()
        out = Densities(np.empty(flat.size), np.empty(flat.size), np.empty(flat.size))
        evaluate(self.functions, flat, *out)
        return Densities(*(values.reshape(np.shape(lengths)) for values in out))

    def log_density(self, lengths: np.ndarray, external: np.ndarray | None = None) -> np.ndarray:
        """Return the log density (B,) of trees with branch lengths (B, 2n-3).

        ``external`` (B, 2n-3) or (2n-3,), bool, tells which branches lead to a taxon; ValueError if
        it is missing and the density depends on that.
        """
        return self.densities(lengths).value.sum(axis=1)

    def tree_density(self, lengths: np.ndarray, external: np.ndarray) -> TreeDensity:
        """Return the log density of one tree with branch lengths (2n-3,), and its derivatives.

        ``external`` (2n-3,), bool, tells which branches lead to a taxon.
        """
        found = self.densities(lengths)
        return TreeDensity(float(np.sum(found.value)), found.slope, found.curvature)

    def log_length_moments(self, n_taxa: int) -> tuple[float, float]:
        """Return mean and variance of log b of a branch of a tree of n taxa."""
        log_density = self.densities(np.exp(GRID)).value + GRID
        mass = np.exp(log_density - log_density.max())
        mass /= mass.sum()
        mean = float(mass @ GRID)
        return mean, float(mass @ (GRID - mean) ** 2)


def external_branches(parents: np.ndarray) -> np.ndarray:
    """Return which branches lead to a taxon, bool, of trees drawn at taxon 0.

    ``parents`` (B, 2n-2); the result has their shape, and the entry of node 0 means nothing.

    Examples
    --------
    >>> external_branches(np.array([[-1, 4, 5, 5, 0, 4]])).tolist()
    [[True, True, True, True, True, False]]
    """
    n_taxa = (parents.shape[1] + 2) // 2
    return (np.arange(parents.shape[1]) < n_taxa) | (parents == 0)


def parse_numbers(values: str, *ranges: tuple[float, float]) -> tuple[float, ...]:
    """Return numbers from text with commas, each within its range; ValueError if they are not.

    Examples
    --------
    >>> parse_numbers("1, 0.1", (0.0, 5.0), (0.0, 5.0))
    (1.0, 0.1)
    """
    texts = values.split(",")
    if len(texts) != len(ranges):
        raise ValueError(f"{len(texts)} numbers in place of {len(ranges)}")
    return tuple(
        parse_float(one.strip(), *bounds) for one, bounds in zip(texts, ranges, strict=True)
    )


def text(*numbers: float) -> str:
    """Return numbers as text with commas, which reads back as the same numbers.

    Examples
    --------
    >>> text(1.0, 0.1)
    '1,0.1'
    """
    return ",".join(f"{number!r}".removesuffix(".0") for number in numbers)
