"""Monotone maps from normal scores to log lengths and log parameters.

The posterior of a positive quantity x whose log density in log x has its maximum at m and curvature
-a there is nearly a gamma distribution of shape a, with its mode in log x at m. In the score
z = Phi^-1(F(log x)) of that distribution the posterior is nearly normal, also where it is skewed
(short branches, rare substitutions). A gamma alone is too light in its tails: a likelihood does not
vanish as a branch shrinks to nothing. So F is that of a mixture with wider gammas, of small share.

A gamma distribution is skewed to the left in its logarithm. Short branches between long ones are
skewed more, and branches on which substitutions saturate, as well as some parameters, less or to
the right. So the logarithm may also be that of
a gamma variable to the power 1/s, with the same curvature a and the third derivative -s a at the
mode: a generalised gamma distribution (Prentice 1974, Biometrika 61:539-544) of shape a / s^2,
which is the gamma at s = 1, log-normal near s = 0 and the inverse gamma at s = -1.

Where a prior has bounds, the gammas are truncated to these, and the widest of them is replaced by
the uniform density between the bounds.

Maps are linear between knots: both directions and the density of a mapped draw are exact, and an
approximation of F costs efficiency alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import gammainc, gammaincc, ndtri

__all__ = ["MarginalMaps"]

LEAST_SHAPE, MOST_SHAPE = 0.1, 1e6
SHAPES = np.geomspace(LEAST_SHAPE, MOST_SHAPE, 141)
KNOTS = np.concatenate([-np.geomspace(38.0, 9.0, 40), np.arange(-8.75, 9.0, 0.25)])  # scores
WIDER = (0.4, 0.12)  # factors of the shape of the wider gammas
WIDEST = 0.3  # shape below which none is made wider
FLAT = 1.0  # shape of the last one: the density of a length is constant near 0
LEAST_MASS = 0.02  # of a gamma between the bounds; one with less is uniform instead
# places between bounds, as shares of the distance
PLACES = np.concatenate(
    [
        np.geomspace(1e-170, 1e-3, 1500),
        np.linspace(0.0, 1.0, 1500)[2:-2],
        1.0 - np.geomspace(1e-3, 1e-13, 200),
    ]
)
GRID = np.concatenate([np.linspace(-400.0, -12.0, 1200)[:-1], np.linspace(-12.0, 9.0, 2400)])
LARGEST_SCORE = 37.0
LEAST_SKEW = 0.1  # of the absolute value of s; less is hardly different from the log-normal


class MarginalMaps:
    """Maps of D quantities, relative to their modes.

    Parameters
    ----------
    shapes : ndarray, shape (D,)
        Minus the curvature of each log density in the logarithm.
    wide_shares : ndarray, shape (D,)
        Shares of the wider gammas.
    lower, upper : ndarray, shape (D,), optional
        Bounds of the logarithms, relative to the modes; default: none.
    skews : ndarray, shape (D,), optional
        s; default, and where there are bounds: 1.

    Attributes
    ----------
    knots : ndarray, shape (D, N), float64
        Logarithms, relative to the mode, at the scores `KNOTS`; ascending.
    """

    def __init__(
        self,
        shapes: np.ndarray,
        wide_shares: np.ndarray,
        lower: np.ndarray | None = None,
        upper: np.ndarray | None = None,
        skews: np.ndarray | None = None,
    ):
        powers = np.ones(len(shapes))
        if skews is not None:
            free = np.ones(len(shapes), bool) if upper is None else ~np.isfinite(upper)
            sizes = np.maximum(np.abs(skews), LEAST_SKEW)
            powers = np.where(free, np.where(skews < 0.0, -1.0, 1.0) / sizes, 1.0)
            shapes = shapes * powers**2
        place = np.interp(
            np.log(np.clip(shapes, LEAST_SHAPE, MOST_SHAPE)),
            np.log(SHAPES),
            np.arange(len(SHAPES)),
        )
        low = np.minimum(place.astype(np.int64), len(SHAPES) - 2)
        part = (place - low)[:, None]
        lower = np.full(len(shapes), -np.inf) if lower is None else lower
        upper = np.full(len(shapes), np.inf) if upper is None else upper
        columns = (low, np.asarray(wide_shares, float), lower, upper, powers**2)
        cases = list(zip(*(column.tolist() for column in columns), strict=True))
        below = np.array([_quantiles(float(SHAPES[i]), *case) for i, *case in cases])
        above = np.array([_quantiles(float(SHAPES[i + 1]), *case) for i, *case in cases])
        below, above = below.reshape(-1, KNOTS.size), above.reshape(-1, KNOTS.size)
        # of neighbouring shapes, interpolated: still a strictly increasing map
        knots = (1.0 - part) * below + part * above
        self.knots = np.where(powers[:, None] < 0.0, _reflected(knots), knots) * powers[:, None]

    def logarithms(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map scores (M, D); return logarithms (M, D) and the sum (M,) of the log slopes."""
        at = np.clip(np.searchsorted(KNOTS, scores) - 1, 0, KNOTS.size - 2)
        column = np.arange(scores.shape[1])
        left = self.knots[column, at]
        slope = (self.knots[column, at + 1] - left) / (KNOTS[at + 1] - KNOTS[at])
        return left + slope * (scores - KNOTS[at]), np.log(slope).sum(axis=1)

    def scores(self, logarithms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inverse of `logarithms`, with the same sum of log slopes."""
        z = np.empty_like(logarithms)
        total = np.zeros(len(logarithms))
        for v, knots in enumerate(self.knots):
            x = logarithms[:, v]
            at = np.clip(np.searchsorted(knots, x) - 1, 0, KNOTS.size - 2)
            slope = (knots[at + 1] - knots[at]) / (KNOTS[at + 1] - KNOTS[at])
            z[:, v] = KNOTS[at] + (x - knots[at]) / slope
            total += np.log(slope)
        return z, total


def _reflected(knots: np.ndarray) -> np.ndarray:
    """Logarithms (D, N) at minus the scores `KNOTS`, going on beyond the last as they came."""
    slope = (knots[:, -1:] - knots[:, -2:-1]) / (KNOTS[-1] - KNOTS[-2])
    beyond = knots[:, -1:] + slope * (-KNOTS - KNOTS[-1])
    inside = np.array([np.interp(-KNOTS, KNOTS, row) for row in knots]).reshape(knots.shape)
    return np.where(-KNOTS > KNOTS[-1], beyond, inside)


@lru_cache(maxsize=2048)
def _quantiles(shape: float, wide_share: float, low: float, high: float, unit: float) -> np.ndarray:
    """Logarithms relative to the mode at the scores `KNOTS`, of a mixture of gammas.

    ``low`` and ``high`` are the bounds of the logarithms, and ``unit`` is the shape of a gamma that
    is as wide, with the power that it will get, as one of shape 1 without.
    """
    widest, flat = min(shape, WIDEST * unit), min(shape, FLAT * unit)
    shapes = [shape, *(max(f * shape, widest) for f in WIDER), flat]
    shares = [1.0 - wide_share] + [wide_share / 3.0] * 3
    bounded = high < np.inf
    grid = _grid_between(low, high) if bounded else GRID
    lower, upper = np.zeros(grid.size), np.zeros(grid.size)
    for number, (share, a) in enumerate(zip(shares, shapes, strict=True)):
        x = a * np.exp(grid)
        below, above = gammainc(a, x), gammaincc(a, x)
        if bounded:
            first, last = a * np.exp(low), a * np.exp(high)
            mass = float(gammainc(a, last) - gammainc(a, first))
            if number == len(shapes) - 1 or mass < LEAST_MASS:
                below, above = (x - first) / (last - first), (last - x) / (last - first)
            else:
                below = (below - gammainc(a, first)) / mass
                above = (above - gammaincc(a, last)) / mass
        lower += share * np.clip(below, 0.0, 1.0)
        upper += share * np.clip(above, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        z = np.where(lower < 0.5, ndtri(lower), -ndtri(upper))
    kept = np.abs(z) < LARGEST_SCORE
    z, x = np.maximum.accumulate(z[kept]), grid[kept]
    rising = np.concatenate([[True], np.diff(z) > 1e-9])
    z, x = z[rising], x[rising]
    out = np.interp(KNOTS, z, x)
    # beyond what the distribution function resolves the ends go on as they came
    first, last = (x[1] - x[0]) / (z[1] - z[0]), (x[-1] - x[-2]) / (z[-1] - z[-2])
    out = np.where(KNOTS < z[0], x[0] + first * (KNOTS - z[0]), out)
    return np.where(KNOTS > z[-1], x[-1] + last * (KNOTS - z[-1]), out)


def _grid_between(low: float, high: float) -> np.ndarray:
    """Logarithms between bounds, ascending, dense where either the length or its logarithm is."""
    first, last = np.exp(low), np.exp(high)
    grid = np.log(first + np.sort(PLACES) * (last - first))
    return np.unique(grid[np.isfinite(grid)])
