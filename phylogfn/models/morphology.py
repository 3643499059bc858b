"""Models of morphological characters: Mk and Mkv, unordered and ordered.

A character of k states changes between any two of them at one rate (Mk: Lewis 2001, Syst Biol
50:913-925), or, if it is ordered, between neighbours only; all states have the frequency 1/k. A
branch of length t has t expected changes per character in both cases. Characters are divided into
classes by their number of states and order. A class is a part of the data with a generator of its
own; parameters, such as the shape of gamma-distributed rates, are those of all classes.

Mkv is Mk for matrices without constant characters: the likelihood of each character is divided by
the probability that a character of its class is variable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phylogfn.models.spec import ModelSpec
from phylogfn.models.substitution import PartitionedModel, SiteModel, SubstitutionModel

__all__ = ["MORPHOLOGY_MODELS", "MorphologySpec", "character_exchangeabilities"]

MORPHOLOGY_MODELS = {"MK": False, "MKV": True}
"""Names, and whether constant characters are assumed to be lacking."""


def character_exchangeabilities(n_states: int, ordered: bool) -> np.ndarray:
    """Return the exchangeabilities of a character, shape (k, k), float64.

    Parameters
    ----------
    n_states : int
        k, 2 or more.
    ordered : bool
        Whether only neighbours change into each other.

    Examples
    --------
    >>> character_exchangeabilities(3, ordered=True)
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]])
    """
    if ordered:
        return np.eye(n_states, k=1) + np.eye(n_states, k=-1)
    return 1.0 - np.eye(n_states)


@dataclass(frozen=True)
class MorphologySpec(ModelSpec):
    """Mk or Mkv, for all classes of characters of a matrix.

    Attributes
    ----------
    classes : tuple of (int, bool)
        Number of states of each class, and whether it is ordered; empty until `resolve` is called.
    """

    classes: tuple[tuple[int, bool], ...] = ()

    def resolve(self, patterns: Any) -> MorphologySpec:
        """Return a copy with the classes of characters of some patterns (`SitePatterns`)."""
        return replace(self, classes=patterns.classes)

    def build(self, theta: np.ndarray | None = None) -> SiteModel | PartitionedModel:
        """Return the models of all classes at theta.

        Parameters
        ----------
        theta : ndarray, shape (n_free,), float64, optional
            Unconstrained values; `start()` when left out.

        Raises
        ------
        ValueError
            If theta has another length, or the classes are not known.
        """
        if not self.classes:
            raise ValueError(f"{self.name} needs classes of characters: call resolve(patterns)")
        rates, weights, invariant = self._rates_among_sites(self._values(theta))
        models = tuple(
            SubstitutionModel(
                self.name,
                np.full(n_states, 1.0 / n_states),
                character_exchangeabilities(n_states, ordered),
                rates,
                weights,
                invariant,
                self.variable_only,
            )
            for n_states, ordered in self.classes
        )
        return models[0] if len(models) == 1 else PartitionedModel(self.name, models)
