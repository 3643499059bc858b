"""Priors on branch lengths: text, densities, draws, and a new one from the settings to a run."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from numba import cfunc
from scipy import stats
from scipy.special import logsumexp, polygamma, psi, roots_genlaguerre

from phylogfn.estimates.length_samples import topology_evidence
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import N_REPLICAS, Walkers
from phylogfn.kernels.branch_prior_numba import DRAW, TERMS, PriorFunctions
from phylogfn.likelihood.branch_prior import (
    BRANCH_PRIORS,
    BranchPrior,
    ExponentialPrior,
    parse_branch_prior,
)
from phylogfn.settings import resolve_settings
from tests.phylogfn.runs.sample.test_main import run_small, write_fasta


@cfunc(TERMS)
def gamma_terms(parameters, b):
    shape, rate = parameters
    return (shape - 1.0) * math.log(b) - rate * b, (shape - 1.0) / b - rate, (1.0 - shape) / b**2


@cfunc(DRAW)
def gamma_draw(parameters):
    return np.random.gamma(parameters[0], 1.0 / parameters[1])  # noqa: NPY002 - compiled


@dataclass(frozen=True)
class GammaPrior(BranchPrior):
    """The gamma distribution."""

    shape: float
    rate: float

    usage = "gamma:SHAPE,RATE"

    @classmethod
    def parse(cls, values):
        shape, rate = values.split(",")
        return cls(float(shape), float(rate))

    @property
    def name(self):
        return f"gamma:{self.shape!r},{self.rate!r}"

    @cached_property
    def functions(self):
        constant = self.shape * math.log(self.rate) - math.lgamma(self.shape)
        return PriorFunctions(constant, np.array([self.shape, self.rate]), gamma_terms, gamma_draw)


@pytest.fixture
def gamma(monkeypatch):
    """Register the gamma distribution."""
    monkeypatch.setitem(BRANCH_PRIORS, "gamma", GammaPrior)


PRIORS = [ExponentialPrior(12.5), GammaPrior(0.6, 4.0), GammaPrior(3.0, 30.0)]
KNOWN = [
    (PRIORS[0], stats.expon(scale=1 / 12.5)),
    (PRIORS[1], stats.gamma(0.6, scale=1 / 4.0)),
    (PRIORS[2], stats.gamma(3.0, scale=1 / 30.0)),
]


def test_text_of_exponential_priors():
    assert parse_branch_prior("exp:10") == ExponentialPrior(10.0)
    assert parse_branch_prior("Exponential:0.5") == ExponentialPrior(0.5)
    for text in ("exp", "exp:", "exp:-1", "exp:inf", "gamma:2", "10", "exp:nan"):
        with pytest.raises(ValueError, match="write exp:RATE"):
            parse_branch_prior(text)


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.name)
def test_names_read_back(gamma, prior):
    assert parse_branch_prior(prior.name) == prior
    assert ExponentialPrior(10.0).name == "exp:10"


@pytest.mark.parametrize(("prior", "known"), KNOWN)
def test_densities_slopes_and_curvatures(prior, known):
    lengths = np.array([[1e-3, 0.04, 0.1], [0.5, 2.0, 11.0]])
    found = prior.densities(lengths)
    assert all(values.shape == (2, 3) for values in found)
    np.testing.assert_allclose(found.value, known.logpdf(lengths), rtol=1e-12)
    h = 1e-4 * lengths
    below, above = prior.densities(lengths - h), prior.densities(lengths + h)
    np.testing.assert_allclose(found.slope, (above.value - below.value) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(found.curvature, (above.slope - below.slope) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize("prior", PRIORS)
def test_moments_of_log_length(prior):
    shape, rate = getattr(prior, "shape", 1.0), prior.rate
    expected = psi(shape) - math.log(rate), float(polygamma(1, shape))
    assert prior.log_length_moments() == pytest.approx(expected, rel=1e-6)
    assert BranchPrior.log_length_moments(prior) == pytest.approx(expected, rel=1e-6)


def quadrature(reward, prior, parent, n_nodes):
    """log of the integral of likelihood times gamma prior, by Gauss-Laguerre nodes."""
    nodes, weights = roots_genlaguerre(n_nodes, prior.shape - 1.0)
    index = np.array(list(itertools.product(range(n_nodes), repeat=len(parent) - 1)))
    lengths = np.hstack([np.zeros((len(index), 1)), nodes[index] / prior.rate])
    values = reward.log_likelihoods(np.tile(parent, (len(index), 1)), lengths)
    log_terms = values + np.log(weights / weights.sum())[index].sum(axis=1)
    return float(np.asarray(logsumexp(log_terms)))


@pytest.mark.parametrize("prior", [GammaPrior(0.6, 6.0), GammaPrior(3.0, 30.0)])
def test_evidence_under_a_new_prior(gamma, primates, make_reward, all_topologies, prior):
    reward = make_reward(primates([0, 3, 6, 10], slice(40, 49)), branch_prior=prior.name)
    tree = all_topologies(4)[1]
    exact = quadrature(reward, prior, tree, 8)
    assert quadrature(reward, prior, tree, 7) == pytest.approx(exact, abs=1e-3)
    fit = reward.closed_form(tree[None])
    assert fit.log_evidence[0] == pytest.approx(exact, abs=0.4)  # nine sites are few
    found = topology_evidence(tree, None, reward, 20_000, seed=1)  # with a fitted proposal
    assert found.standard_error < 0.02
    assert found.log_evidence == pytest.approx(exact, abs=4.0 * found.standard_error)


def test_closed_form_is_at_the_mode_under_a_new_prior(gamma, primates, make_reward, all_topologies):
    prior = GammaPrior(3.0, 30.0)
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


def test_walks_find_the_same_evidence_under_a_new_prior(
    gamma, primates, make_reward, all_topologies
):
    reward = make_reward(primates(6, 200), branch_prior="gamma:3,30")
    every = all_topologies(6)
    table = TopologyTable(6)
    walkers = Walkers.start(reward, table, every[:N_REPLICAS], np.random.default_rng(1))
    walkers.block = 20
    blocks = walkers.run(1, parallel=False)
    kept = np.concatenate([block.parents for block in blocks])
    found = np.concatenate([block.log_evidence for block in blocks])
    assert len(found) > 20
    np.testing.assert_allclose(found, reward.closed_form(kept).log_evidence, atol=0.05)


def test_draws_come_from_the_prior_where_data_say_nothing(
    gamma, primates, make_reward, all_topologies
):
    prior = GammaPrior(3.0, 30.0)
    reward = make_reward(primates([0, 3, 6, 10], slice(40, 41)), branch_prior=prior.name)
    reward.likelihood.data_arrays.weights[:] = 0.0
    tree = all_topologies(4)[:1]
    draws = reward.draw_lengths(tree, reward.closed_form(tree), 20_000, seed=3)
    weights = np.exp(draws.log_weights[0])
    assert weights.mean() == pytest.approx(1.0, abs=0.02)
    mean = weights @ draws.lengths[0, :, 1:] / weights.sum()
    np.testing.assert_allclose(mean, 0.1, rtol=0.05)


def test_settings_take_a_new_prior(gamma, tmp_path):
    given = {"alignment": "x.fasta", "output": str(tmp_path / "out")}
    assert resolve_settings(given | {"branch_prior": "gamma:2,20"}).branch_prior == "gamma:2,20"
    assert resolve_settings(given | {"branch_prior": GammaPrior(2.0, 20.0)}).branch_prior == (
        "gamma:2.0,20.0"
    )


def test_a_run_samples_under_a_new_prior(gamma, tmp_path):
    alignment = write_fasta(tmp_path / "five.fasta", [0, 2, 5, 7, 11], 150)
    evidence = []
    for lengths in ("collapsed", "lognormal"):
        out = tmp_path / lengths
        run_small(
            alignment,
            out,
            environment="merging",
            branch_prior="gamma:3,30",
            branch_lengths=lengths,
        )
        summary = json.loads((out / "summary.json").read_text())
        assert summary["branch_prior"] == "gamma:3,30"
        evidence.append((summary["log_evidence"], summary["log_evidence_se"]))
    (first, error), (second, other) = evidence  # of lengths integrated out, and of lengths drawn
    assert first == pytest.approx(second, abs=5.0 * math.hypot(error, other))
