"""Codes of equal rates, and the priors on the rates of their classes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import beta, dirichlet

from phylogfn.models import DNA_MODELS, parse_model
from phylogfn.models.dna import DNA_ALIASES, GTR_PAIRS, dna_exchangeabilities, dna_family

CODES = [model.code for model in DNA_MODELS.values()] + ["010212", "998899", "010203", "543210"]


def plain_exchangeabilities(code: str, rate_of_digit: dict[str, float]) -> np.ndarray:
    matrix = np.zeros((4, 4))
    for pair, digit in zip(GTR_PAIRS, code, strict=True):
        i, j = ("ACGT".index(letter) for letter in pair)
        matrix[i, j] = matrix[j, i] = rate_of_digit[digit]
    return matrix


@pytest.mark.parametrize("code", CODES)
def test_pairs_of_one_digit_share_a_rate(code):
    family = dna_family(code)
    values = np.random.default_rng(1).uniform(0.1, 5.0, family.n_classes)
    rate_of_digit = {
        digit: values[number] for digit, number in zip(code, family.class_of_pair, strict=True)
    }
    assert sorted(rate_of_digit.values()) == sorted(values)
    expected = plain_exchangeabilities(code, rate_of_digit)
    np.testing.assert_array_equal(dna_exchangeabilities(family, values), expected)
    pairs = [pair for label in family.labels for pair in label.split(",")]
    assert sorted(pairs) == sorted(GTR_PAIRS) and "GT" in family.labels[-1]


def test_classes_of_the_named_models():
    # number of pairs of each class, as in the publications
    sizes = {name: sorted(Counter(model.code).values()) for name, model in DNA_MODELS.items()}
    assert sizes["JC69"] == sizes["F81"] == [6]
    assert sizes["K80"] == sizes["HKY85"] == [2, 4]
    assert sizes["TN93"] == sizes["TNe"] == [1, 1, 4]
    assert sizes["K81"] == sizes["TPM2"] == sizes["TPM3"] == [2, 2, 2]
    assert sizes["TIM"] == sizes["TIM2"] == sizes["TIM3"] == [1, 1, 2, 2]
    assert sizes["TVM"] == [1, 1, 1, 1, 2]
    assert sizes["SYM"] == sizes["GTR"] == [1] * 6
    assert {alias.upper() for alias in DNA_ALIASES} == set(DNA_ALIASES)
    assert not set(DNA_ALIASES) & {name.upper() for name in DNA_MODELS}
    assert set(DNA_ALIASES.values()) <= set(DNA_MODELS)


def test_two_classes_have_the_prior_of_mrbayes_with_nst_2():
    # share of the transition rate ~ Beta(1,1), as a density of log kappa and of a log ratio
    kappa = parse_model("K80", "dna").parameters[0]
    two = parse_model("000011+FQ", "dna").parameters[0]
    assert kappa.name == "kappa" and two.name == "exchangeabilities"
    for theta in np.linspace(-5.0, 5.0, 11):
        share = 1.0 / (1.0 + np.exp(-theta))
        expected = beta(1, 1).logpdf(share) + np.log(share) + np.log1p(-share)
        assert kappa.log_prior(np.array([theta])) == pytest.approx(expected, abs=1e-12)
        assert two.log_prior(np.array([theta])) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("text", ["GTR", "SYM", "TN93", "TIM", "TVMe"])
def test_more_classes_have_a_flat_dirichlet_prior_as_mrbayes_with_nst_6(text):
    rates = parse_model(text, "dna").parameters[0]
    k = len(rates.labels)
    theta = np.random.default_rng(3).normal(size=k - 1)
    shares = rates.to_natural(theta)
    # the Jacobian of additive log ratios is the product of the shares
    expected = dirichlet(np.ones(k)).logpdf(shares) + np.log(shares).sum()
    assert rates.log_prior(theta) == pytest.approx(expected, abs=1e-12)
    assert expected == pytest.approx(gammaln(k) + np.log(shares).sum())
    model = parse_model(text, "dna").build(parse_model(text, "dna").start())
    upper = model.exchangeabilities[np.triu_indices(4, 1)]
    assert len(set(upper)) <= k and sum(set(rates.start)) <= 1.0
