"""Models of several parts as one: parameters, links, relative rates, priors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.patterns import PartitionedPatterns, SitePatterns
from phylogfn.models import parse_model, partitioned_spec, shareable

GTR, HKY, LG = (
    parse_model("GTR+G4+I", "dna"), parse_model("HKY85+G4", "dna"), parse_model("LG+G4", "protein"),
)  # fmt: skip
PARTS = [("a", GTR, 100), ("b", HKY, 300), ("c", LG, 50), ("d", GTR, 50)]


def some_theta(spec, seed=1):
    return spec.start() + 0.3 * np.random.default_rng(seed).normal(size=spec.n_free)


def test_parameters_have_the_names_of_mrbayes():
    spec = partitioned_spec(PARTS, ("gamma_shape", "exchangeabilities"))
    assert spec.labels[:3] == ("kappa{2}", "r(A<->C){1,4}", "r(A<->G){1,4}")
    assert "pi(A){1}" in spec.labels and "pi(T){4}" in spec.labels
    assert [name for name in spec.labels if name.startswith("alpha")] == ["alpha{all}"]
    assert spec.labels[-4:] == ("m{1}", "m{2}", "m{3}", "m{4}")
    # kappa 1, rates 5, three frequencies 3 each, shape 1, invariant sites 2, relative rates 3
    assert spec.n_free == 1 + 5 + 9 + 1 + 2 + 3
    assert spec.name == "GTR+G4+I (a, d); HKY85+G4 (b); LG+G4 (c)"
    assert set(spec.split(some_theta(spec))) == {
        "kappa{2}", "exchangeabilities{1,4}", "frequencies{1}", "frequencies{2}", "frequencies{4}",
        "gamma_shape{all}", "invariant{1}", "invariant{4}", "rates",
    }  # fmt: skip
    single = partitioned_spec([("all", HKY, 10)])
    assert single.labels == HKY.labels and single.n_free == HKY.n_free


def test_each_part_has_its_model_and_its_rate():
    spec = partitioned_spec(PARTS, ("frequencies",))
    theta = some_theta(spec)
    values = spec.describe(theta)
    models = spec.build(theta).parts
    rates = np.array([values[f"m{{{k}}}"] for k in (1, 2, 3, 4)])
    assert rates @ [100, 300, 50, 50] == pytest.approx(500.0)
    for model, rate in zip(models, rates, strict=True):
        assert model.category_rates @ model.category_weights == pytest.approx(rate)
    for model in (models[0], models[1], models[3]):
        np.testing.assert_allclose(model.frequencies[0], values["pi(A){1,2,4}"])
    assert models[0].invariant == pytest.approx(values["pinvar{1}"])
    np.testing.assert_allclose(models[3].exchangeabilities[0, 1], values["r(A<->C){4}"], rtol=1e-12)
    assert models[2].n_states == 20
    np.testing.assert_allclose(spec.relative_rates(spec.start()), 1.0)


def test_priors_are_those_of_the_parts_and_dirichlet_on_rates():
    linked = partitioned_spec([("a", HKY, 100), ("b", HKY, 300)], ("rates",))
    theta = some_theta(linked)
    free = np.concatenate([theta[:1], theta[2:5], theta[8:9]])  # kappa, frequencies, shape of a
    other = np.concatenate([theta[1:2], theta[5:8], theta[9:10]])
    assert linked.labels[-1] == "alpha{2}"
    expected = HKY.log_prior(free) + HKY.log_prior(other)
    assert linked.log_prior(theta) == pytest.approx(expected)
    spec = partitioned_spec([("a", HKY, 100), ("b", HKY, 300)])
    whole = np.append(theta, 0.4)
    shares = 1.0 / (1.0 + math.exp(-0.4)), 1.0 / (1.0 + math.exp(0.4))
    # the uniform density of a share, and the derivative of the share by its log odds
    expected += math.log(shares[0] * shares[1])
    assert spec.log_prior(whole) == pytest.approx(expected)
    assert spec.relative_rates(whole)[0] == pytest.approx(4.0 * shares[0])
    changed = spec.with_priors({"gamma_shape": "exp:3", "rates": "dirichlet:2"})
    assert [str(p.prior) for p in changed.parameters if p.name == "gamma_shape"] == ["exp:3"] * 2
    log_beta = math.log(6.0 * shares[0] * shares[1])
    assert changed.log_prior(whole) - spec.log_prior(whole) == pytest.approx(
        log_beta + sum(math.log(3.0) - 2.0 * spec.describe(whole)[f"alpha{{{k}}}"] for k in (1, 2))
    )
    with pytest.raises(UserError, match="prior on 'shape': free parameters of the parts are"):
        spec.with_priors({"shape": "exp:1"})


def test_frequencies_are_those_of_each_part():
    def patterns(states, n_states):
        masks = np.left_shift(np.uint32(1), np.array([states] * 4, np.uint32))
        n = masks.shape[1]
        return SitePatterns(masks, np.ones(n), np.arange(n, dtype=np.int32), n_states)

    groups = [patterns([0, 0, 0, 1], 4), patterns([3, 3, 2, 1], 4)]
    data = PartitionedPatterns.from_groups(groups)
    free, counted = parse_model("HKY85", "dna"), parse_model("HKY85+F", "dna")
    spec = partitioned_spec([("a", free, 4), ("b", counted, 4)])
    with pytest.raises(ValueError, match="resolve"):
        spec.build()
    spec = spec.resolve(data)
    start = spec.start(data)
    models = spec.build(start).parts
    assert models[0].frequencies[0] == pytest.approx(0.75, abs=1e-3)
    np.testing.assert_allclose(models[1].frequencies[1:], [0.25, 0.25, 0.5], atol=1e-3)
    with pytest.raises(ValueError, match="free values"):
        spec.build(start[:-1])


@pytest.mark.parametrize("name", ["kappa", "free_rates"])
def test_links_need_two_parts_with_the_parameter(name):
    with pytest.raises(UserError, match=f"--link {name}: no two of the 4 parts"):
        partitioned_spec(PARTS, (name,))


def test_what_parts_can_share():
    assert shareable([GTR, HKY, LG]) == ("frequencies", "gamma_shape", "rates")
    assert shareable([HKY, HKY]) == ("kappa", "frequencies", "gamma_shape", "rates")
    spec = partitioned_spec([("a", HKY, 1), ("b", HKY, 2)], shareable([HKY, HKY]))
    assert spec.labels[0] == "kappa{all}" and spec.n_free == HKY.n_free
