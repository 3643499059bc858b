"""What draws of branch lengths tell: corrections of the closed form, shares, and samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CorrectedShares", "Corrections", "LengthSamples"]


@dataclass(frozen=True)
class Corrections:
    """Log of r_i, the factor that corrects the closed form of each topology.

    Attributes
    ----------
    log_ratios, variances : ndarray, shape (size of the table,), float64
        With the relative variance of each ratio.
    drawn_for : ndarray, shape (size of the table,), bool
        Whether a topology is corrected by its own draws; others have the mean of similar
        topologies.
    """

    log_ratios: np.ndarray
    variances: np.ndarray
    drawn_for: np.ndarray


@dataclass(frozen=True)
class CorrectedShares:
    """Unbiased shares of topologies in the evidence, for sums over many of them.

    `Corrections` are shrunk, so that each is as good as it can be; a sum over the topologies of a
    clade would add up what they were shrunk by. Here a topology of the design that represents only
    itself has its own ratio. All others have the mean ratio r of the drawn ones, and the n draws k
    of the rest, of mass M, add M (r_k - r) / n to their topologies (difference estimator of survey
    sampling). A share can be negative; sums are unbiased.

    Attributes
    ----------
    values : ndarray, shape (T,), float64
        In the order of the masses; sum 1.
    variances : ndarray, shape (T,), float64
        Their independent variances; of the rest, those that are expected of draws by mass, so that
        topologies without draws count as well.
    """

    values: np.ndarray
    variances: np.ndarray


@dataclass(frozen=True)
class LengthSamples:
    """Joint draws of topology and branch lengths, and the correction of the closed form.

    Attributes
    ----------
    rows : ndarray, shape (S,), int64
    lengths : ndarray, shape (S, 2n-2)
    log_likelihoods : ndarray, shape (S,)
    thetas : ndarray, shape (S, d)
        Free parameters, as `ModelSpec.build` takes them.
    log_correction, standard_error : float
        Of the log evidence, with the tail of the weights beyond the largest draw.
    corrections : Corrections
    shares : CorrectedShares
    ess, pareto_k : float
        Of the weights of all draws together, the masses of their topologies included.
    n_draws : int
    wanted_draws : int
        That the standard error aimed for calls for; larger where time allowed fewer.
    method : str
        ``independent`` branches, ``joint`` draws of parameters and lengths, or ``annealed`` ones.
    rungs : int
        Steps of the ladder of annealed draws; 1 of others.
    """

    rows: np.ndarray
    lengths: np.ndarray
    log_likelihoods: np.ndarray
    thetas: np.ndarray
    log_correction: float
    standard_error: float
    corrections: Corrections
    shares: CorrectedShares
    ess: float
    pareto_k: float
    n_draws: int
    wanted_draws: int
    method: str = "independent"
    rungs: int = 1
