"""Priors on independent branches: text, densities, draws, and a new one in a run."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from numba import cfunc, njit
from scipy import stats
from scipy.special import logsumexp, roots_genlaguerre

from phylogfn.estimates.lengths.one_topology import topology_evidence
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import N_REPLICAS, Walkers
from phylogfn.kernels.branch_prior_numba import DRAW, TERMS, PriorFunctions
from phylogfn.likelihood.branch_prior import (
    BRANCH_PRIORS,
    BranchPrior,
    ExponentialPrior,
    GammaPrior,
    UniformPrior,
    parse_branch_prior,
)
from phylogfn.settings import resolve_settings
from tests.phylogfn.runs.sample.test_main import run_small, write_fasta


@cfunc(TERMS)
def weibull_terms(parameters, b):
    k, scale = parameters
    power = (b / scale) ** k
    return (
        (k - 1.0) * math.log(b) - power,
        ((k - 1.0) - k * power) / b,
        -((k - 1.0) + k * (k - 1.0) * power) / b**2,
    )


@cfunc(DRAW)
def weibull_draw(parameters):
    k, scale = parameters
    return scale * np.random.gamma(1.0, 1.0) ** (1.0 / k)  # noqa: NPY002 - compiled


@dataclass(frozen=True)
class WeibullPrior(BranchPrior):
    """A prior that the package does not have."""

    shape: float
    scale: float

    usage = "weibull:SHAPE,SCALE, such as weibull:2,0.1"

    @classmethod
    def parse(cls, values):
        shape, scale = values.split(",")
        return cls(float(shape), float(scale))

    @property
    def name(self):
        return f"weibull:{self.shape!r},{self.scale!r}"

    @cached_property
    def functions(self):
        constant = math.log(self.shape) - self.shape * math.log(self.scale)
        parameters = np.array([self.shape, self.scale])
        return PriorFunctions(constant, parameters, weibull_terms, weibull_draw)


@pytest.fixture
def weibull(monkeypatch):
    """Register the Weibull distribution."""
    monkeypatch.setitem(BRANCH_PRIORS, "weibull", WeibullPrior)


KNOWN = [
    (ExponentialPrior(12.5), stats.expon(scale=1 / 12.5)),
    (GammaPrior(0.6, 4.0), stats.gamma(0.6, scale=1 / 4.0)),
    (GammaPrior(3.0, 30.0), stats.gamma(3.0, scale=1 / 30.0)),
    (UniformPrior(0.0, 12.0), stats.uniform(0.0, 12.0)),
    (UniformPrior(0.0009, 11.5), stats.uniform(0.0009, 11.4991)),
    (WeibullPrior(1.5, 0.2), stats.weibull_min(1.5, scale=0.2)),
]
PRIORS = [prior for prior, _ in KNOWN]


def test_text_of_priors():
    assert parse_branch_prior("exp:10") == ExponentialPrior(10.0)
    assert parse_branch_prior("Exponential:0.5") == ExponentialPrior(0.5)
    assert parse_branch_prior(" uniform: 0, 10 ") == UniformPrior(0.0, 10.0)
    assert parse_branch_prior("gamma:2,20") == GammaPrior(2.0, 20.0)
    assert ExponentialPrior(10.0).name == "exp:10"
    assert UniformPrior(0.0, 0.25).name == "uniform:0,0.25"


@pytest.mark.parametrize(
    ("texts", "usage"),
    [
        (("exp", "exp:", "exp:-1", "exp:inf", "exp:nan", "exp:1,2", "exp:1e7"), "exp:RATE, such"),
        (
            ("uniform", "uniform:1", "uniform:1,1", "uniform:2,1", "uniform:-1,2", "uniform:0,1e4"),
            "uniform:LOW,HIGH, such",
        ),
        (("gamma:2", "gamma:0,1", "gamma:1,2,3", "gamma:a,b"), "gamma:SHAPE,RATE, such"),
        (("10", "", "lognormal:1,2", ":", "dirichlet:1"), "exp:RATE, uniform:LOW,HIGH, gamma:"),
    ],
)
def test_wrong_text_names_the_usage(texts, usage):
    for text in texts:
        with pytest.raises(ValueError, match=f"not a prior on branch lengths; write {usage}"):
            parse_branch_prior(text)


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.name)
def test_names_read_back(weibull, prior):
    assert parse_branch_prior(prior.name) == prior


@pytest.mark.parametrize(("prior", "known"), KNOWN, ids=lambda x: getattr(x, "name", ""))
def test_densities_slopes_and_curvatures(prior, known):
    lengths = np.array([[1e-3, 0.04, 0.1], [0.5, 2.0, 11.0]])
    found = prior.densities(lengths)
    assert all(values.shape == (2, 3) for values in found)
    np.testing.assert_allclose(found.value, known.logpdf(lengths), rtol=1e-12)
    np.testing.assert_allclose(prior.log_density(lengths), known.logpdf(lengths).sum(axis=1))
    h = 1e-4 * lengths
    below, above = prior.densities(lengths - h), prior.densities(lengths + h)
    slope, curvature = (above.value - below.value) / (2 * h), (above.slope - below.slope) / (2 * h)
    np.testing.assert_allclose(found.slope, slope, rtol=1e-6)
    np.testing.assert_allclose(found.curvature, curvature, rtol=1e-6, atol=1e-9)
    of_tree = prior.tree_density(lengths[0], np.ones(3, bool))
    assert of_tree.value == pytest.approx(known.logpdf(lengths[0]).sum())
    np.testing.assert_array_equal(of_tree.slope, found.slope[0])


def test_a_uniform_density_ends_at_its_bounds():
    found = UniformPrior(0.1, 0.3).densities(np.array([0.05, 0.1, 0.3, 0.31]))
    np.testing.assert_allclose(found.value, [-np.inf, np.log(5.0), np.log(5.0), -np.inf])


@njit
def compiled_draws(prior, draws, seed):
    np.random.seed(seed)  # noqa: NPY002 - compiled
    for i in range(draws.size):
        draws[i] = prior.draw(prior.parameters)


@pytest.mark.parametrize(("prior", "known"), KNOWN, ids=lambda x: getattr(x, "name", ""))
def test_draws_have_the_distribution(prior, known):
    draws = np.empty(20_000)
    compiled_draws(prior.functions, draws, 1)
    assert stats.kstest(draws, known.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("prior", "known"), KNOWN, ids=lambda x: getattr(x, "name", ""))
def test_moments_of_log_length(prior, known):
    logs = np.log(known.ppf((np.arange(400_000) + 0.5) / 400_000))
    found = prior.log_length_moments(7)
    assert found == pytest.approx((logs.mean(), logs.var()), rel=2e-3)
    assert BranchPrior.log_length_moments(prior, 7) == pytest.approx(found, rel=1e-3)


def test_moments_of_a_narrow_uniform_distribution():
    mean, variance = UniformPrior(0.1, 0.1001).log_length_moments(7)
    assert mean == pytest.approx(math.log(0.10005), abs=1e-6)
    assert variance == pytest.approx(1e-6 / 12.0, rel=0.01)


def quadrature(reward, prior, parent, n_nodes):
    """log of the integral of likelihood times gamma prior, by Gauss-Laguerre nodes."""
    nodes, weights = roots_genlaguerre(n_nodes, prior.shape - 1.0)
    index = np.array(list(itertools.product(range(n_nodes), repeat=len(parent) - 1)))
    lengths = np.hstack([np.zeros((len(index), 1)), nodes[index] / prior.rate])
    values = reward.log_likelihoods(np.tile(parent, (len(index), 1)), lengths)
    log_terms = values + np.log(weights / weights.sum())[index].sum(axis=1)
    return float(np.asarray(logsumexp(log_terms)))


@pytest.mark.parametrize("prior", [GammaPrior(0.6, 6.0), GammaPrior(3.0, 30.0)])
def test_evidence_under_a_gamma_prior(primates, make_reward, all_topologies, prior):
    reward = make_reward(primates([0, 3, 6, 10], slice(40, 49)), branch_prior=prior.name)
    tree = all_topologies(4)[1]
    exact = quadrature(reward, prior, tree, 8)
    assert quadrature(reward, prior, tree, 7) == pytest.approx(exact, abs=1e-3)
    fit = reward.closed_form(tree[None])
    assert fit.log_evidence[0] == pytest.approx(exact, abs=0.4)  # nine sites are few
    found = topology_evidence(tree, None, reward, 20_000, seed=1)  # with a fitted proposal
    assert found.standard_error < 0.02
    assert found.log_evidence == pytest.approx(exact, abs=4.0 * found.standard_error)


@pytest.mark.parametrize("prior", [GammaPrior(3.0, 30.0), WeibullPrior(2.0, 0.1)])
def test_closed_form_is_at_the_mode(weibull, primates, make_reward, all_topologies, prior):
    reward = make_reward(primates(5, 300), branch_prior=prior.name)
    tree = all_topologies(5)[:1]
    fit = reward.closed_form(tree)

    def target(lengths):
        value = reward.log_likelihoods(tree, lengths) + reward.log_priors(lengths)
        return float(value[0] + np.log(lengths[0, 1:]).sum())

    best = target(fit.lengths)
    for v in range(1, tree.shape[1]):
        for factor in (0.9, 1.1):
            moved = fit.lengths.copy()
            moved[0, v] *= factor
            assert target(moved) < best


@pytest.mark.parametrize("prior", ["weibull:2,0.1", "uniform:0,0.5"])
def test_walks_find_the_same_evidence(weibull, primates, make_reward, all_topologies, prior):
    reward = make_reward(primates(6, 200), branch_prior=prior)
    every = all_topologies(6)
    table = TopologyTable(6)
    walkers = Walkers.start(reward, table, every[:N_REPLICAS], np.random.default_rng(1))
    walkers.block = 20
    blocks = walkers.run(1, parallel=False)
    kept = np.concatenate([block.parents for block in blocks])
    found = np.concatenate([block.log_evidence for block in blocks])
    assert len(found) > 20
    np.testing.assert_allclose(found, reward.closed_form(kept).log_evidence, atol=0.05)


@pytest.mark.parametrize(
    "prior", [GammaPrior(3.0, 30.0), WeibullPrior(2.0, 0.1), UniformPrior(0.02, 0.2)]
)
def test_draws_come_from_the_prior_where_data_say_nothing(
    weibull, primates, make_reward, all_topologies, prior
):
    reward = make_reward(primates([0, 3, 6, 10], slice(40, 41)), branch_prior=prior.name)
    reward.likelihood.data_arrays.weights[:] = 0.0
    tree = all_topologies(4)[:1]
    draws = reward.draw_lengths(tree, reward.closed_form(tree), 20_000, seed=3)
    weights = np.exp(draws.log_weights[0])
    assert weights.mean() == pytest.approx(1.0, abs=0.02)
    mean = weights @ draws.lengths[0, :, 1:] / weights.sum()
    expected = {"gamma": 0.1, "weibull": 0.1 * math.gamma(1.5), "uniform": 0.11}
    np.testing.assert_allclose(mean, expected[prior.name.partition(":")[0]], rtol=0.05)


def test_evidence_under_a_uniform_prior(primates, make_reward, all_topologies):
    prior = UniformPrior(0.03, 0.2)
    reward = make_reward(primates([0, 3, 6, 10], slice(40, 60)), branch_prior=prior.name)
    tree = all_topologies(4)[1]
    lengths = np.random.default_rng(1).uniform(0.03, 0.2, (100_000, 6))
    lengths[:, 0] = 0.0
    values = reward.log_likelihoods(np.tile(tree, (len(lengths), 1)), lengths)
    weights = np.exp(values - values.max())
    exact = math.log(weights.mean()) + values.max()
    error = weights.std() / weights.mean() / math.sqrt(len(weights))
    assert error < 0.01
    fit = reward.closed_form(tree[None])
    assert 0.2 in fit.lengths[0]  # a mode at a bound
    assert fit.log_evidence[0] == pytest.approx(exact, abs=0.3)
    draws = reward.draw_lengths(tree[None], fit, 20_000, seed=1)
    inside = draws.lengths[0, :, 1:]
    assert inside.min() >= 0.03 and inside.max() <= 0.2
    found = topology_evidence(tree, None, reward, 20_000, seed=1)
    assert found.standard_error < 0.01
    both = math.hypot(found.standard_error, error)
    assert found.log_evidence == pytest.approx(exact, abs=4.0 * both)


def test_settings_take_a_new_prior(weibull, tmp_path):
    given = {"alignment": "x.fasta", "output": str(tmp_path / "out")}
    assert resolve_settings(given | {"branch_prior": "weibull:2,20"}).branch_prior == "weibull:2,20"
    assert resolve_settings(given | {"branch_prior": GammaPrior(2.0, 20.0)}).branch_prior == (
        "gamma:2,20"
    )


def test_a_run_samples_under_a_new_prior(weibull, tmp_path):
    alignment = write_fasta(tmp_path / "five.fasta", [0, 2, 5, 7, 11], 150)
    evidence = []
    for lengths in ("collapsed", "lognormal"):
        out = tmp_path / lengths
        run_small(
            alignment,
            out,
            environment="merging",
            branch_prior="weibull:2,0.1",
            branch_lengths=lengths,
        )
        summary = json.loads((out / "summary.json").read_text())
        assert summary["branch_prior"] == "weibull:2,0.1"
        evidence.append((summary["log_evidence"], summary["log_evidence_se"]))
    (first, error), (second, other) = evidence  # of lengths integrated out, and of lengths drawn
    assert first == pytest.approx(second, abs=5.0 * math.hypot(error, other))
