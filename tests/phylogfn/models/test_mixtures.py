"""Mixtures of amino acid models: their processes, weights and strings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import dirichlet

from gfncore.errors import UserError
from phylogfn.models import MixtureModel, SubstitutionModel, parse_model
from phylogfn.models.mixtures import FOUR_MATRICES, PROFILES, four_matrices, profiles
from phylogfn.models.protein import protein_matrix
from phylogfn.models.rates import (
    log_unordered_rates_prior,
    unordered_rates_from_theta,
    unordered_rates_to_theta,
)


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_read_whole(name):
    weights, frequencies = profiles(name)
    assert weights.shape == (int(name[1:]),) and frequencies.shape == (int(name[1:]), 20)
    assert weights.sum() == pytest.approx(1.0) and weights.min() > 0.0
    np.testing.assert_allclose(frequencies.sum(axis=1), 1.0)
    assert frequencies.min() > 1e-4
    # a mixture of profiles has the composition of many proteins: leucine is common, tryptophan rare
    mean = weights @ frequencies
    assert mean[10] > 0.07 and mean[17] < 0.02


@pytest.mark.parametrize("name", FOUR_MATRICES)
def test_four_matrices_are_read_whole(name):
    matrices = four_matrices(name)
    assert len(matrices) == 4
    for exchangeabilities, frequencies in matrices:
        np.testing.assert_array_equal(exchangeabilities, exchangeabilities.T)
        assert np.all(np.diag(exchangeabilities) == 0.0) and exchangeabilities.min() >= 0.0
        assert frequencies.sum() == pytest.approx(1.0) and frequencies.min() > 0.0
    assert len({tuple(frequencies) for _, frequencies in matrices}) == 4


def test_every_profile_occurs_in_every_rate_category():
    model = parse_model("LG+C10+G3{0.5}+I{0.2}", "protein").build()
    assert isinstance(model, MixtureModel)
    assert model.n_states == 20 and model.n_categories == 30
    weights, frequencies = profiles("C10")
    rates = parse_model("LG+G3{0.5}+I{0.2}", "protein").build()
    table = model.category_weights.reshape(10, 3)
    np.testing.assert_allclose(table, np.outer(weights, rates.category_weights))
    np.testing.assert_allclose(model.category_rates.reshape(10, 3), [rates.category_rates] * 10)
    assert model.category_weights @ model.category_rates == pytest.approx(1.0)
    np.testing.assert_allclose(model.frequencies, weights @ frequencies)
    lg = protein_matrix("LG")[0]
    for category in range(30):
        process = model.process(category)
        np.testing.assert_array_equal(process.exchangeabilities, lg)
        np.testing.assert_allclose(process.frequencies, frequencies[category // 3])
        assert -process.frequencies @ np.diag(process.Q) == pytest.approx(1.0)


def test_profiles_alone_have_equal_exchangeabilities():
    alone, explicit = (parse_model(text, "protein") for text in ("c20+R2", "Poisson+C20+R2"))
    assert alone.family == explicit.family == "Poisson"
    assert alone.profiles == explicit.profiles == "C20"
    assert alone.n_free == 2 and alone.build().n_categories == 40


def test_matrices_go_with_the_rates():
    gamma = parse_model("LG4M", "protein")
    assert gamma.labels == ("alpha",)
    model = gamma.build()
    same = parse_model("LG+G4{0.5}", "protein").build()
    np.testing.assert_allclose(model.category_rates, same.category_rates)
    assert [model.process(category) for category in range(4)] == list(model.processes)
    fixed = parse_model("LG4X+R4{0.3,0.2,0.3,0.7,0.2,2.5,0.2,1.5}+I{0.1}", "protein").build()
    np.testing.assert_allclose(fixed.category_weights, 0.9 * np.array([0.3, 0.3, 0.2, 0.2]))
    mean = 0.3 * 0.2 + 0.3 * 0.7 + 0.2 * 2.5 + 0.2 * 1.5
    np.testing.assert_allclose(
        fixed.category_rates, np.array([0.2, 0.7, 2.5, 1.5]) / mean / 0.9
    )  # in the order given: the matrices belong to it


def test_rates_of_different_matrices_have_no_order():
    spec = parse_model("LG4X", "protein").with_priors({"free_rates": "dirichlet:2"})
    assert spec.n_free == 6 and spec.labels[4:] == tuple(f"rate({c})" for c in "1234")
    theta = np.random.default_rng(2).normal(size=6)
    weights, rates = np.split(unordered_rates_from_theta(theta), 2)
    assert weights.sum() == pytest.approx(1.0) and weights @ rates == pytest.approx(1.0)
    np.testing.assert_allclose(
        unordered_rates_to_theta(np.append(weights, rates)), theta, atol=1e-12
    )
    shares = weights * rates
    expected = sum(
        dirichlet(np.full(4, 2.0)).logpdf(x / x.sum()) + np.log(x).sum() for x in (weights, shares)
    )
    assert log_unordered_rates_prior(theta, 2.0) == pytest.approx(expected)
    assert spec.log_prior(theta) == pytest.approx(expected)
    natural = sum(dirichlet(np.full(4, 2.0)).logpdf(x / x.sum()) for x in (weights, shares))
    assert spec.log_natural_prior(theta) == pytest.approx(natural)
    model = spec.build(theta)
    np.testing.assert_allclose(model.category_rates, rates)
    np.testing.assert_allclose(spec.build(spec.start()).category_weights, 0.25)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LG4X+G4", ["LG4X", "+R4 and +I"]),
        ("LG4M+G8", ["LG4M", "four categories", "+G4 and +I"]),
        ("LG4M+F", ["frequencies of its own"]),
        ("LG4X+C20", ["frequencies of its own"]),
        ("LG+C20+F", ["C20 has frequencies of its own"]),
        ("C10+C20", ["two sets of profiles"]),
        ("LG+C20{1}", ["takes no values"]),
        ("LG+C15", ["unknown suffix '+C15'", "+C10 to +C60"]),
        ("C70", ["unknown model 'C70'"]),
    ],
)
def test_wrong_mixtures_are_one_line(text, words):
    with pytest.raises(UserError) as caught:
        parse_model(text, "protein")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_mixtures_are_of_proteins():
    for text in ("LG4X", "C20", "GTR+C20"):
        with pytest.raises(UserError, match="not for dna|of amino acids"):
            parse_model(text, "dna")


def test_inconsistent_categories_are_refused():
    one = parse_model("LG", "protein").build()
    assert isinstance(one, SubstitutionModel)
    with pytest.raises(ValueError, match="same number"):
        MixtureModel("x", (one, one), np.ones(3), np.full(3, 1 / 3))
    with pytest.raises(ValueError, match="differ in shape"):
        MixtureModel("x", (one, one), np.ones(2), np.ones(1))
    with pytest.raises(ValueError, match="sum to 1"):
        MixtureModel("x", (one,), np.ones(2), np.ones(2))
