"""Variation of rates among sites: discrete gamma categories, free rates and invariant sites.

Yang 1994, J Mol Evol 39:306-314 (mean of equal-probability categories); Gu, Fu & Li 1995,
Mol Biol Evol 12:546-557 (gamma and invariant sites together).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc, gammaincinv

__all__ = ["gamma_category_rates", "with_invariant_sites"]


def gamma_category_rates(shape: float, n_categories: int) -> np.ndarray:
    """Return the mean rate of each equal-probability category of a gamma with mean one.

    Parameters
    ----------
    shape : float
        Shape alpha of the gamma distribution; its rate is alpha too.
    n_categories : int
        Number of categories C.

    Returns
    -------
    rates : ndarray, shape (C,), float64
        Ascending, mean exactly 1.
    """
    if n_categories == 1:
        return np.ones(1)
    cuts = gammaincinv(shape, np.arange(1, n_categories) / n_categories)
    mass = np.concatenate([[0.0], gammainc(shape + 1.0, cuts), [1.0]])
    rates = np.diff(mass) * n_categories
    return rates / rates.mean()


def with_invariant_sites(
    rates: np.ndarray, weights: np.ndarray, invariant: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return rates and weights of the categories beside invariant sites, as MrBayes and IQ-TREE do.

    Parameters
    ----------
    rates : ndarray, shape (C,), float64
        Rates of the variable sites.
    weights : ndarray, shape (C,), float64
        Their proportions among the variable sites, sum 1.
    invariant : float
        Probability that a site is invariant, in [0, 1).

    Returns
    -------
    rates : ndarray, shape (C,), float64
        Sped up, so that their mean over all sites is 1.
    weights : ndarray, shape (C,), float64
        Sum 1 - `invariant`.

    Examples
    --------
    >>> with_invariant_sites(np.array([0.5, 1.5]), np.array([0.5, 0.5]), 0.2)
    (array([0.625, 1.875]), array([0.4, 0.4]))
    """
    mean = weights @ rates
    return rates / (mean * (1.0 - invariant)), (1.0 - invariant) * weights
