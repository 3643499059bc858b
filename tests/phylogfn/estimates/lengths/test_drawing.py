"""Branch lengths over a posterior of topologies: exact answers, errors, and what they cost."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

from phylogfn.estimates.collapsed import Drawn, estimate
from phylogfn.estimates.lengths.corrections import probability_errors
from phylogfn.estimates.lengths.designs import BLOCK
from phylogfn.estimates.lengths.drawing import draw_branch_lengths
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.estimates.lengths.one_topology import mean_correction
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.trees.tree import Tree

_file = importlib.util.spec_from_file_location(
    "collapse_integrals", Path(__file__).parents[2] / "kernels" / "test_collapse.py"
)
assert _file is not None and _file.loader is not None
integrals = importlib.util.module_from_spec(_file)
_file.loader.exec_module(integrals)

AIM = 0.02
FOUR = {"A": "TCTACGTTTA", "B": "CCAACTAAAC", "C": "ACAATGAAAC", "D": "CCTACGATAC"}
FIVE_SITES = {"t0": "ACGTT", "t1": "ACGTA", "t2": "AGGTA", "t3": "AGGTC"}


@pytest.fixture
def known(make_reward, all_topologies):
    """Return a function that makes a table with all topologies, and their masses."""

    def make(alignment, **options):
        reward = make_reward(alignment, **options)
        n = reward.likelihood.n_taxa
        table, every = TopologyTable(n), all_topologies(n)
        table.look_up(reward, every)
        log_r = table.log_evidence
        masses = TopologyMasses(np.arange(len(table)), np.exp(log_r - logsumexp(log_r)))
        return reward, table, masses

    return make


@pytest.fixture
def alignment_of(tmp_path):
    """Return a function that makes an alignment of sequences by name."""
    from phylogfn.alignments.alignment import read_alignment

    def make(sequences):
        path = tmp_path / "x.fasta"
        path.write_text("".join(f">{name}\n{text}\n" for name, text in sequences.items()))
        return read_alignment(str(path))

    return make


def test_masses_are_the_terms_of_the_evidence(known, primates):
    reward, table, _ = known(primates([0, 1, 2, 7, 11], 60))
    prior = reward.log_topology_prior
    rows = np.array([3, 7, 7, 0, 12, 3])
    drawn = Drawn(rows, np.log(np.array([0.2, 0.1, 0.1, 0.3, 0.1, 0.2])))
    masses = TopologyMasses.from_draws(drawn, table, 4, prior)
    assert masses.rows.tolist() == [0, 1, 2, 3, 7, 12]
    reward_of = np.exp(table.log_evidence + prior)
    expected = [*reward_of[:4], 2 * reward_of[7] / 0.1 / 6, reward_of[12] / 0.1 / 6]
    np.testing.assert_allclose(masses.shares, np.array(expected) / np.sum(expected), rtol=1e-6)
    assert np.sum(expected) == pytest.approx(
        np.exp(estimate(drawn, table, 4, prior).log_z), rel=1e-6
    )


@pytest.mark.parametrize(
    ("sequences", "rate", "log_z", "probabilities"),
    [
        # by quadrature that is exact under JC69 (test_collapse.exact_log_evidence)
        (FOUR, 10.0, -49.155574, (0.043031, 0.027846, 0.929122)),
        (FIVE_SITES, 0.1, -27.550721, (0.308350, 0.358863, 0.332788)),
    ],
)
def test_short_sequences_have_the_exact_evidence_and_probabilities(
    known, alignment_of, sequences, rate, log_z, probabilities
):
    reward, table, masses = known(alignment_of(sequences), branch_prior=f"exp:{rate}")
    closed = logsumexp(table.log_evidence) + reward.log_topology_prior
    z, errors_of_z, away = [], [], []
    for seed in range(6):
        found = draw_branch_lengths(masses, table, reward, 50, np.random.default_rng(seed), 0.01)
        assert found.pareto_k < 0.7 and found.standard_error < 0.01
        z.append((closed + found.log_correction - log_z) / found.standard_error)
        mass = masses.shares * np.exp(found.corrections.log_ratios)
        p = mass / mass.sum()
        errors = probability_errors(p, found.corrections.variances, found.standard_error**2)
        assert (errors < 0.01).all()
        away.append((p - probabilities) / errors)
        errors_of_z.append(errors)
    assert np.sqrt(np.mean(np.square(z))) < 2.0 and np.abs(z).max() < 3.5
    assert np.sqrt(np.mean(np.square(away))) < 2.0 and np.abs(away).max() < 4.0


def test_log_evidence_is_the_exact_one(known, primates):
    """Nothing is approximate here: 3 topologies, each integrated exactly (`integrals`)."""
    reward, table, masses = known(primates([0, 3, 6, 10], slice(120, 131)))
    exact = np.array([integrals.exact_log_evidence(reward, t, 11) for t in table.parents])
    found = draw_branch_lengths(masses, table, reward, 500, np.random.default_rng(6), 0.005)
    corrected = logsumexp(table.log_evidence) + found.log_correction
    assert found.standard_error < 0.01
    assert corrected == pytest.approx(logsumexp(exact), abs=4 * found.standard_error)
    assert abs(found.log_correction) > 8 * found.standard_error  # so the correction was needed


def test_samples_are_those_of_the_corrected_posterior(known, primates):
    reward, table, masses = known(primates([0, 1, 2, 7, 11], 60))
    found = draw_branch_lengths(masses, table, reward, 4000, np.random.default_rng(7), AIM)
    assert found.lengths.shape == (4000, 8)
    mass = masses.shares * np.exp(found.corrections.log_ratios)
    p = mass / mass.sum()
    counts = np.bincount(found.rows, minlength=len(table))
    assert np.abs(counts - 4000 * p)[found.corrections.drawn_for].max() <= 8.0  # systematic
    draws = reward.draw_lengths(table.parents, reward.closed_form(table.parents), 4000, 8)
    weights = np.exp(draws.log_weights - draws.log_weights.max(axis=1, keepdims=True))
    means = (weights * draws.lengths.sum(axis=2)).sum(axis=1) / weights.sum(axis=1)
    total = found.lengths.sum(axis=1)
    assert total.mean() == pytest.approx(p @ means, abs=5 * total.std() / np.sqrt(4000))
    for i in range(5):  # each likelihood belongs to its own tree
        tree = Tree.from_parents(table.parents[found.rows[i]], found.lengths[i])
        again = reward.likelihood.log_likelihood(tree)
        assert again == pytest.approx(found.log_likelihoods[i], abs=1e-8)


def test_the_error_is_the_spread_of_the_estimate(known, primates):
    reward, table, masses = known(primates(6, 40))  # 105 topologies, most of them not certain
    found = [
        draw_branch_lengths(masses, table, reward, 10, np.random.default_rng(seed), 0.02)
        for seed in range(12)
    ]
    values = np.array([one.log_correction for one in found])
    errors = np.array([one.standard_error for one in found])
    assert 0.6 < values.std(ddof=1) / np.sqrt((errors**2).mean()) < 1.5


def test_work_is_counted_by_distinct_topology_and_bounded_by_the_time(known, primates):
    reward, table, masses = known(primates([0, 1, 2, 7, 11], 60))
    one = TopologyMasses(masses.rows, np.eye(len(table))[3])
    before = reward.evaluations
    found = draw_branch_lengths(one, table, reward, 10, np.random.default_rng(1), 1.0)
    fits = reward.evaluations - before - found.n_draws
    assert found.n_draws == 1000 * BLOCK  # nearly all else is the pilot
    assert fits < 1200
    assert found.wanted_draws == found.n_draws

    began = time.monotonic()
    shown = []
    found = draw_branch_lengths(
        masses,
        table,
        reward,
        10,
        np.random.default_rng(1),
        1e-5,
        1.0,
        lambda done, text: shown.append((done, text)),
    )
    assert time.monotonic() - began < 2.0
    assert 4 * BLOCK <= found.n_draws < found.wanted_draws
    assert shown[-1][0] == 1.0 and f"{found.n_draws:,} draws" in shown[-1][1]


def test_time_that_is_up_leaves_a_few_draws(known, primates):
    """And by the clock that is given: compilation, for one, is not charged."""
    reward, table, masses = known(primates(6, 40))
    ticks = iter(range(1, 1_000_000))
    found = draw_branch_lengths(
        masses,
        table,
        reward,
        30,
        np.random.default_rng(1),
        0.01,
        0.0,
        clock=lambda: float(next(ticks)),
    )
    assert found.n_draws <= 10 * BLOCK and found.wanted_draws >= 1000 * BLOCK
    assert found.lengths.shape[0] == 30 and np.isfinite(found.log_correction)
    assert found.standard_error > 0.0


def test_the_seed_decides_whatever_the_threads(known, primates):
    found = []
    for threads in (1, 2):
        reward, table, masses = known(primates([0, 1, 2, 7, 11], 60), threads=threads)
        rng = np.random.default_rng(3)
        found.append(draw_branch_lengths(masses, table, reward, 20, rng, AIM))
    assert found[0].log_correction == found[1].log_correction
    assert np.array_equal(found[0].lengths, found[1].lengths)


def test_topologies_without_draws_get_the_mean_of_those_like_them(known, primates):
    reward, table, masses = known(primates(6, 300))
    found = draw_branch_lengths(masses, table, reward, 10, np.random.default_rng(1), AIM)
    drawn_for, variances = found.corrections.drawn_for, found.corrections.variances
    assert 0 < drawn_for.sum() < len(table)
    assert len(np.unique(found.corrections.log_ratios[~drawn_for])) == 1
    best = int(np.argmax(masses.shares))
    assert drawn_for[best] and variances[best] < variances[~drawn_for].min()


def test_first_correction_is_near_the_last(known, primates):
    reward, table, masses = known(primates([0, 1, 2, 7, 11], 60))
    rng = np.random.default_rng(2)
    rows = rng.choice(masses.rows, 64, p=masses.shares)
    first = mean_correction(rows, table, reward, rng)
    found = draw_branch_lengths(masses, table, reward, 10, rng, AIM)
    assert first == pytest.approx(found.log_correction, abs=0.2)


def test_errors_of_probabilities_by_simulation():
    rng = np.random.default_rng(1)
    x = np.array([6.0, 3.0, 1.0])
    relative = np.array([0.02, 0.05, 0.1])
    draws = x * (1.0 + relative * rng.standard_normal((20_000, 3)))
    p = draws / draws.sum(axis=1, keepdims=True)
    total = ((x * relative) ** 2).sum() / x.sum() ** 2
    errors = probability_errors(x / x.sum(), relative**2, total)
    np.testing.assert_allclose(errors, p.std(axis=0), rtol=0.05)
