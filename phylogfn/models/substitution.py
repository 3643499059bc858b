"""The reversible substitution model that every likelihood takes: states, rates, rate categories.

Glossary: K states (4, 20 or those of a character), C rate categories, pi the equilibrium
frequencies, Q the generator of the substitution process. A site is invariant with probability
`invariant`; otherwise it evolves at rate r_c with probability w_c. Branch lengths are expected
substitutions per site, averaged over all sites, so `sum_c w_c r_c = 1` also when some sites are
invariant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["MixtureModel", "PartitionedModel", "SiteModel", "SubstitutionModel", "rate_matrix"]


def rate_matrix(exchangeabilities: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Return the generator of a reversible process, scaled to one substitution per unit time.

    Parameters
    ----------
    exchangeabilities : ndarray, shape (K,K), float64
        Symmetric, not negative; the diagonal is ignored.
    frequencies : ndarray, shape (K,), float64
        Equilibrium frequencies, positive, sum 1.

    Returns
    -------
    generator : ndarray, shape (K,K), float64
        Rows sum to 0 and `-sum_i pi_i Q_ii = 1`.
    """
    generator = exchangeabilities * frequencies[None, :]
    np.fill_diagonal(generator, 0.0)
    outflow = generator.sum(axis=1)
    np.fill_diagonal(generator, -outflow)
    return generator / (frequencies @ outflow)


