"""A named model, its free parameters, and the conversion of a vector theta to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean
from gfncore.text.numbers import shortened
from phylogfn.models.dna import dna_exchangeabilities, dna_family
from phylogfn.models.frequencies import empirical_frequencies
from phylogfn.models.mixtures import FOUR_MATRICES, four_matrices, profiles
from phylogfn.models.parameters import Parameter, parse_prior
from phylogfn.models.protein import protein_matrix
from phylogfn.models.rates import gamma_category_rates, with_invariant_sites
from phylogfn.models.substitution import (
    MixtureModel,
    SiteModel,
    SubstitutionModel,
)

__all__ = ["ModelSpec", "Patterns"]


class Patterns(Protocol):
    """Source of observed frequencies, such as `phylogfn.alignments.patterns.SitePatterns`."""

    @property
    def masks(self) -> np.ndarray:
        """State sets, shape(n_taxa, n_patterns), dtype=uint32."""
        ...

    @property
    def weights(self) -> np.ndarray:
        """Number of sites of each pattern, shape(n_patterns,)."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """A named model, its fixed values and its free parameters.

    Attributes
    ----------
    name : str
        Name as written by the user.
    family : str
        Key of `DNA_MODELS`, a six-digit code of equal rates, or a name in `PROTEIN_MODELS` or
        `FOUR_MATRICES`.
    n_states : int
        4 or 20.
    parameters : tuple of Parameter
        Free parameters, in the order of theta.
    rates : tuple of float
        Fixed kappa or rates of the classes of `DnaFamily`; empty when free or absent.
    frequencies : tuple of float
        Fixed frequencies; empty when free, empirical or those of the published matrix.
    empirical : bool
        Whether frequencies must be counted in the alignment; call `resolve` first.
    n_categories : int
        Gamma categories or free rates; 1 for equal rates.
    gamma_shape : float or None
        Fixed shape; None when free or absent.
    free_rates : tuple of float
        Fixed weights of the categories of free rates, then their rates; empty when free or absent.
    invariant : float
        Fixed share of invariant sites; 0 when free or absent.
    profiles : str
        Name in `PROFILES` of the frequencies over which sites are mixed; empty without a mixture.
    variable_only : bool
        Whether the likelihood is conditioned on sites being variable (Lewis 2001).
    """

    name: str
    family: str
    n_states: int
    parameters: tuple[Parameter, ...] = ()
    rates: tuple[float, ...] = ()
    frequencies: tuple[float, ...] = ()
    empirical: bool = False
    n_categories: int = 1
    gamma_shape: float | None = None
    free_rates: tuple[float, ...] = ()
    invariant: float = 0.0
    profiles: str = ""
    variable_only: bool = False

    @property
    def n_free(self) -> int:
        """Length of theta."""
        return sum(parameter.n_free for parameter in self.parameters)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Lower and upper end of each component of theta."""
        return [p.bounds for p in self.parameters for _ in range(p.n_free)]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the natural values, e.g. ("kappa", "pi(A)", ..., "alpha", "pinvar")."""
        return tuple(self.describe(self.start()))

    def start(self, patterns: Patterns | None = None) -> np.ndarray:
        """Return a vector theta, shape(n_free,), from which an optimisation may start.

        With `patterns`, free frequencies start at the observed ones.
        """
        pieces = []
        for parameter in self.parameters:
            natural = np.array(parameter.start)
            if parameter.name == "frequencies" and patterns is not None:
                natural = empirical_frequencies(patterns.masks, patterns.weights, self.n_states)
            pieces.append(parameter.to_unconstrained(natural))
        return np.concatenate(pieces) if pieces else np.zeros(0)

    def resolve(self, patterns: Patterns) -> ModelSpec:
        """Return a copy whose empirical frequencies are those observed in `patterns`."""
        if not self.empirical:
            return self
        observed = empirical_frequencies(patterns.masks, patterns.weights, self.n_states)
        return replace(self, frequencies=tuple(float(x) for x in observed), empirical=False)

    def with_priors(self, priors: Mapping[str, str]) -> ModelSpec:
        """Return a copy with other priors.

        Parameters
        ----------
        priors : dict
            Parameter name to prior, e.g. `{"gamma_shape": "exp:2"}`.

        Raises
        ------
        UserError
            If a name is not free in this model, or a prior does not fit it.
        """
        free = {parameter.name: parameter for parameter in self.parameters}
        for name, text in priors.items():
            if name not in free:
                known = (", ".join(free) or "none") + did_you_mean(name, free)
                raise UserError(
                    f"prior on '{shortened(name)}': free parameters of {self.name} are {known}"
                )
            free[name] = free[name].with_prior(parse_prior(text))
        return replace(self, parameters=tuple(free.values()))

    def split(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Return the natural values of the free parameters by name."""
        values, position = {}, 0
        for parameter in self.parameters:
            piece = theta[position : position + parameter.n_free]
            values[parameter.name] = parameter.to_natural(piece)
            position += parameter.n_free
        return values

    def describe(self, theta: np.ndarray) -> dict[str, float]:
        """Return the natural values under the names that MrBayes gives them.

        "kappa", "r(A<->C)", "pi(A)", "alpha", "pinvar". Exchangeabilities sum to 1; those that
        are equal are one value, such as "r(A<->C,G<->T)".
        """
        described: dict[str, float] = {}
        values = self.split(np.asarray(theta, dtype=float))
        for parameter in self.parameters:
            for label, value in zip(parameter.labels, values[parameter.name], strict=True):
                described[parameter.mrbayes_name(label)] = float(value)
        return described

    def log_prior(self, theta: np.ndarray) -> float:
        """Log prior density (nats) of theta, Jacobian included; 0 when nothing is free."""
        total, position = 0.0, 0
        for parameter in self.parameters:
            total += parameter.log_prior(theta[position : position + parameter.n_free])
            position += parameter.n_free
        return total

    def log_natural_prior(self, theta: np.ndarray) -> float:
        """Log prior density (nats) of the natural values that theta stands for."""
        total, position = self.log_prior(theta), 0
        for parameter in self.parameters:
            total -= parameter.log_jacobian(theta[position : position + parameter.n_free])
            position += parameter.n_free
        return total

    def build(self, theta: np.ndarray | None = None) -> SiteModel:
        """Return the model at theta.

        Parameters
        ----------
        theta : ndarray, shape (n_free,), float64, optional
            Unconstrained values; `start()` when left out.

        Raises
        ------
        ValueError
            If theta has another length, or empirical frequencies have not been resolved.
        """
        if self.empirical:
            raise ValueError(f"{self.name} counts its frequencies: call resolve(patterns) first")
        values = self._values(theta)
        category_rates, category_weights, invariant = self._rates_among_sites(values)
        if self.family in FOUR_MATRICES:
            matrices = four_matrices(self.family)
            return self._mixture(matrices, category_rates, category_weights, invariant)
        if self.n_states == 4:
            rates = values.get("kappa", values.get("exchangeabilities", np.array(self.rates)))
            exchangeabilities = dna_exchangeabilities(dna_family(self.family), rates)
            frequencies = np.full(4, 0.25)
        else:
            exchangeabilities, frequencies = protein_matrix(self.family)
        if self.profiles:
            weights, each = profiles(self.profiles)
            return self._mixture(
                [(exchangeabilities, row) for row in each],
                np.tile(category_rates, weights.size),
                np.outer(weights, category_weights).ravel(),
                invariant,
            )
        if self.frequencies:
            frequencies = np.array(self.frequencies)
        frequencies = values.get("frequencies", frequencies)
        return SubstitutionModel(
            name=self.name,
            frequencies=frequencies,
            exchangeabilities=exchangeabilities,
            category_rates=category_rates,
            category_weights=category_weights,
            invariant=invariant,
            variable_only=self.variable_only,
        )

    def _values(self, theta: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return the natural values of the free parameters at theta or its start."""
        theta = self.start() if theta is None else np.asarray(theta, dtype=float)
        if theta.shape != (self.n_free,):
            raise ValueError(f"{self.name} has {self.n_free} free values, found {theta.shape}")
        return self.split(theta)

    def _rates_among_sites(
        self, values: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return rates and weights of the categories, and the share of invariant sites."""
        rates, weights = self._categories(values)
        invariant = float(values["invariant"][0]) if "invariant" in values else self.invariant
        return *with_invariant_sites(rates, weights, invariant), invariant

    def _mixture(
        self,
        matrices: list[tuple[np.ndarray, np.ndarray]],
        category_rates: np.ndarray,
        category_weights: np.ndarray,
        invariant: float,
    ) -> MixtureModel:
        """Return the mixture of some exchangeabilities and frequencies."""
        one = np.ones(1)
        processes = tuple(
            SubstitutionModel(self.name, frequencies, exchangeabilities, one, one)
            for exchangeabilities, frequencies in matrices
        )
        return MixtureModel(
            self.name,
            processes,
            category_rates,
            category_weights,
            invariant,
            self.variable_only,
        )

    def _categories(self, values: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return rates of the variable sites, in any unit, and weights with sum 1."""
        free_rates = values.get("free_rates", np.array(self.free_rates))
        if free_rates.size:
            weights, rates = np.split(free_rates, 2)
            return rates, weights
        shape = float(values["gamma_shape"][0]) if "gamma_shape" in values else self.gamma_shape
        rates = np.ones(1) if shape is None else gamma_category_rates(shape, self.n_categories)
        return rates, np.full(rates.size, 1.0 / rates.size)
