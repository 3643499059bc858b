"""The estimate of a partition function Z (an evidence) from weighted draws, with its accuracy.

Let C be a set of objects whose rewards R are summed exactly, q the sampler. Then

    Z = sum_{x in C} R(x) + E_q[1{x not in C} R / q],

which for an empty C is the plain importance estimate.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation.ess import effective_sample_size
from gfncore.evaluation.pareto_k import pareto_k
from gfncore.evaluation.resampling import systematic_resample
from gfncore.evaluation.unseen_tail import unseen_tail_factor

__all__ = ["PartitionEstimate", "WeightedDraws"]


@dataclass(frozen=True)
class PartitionEstimate:
    """Estimate of log Z with its standard error and diagnostics of the draws.

    Attributes
    ----------
    log_z : float
        In nats. Z is unbiased, so log Z is biased downwards by half its variance.
    standard_error : float
        Standard error of log Z by the delta method, with the tail of the weights beyond the largest
        draw (`gfncore.evaluation.unseen_tail`), without objects that the sampler never draws. NaN
        for a single draw.
    ess : float
        Effective sample size of the importance weights of all draws.
    n_draws : int
    pareto_k : float
        Pareto k-hat of the weights: above 0.7 neither log Z nor its error is reliable.
    known_share : float
        Share of Z of known objects, which is summed exactly if their rewards were given.

    Examples
    --------
    >>> estimate = PartitionEstimate(-7.25, 0.03, 800.0, 1000, 0.2)
    >>> print(estimate)
    log Z -7.250 ± 0.030
    >>> estimate.effective_share
    0.8
    """

    log_z: float
    standard_error: float
    ess: float
    n_draws: int
    pareto_k: float
    known_share: float = 0.0

    def __str__(self) -> str:
        return f"log Z {self.log_z:.3f} ± {self.standard_error:.3f}"

    @property
    def effective_share(self) -> float:
        """Return the sampling efficiency: effective sample size over number of draws."""
        return self.ess / self.n_draws

    def as_dict(self) -> dict[str, float | int]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class WeightedDraws:
    """Independent draws of a sampler with their importance weights.

    Attributes
    ----------
    log_weights : ndarray, shape (n,), float64
        log R - log q (for trajectories log R + log P_B - log P_F), nats; -inf allowed. The sampler
        must not depend on the draws.
    known : ndarray, shape (n,), bool, optional
        Draws whose object is in the known set C.

    Examples
    --------
    >>> import numpy as np
    >>> draws = WeightedDraws(np.log([1.0, 3.0]))
    >>> print(draws.estimate())
    log Z 0.693 ± 0.500
    >>> draws.probabilities
    array([0.25, 0.75])
    >>> round(draws.ess, 3)
    1.6
    """

    log_weights: np.ndarray
    known: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.log_weights)

    @property
    def ess(self) -> float:
        """Return the effective sample size."""
        return effective_sample_size(self.log_weights)

    @property
    def probabilities(self) -> np.ndarray:
        """Return the normalised weights, shape (n,), float64."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return weights / weights.sum()

    def estimate(self, log_rewards_known: np.ndarray | None = None) -> PartitionEstimate:
        """Estimate log Z and return it with diagnostics.

        Parameters
        ----------
        log_rewards_known : ndarray, shape (m,), float64, optional
            log R of the objects of C, each once: they are summed exactly, and `known` draws do not
            count. If None, Z and the share of C are estimated from all draws.

        Returns
        -------
        PartitionEstimate

        Raises
        ------
        ValueError
            If there are no draws, or the estimate of Z is zero.
        """
        n = len(self.log_weights)
        if n == 0:
            raise ValueError("log Z cannot be estimated from 0 draws")
        if log_rewards_known is None:
            log_z, error = _log_sum(self.log_weights, np.zeros(n, bool), np.zeros(0))
            share = 0.0 if self.known is None else float(self.probabilities[self.known].sum())
        elif self.known is None:
            raise ValueError("rewards of known objects are given, but not which draws are known")
        else:
            log_z, error = _log_sum(self.log_weights, self.known, log_rewards_known)
            share = float(np.exp(np.asarray(logsumexp(log_rewards_known)) - log_z))
        return PartitionEstimate(log_z, error, self.ess, n, pareto_k(self.log_weights), share)

    def resample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw by weight, systematically, in random order; indices, shape (n,), int64."""
        return rng.permutation(systematic_resample(self.probabilities, n, rng))


def _log_sum(
    log_weights: np.ndarray, known: np.ndarray, log_rewards: np.ndarray
) -> tuple[float, float]:
    """Return log Z and its standard error."""
    n = len(log_weights)
    top = max(np.max(log_rewards, initial=-np.inf), np.max(log_weights[~known], initial=-np.inf))
    if not np.isfinite(top):
        raise ValueError("no draw and no known object has a finite positive reward")
    rest = np.where(known, 0.0, np.exp(log_weights - top))
    z = float(np.exp(log_rewards - top).sum() + rest.mean())
    error = float(rest.std(ddof=1)) / math.sqrt(n) / z if n > 1 else math.nan
    error *= unseen_tail_factor(np.where(known, -np.inf, log_weights))
    return float(top) + math.log(z), error
