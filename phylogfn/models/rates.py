"""Variation of rates among sites: discrete gamma categories and invariant sites.

Yang 1994, J Mol Evol 39:306-314 (mean of equal-probability categories); Gu, Fu & Li 1995,
Mol Biol Evol 12:546-557 (gamma and invariant sites together).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc, gammaincinv

__all__ = ["gamma_category_rates", "site_rates"]


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


def site_rates(
    shape: float | None, n_categories: int, invariant: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return rates and weights of the categories, with mean one over all sites.

    Parameters
    ----------
    shape : float or None
        Gamma shape; None for equal rates.
    n_categories : int
        Number of gamma categories C (ignored when `shape` is None).
    invariant : float
        Probability that a site is invariant, in [0, 1).

    Returns
    -------
    rates : ndarray, shape (C,), float64
        Sped up by 1/(1 - invariant), as MrBayes and IQ-TREE do.
    weights : ndarray, shape (C,), float64
        Sum 1 - `invariant`.
    """
    rates = np.ones(1) if shape is None else gamma_category_rates(shape, n_categories)
    weights = np.full(rates.size, (1.0 - invariant) / rates.size)
    return rates / (1.0 - invariant), weights
