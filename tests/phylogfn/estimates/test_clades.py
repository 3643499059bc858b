"""Probabilities of clades: the standard errors are those of the whole estimator."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.evaluation import WeightedDraws
from phylogfn.estimates.clades import TopologyShares, _squared_shares
from phylogfn.estimates.collapsed import Drawn, draw_from_prior, weigh
from phylogfn.estimates.lengths.corrections import corrected
from phylogfn.estimates.lengths.designs import BLOCK, Blocks, Design
from phylogfn.estimates.lengths.drawing import draw_branch_lengths
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.trees.tree import Tree, splits

SPREAD, NOISE = 0.2, 1.0  # of the corrections, and of one importance weight of branch lengths


def plain_probabilities(parents, shares):
    """Return the probability of each split, by sums over topologies."""
    found = {}
    for row, share in zip(parents, shares, strict=True):
        for split in splits(Tree.from_parents(row)):
            found[split] = found.get(split, 0.0) + share
    return found


def splits_of(row):
    return splits(Tree.from_parents(row))


class Table(SimpleNamespace):
    """What the estimators read of a table of topologies."""

    def __init__(self, log_evidence, parents):
        super().__init__(log_evidence=log_evidence, parents=parents)

    def __len__(self):
        return len(self.log_evidence)


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
        # corrections of topologies with a clade in common are similar
        common = {name: rng.normal() for split in map(splits_of, parents) for name in split}
        mean = np.array([sum(common[name] for name in splits_of(row)) for row in parents])
        self.correction = np.exp(SPREAD * (rng.normal(size=size) + mean))
        log_q = tempering * self.log_r + 0.3 * rng.normal(size=size)
        self.log_q = log_q - logsumexp(log_q)
        x = np.exp(self.log_r) * self.correction
        self.truth = plain_probabilities(parents, x / x.sum())

    def estimate(self, rng, n_known, n_draws, points):
        """Return the splits with estimates: the first ``n_known`` topologies are summed."""
        table = Table(self.log_r, self.parents)
        rows = rng.choice(len(self.log_r), n_draws, p=np.exp(self.log_q))
        masses = TopologyMasses.from_draws(Drawn(rows, self.log_q[rows]), table, n_known, 0.0)
        design = Design.of_size(masses.shares, points, rng)
        owner = np.repeat(np.arange(len(design.index)), design.blocks)
        noise = NOISE * rng.normal(size=(len(owner), BLOCK)) - NOISE**2 / 2
        log_weights = np.log(self.correction[masses.rows[design.index][owner]])[:, None] + noise
        none = np.zeros((len(owner), 1))
        blocks = Blocks(owner, log_weights, none[:, None], none, none[:, None])
        shares = corrected(blocks, design, masses, table, 1, rng).shares
        weighted = weigh(Drawn(rows, self.log_q[rows]), table, n_known, 0.0)
        return TopologyShares.from_collapsed(masses, weighted, rows, shares).clades(self.parents)


@pytest.mark.parametrize(
    ("n_known", "n_draws", "points", "tempering"),
    [
        (0, 400, 60, 0.8),  # all topologies are drawn
        (60, 300, 60, 0.7),  # some are known
        (105, 50, 60, 1.0),  # nothing but the corrections is uncertain
        (105, 50, 25, 1.0),  # and most topologies have no draws of their own
        (105, 50, 2000, 1.0),  # all have
    ],
)
def test_two_standard_errors_cover_the_truth_in_95_percent(
    all_topologies, n_known, n_draws, points, tempering
):
    within, away, judged = [], [], 0
    for universe in range(6):
        simulated = Simulated(all_topologies(6), universe, tempering)
        rng = np.random.default_rng([universe, n_known])
        for _ in range(60):
            found = simulated.estimate(rng, n_known, n_draws, points)
            true = np.array([simulated.truth[split] for split in found.splits])
            z = (found.probabilities - true) / found.errors
            seen = (true > 0.02) & (true < 0.98)
            within.append(np.abs(z[seen]) < 2.0)
            away.append(z[seen] ** 2)
            judged += seen.sum()
    assert judged > 3000
    # systematic draws of topologies are a little better than the independent ones of the formula
    assert 0.935 < np.concatenate(within).mean() < 0.985
    assert 0.6 < np.concatenate(away).mean() < 1.15


def test_probabilities_are_sums_over_topologies(all_topologies):
    parents = all_topologies(5)
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(15))
    none = np.zeros(15)
    plain = TopologyShares(np.arange(15), shares, none, none, 7, 0)
    found = plain.clades(parents)
    expected = plain_probabilities(parents, shares)
    assert dict(zip(found.splits, found.probabilities, strict=True)) == pytest.approx(expected)
    assert (found.errors < 1e-12).all()


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
        shares = TopologyShares.from_collapsed(masses, weighted, drawn.rows, lengths.shares)
        clades = shares.clades(table.parents)
        both = zip(clades.probabilities, clades.errors, strict=True)
        found.append(dict(zip(clades.splits, both, strict=True)))
    common = [split for split in found[0] if 0.02 < found[0][split][0] < 0.98]
    assert len(common) > 4 and 20 < n_known < 100
    p, errors = np.array([[one[split] for split in common] for one in found]).transpose(2, 0, 1)
    ratio = p.var(axis=0, ddof=1) / (errors**2).mean(axis=0)
    assert 0.4 < ratio.mean() < 2.2


def test_squared_shares_of_a_row_do_not_depend_on_heavier_rows():
    rows, like = np.array([0, 0, 1, 1, 1]), np.zeros(3)
    weights = np.log([3.0, 1.0, 1.0, 1.0, 2.0])
    expected = [0.625, 0.375, 0.0]
    assert _squared_shares(weights, rows, like) == pytest.approx(expected)
    weights[rows == 1] -= 500.0  # their squares vanish beside those of row 0
    assert _squared_shares(weights, rows, like) == pytest.approx(expected)
    weights[rows == 1] = -np.inf
    assert _squared_shares(weights, rows, like) == pytest.approx([0.625, 0.0, 0.0])
