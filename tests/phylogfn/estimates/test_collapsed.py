"""From draws of a policy to the evidence: exact answers on spaces that can be enumerated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.evaluation import chi_squared
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.estimates.collapsed import (
    Drawn,
    draw,
    draw_from_prior,
    estimate,
)
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.training.curricula import make_policy

DIFFUSE = ([0, 1, 2, 7, 11], 60)


@pytest.fixture
def problem(primates, make_reward, all_topologies):
    """Return a function that makes reward, table with its first rows, environment and policy."""

    def make(taxa, sites, known=()):
        reward = make_reward(primates(taxa, sites))
        n = reward.likelihood.n_taxa
        table, every = TopologyTable(n), all_topologies(n)
        for row in known:
            table.look_up(reward, every[row : row + 1])
        order = np.random.default_rng(1).permutation(n)
        environment = InsertionEnvironment(order, lambda trees: np.zeros(len(trees)))
        exact = reward.closed_form(every).log_evidence + reward.log_topology_prior
        return reward, table, environment, make_policy(environment, 1, "cpu"), every, exact

    return make


@pytest.mark.parametrize("known", [(), (8, 3, 0), range(15)])
def test_evidence_with_an_untrained_policy(problem, known):
    reward, table, environment, policy, _, exact = problem(*DIFFUSE, known)
    drawn = draw(environment, policy, reward, table, 4000, np.random.default_rng(2))
    np.testing.assert_allclose(drawn.log_q, -np.log(15), atol=1e-5)  # it starts uniform
    found = estimate(drawn, table, len(known), reward.log_topology_prior)
    assert found.log_z == pytest.approx(logsumexp(exact), abs=4 * found.standard_error + 0.01)
    p = np.exp(exact - logsumexp(exact))
    assert found.ess == pytest.approx(4000 / (15 * (p**2).sum()), rel=0.1)
    known_share = p[list(known)].sum()
    assert found.known_share == pytest.approx(known_share, abs=4 * found.standard_error + 0.01)
    if len(known) == 15:
        assert found.standard_error == 0.0 and found.known_share == pytest.approx(1.0)
    else:
        assert 0.0 < found.standard_error < 0.05


def test_the_error_is_the_spread_of_the_estimate(problem):
    reward, table, environment, policy, _, exact = problem(*DIFFUSE, (8,))
    rng = np.random.default_rng(3)
    drawn = draw(environment, policy, reward, table, 30_000, rng)
    parts = [
        estimate(Drawn(rows, log_q), table, 1, reward.log_topology_prior)
        for rows, log_q in zip(
            drawn.rows.reshape(100, -1), drawn.log_q.reshape(100, -1), strict=True
        )
    ]
    z = np.array([(part.log_z - logsumexp(exact)) / part.standard_error for part in parts])
    assert abs(z.mean()) < 0.4 and 0.75 < z.std() < 1.3


def test_draws_are_those_of_the_seed_whatever_the_threads(primates, make_reward, problem):
    *_, environment, policy, _, _ = problem(*DIFFUSE)
    found = []
    for threads in (1, 2):
        reward, table = make_reward(primates(*DIFFUSE), threads=threads), TopologyTable(5)
        drawn = draw(environment, policy, reward, table, 1200, np.random.default_rng(4))
        found.append((drawn.rows, drawn.log_q, table.parents.copy()))
    for first, second in zip(*found, strict=True):
        assert np.array_equal(first, second)
    whole = Drawn.concat([Drawn(found[0][0][:500], found[0][1][:500]), drawn])
    assert len(whole.rows) == len(whole.log_q) == 1700


def test_draws_that_time_ends_are_the_first_of_them(problem):
    reward, table, environment, policy, _, _ = problem(*DIFFUSE, ())
    whole = draw(environment, policy, reward, table, 1200, np.random.default_rng(4))
    asked = []

    def until():
        asked.append(True)
        return len(asked) > 1

    reward, table, environment, policy, _, _ = problem(*DIFFUSE, ())
    part = draw(environment, policy, reward, table, 1200, np.random.default_rng(4), None, until)
    n = len(part.rows)
    assert 8 <= n < 1200 and table.n_draws == n
    assert np.array_equal(part.rows, whole.rows[:n]) and np.array_equal(part.log_q, whole.log_q[:n])


def test_draws_from_the_prior_need_no_policy(problem):
    reward, table, _, _, _, exact = problem(*DIFFUSE, ())
    drawn = draw_from_prior(reward, table, 3000, np.random.default_rng(4))
    counts = np.bincount(drawn.rows, minlength=15)
    assert len(counts) == 15 and counts.min() > 140
    found = estimate(drawn, table, 0, reward.log_topology_prior)
    assert found.log_z == pytest.approx(logsumexp(exact), abs=4 * found.standard_error)


@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_trained_or_not_a_policy_draws_what_it_says(problem, temperature):
    reward, table, environment, policy, every, _ = problem(*DIFFUSE, range(15))
    import torch

    torch.manual_seed(3)
    for head in policy.heads:
        torch.nn.init.normal_(head.last.weight, std=0.5)
    policy.temperature = temperature
    drawn = draw(environment, policy, reward, table, 6000, np.random.default_rng(9))
    q = np.zeros(15)
    q[drawn.rows] = np.exp(drawn.log_q)
    assert q.sum() == pytest.approx(1.0, abs=1e-4)
    assert q.max() > 1.5 * q.min()
    assert chi_squared(np.bincount(drawn.rows, minlength=15), q).p_value > 1e-3
