"""What a trained sampler draws, beside the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gfncore.evaluation import WeightedDraws, chi_squared, total_variation
from gfncore.exploration import sample_trajectories
from gfncore.policies import Policy
from gfncore.trajectories.scoring import score_backward
from molgen.runs.exact.space import Space, policy_distribution
from molgen.runs.exact.theory import ideal_distribution, jensen_shannon

__all__ = ["Comparison", "compare", "draw_molecules"]

BATCH = 10_000  # trajectories drawn at a time


@dataclass(frozen=True)
class Comparison:
    """A sampler of one regime against the truth.

    Attributes
    ----------
    total_variation, jensen_shannon : float
        Between the policy's exact distribution over molecules and R(x) / Z; nats.
    log_partition, log_partition_se : float
        From the weights of the draws, with the standard error.
    log_partition_true : float
        By enumeration.
    ess : float
        Effective number of the draws.
    draws : int
    chi2_p_value : float
        Of the draws against the truth.
    chi2_p_value_policy : float
        Of the draws against the policy's exact distribution: whether the sampler draws what the
        policy says.
    ideal_total_variation, ideal_log_partition : float
        What theory says of this regime without training error.
    total_variation_from_ideal : float
        Training error: between the policy and the ideal of its regime.
    """

    total_variation: float
    jensen_shannon: float
    log_partition: float
    log_partition_se: float
    log_partition_true: float
    ess: float
    draws: int
    chi2_p_value: float
    chi2_p_value_policy: float
    ideal_total_variation: float
    ideal_log_partition: float
    total_variation_from_ideal: float


def draw_molecules(
    space: Space,
    environment: Any,
    policy: Policy,
    draws: int,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw by the real sampler.

    Parameters
    ----------
    space : Space
    environment : environment
        In the regime of the policy.
    policy : Policy
    draws : int
    generator : numpy Generator
    backward_policy : Policy, optional
        P_B. Default: uniform.

    Returns
    -------
    molecule : ndarray, shape(draws,), dtype=int64
        Rows of `space.molecules`.
    log_weights : ndarray, shape(draws,), dtype=float64
        log R + sum log P_B - sum log P_F of the regime.
    """
    rows, log_weights = [], []
    for begin in range(0, draws, BATCH):
        n = min(BATCH, draws - begin)
        drawn = sample_trajectories(environment, policy, n, generator)
        assert drawn.log_pf is not None
        with torch.no_grad():
            scored = score_backward(environment, backward_policy, drawn)
        log_pb = scored.sum(dim=1).cpu().numpy()
        log_weights.append(environment.log_reward(drawn.terminals) + log_pb - drawn.log_pf)
        rows.append(space.molecules_of(drawn.terminals))
    return np.concatenate(rows), np.concatenate(log_weights)


def _p_value(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """The p-value of goodness of fit; NaN where the draws are too few for the test."""
    try:
        return chi_squared(counts, probabilities).p_value
    except ValueError:
        return math.nan


def compare(
    space: Space,
    environment: Any,
    regime: str,
    policy: Policy,
    draws: int,
    generator: np.random.Generator,
    backward_policy: Policy | None = None,
) -> Comparison:
    """Measure a policy of a regime, by enumeration and by draws of the real sampler.

    Parameters
    ----------
    space : Space
    environment : environment
        Any regime; `regime` is taken.
    regime : str
        What the policy was trained in.
    policy : Policy
    draws : int
    generator : numpy Generator
    backward_policy : Policy, optional
        P_B, for the weights of the draws. Default: uniform.
    """
    truth, found = space.target, policy_distribution(space, policy)
    ideal, ideal_log_z = ideal_distribution(space, regime)
    rows, log_weights = draw_molecules(
        space, environment.with_symmetry(regime), policy, draws, generator, backward_policy
    )
    counts = np.bincount(rows, minlength=len(space.molecules))
    estimate = WeightedDraws(log_weights).estimate()
    return Comparison(
        total_variation(found, truth),
        jensen_shannon(found, truth),
        estimate.log_z,
        estimate.standard_error,
        space.log_partition,
        estimate.ess,
        draws,
        _p_value(counts, truth),
        _p_value(counts, found),
        total_variation(ideal, truth),
        ideal_log_z,
        total_variation(found, ideal),
    )
