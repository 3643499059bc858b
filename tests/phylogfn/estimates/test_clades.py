"""Probabilities of clades: the standard errors are those of the whole estimator."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.evaluation import WeightedDraws
from phylogfn.estimates.clades import TopologyShares
from phylogfn.estimates.collapsed import Drawn, draw_from_prior, weigh
from phylogfn.estimates.length_samples import Corrections, TopologyMasses, draw_branch_lengths
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.trees.tree import Tree, splits

SPREAD, NOISE = 0.3, 0.8  # of the corrections, and of one importance weight of branch lengths


def plain_probabilities(parents, shares):
    """Return the probability of each split, by sums over topologies."""
    found = {}
    for row, share in zip(parents, shares, strict=True):
        for split in splits(Tree.from_parents(row)):
            found[split] = found.get(split, 0.0) + share
    return found


class Simulated:
    """A posterior over all topologies of six taxa with corrections, and estimates of it."""

    def __init__(self, parents, seed, tempering):
        rng = np.random.default_rng(seed)
        self.parents = parents
        size = len(parents)
        clade = np.array(["".join(sorted(map(str, splits(Tree.from_parents(p))))) for p in parents])
        effect = {name: rng.normal(0.0, 1.0) for name in np.unique(clade)}
        self.log_r = 1.5 * rng.normal(size=size) + np.array([effect[name] for name in clade])
        self.log_r -= logsumexp(self.log_r)
        self.correction = np.exp(SPREAD * rng.normal(size=size))
        log_q = tempering * self.log_r + 0.3 * rng.normal(size=size)
        self.log_q = log_q - logsumexp(log_q)
        x = np.exp(self.log_r) * self.correction
        self.truth = plain_probabilities(parents, x / x.sum())

    def estimate(self, rng, n_known, n_draws, n_own, n_lengths):
        """Return the splits with estimates: the first ``n_known`` topologies are summed."""
        table = SimpleNamespace(log_evidence=self.log_r, parents=self.parents)
        rows = rng.choice(len(self.log_r), n_draws, p=np.exp(self.log_q))
        drawn = Drawn(rows, self.log_q[rows])
        masses = TopologyMasses.from_draws(drawn, table, n_known, 0.0)
        order = np.argsort(-masses.shares)
        own, rest = masses.rows[order[:n_own]], order[n_own:]
        noise = np.sqrt(np.expm1(NOISE**2) / n_lengths)
        estimated = self.correction * (1.0 + noise * rng.normal(size=len(self.correction)))
        log_ratios = np.empty(len(self.log_r))
        variances = np.empty(len(self.log_r))
        weight = masses.shares[rest]
        picked = masses.rows[rest[rng.choice(len(rest), n_lengths, p=weight / weight.sum())]]
        single = self.correction[picked] * np.exp(NOISE * rng.normal(size=n_lengths) - NOISE**2 / 2)
        log_ratios[:] = np.log(single.mean())
        pooled = single.var(ddof=1) / n_lengths / single.mean() ** 2
        variances[:] = SPREAD**2 + pooled
        log_ratios[own] = np.log(estimated[own])
        variances[own] = noise**2
        drawn_for = np.isin(np.arange(len(self.log_r)), own)
        corrections = Corrections(log_ratios, variances, drawn_for, pooled)
        weighted = weigh(drawn, table, n_known, 0.0)
        shares = TopologyShares.from_collapsed(masses, weighted, rows, corrections)
        return shares.clades(self.parents)


@pytest.mark.parametrize(
    ("n_known", "n_draws", "n_own", "n_lengths", "tempering"),
    [
        (0, 400, 20, 100, 0.8),  # all topologies are drawn
        (60, 300, 20, 100, 0.7),  # some are known
        (105, 50, 40, 60, 1.0),  # nothing but the corrections is uncertain
    ],
)
def test_two_standard_errors_cover_the_truth_in_95_percent(
    all_topologies, n_known, n_draws, n_own, n_lengths, tempering
):
    within, away, judged = [], [], 0
    for universe in range(6):
        simulated = Simulated(all_topologies(6), universe, tempering)
        rng = np.random.default_rng([universe, n_known])
        for _ in range(60):
            found = simulated.estimate(rng, n_known, n_draws, n_own, n_lengths)
            true = np.array([simulated.truth[split] for split in found.splits])
            z = (found.probabilities - true) / found.errors
            seen = (true > 0.02) & (true < 0.98)
            within.append(np.abs(z[seen]) < 2.0)
            away.append(z[seen] ** 2)
            judged += seen.sum()
    assert judged > 3000
    assert np.concatenate(within).mean() == pytest.approx(0.953, abs=0.02)
    assert np.concatenate(away).mean() == pytest.approx(1.0, abs=0.15)


def test_probabilities_are_sums_over_topologies(all_topologies):
    parents = all_topologies(5)
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(15))
    none = np.zeros(15)
    plain = TopologyShares(np.arange(15), shares, none, none > 0.0, 0.0, none, 7, 0)
    found = plain.clades(parents)
    expected = plain_probabilities(parents, shares)
    assert dict(zip(found.splits, found.probabilities, strict=True)) == pytest.approx(expected)
    assert (found.errors < 1e-12).all()


def test_an_error_that_all_topologies_have_in_common_cancels(all_topologies):
    parents = all_topologies(5)
    shares = np.random.default_rng(4).dirichlet(np.ones(15))
    none = np.zeros(15)
    common = TopologyShares(np.arange(15), shares, none, none == 0.0, 4.0, none, 7, 0)
    np.testing.assert_allclose(common.clades(parents).errors, 0.0, atol=1e-7)


def test_errors_of_draws_are_those_of_a_weighted_mean(all_topologies):
    parents = all_topologies(5)
    rng = np.random.default_rng(5)
    rows, log_w = rng.integers(15, size=300), rng.normal(size=300)
    found = TopologyShares.from_draws(WeightedDraws(log_w), rows).clades(parents)
    a = np.exp(log_w) / np.exp(log_w).sum()
    for split, p, error in zip(found.splits, found.probabilities, found.errors, strict=True):
        inside = np.array([split in splits(Tree.from_parents(parents[row])) for row in rows])
        assert p == pytest.approx(a @ inside)
        variance = (a**2 * (inside - p) ** 2).sum() * 300 / 299 + 1 / 300**2
        assert error == pytest.approx(np.sqrt(variance))


def test_a_clade_of_all_draws_is_not_certain(all_topologies):
    parents = all_topologies(5)
    certain = TopologyShares.from_draws(WeightedDraws(np.zeros(50)), np.full(50, 3)).clades(parents)
    np.testing.assert_allclose(certain.probabilities, 1.0)
    np.testing.assert_allclose(certain.errors, 1 / 50)


def test_estimates_of_an_alignment_differ_between_seeds_as_the_errors_say(make_reward, primates):
    reward = make_reward(primates(6, 40))
    table = TopologyTable(6)
    prior = reward.log_topology_prior
    draw_from_prior(reward, table, 60, np.random.default_rng(0))
    n_known = len(table)
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        drawn = draw_from_prior(reward, table, 500, rng)
        masses = TopologyMasses.from_draws(drawn, table, n_known, prior)
        lengths = draw_branch_lengths(masses, table, reward, 10, rng, 0.1)
        weighted = weigh(drawn, table, n_known, prior)
        shares = TopologyShares.from_collapsed(masses, weighted, drawn.rows, lengths.corrections)
        clades = shares.clades(table.parents)
        both = zip(clades.probabilities, clades.errors, strict=True)
        found.append(dict(zip(clades.splits, both, strict=True)))
    common = [split for split in found[0] if 0.02 < found[0][split][0] < 0.98]
    assert len(common) > 4 and 20 < n_known < 100
    p, errors = np.array([[one[split] for split in common] for one in found]).transpose(2, 0, 1)
    ratio = p.var(axis=0, ddof=1) / (errors**2).mean(axis=0)
    assert 0.4 < ratio.mean() < 2.2
