"""Transforms and priors of the free parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.stats import dirichlet

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


def test_concentrations_of_components():
    free = parameter("GTR")
    theta = np.random.default_rng(5).normal(size=5)
    alpha = [1.0, 2.0, 0.5, 1.0, 3.0, 1.0]
    prior = parse_prior("dirichlet:" + ",".join(f"{value:g}" for value in alpha))
    shares = free.to_natural(theta)
    expected = dirichlet(alpha).logpdf(shares) + np.log(shares).sum()
    assert free.with_prior(prior).log_prior(theta) == pytest.approx(expected)
    with pytest.raises(UserError, match=r"6 components \(AC AG .*give 1 or 6"):
        free.with_prior(parse_prior("dirichlet:1,2"))


def test_a_uniform_prior_sets_start_and_bounds():
    share = parameter("JC69+I").with_prior(parse_prior("uniform:0.3,0.9"))
    assert share.start == pytest.approx((0.6,))
    np.testing.assert_allclose(share.to_natural(np.array(share.bounds)), [0.3, 0.9])
    assert np.isfinite(share.log_prior(share.to_unconstrained(np.array(share.start))))
    shape = parameter("JC69+G4").with_prior(parse_prior("uniform:0,50"))
    assert shape.start == (0.5,) and shape.bounds[0] == pytest.approx(-3.9)
    for text, prior in (("JC69+I", "uniform:0,2"), ("JC69+G4", "uniform:-1,2")):
        with pytest.raises(UserError, match="in the range 0"):
            parameter(text).with_prior(parse_prior(prior))
    with pytest.raises(UserError, match="can be fitted from"):
        parameter("JC69+G4").with_prior(parse_prior("uniform:1000,2000"))


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
    with pytest.raises(UserError, match="did you mean 'gamma_shape'"):
        spec.with_priors({"gama_shape": "exp:1"})
    with pytest.raises(UserError, match="does not fit gamma_shape; use exp or"):
        spec.with_priors({"gamma_shape": "dirichlet:1"})


@pytest.mark.parametrize("text", ["expo:1", "exp", "exp:-1", "uniform:1,0", "beta:1", "exp:nan"])
def test_bad_priors_are_one_line(text):
    with pytest.raises(UserError) as caught:
        parse_prior(text)
    assert "\n" not in str(caught.value) and text in str(caught.value)
