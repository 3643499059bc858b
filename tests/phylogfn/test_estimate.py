"""From draws of a policy to the evidence: exact answers on spaces that can be enumerated."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.evaluation import chi_squared
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.estimate import (
    Drawn,
    draw,
    draw_from_prior,
    estimate,
    sample_lengths,
    sample_topologies,
)
from phylogfn.learning import make_policy
from phylogfn.topologies import TopologyTable
from phylogfn.tree import Tree

_file = importlib.util.spec_from_file_location(
    "collapse_integrals", Path(__file__).with_name("kernels") / "test_collapse.py"
)
assert _file is not None and _file.loader is not None
integrals = importlib.util.module_from_spec(_file)
_file.loader.exec_module(integrals)

DIFFUSE = ([0, 1, 2, 7, 11], 60)


@pytest.fixture
def problem(primates, make_reward, all_topologies):
    """Return a function that makes reward, table with its first rows, environment and policy."""

    def make(taxa, sites, known=()):
        reward = make_reward(primates(taxa, sites))
        n = reward.likelihood.n_taxa
        table, every = TopologyTable(n), all_topologies(n)
        for row in known:
            reward.look_up(table, every[row : row + 1])
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


def test_topologies_are_sampled_by_the_posterior(problem):
    known = (8, 3)
    reward, table, environment, policy, every, exact = problem(*DIFFUSE, known)
    rng = np.random.default_rng(5)
    drawn = draw(environment, policy, reward, table, 20_000, rng)
    found = estimate(drawn, table, 2, reward.log_topology_prior)
    prior = reward.log_topology_prior
    rows = sample_topologies(drawn, found, table, 2, prior, 50_000, rng)
    shares = np.bincount(rows, minlength=15)[table.find(every)] / len(rows)
    p = np.exp(exact - logsumexp(exact))
    assert 0.5 * np.abs(shares - p).sum() < 0.02
    # all known: independent of the draws, and systematic
    full = estimate(drawn, table, 15, prior)
    rows = sample_topologies(drawn, full, table, 15, prior, 1000, rng)
    counts = np.bincount(rows, minlength=15)[table.find(every)]
    assert (np.abs(counts - 1000 * p) <= 1.0 + 1e-6).all()


@pytest.mark.parametrize("n_known", [1, 3])
def test_log_evidence_is_the_exact_one(problem, n_known):
    """Nothing is approximate here: 3 topologies, each integrated exactly (`integrals`)."""
    taxa, sites = [0, 3, 6, 10], slice(120, 131)
    reward, table, environment, policy, every, _ = problem(taxa, sites)
    exact = logsumexp([integrals.exact_log_evidence(reward, tree, 11) for tree in every])
    exact += reward.log_topology_prior
    rng = np.random.default_rng(6)
    prior = reward.log_topology_prior
    drawn = draw(environment, policy, reward, table, 20_000, rng)
    found = estimate(drawn, table, n_known, prior)
    rows = sample_topologies(drawn, found, table, n_known, prior, 3000, rng)
    lengths = sample_lengths(rows, table, reward, 500, rng)
    error = np.hypot(found.standard_error, lengths.standard_error)
    assert error < 0.01
    corrected = found.log_z + lengths.log_correction
    assert corrected == pytest.approx(exact, abs=4 * error)
    assert abs(lengths.log_correction) > 8 * error  # so the correction was needed


def test_lengths_are_drawn_from_the_posterior(problem):
    """Frequencies and mean lengths against importance weights on each topology."""
    reward, table, _, _, every, exact = problem(*DIFFUSE, range(15))
    rng = np.random.default_rng(7)
    p = np.exp(exact - logsumexp(exact))
    rows = rng.choice(15, 4000, p=p)
    found = sample_lengths(rows, table, reward, 4000, rng)
    assert found.lengths.shape == (4000, 8) and 0.2 < found.ess_share <= 1.0
    draws = reward.draw_lengths(every, reward.closed_form(every), 4000, 8)
    log_r = logsumexp(draws.log_weights, axis=1) - np.log(4000)
    posterior = np.exp(log_r - logsumexp(log_r))
    counts = np.bincount(found.rows, minlength=15)[table.find(every)]
    assert 0.5 * np.abs(counts / 4000 - posterior).sum() < 0.05
    total = found.lengths.sum(axis=1)
    weights = np.exp(draws.log_weights - draws.log_weights.max(axis=1, keepdims=True))
    means = (weights * draws.lengths.sum(axis=2)).sum(axis=1) / weights.sum(axis=1)
    expected = (posterior * means).sum()
    assert total.mean() == pytest.approx(expected, abs=5 * total.std() / np.sqrt(4000))
    # each likelihood belongs to its own tree
    for i in range(5):
        tree = Tree.from_parents(table.parents[found.rows[i]], found.lengths[i])
        again = reward.likelihood.log_likelihood(tree)
        assert again == pytest.approx(found.log_likelihoods[i], abs=1e-8)


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
