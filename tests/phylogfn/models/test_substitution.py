"""Generators and their eigen-decompositions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.stats import gamma

from phylogfn import models
from phylogfn.models import PROTEIN_MODELS, SubstitutionModel, parse_model
from phylogfn.models.protein import protein_matrix
from phylogfn.models.rates import gamma_category_rates

FOLDER = Path(models.__file__).parent / "matrices"
DNA = ["JC69", "K80{4}", "F81{.1,.2,.3,.4}", "HKY85{3}+F{.1,.2,.3,.4}"]
GTR = "GTR{1,2,3,4,5,6}+F{.1,.2,.3,.4}+I{.3}+G4{.5}"
CASES = [(name, "dna") for name in [*DNA, GTR]] + [(name, "protein") for name in PROTEIN_MODELS]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_generator_is_reversible_and_scaled(name, kind):
    model = parse_model(name, kind).build()
    flux = model.frequencies[:, None] * model.Q
    np.testing.assert_allclose(flux, flux.T, atol=1e-15)
    np.testing.assert_allclose(model.Q.sum(axis=1), 0.0, atol=1e-13)
    assert -np.trace(flux) == pytest.approx(1.0, abs=1e-13)
    mean_rate = model.category_rates @ model.category_weights
    assert mean_rate == pytest.approx(1.0, abs=1e-13)
    assert model.category_weights.sum() + model.invariant == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_eigen_decomposition_rebuilds_generator_and_transitions(name, kind):
    model = parse_model(name, kind).build()
    right, values, left = model.eigen()
    np.testing.assert_allclose((right * values) @ left, model.Q, atol=1e-13)
    np.testing.assert_allclose(right @ left, np.eye(model.n_states), atol=1e-13)
    lengths = np.array([0.0, 1e-6, 0.1, 3.0, 200.0])
    transitions = model.transition_probabilities(lengths)
    for length, transition in zip(lengths, transitions, strict=True):
        np.testing.assert_allclose(transition, expm(model.Q * length), atol=1e-12)


def test_jukes_cantor_closed_form():
    transition = parse_model("JC69", "dna").build().transition_probabilities(0.3)
    decay = np.exp(-4 / 3 * 0.3)
    expected = np.where(np.eye(4, dtype=bool), 0.25 + 0.75 * decay, 0.25 - 0.25 * decay)
    np.testing.assert_allclose(transition, expected, atol=1e-14)


def test_kimura_closed_form():
    kappa, length = 3.0, 0.4
    transition = parse_model("K80{3}", "dna").build().transition_probabilities(length)
    beta = 1.0 / (kappa + 2.0)
    slow, fast = np.exp(-4 * beta * length), np.exp(-2 * (kappa + 1) * beta * length)
    assert transition[0, 2] == pytest.approx(0.25 + 0.25 * slow - 0.5 * fast, abs=1e-14)  # A to G
    assert transition[0, 1] == pytest.approx(0.25 - 0.25 * slow, abs=1e-14)  # A to C


def test_models_nest():
    frequencies = "+F{.1,.2,.3,.4}"
    f81 = parse_model("F81" + frequencies, "dna").build()
    hky = parse_model("HKY85{3}" + frequencies, "dna").build()
    np.testing.assert_allclose(f81.Q, parse_model("HKY{1}" + frequencies, "dna").build().Q)
    np.testing.assert_allclose(
        hky.Q, parse_model("GTR{1,3,1,1,3,1}" + frequencies, "dna").build().Q
    )
    assert parse_model("JC69", "dna").build().is_jukes_cantor
    assert parse_model("Poisson", "protein").build().is_jukes_cantor
    assert not f81.is_jukes_cantor and not hky.is_jukes_cantor


@pytest.mark.parametrize("shape", [0.05, 0.5, 1.0, 20.0])
@pytest.mark.parametrize("n_categories", [1, 2, 4, 8])
def test_gamma_rates_are_means_of_equal_slices(shape, n_categories):
    density = gamma(shape, scale=1.0 / shape)
    cuts = density.ppf(np.linspace(0.0, 1.0, n_categories + 1))
    rates = gamma_category_rates(shape, n_categories)
    assert rates.mean() == pytest.approx(1.0, abs=1e-14)
    assert np.all(np.diff(rates) > 0)
    for low, high, rate in zip(cuts[:-1], cuts[1:], rates, strict=True):
        if shape >= 0.5:
            mean = quad(lambda x: x * density.pdf(x), low, high, limit=200)[0] * n_categories
            assert rate == pytest.approx(mean, rel=1e-6, abs=1e-9)


def test_published_matrices_are_read_whole():
    for name in PROTEIN_MODELS:
        exchangeabilities, frequencies = protein_matrix(name)
        np.testing.assert_array_equal(exchangeabilities, exchangeabilities.T)
        assert frequencies.sum() == pytest.approx(1.0) and frequencies.min() > 0
    files = {path.stem for path in FOLDER.glob("*.txt")}
    assert files == set(PROTEIN_MODELS) - {"Poisson"}
    for path in FOLDER.glob("*.txt"):
        rows = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert sum(len(row.split()) for row in rows) == 210, path
    lg, frequencies = protein_matrix("LG")  # Le & Gascuel 2008, Table 2: I-V is the largest rate
    assert np.unravel_index(lg.argmax(), lg.shape) in [(9, 19), (19, 9)]
    assert frequencies[0] == pytest.approx(0.079066, rel=1e-5)
    with pytest.raises(KeyError):
        protein_matrix("../LG")


def test_inconsistent_arrays_are_refused():
    with pytest.raises(ValueError, match="4x4"):
        SubstitutionModel("x", np.full(4, 0.25), np.ones((3, 3)), np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="sum to 1"):
        SubstitutionModel("x", np.full(4, 0.25), np.ones((4, 4)), np.ones(1), np.ones(1), 0.2)
