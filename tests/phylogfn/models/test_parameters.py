"""Transforms and priors of the free parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from gfncore.errors import UserError
from phylogfn.models import parse_model, parse_prior


def parameter(text, kind="dna"):
    return parse_model(text, kind).parameters[0]


SCALARS = ["K80", "JC69+G4", "JC69+I"]


@pytest.mark.parametrize("text", [*SCALARS, "F81", "GTR"])
def test_transform_and_back(text):
    free = parameter(text)
    rng = np.random.default_rng(1)
    theta = rng.normal(size=free.n_free)
    natural = free.to_natural(theta)
    np.testing.assert_allclose(free.to_unconstrained(natural), theta, atol=1e-12)
    if free.kind == "simplex":
        assert natural.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("text", SCALARS)
@pytest.mark.parametrize("prior", [None, "uniform:0,1", "beta:2,3", "gamma:2,3", "exp:2"])
def test_prior_of_a_scalar_integrates_to_one(text, prior):
    free = parameter(text)
    if prior is not None:
        if free.kind == "share" and prior.startswith(("gamma", "exp")):
            with pytest.raises(UserError, match="does not fit"):
                free.with_prior(parse_prior(prior))
            return
        free = free.with_prior(parse_prior(prior))
    density = lambda x: float(np.exp(free.log_prior(np.array([x]))))  # noqa: E731
    total = sum(quad(density, low, low + 1)[0] for low in range(-40, 40))
    assert total == pytest.approx(1.0, abs=1e-6)


def test_prior_of_a_simplex_integrates_to_one():
    free = parameter("F81")
    three = type(free)("x", "simplex", ("a", "b", "c"), (1 / 3,) * 3, (-9, 9), free.prior)
    density = lambda x, y: float(np.exp(three.log_prior(np.array([x, y]))))  # noqa: E731
    assert dblquad(density, -16, 16, -16, 16, epsabs=1e-4)[0] == pytest.approx(1.0, abs=1e-3)


def test_kappa_prior_is_that_of_mrbayes():
    # Beta(1,1) on kappa / (1 + kappa): the density of kappa is 1 / (1 + kappa)^2.
    kappa = 3.0
    expected = -2 * np.log(1 + kappa) + np.log(kappa)
    assert parameter("K80").log_prior(np.log([kappa])) == pytest.approx(expected)


def test_log_prior_of_a_model_is_the_sum_over_its_parameters():
    spec = parse_model("GTR+I+G4", "dna")
    theta = np.random.default_rng(2).normal(size=spec.n_free)
    assert spec.n_free == 10 and len(spec.bounds) == 10
    expected, at = 0.0, 0
    for free in spec.parameters:
        expected += free.log_prior(theta[at : at + free.n_free])
        at += free.n_free
    assert spec.log_prior(theta) == pytest.approx(expected)
    changed = spec.with_priors({"gamma_shape": "exp:2", "frequencies": "dirichlet:10"})
    assert changed.log_prior(theta) != pytest.approx(expected)
    with pytest.raises(UserError, match="free parameters of GTR"):
        spec.with_priors({"kappa": "beta:1,1"})


@pytest.mark.parametrize("text", ["expo:1", "exp", "exp:-1", "uniform:1,0", "beta:1", "exp:nan"])
def test_bad_priors_are_one_line(text):
    with pytest.raises(UserError) as caught:
        parse_prior(text)
    assert "\n" not in str(caught.value) and text in str(caught.value)
