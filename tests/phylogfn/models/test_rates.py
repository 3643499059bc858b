"""Free rates: coordinates, prior, and the mixtures that they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import gammaln
from scipy.stats import dirichlet

from gfncore.errors import UserError
from phylogfn.models import parse_model, parse_prior
from phylogfn.models.rates import (
    free_rates_from_theta,
    free_rates_to_theta,
    log_free_rates_prior,
)


@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_every_vector_gives_ascending_rates_of_mean_one(k):
    theta = np.random.default_rng(k).normal(size=2 * k - 2) * 2.0
    values = free_rates_from_theta(theta)
    weights, rates = np.split(values, 2)
    assert weights.sum() == pytest.approx(1.0) and weights @ rates == pytest.approx(1.0)
    assert np.all(np.diff(rates) > 0) and rates[0] > 0
    np.testing.assert_allclose(free_rates_to_theta(values), theta, atol=1e-9)
    np.testing.assert_allclose(
        free_rates_to_theta(np.append(weights, 7.0 * rates)), theta, atol=1e-9
    )


def plain_log_prior(theta: np.ndarray, concentration: float) -> float:
    """The densities of weights and shares, with a Jacobian by differences."""

    def log_ratios(theta):
        weights, rates = np.split(free_rates_from_theta(theta), 2)
        parts = (weights, weights * rates)
        return np.concatenate([np.log(part[:-1] / part[-1]) for part in parts])

    step = 1e-6
    shifts = step * np.eye(theta.size)
    columns = [(log_ratios(theta + d) - log_ratios(theta - d)) / (2 * step) for d in shifts]
    weights, rates = np.split(free_rates_from_theta(theta), 2)
    k = weights.size
    total = gammaln(k + 1) + np.log(abs(np.linalg.det(columns)))
    for shares in (weights, weights * rates):
        # the Jacobian of additive log ratios is the product of the shares
        total += dirichlet(np.full(k, concentration)).logpdf(shares / shares.sum())
        total += np.log(shares).sum()
    return float(total)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("concentration", [1.0, 2.5])
def test_prior_is_dirichlet_on_weights_and_on_shares(k, concentration):
    theta = np.random.default_rng(k).normal(size=2 * k - 2)
    expected = plain_log_prior(theta, concentration)
    assert log_free_rates_prior(theta, concentration) == pytest.approx(expected, abs=1e-6)
    free = parse_model(f"JC69+R{k}", "dna").parameters[0]
    free = free.with_prior(parse_prior(f"dirichlet:{concentration}"))
    assert free.log_prior(theta) == pytest.approx(expected, abs=1e-6)
    # without the Jacobian it is the density of ordered weights and shares
    weights, rates = np.split(free.to_natural(theta), 2)
    natural = gammaln(k + 1) + sum(
        dirichlet(np.full(k, concentration)).logpdf(x / x.sum()) for x in (weights, weights * rates)
    )
    assert free.log_prior(theta) - free.log_jacobian(theta) == pytest.approx(natural, abs=1e-6)


def test_prior_of_two_categories_integrates_to_one():
    density = lambda x, y: np.exp(log_free_rates_prior(np.array([x, y]), 1.0))  # noqa: E731
    assert dblquad(density, -25, 25, -25, 25, epsabs=1e-5)[0] == pytest.approx(1.0, abs=1e-3)


def test_prior_of_ordered_categories_is_that_of_sorted_draws():
    # quantiles of the smallest rate: draws of the unordered prior, and sums over a grid of theta
    rng = np.random.default_rng(8)
    weights, shares = rng.dirichlet([1, 1], 200_000), rng.dirichlet([1, 1], 200_000)
    drawn = np.min(shares / weights, axis=1)
    axis = np.linspace(-12.0, 12.0, 241)
    grid = np.array([(x, y) for x in axis for y in axis])
    density = np.exp([log_free_rates_prior(theta, 1.0) for theta in grid]) * 0.1**2
    smallest = np.array([free_rates_from_theta(theta)[2] for theta in grid])
    for limit in (0.1, 0.4, 0.8):
        expected = density[smallest < limit].sum()
        assert np.mean(drawn < limit) == pytest.approx(expected, abs=0.01)


def test_model_string():
    spec = parse_model("HKY85+R3", "dna")
    assert spec.labels[-6:] == (*(f"weight({c})" for c in "123"), *(f"rate({c})" for c in "123"))
    assert spec.n_free == 1 + 3 + 4 and len(spec.bounds) == 8
    model = spec.build()
    assert model.n_categories == 3
    np.testing.assert_allclose(model.category_weights, 1 / 3)
    np.testing.assert_allclose(model.category_weights @ model.category_rates, 1.0)
    same = parse_model("JC69+G3{0.5}", "dna").build()
    np.testing.assert_allclose(model.category_rates, same.category_rates)  # the start
    assert parse_model("JC69+R1", "dna").n_free == 0
    assert parse_model("JC69+R", "dna").n_free == 6


def test_fixed_weights_and_rates():
    # as in IQ-TREE: weight and rate of each category, rates divided by their mean
    model = parse_model("JC69+R3{0.5,0.2,0.3,2,0.2,6}", "dna").build()
    np.testing.assert_allclose(model.category_weights, [0.5, 0.3, 0.2])
    np.testing.assert_allclose(model.category_rates, np.array([0.2, 2.0, 6.0]) / 1.9)
    labelled = parse_model("JC69+R2{r1=0.2,r2=2,w1=0.5,w2=0.5}", "dna").build()
    np.testing.assert_allclose(labelled.category_rates, np.array([0.2, 2.0]) / 1.1)


def test_invariant_sites_are_a_category_of_rate_zero():
    with_invariant = parse_model("JC69+R2{0.4,0.5,0.6,1.5}+I{0.25}", "dna").build()
    mean = 0.4 * 0.5 + 0.6 * 1.5
    np.testing.assert_allclose(with_invariant.category_weights, [0.3, 0.45])
    rates = np.array([0.5, 1.5]) / mean / 0.75
    np.testing.assert_allclose(with_invariant.category_rates, rates)
    free = parse_model("JC69+I+R2", "dna")
    assert free.labels == ("weight(1)", "weight(2)", "rate(1)", "rate(2)", "pinvar")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("JC69+R2{0.5,1}", ["weight and rate of each of 2 categories", "2 values"]),
        ("JC69+R2{0.5,1,0.4,1}", ["weights with sum 1", "0.9"]),
        ("JC69+R2{0.5,0,0.5,0}", ["a rate above 0"]),
        ("JC69+R2{1,1,0,1}", ["positive weights"]),
        ("JC69+G4+R4", ["alternatives"]),
        ("JC69+R0", ["categories of +R", "1 to 64"]),
        ("JC69+R2{w1=0.5,w2=0.5,r2=1}", ["no value of r1"]),
    ],
)
def test_wrong_free_rates_are_one_line(text, words):
    with pytest.raises(UserError) as caught:
        parse_model(text, "dna")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_priors_of_free_rates():
    spec = parse_model("JC69+R3", "dna").with_priors({"free_rates": "dirichlet:2"})
    assert str(spec.parameters[0].prior) == "dirichlet:2"
    for wrong in ("exp:1", "dirichlet:1,2,3"):
        with pytest.raises(UserError, match="free_rates"):
            spec.with_priors({"free_rates": wrong})
