"""Maximum likelihood on given objects, by trajectories or by states.

By trajectories: -mean sum log P_F over trajectories drawn backward from samples of the target; by
Jensen's inequality a bound on -log p(x), tight where every state has one parent.

By states: where the flow through a state is known (a trie of objects with known rewards), the
cross-entropy between the exact choice at that state and the policy's, weighted by the flow of the
state; without the variance of drawing trajectories:

    loss = sum_s w_s sum_a -p(a|s) log P_F(a|s) / sum_s w_s

The entropy of p is subtracted, so that the loss is a Kullback-Leibler divergence, with optimum 0.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import xlogy

from gfncore.objectives.base import Objective
from gfncore.trajectories.batch import ScoredTrajectories, StateTargets

__all__ = ["MaximumLikelihood", "state_divergence", "value_cross_entropy"]


class MaximumLikelihood(Objective):
    """Negative log-likelihood of trajectories that end in given objects."""

    on_policy_allowed = False
    needs_reward = False

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss in nats per trajectory, float64 scalar."""
        return -batch.log_pf.sum(dim=1).mean()


def state_divergence(log_p: torch.Tensor, batch: StateTargets) -> torch.Tensor:
    """Return the weighted mean over states of KL(target || policy).

    Parameters
    ----------
    log_p : Tensor, shape (C,), float64
        From `state_log_probabilities` of ``batch.states``.
    batch : StateTargets

    Returns
    -------
    Tensor, float64 scalar
        In nats; not negative.
    """
    weight = batch.weights[batch.actions.state_of_class] / batch.weights.sum()
    joint = torch.from_numpy(weight * batch.targets).to(log_p.device)
    entropy = -float(np.sum(weight * xlogy(batch.targets, batch.targets)))
    return -(joint * log_p).sum() - entropy


def value_cross_entropy(log_density: torch.Tensor, batch: StateTargets) -> torch.Tensor:
    """Return the mean negative log-density of the values of the targets' actions, by weight.

    Together with `state_divergence` it is the negative log-likelihood of a step, up to a constant.

    Parameters
    ----------
    log_density : Tensor, shape (Q,), float64
        Of ``batch.values``, see `state_log_probabilities_and_densities`.
    batch : StateTargets
        Its weights are numbers of visits; each visit has one row of the values.

    Returns
    -------
    Tensor, float64 scalar
        In nats.
    """
    return -log_density.sum() / float(batch.weights.sum())
