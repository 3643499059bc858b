"""The evidence from the draws of several samplers, on spaces that are enumerated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.evaluation import WeightedDraws
from phylogfn.estimates.pooled import DrawsOfRun, pool_draws


@pytest.fixture
def space(all_topologies):
    """All topologies of six taxa, their log rewards, and a generator."""
    every = all_topologies(6)
    rng = np.random.default_rng(11)
    return every, rng.normal(0.0, 2.0, len(every)) - 700.0, rng


def draws(space, q, number, n, known=()):
    """n draws of sampler ``number`` of those in the rows of q, with known topologies."""
    every, log_r, rng = space
    rows = rng.choice(len(every), n, p=q[number])
    known = np.array(known, np.int64)
    with np.errstate(divide="ignore"):
        log_q = np.log(q[:, rows])
    return DrawsOfRun(every[known], log_r[known], every[rows], log_r[rows], log_q)


def test_draws_of_one_run_are_weighed_as_ever(space):
    every, log_r, rng = space
    q = rng.dirichlet(np.ones(len(every)))[None, :]
    run = draws(space, q, 0, 3000, known=(3, 50))
    found = pool_draws([run])
    is_known = (run.trees[:, None, :] == every[[3, 50]]).all(axis=2).any(axis=1)
    plain = WeightedDraws(run.log_rewards - run.log_q[0], is_known).estimate(log_r[[3, 50]])
    assert found == plain


@pytest.mark.parametrize("known", [((), ()), ((0, 7, 9), (7, 30)), (range(60), range(40, 105))])
def test_the_estimate_and_its_error_are_right(space, known):
    every, log_r, rng = space
    exact = float(np.asarray(logsumexp(log_r)))
    z = []
    for _ in range(150):
        q = rng.dirichlet(np.ones(len(every)), 2)
        runs = [draws(space, q, i, n, known[i]) for i, n in enumerate((400, 200))]
        found = pool_draws(runs)
        all_known = sorted({*known[0], *known[1]})
        share = np.exp(log_r[all_known] - exact).sum()
        assert found.known_share == pytest.approx(share, abs=5 * found.standard_error + 1e-9)
        if len(all_known) == len(every):
            assert found.log_z == pytest.approx(exact) and found.standard_error == 0.0
            return
        z.append((found.log_z - exact) / found.standard_error)
    assert abs(np.mean(z)) < 0.35 and 0.8 < np.std(z) < 1.2


def test_two_samplers_that_each_know_half(space):
    """Each alone finds half of the evidence; together they find all, with no large weights."""
    every, log_r, _ = space
    p = np.exp(log_r - logsumexp(log_r))
    first = np.arange(len(every)) < 40
    q = np.stack([p * first / p[first].sum(), p * ~first / p[~first].sum()])
    runs = [draws(space, q, i, 2000) for i in range(2)]
    alone = [
        WeightedDraws(run.log_rewards - run.log_q[i]).estimate().log_z for i, run in enumerate(runs)
    ]
    exact = float(np.asarray(logsumexp(log_r)))
    assert np.logaddexp(*alone) == pytest.approx(exact)
    found = pool_draws(runs)
    assert found.log_z == pytest.approx(exact, abs=1e-9)


def test_a_sampler_that_misses_topologies_does_no_harm(space):
    """A bad sampler has large weights alone; beside a good one, the effective draws are many."""
    every, log_r, _ = space
    p = np.exp(log_r - logsumexp(log_r))
    bad = np.where(np.arange(len(every)) % 3 == 0, 1e-6, 1.0) * p
    q = np.stack([p, bad / bad.sum()])
    found = pool_draws([draws(space, q, i, 2000) for i in range(2)])
    assert found.ess > 2500
    assert found.log_z == pytest.approx(
        float(np.asarray(logsumexp(log_r))), abs=4 * found.standard_error
    )
