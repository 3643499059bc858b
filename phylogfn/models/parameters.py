"""Free parameters of a model: their unconstrained coordinates, their bounds and their priors.

Optimisers and Laplace approximations use an unconstrained vector theta:

* positive parameters (kappa, gamma shape): theta = log x;
* shares (invariant sites): theta = log(x / (1 - x));
* simplexes (frequencies, exchangeabilities): additive log ratios to the last component;
* free rates: see `phylogfn.models.rates`.

`log_prior` is the density of theta, so it includes the logarithm of the Jacobian. Default priors
are those of MrBayes (Ronquist et al. 2012, Syst Biol 61:539-542).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from gfncore.errors import UserError
from gfncore.text.numbers import NumberError, parse_float, shortened
from phylogfn.models.rates import (
    free_rates_from_theta,
    free_rates_to_theta,
    log_free_rates_jacobian,
    log_free_rates_prior,
    log_unordered_rates_jacobian,
    log_unordered_rates_prior,
    unordered_rates_from_theta,
    unordered_rates_to_theta,
)

__all__ = ["Parameter", "Prior", "parse_prior"]

_PRIOR_ARGUMENTS = {"exp": 1, "uniform": 2, "beta": 2, "dirichlet": 1, "gamma": 2}
_FITTING = {
    "positive": ("exp", "gamma", "uniform", "beta"),
    "share": ("uniform", "beta"),
    "simplex": ("dirichlet",),
    "free_rates": ("dirichlet",),
    "unordered_rates": ("dirichlet",),
}


@dataclass(frozen=True)
class Prior:
    """A prior density: "exp" (rate), "gamma" (shape, rate), "uniform" (low, high), "beta" (a, b).

    For simplexes "dirichlet" (one concentration for all components, or one for each). "beta" on a
    positive parameter x is, as in MrBayes, the density of the ratio x / (1 + x).
    """

    family: str
    arguments: tuple[float, ...]

    def __str__(self) -> str:
        return self.family + ":" + ",".join(f"{value:g}" for value in self.arguments)


def parse_prior(text: str) -> Prior:
    """Read a prior such as "exp:1", "beta:1,1", "uniform:0,1", "gamma:2,1" or "dirichlet:1,2,1,1".

    Raises
    ------
    UserError
        If the family is unknown, or the numbers are missing or out of range.
    """
    family, _, numbers = text.strip().lower().partition(":")
    if family not in _PRIOR_ARGUMENTS:
        raise UserError(
            f"prior '{shortened(text)}': unknown; known are {', '.join(_PRIOR_ARGUMENTS)}"
        )
    expected = _PRIOR_ARGUMENTS[family]
    try:
        arguments = [parse_float(number.strip()) for number in numbers.split(",")]
    except NumberError:
        arguments = []
    positive = family == "uniform" or all(value > 0 for value in arguments)
    several = family == "dirichlet" and len(arguments) > expected
    if not (len(arguments) == expected or several) or not positive:
        example = "0,1" if family == "uniform" else ",".join(["1"] * expected)
        kind = "numbers" if family == "uniform" else "positive number(s)"
        raise UserError(
            f"prior '{shortened(text)}': '{family}' takes {expected} {kind}, "
            f"as in '{family}:{example}'"
        )
    if family == "uniform" and arguments[0] >= arguments[1]:
        raise UserError(f"prior '{text}': the lower end must be below the upper end")
    return Prior(family, tuple(arguments))


@dataclass(frozen=True)
class Parameter:
    """One free parameter: a number, a simplex, or weights and rates of categories.

    Attributes
    ----------
    name : str
        "kappa", "exchangeabilities", "frequencies", "gamma_shape", "free_rates", "invariant" or
        "rates" (of parts).
    kind : str
        "positive", "share", "simplex", "free_rates" or "unordered_rates".
    labels : tuple of str
        A label for each natural component, e.g. ("A", "C", "G", "T").
    start : tuple of float
        Natural values where an optimisation starts.
    bounds : tuple of float
        Lower and upper end of the unconstrained coordinates.
    prior : Prior
        Density of the natural value.
    part : str
        The parts of a partitioned alignment that have it, such as "{2}" or "{1,3}"; empty if there
        is only one.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    start: tuple[float, ...]
    bounds: tuple[float, float]
    prior: Prior
    part: str = ""

    @property
    def n_free(self) -> int:
        """Number of unconstrained coordinates."""
        sums = {"simplex": 1, "free_rates": 2, "unordered_rates": 2}  # that are 1
        return len(self.start) - sums.get(self.kind, 0)

    def mrbayes_name(self, label: str) -> str:
        """Return the name that MrBayes gives the component with a label, without its part."""
        if self.name == "frequencies":
            return f"pi({label})"
        if self.name == "exchangeabilities":
            return f"r({','.join(f'{pair[0]}<->{pair[1]}' for pair in label.split(','))})"
        return {"gamma_shape": "alpha", "invariant": "pinvar"}.get(self.name, label)

    def to_unconstrained(self, natural: np.ndarray) -> np.ndarray:
        """Map natural values to the unconstrained coordinates, shape(n_free,)."""
        natural = np.asarray(natural, dtype=float)
        if self.kind == "positive":
            return np.log(natural)
        if self.kind == "share":
            return np.log(natural) - np.log1p(-natural)
        if self.kind == "free_rates":
            return free_rates_to_theta(natural)
        if self.kind == "unordered_rates":
            return unordered_rates_to_theta(natural)
        return np.log(natural[:-1]) - np.log(natural[-1])

    def to_natural(self, theta: np.ndarray) -> np.ndarray:
        """Map unconstrained coordinates to natural values, shape(1,) or shape(len(start),)."""
        theta = np.asarray(theta, dtype=float)
        if self.kind == "positive":
            return np.exp(theta)
        if self.kind == "share":
            return 1.0 / (1.0 + np.exp(-theta))
        if self.kind == "free_rates":
            return free_rates_from_theta(theta)
        if self.kind == "unordered_rates":
            return unordered_rates_from_theta(theta)
        padded = np.append(theta, 0.0)
        weights = np.exp(padded - padded.max())
        return weights / weights.sum()

    def log_prior(self, theta: np.ndarray) -> float:
        """Log density (nats) of the unconstrained coordinates, Jacobian included."""
        if self.kind == "free_rates":
            return log_free_rates_prior(theta, self.prior.arguments[0])
        if self.kind == "unordered_rates":
            return log_unordered_rates_prior(theta, self.prior.arguments[0])
        log_x, log_rest = self._log_natural(np.asarray(theta, dtype=float))
        arguments = self.prior.arguments
        if self.prior.family == "dirichlet":
            alpha = np.broadcast_to(arguments, len(self.start))
            constant = gammaln(alpha.sum()) - gammaln(alpha).sum()
            return float(constant + alpha @ log_x)
        x = float(np.exp(log_x[0]))
        log_jacobian = float(log_x[0] + (log_rest if self.kind == "share" else 0.0))
        if self.prior.family == "exp":
            return float(np.log(arguments[0]) - arguments[0] * x + log_jacobian)
        if self.prior.family == "gamma":
            shape, rate = arguments
            density = shape * np.log(rate) - gammaln(shape) + (shape - 1) * log_x[0] - rate * x
            return float(density + log_jacobian)
        if self.prior.family == "uniform":
            low, high = arguments
            return float(-np.log(high - low) + log_jacobian) if low <= x <= high else -np.inf
        a, b = arguments
        log_share, log_other = log_x[0], log_rest
        if self.kind == "positive":  # x / (1 + x) has the beta density
            log_share, log_other = -np.log1p(np.exp(-theta[0])), -np.log1p(np.exp(theta[0]))
        constant = gammaln(a + b) - gammaln(a) - gammaln(b)
        return float(constant + a * log_share + b * log_other)

    def log_jacobian(self, theta: np.ndarray) -> float:
        """Log of the density of theta over that of the natural values (of all but one share).

        Of free rates, the natural values are here the weights and the shares weight times rate.
        """
        if self.kind == "free_rates":
            return log_free_rates_jacobian(theta)
        if self.kind == "unordered_rates":
            return log_unordered_rates_jacobian(theta)
        log_x, log_rest = self._log_natural(np.asarray(theta, dtype=float))
        return float(log_x.sum() + (log_rest if self.kind == "share" else 0.0))

    def with_prior(self, prior: Prior) -> Parameter:
        """Return a copy with another prior.

        Raises
        ------
        UserError
            If the prior's family does not fit the parameter's kind.
        """
        fits = _FITTING[self.kind]
        if prior.family not in fits:
            raise UserError(f"prior '{prior}' does not fit {self.name}; use {' or '.join(fits)}")
        size = len(self.start)
        if self.name == "free_rates" and len(prior.arguments) > 1:
            raise UserError(f"prior '{prior}': {self.name} takes one concentration")
        if prior.family == "dirichlet" and len(prior.arguments) not in (1, size):
            raise UserError(
                f"prior '{prior}': {self.name} has {size} components ({' '.join(self.labels)}); "
                f"give 1 or {size} concentrations"
            )
        if prior.family == "uniform":
            return self._within(prior)
        return replace(self, prior=prior)

    def _within(self, prior: Prior) -> Parameter:
        """Return a copy with a uniform prior, whose support contains the start and the bounds."""
        low, high = prior.arguments
        largest = 1.0 if self.kind == "share" else np.inf
        if not 0.0 <= low < high <= largest:
            limit = " to 1" if self.kind == "share" else " or more"
            raise UserError(f"prior '{prior}': {self.name} is in the range 0{limit}")
        smallest, greatest = self.to_natural(np.array(self.bounds))
        low, high = max(low, float(smallest)), min(high, float(greatest))
        if low >= high:
            raise UserError(
                f"prior '{prior}': {self.name} can be fitted from {smallest:.2g} to {greatest:.4g}"
            )
        start = self.start[0] if low < self.start[0] < high else 0.5 * (low + high)
        ends = self.to_unconstrained(np.array([low, high]))
        return replace(self, prior=prior, start=(start,), bounds=(float(ends[0]), float(ends[1])))

    def _log_natural(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """Return logarithms of the natural values and, for a share, of 1 - x."""
        if self.kind == "positive":
            return theta, 0.0
        if self.kind == "share":
            return -np.logaddexp(0.0, -theta), float(-np.logaddexp(0.0, theta[0]))
        padded = np.append(theta, 0.0)
        return padded - np.logaddexp.reduce(padded), 0.0