@dataclass(frozen=True)
class SubstitutionModel:
    """A reversible model with discrete rate categories and invariant sites.

    Attributes
    ----------
    name : str
        As the user wrote it, e.g. "HKY85+G4".
    frequencies : ndarray, shape (K,), float64
        Equilibrium frequencies pi.
    exchangeabilities : ndarray, shape (K,K), float64
        Symmetric with a zero diagonal, in arbitrary units.
    category_rates : ndarray, shape (C,), float64
        Rates r_c of the variable sites, relative to the mean over all sites of the alignment.
    category_weights : ndarray, shape (C,), float64
        Probabilities w_c, sum 1 - `invariant`.
    invariant : float
        Probability that a site cannot change.
    variable_only : bool
        Whether the data consist of variable sites alone, as in morphological matrices and SNP
        data: likelihoods are then divided by the probability that a site is variable (Lewis 2001).
    """

    name: str
    frequencies: np.ndarray
    exchangeabilities: np.ndarray
    category_rates: np.ndarray
    category_weights: np.ndarray
    invariant: float = 0.0
    variable_only: bool = False

    def __post_init__(self) -> None:
        n_states = self.frequencies.shape[0]
        if self.exchangeabilities.shape != (n_states, n_states):
            raise ValueError(
                f"{n_states} frequencies need {n_states}x{n_states} exchangeabilities, "
                f"found shape {self.exchangeabilities.shape}"
            )
        if self.category_rates.shape != self.category_weights.shape:
            raise ValueError("category_rates and category_weights differ in shape")
        if abs(self.category_weights.sum() + self.invariant - 1.0) > 1e-9:
            raise ValueError("category_weights must sum to 1 - invariant")

    @property
    def parts(self) -> tuple[SubstitutionModel, ...]:
        """The model itself: the only one of an alignment without parts."""
        return (self,)

    @property
    def processes(self) -> tuple[SubstitutionModel, ...]:
        """The different processes among the categories: this one alone."""
        return (self,)

    def process(self, category: int) -> SubstitutionModel:
        """Return the process of a category; its rate is `category_rates[category]`."""
        return self

    @property
    def n_states(self) -> int:
        """Number of states K."""
        return self.frequencies.shape[0]

    @property
    def n_categories(self) -> int:
        """Number of rate categories C of the variable sites."""
        return self.category_rates.shape[0]

    @property
    def decay(self) -> float:
        """Decay of an equal-input model per expected substitution, 1 / (1 - sum pi^2)."""
        return float(1.0 / (1.0 - np.sum(self.frequencies**2)))

    @cached_property
    def Q(self) -> np.ndarray:
        """Generator, shape(K,K): rows sum to 0, one expected substitution per unit time."""
        return rate_matrix(self.exchangeabilities, self.frequencies)

    @property
    def is_jukes_cantor(self) -> bool:
        """Whether all exchangeabilities and frequencies are equal, so that closed forms apply."""
        off_diagonal = self.exchangeabilities[~np.eye(self.n_states, dtype=bool)]
        return bool(
            np.ptp(self.frequencies) < 1e-14 and np.ptp(off_diagonal) <= 1e-14 * off_diagonal.max()
        )

    def eigen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Decompose the generator as `right @ diag(values) @ left`.

        The process is reversible, so `sqrt(pi) Q 1/sqrt(pi)` is symmetric and the decomposition
        is real and well conditioned.

        Returns
        -------
        right : ndarray, shape (K,K), float64
            Right eigenvectors in columns.
        values : ndarray, shape (K,), float64
            Eigenvalues, ascending; the last is 0.
        left : ndarray, shape (K,K), float64
            Inverse of `right`.
        """
        return self._eigen

    @cached_property
    def _eigen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        root = np.sqrt(self.frequencies)
        symmetric = root[:, None] * self.Q / root[None, :]
        values, vectors = np.linalg.eigh(0.5 * (symmetric + symmetric.T))
        values[-1] = 0.0
        if self.n_states > 4 and self.is_jukes_cantor:
            # exactly alike, so that kernels can do with fewer operations
            values[:-1] = -self.n_states / (self.n_states - 1.0)
            vectors[:, -1] = self.n_states**-0.5
        right = np.ascontiguousarray(vectors / root[:, None])
        left = np.ascontiguousarray(vectors.T * root[None, :])
        return right, np.minimum(values, 0.0), left

    def transition_probabilities(self, length: float | np.ndarray) -> np.ndarray:
        """Return P(t) = exp(Q t) at unit rate.

        Parameters
        ----------
        length : float or ndarray, shape(...)
            Expected substitutions per site.

        Returns
        -------
        probabilities : ndarray, shape (..., K, K), float64
            Rows are start states and sum to 1.
        """
        right, values, left = self.eigen()
        growth = np.exp(np.multiply.outer(np.asarray(length, dtype=float), values))
        return np.maximum((right * growth[..., None, :]) @ left, 0.0)


@dataclass(frozen=True)
class MixtureModel:
    """A mixture over sites of reversible processes, with rates and invariant sites.

    Attributes
    ----------
    name : str
        As the user wrote it, e.g. "LG+C20+G4".
    processes : tuple of SubstitutionModel, length N
        The different processes; their own categories are not used. The first C / N categories
        have the first process, and so on.
    category_rates : ndarray, shape (C,), float64
        Rates r_c relative to the mean over all sites.
    category_weights : ndarray, shape (C,), float64
        Probabilities w_c, sum 1 - `invariant`.
    invariant : float
        Probability that a site cannot change; its states have the mean `frequencies`.
    variable_only : bool
        As of `SubstitutionModel`.
    """

    name: str
    processes: tuple[SubstitutionModel, ...]
    category_rates: np.ndarray
    category_weights: np.ndarray
    invariant: float = 0.0
    variable_only: bool = False

    def __post_init__(self) -> None:
        if self.category_rates.shape != self.category_weights.shape:
            raise ValueError("category_rates and category_weights differ in shape")
        if self.n_categories % len(self.processes):
            raise ValueError("each process must have the same number of categories")
        if abs(self.category_weights.sum() + self.invariant - 1.0) > 1e-9:
            raise ValueError("category_weights must sum to 1 - invariant")

    @property
    def n_states(self) -> int:
        """Number of states K."""
        return self.processes[0].n_states

    @property
    def n_categories(self) -> int:
        """Number of categories C of the variable sites."""
        return self.category_rates.size

    @property
    def parts(self) -> tuple[MixtureModel, ...]:
        """The model itself: the only one of an alignment without parts."""
        return (self,)

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Mean equilibrium frequencies of the variable sites, shape (K,)."""
        weights = self.category_weights.reshape(len(self.processes), -1).sum(axis=1)
        each = np.array([process.frequencies for process in self.processes])
        return weights @ each / (1.0 - self.invariant)

    @property
    def decay(self) -> float:
        """Decay of the equal-input model of the mean frequencies per expected substitution."""
        return float(1.0 / (1.0 - np.sum(self.frequencies**2)))

    def process(self, category: int) -> SubstitutionModel:
        """Return the process of a category; its rate is `category_rates[category]`."""
        return self.processes[category * len(self.processes) // self.n_categories]


SiteModel = SubstitutionModel | MixtureModel
"""The model of the sites of an alignment, or of one of its parts."""


@dataclass(frozen=True)
class PartitionedModel:
    """The models of the parts of an alignment, which share one tree and its branch lengths.

    Attributes
    ----------
    name : str
        The models as the user wrote them.
    parts : tuple of SubstitutionModel or MixtureModel
        The relative rate of a part is a factor of its `category_rates`.
    """

    name: str
    parts: tuple[SiteModel, ...]
