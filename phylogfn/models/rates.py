"""Variation of rates among sites: discrete gamma categories, invariant sites, free rates.

Yang 1994, J Mol Evol 39:306-314 (mean of equal-probability categories); Gu, Fu & Li 1995,
Mol Biol Evol 12:546-557 (gamma and invariant sites together).

Free rates are categories of sites whose weights and rates are both parameters. Category c has the
weight w_c and the rate r_c, with sum w_c = 1 and mean rate sum w_c r_c = 1. The weights and the
shares s_c = w_c r_c of the categories in the substitutions are both uniformly distributed
(Dirichlet of concentration 1) a priori. Categories have no order of their own; they are numbered by
ascending rate, so that each mixture is counted once, and the density of the ordered categories is
k! times that of the unordered ones.

The categories of LG4X have different matrices and so an identity; their rates may have any order.
Their coordinates are additive log ratios of the weights and of the shares.

Unconstrained coordinates of ordered categories (2k - 2): additive log ratios of the weights, and of
the increments r_1, r_2 - r_1, ..., r_k - r_(k-1) as shares of r_k. Every vector gives ascending
rates.

Yang 1995, Genetics 139:993-1005; Soubrier et al. 2012, Mol Biol Evol 29:3345-3358.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc, gammaincinv, gammaln

__all__ = [
    "free_rates_from_theta",
    "free_rates_to_theta",
    "gamma_category_rates",
    "log_free_rates_jacobian",
    "log_free_rates_prior",
    "log_unordered_rates_jacobian",
    "log_unordered_rates_prior",
    "unordered_rates_from_theta",
    "unordered_rates_to_theta",
    "with_invariant_sites",
]


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


def free_rates_from_theta(theta: np.ndarray) -> np.ndarray:
    """Return weights and rates.

    Parameters
    ----------
    theta : ndarray, shape (2k-2,), float64
        Unconstrained coordinates.

    Returns
    -------
    values : ndarray, shape (2k,), float64
        k weights, then k ascending rates with weighted mean 1.

    Examples
    --------
    >>> free_rates_from_theta([0.0, 0.0])
    array([0.5       , 0.5       , 0.66666667, 1.33333333])
    """
    weights, increments = (np.exp(logs) for logs in _log_shares(theta))
    rates = np.cumsum(increments)
    return np.concatenate([weights, rates / (weights @ rates)])


def free_rates_to_theta(values: np.ndarray) -> np.ndarray:
    """Return the unconstrained coordinates of weights and rates.

    Parameters
    ----------
    values : ndarray, shape (2k,), float64
        k positive weights, then k strictly ascending positive rates, in any unit.

    Returns
    -------
    theta : ndarray, shape (2k-2,), float64
    """
    weights, rates = np.split(np.asarray(values, dtype=float), 2)
    increments = np.diff(rates, prepend=0.0)
    return np.concatenate([np.log(x[:-1] / x[-1]) for x in (weights, increments)])


def log_free_rates_prior(theta: np.ndarray, concentration: float) -> float:
    """Return the log density (nats) of the unconstrained coordinates.

    Parameters
    ----------
    theta : ndarray, shape (2k-2,), float64
    concentration : float
        Of the symmetric Dirichlet densities of the weights and of the shares.
    """
    log_weights, log_shares, _ = _log_categories(theta)
    size = log_weights.size
    constant = gammaln(size * concentration) - size * gammaln(concentration)
    densities = (concentration - 1.0) * (log_weights.sum() + log_shares.sum())
    log_jacobian = log_free_rates_jacobian(theta)
    return float(gammaln(size + 1) + 2.0 * constant + densities + log_jacobian)


def log_free_rates_jacobian(theta: np.ndarray) -> float:
    """Return the log of the density of theta over that of weights and shares (all but one each).

    Parameters
    ----------
    theta : ndarray, shape (2k-2,), float64
    """
    log_weights, log_shares, log_rates = _log_categories(theta)
    _, log_increments = _log_shares(theta)
    # the log ratios of the shares are those of the weights plus log(r_c / r_k)
    log_ratios = log_increments.sum() - log_rates.sum()
    return float(log_weights.sum() + log_shares.sum() + log_ratios)


def _log_categories(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the logarithms of the weights, of the shares, and of r_c / r_k."""
    log_weights, log_increments = _log_shares(theta)
    log_rates = np.logaddexp.accumulate(log_increments)
    log_shares = log_weights + log_rates
    return log_weights, log_shares - np.logaddexp.reduce(log_shares), log_rates


def unordered_rates_from_theta(theta: np.ndarray) -> np.ndarray:
    """Return k weights, then k rates in any order with weighted mean 1, shape (2k,).

    Examples
    --------
    >>> unordered_rates_from_theta([0.0, np.log(3.0)])
    array([0.5, 0.5, 1.5, 0.5])
    """
    weights, shares = (np.exp(logs) for logs in _log_shares(theta))
    return np.concatenate([weights, shares / weights])


def unordered_rates_to_theta(values: np.ndarray) -> np.ndarray:
    """Return the unconstrained coordinates, shape (2k-2,), of weights and rates, shape (2k,)."""
    weights, rates = np.split(np.asarray(values, dtype=float), 2)
    return np.concatenate([np.log(x[:-1] / x[-1]) for x in (weights, weights * rates)])


def log_unordered_rates_prior(theta: np.ndarray, concentration: float) -> float:
    """Return the log density (nats) of the coordinates of unordered categories."""
    weights, shares = _log_shares(theta)
    size = weights.size
    constant = gammaln(size * concentration) - size * gammaln(concentration)
    return float(2.0 * constant + concentration * (weights.sum() + shares.sum()))


def log_unordered_rates_jacobian(theta: np.ndarray) -> float:
    """Return the log of the density of theta over that of weights and shares (all but one each)."""
    weights, shares = _log_shares(theta)
    return float(weights.sum() + shares.sum())


def _log_shares(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of the two simplexes whose additive log ratios are given."""
    halves = np.split(np.asarray(theta, dtype=float), 2)
    padded = [np.append(half, 0.0) for half in halves]
    weights, increments = (logs - np.logaddexp.reduce(logs) for logs in padded)
    return weights, increments
