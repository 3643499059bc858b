"""What a perfectly trained sampler draws, by regime of symmetry.

By the orbit-stabiliser theorem, counting raw actions instead of classes multiplies the probability
of a finished state x by a constant over its scale s(x) = |Aut(x)| / prod |Aut(C_i)|, where the C_i
are the fragments that it was built from (none for atoms):

    merged                  R(x)             classes on both sides
    reward_scaling          s(x) R(x) / s(x)
    flow_scaling            R(x)             the steps' ratios of s cancel those of the counts
    none                    R(x) / s(x)      symmetric molecules are drawn too rarely

The sums over x are what each regime takes for Z. For an objective of whole trajectories the two
ways of scaling are the same loss, as the steps' ratios telescope to s(x); they differ for
objectives of single steps.
"""

from __future__ import annotations

import numpy as np

from molgen.runs.exact.space import Space
from molgen.symmetry import SYMMETRIES

__all__ = ["ideal_distribution", "jensen_shannon"]


def ideal_distribution(space: Space, regime: str) -> tuple[np.ndarray, float]:
    """The distribution over molecules of a sampler without training error, and its log Z.

    Parameters
    ----------
    space : Space
    regime : {"merged", "reward_scaling", "flow_scaling", "none"}

    Returns
    -------
    probability : ndarray, shape(M,), dtype=float64
    log_partition : float
        In nats.

    Raises
    ------
    ValueError
        If there is no such regime.
    """
    if regime not in SYMMETRIES:
        raise ValueError(f"symmetry is {regime!r}, but must be one of {', '.join(SYMMETRIES)}")
    log_flow = space.environment.log_reward(space.terminals)
    if regime == "none":
        scaled = space.environment.with_symmetry("flow_scaling")
        log_flow = log_flow - scaled.log_scale(space.terminals)
    log_z = float(np.logaddexp.reduce(log_flow))
    mass = np.exp(log_flow - log_z)
    return np.bincount(space.molecule, mass, minlength=len(space.molecules)), log_z


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon divergence of two distributions, nats: 0 to log 2."""
    middle = 0.5 * (p + q)

    def divergence(a: np.ndarray) -> float:
        there = a > 0
        return float((a[there] * np.log(a[there] / middle[there])).sum())

    return 0.5 * (divergence(p) + divergence(q))
