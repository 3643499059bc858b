"""The evidence of a topology of the primates under coupled priors, against another proposal.

The other proposal is a t distribution of the log lengths with a full covariance matrix, adapted in
three rounds: it shares nothing with the mixture of gammas but the likelihood and the prior.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from phylogfn.estimates.lengths.one_topology import topology_evidence
from phylogfn.exploration.starting_trees import parsimony_tree

pytestmark = pytest.mark.verification
ROUNDS = (4000, 8000, 40_000)


def evidence_by_t(reward, parents, fit):
    """Return log evidence and standard error by draws from an adapted t distribution."""
    rng = np.random.default_rng(3)
    mean, covariance = np.log(fit.lengths[0, 1:]), np.diag(1.0 / fit.shapes[0, 1:])
    log_weights = weights = np.empty(0)
    for n in ROUNDS:
        proposal = stats.multivariate_t(mean, covariance, df=8)
        y = proposal.rvs(n, random_state=rng)
        lengths = np.hstack([np.zeros((n, 1)), np.exp(y)])
        trees = np.tile(parents, (n, 1))
        log_joint = reward.log_likelihoods(trees, lengths) + reward.log_priors(lengths, trees)
        log_weights = log_joint - reward.log_topology_prior + y.sum(axis=1) - proposal.logpdf(y)
        weights = np.exp(log_weights - log_weights.max())
        bounded = np.minimum(weights, weights.mean() * math.sqrt(n))
        mean = bounded @ y / bounded.sum()
        covariance = (y - mean).T @ ((y - mean) * bounded[:, None]) / bounded.sum()
    error = weights.std() / weights.mean() / math.sqrt(ROUNDS[-1])
    return log_weights.max() + math.log(weights.mean()), error


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gammadir:1,0.1,1,1", "JC69"),
        ("gammadir:2,4,0.6,2.5", "JC69"),
        ("invgammadir:3,1,1,1", "JC69"),
        ("gammadir:1,0.1,1,1", "HKY85{12}+F{0.32,0.3,0.11,0.27}+G4{0.5}"),
    ],
)
def test_evidence_is_that_of_another_proposal(primates, make_reward, name, model):
    reward = make_reward(primates(12), model, branch_prior=name)
    parents = parsimony_tree(reward.likelihood.patterns, np.random.default_rng(1))
    fit = reward.closed_form(parents[None])
    expected, other = evidence_by_t(reward, parents, fit)
    assert other < 0.02
    found = topology_evidence(parents, None, reward, 20_000, seed=4)
    assert found.standard_error < 0.08 and found.pareto_k < 0.7
    both = math.hypot(found.standard_error, other)
    assert found.log_evidence == pytest.approx(expected, abs=4.0 * both)
    assert fit.log_evidence[0] == pytest.approx(expected, abs=1.2)
    if model == "JC69":
        n = 20_000
        assert 1.0 / (1.0 + n * found.standard_error**2) > 0.4  # effective share of the draws
