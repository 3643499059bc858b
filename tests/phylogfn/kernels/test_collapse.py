"""The collapsed reward against exact integrals over branch lengths.

Under JC69 the likelihood is a polynomial in each x_v = exp(-4 b_v / 3), of a degree that is at most
the number of sites, and the exponential prior is a Jacobi weight in x_v: with enough nodes,
Gauss-Jacobi quadrature is exact.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize
from scipy.special import logsumexp, roots_jacobi

from phylogfn.kernels import collapse_numba as kernels
from phylogfn.kernels import pruning_numba
from phylogfn.kernels.topology_numba import children_batch
from phylogfn.likelihood.branch_prior import ExponentialPrior
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, splits

RATE = 10.0
PRIOR = ExponentialPrior(RATE).functions


def exact_log_evidence(reward, parent, n_sites):
    """log of the integral of likelihood times prior (JC69), by exact quadrature."""
    nodes, weights = roots_jacobi(n_sites // 2 + 1, 0.0, 0.75 * RATE - 1.0)
    lengths_of_nodes = -0.75 * np.log(0.5 * (nodes + 1.0))
    log_weights = np.log(weights / weights.sum())
    like, children = reward.likelihood, children_batch(parent[None])[0]
    terms = []
    for point in itertools.product(range(len(nodes)), repeat=len(parent) - 1):
        index = np.array(point)
        lengths = np.concatenate([[0.0], lengths_of_nodes[index]])
        value = pruning_numba.log_likelihood(
            like.model_arrays, like.data_arrays, children, 0, lengths, False
        )
        terms.append(value + log_weights[index].sum())
    return float(logsumexp(terms))


@pytest.mark.parametrize("start", [40, 200])
def test_draws_are_unbiased_and_the_closed_form_is_near(
    primates, make_reward, all_topologies, start
):
    n_sites = 9
    reward = make_reward(primates([0, 3, 6, 10], slice(start, start + n_sites)))
    trees = all_topologies(4)[:2]
    fit = reward.closed_form(trees)
    draws = reward.draw_lengths(trees, fit, 20_000, seed=1)
    for i, tree in enumerate(trees):
        exact = exact_log_evidence(reward, tree, n_sites)
        ratio = np.exp(draws.log_weights[i] - exact)
        error = ratio.std() / np.sqrt(ratio.size)
        assert error < 0.02
        assert ratio.mean() == pytest.approx(1.0, abs=4.0 * error)
        assert fit.log_evidence[i] == pytest.approx(exact, abs=0.4)  # nine sites are few


@pytest.mark.parametrize("model", ["JC69", "HKY85+G4+I"])
def test_draws_have_the_same_mean_under_any_gammas(primates, make_reward, all_topologies, model):
    reward = make_reward(primates([0, 2, 5, 7, 9], 300), model)
    tree = all_topologies(5)[:1]
    fit = reward.closed_form(tree)
    fit.shapes[:] = np.maximum(fit.shapes, 0.5)
    plain = reward.draw_lengths(tree, fit, 20_000, seed=2).log_weights[0]
    fit.shapes[:] *= 0.6
    fit.lengths[:] *= 1.1
    wide = reward.draw_lengths(tree, fit, 20_000, seed=3).log_weights[0]
    top = plain.max()
    means = [np.exp(w - top).mean() for w in (plain, wide)]
    errors = [np.exp(w - top).std() / np.sqrt(w.size) for w in (plain, wide)]
    assert errors[0] < 0.05 * means[0]
    assert abs(means[0] - means[1]) < 4.0 * np.hypot(*errors)


@pytest.mark.parametrize("rescale", [False, True])
def test_draws_report_their_own_likelihood(primates, make_reward, all_topologies, rescale):
    reward = make_reward(primates(5, 200), rescale=rescale)
    tree = all_topologies(5)[3:4]
    draws = reward.draw_lengths(tree, reward.closed_form(tree), 20, seed=4)
    for lengths, value in zip(draws.lengths[0], draws.log_likelihoods[0], strict=True):
        assert lengths[0] == 0.0 and (lengths[1:] > 0.0).all()
        again = reward.likelihood.log_likelihood(Tree.from_parents(tree[0], lengths))
        assert again == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("b", [1e-4, 0.03, 0.8])
@pytest.mark.parametrize("a", [0.3, 1.0, 40.0])
def test_branch_term_is_prior_over_gamma_density(a, b):
    prior = np.log(RATE) - RATE * b
    gamma = stats.gamma.logpdf(b, a, scale=b / a)
    assert kernels.branch_term(b, a, PRIOR, True) == pytest.approx(prior - gamma, abs=1e-9)


@pytest.mark.parametrize("a", [0.3, 1.0, 40.0])
def test_gamma_has_its_mode_and_curvature_in_log_length(a):
    mode, h = 0.07, 1e-4
    # density of y = log b: that of b, times b
    f = [stats.gamma.logpdf(mode * np.exp(y), a, scale=mode / a) + y for y in (-h, 0.0, h)]
    assert (f[2] - f[0]) / (2 * h) == pytest.approx(0.0, abs=1e-4)
    assert (f[2] - 2 * f[1] + f[0]) / h**2 == pytest.approx(-a, rel=1e-3)


def test_newton_step_and_shape_are_those_of_the_log_length():
    def log_likelihood(b):  # one branch with 12 of 100 sites changed
        p = 0.75 * (1.0 - np.exp(-4.0 * b / 3.0))
        return 12.0 * np.log(p / 3.0) + 88.0 * np.log(1.0 - p)

    def target(y):
        return log_likelihood(np.exp(y)) + y - RATE * np.exp(y)

    b, h = 0.11, 1e-3
    f = [log_likelihood(b + k * h * b) for k in (-1, 0, 1)]
    first, second = (f[2] - f[0]) / (2 * h * b), (f[2] - 2 * f[1] + f[0]) / (h * b) ** 2
    g = [target(np.log(b) + k * h) for k in (-1, 0, 1)]
    gradient, curvature = (g[2] - g[0]) / (2 * h), (g[2] - 2 * g[1] + g[0]) / h**2
    step, gain = kernels.newton_step(b, first, second, PRIOR, True, 0.0)
    assert step == pytest.approx(-gradient / curvature, rel=1e-3)
    assert gain == pytest.approx(0.5 * gradient**2 / -curvature, rel=1e-3)
    assert kernels.shape(b, first, second, PRIOR, True, 0.0) == pytest.approx(-curvature, rel=1e-3)
    # far from the mode the step is bounded, and the shape stays positive
    assert abs(kernels.newton_step(1e-7, 1e9, -1e3, PRIOR, True, 0.0)[0]) == kernels.MAX_STEP
    assert kernels.shape(1e-7, 1e9, -1e3, PRIOR, True, 0.0) == kernels.MIN_SHAPE


@pytest.mark.parametrize("model", ["JC69", "GTR+G4+I"])
def test_optimise_finds_the_maximum(primates, make_reward, all_topologies, model):
    reward = make_reward(primates(6), model)
    for parent in all_topologies(6)[[0, 50, 104]]:
        fit = reward.closed_form(parent[None])

        def target(y, parent=parent):
            b = np.concatenate([[0.0], np.exp(y)])
            value, first, _ = reward.likelihood.derivatives(Tree.from_parents(parent, b))
            gradient = b[1:] * (first[1:] - RATE) + 1.0
            return -(value + (y - RATE * b[1:]).sum()), -gradient

        bounds = [(np.log(1e-9), np.log(20.0))] * (len(parent) - 1)
        best = minimize(
            target, np.full(len(parent) - 1, -3.0), jac=True, bounds=bounds, method="L-BFGS-B"
        )
        assert target(np.log(fit.lengths[0, 1:]))[0] == pytest.approx(best.fun, abs=5e-3)
        # the closed form, put together from its pieces
        tree = Tree.from_parents(parent, fit.lengths[0])
        value, first, second = reward.likelihood.derivatives(tree)
        b = fit.lengths[0, 1:]
        shapes = np.maximum(-(b**2 * second[1:] + b * first[1:] - RATE * b), kernels.MIN_SHAPE)
        gammas = stats.gamma.logpdf(b, shapes, scale=b / shapes)
        expected = value + (np.log(RATE) - RATE * b - gammas).sum()
        assert fit.log_likelihood[0] == pytest.approx(value, abs=1e-8)
        assert fit.log_evidence[0] == pytest.approx(expected, abs=1e-6)
        np.testing.assert_allclose(fit.shapes[0, 1:], shapes, rtol=1e-6)


def test_optimise_does_not_depend_on_the_start(primates, make_reward, all_topologies):
    reward = make_reward(primates(6))
    trees = np.repeat(all_topologies(6)[7:8], 4, axis=0)
    starts = np.random.default_rng(1).exponential(0.2, trees.shape)
    starts[0] = 1e-9
    starts[1] = 50.0
    found = reward.closed_form(trees, starts).log_evidence
    np.testing.assert_allclose(found, reward.closed_form(trees[:1]).log_evidence[0], atol=0.01)


def test_clade_hashes_are_sums_over_taxa(all_topologies):
    parent = all_topologies(6)[33]
    tree, codes = Tree.from_parents(parent), taxon_codes(6)
    order = np.empty(10, np.int32)
    count = pruning_numba.postorder(tree.children, tree.children[0, 0], order)
    hashes, key = np.zeros((10, 2), np.uint64), np.zeros(2, np.uint64)
    kernels.clade_hashes(tree.children, order, count, codes, hashes, key)
    found = {tuple(hashes[v]) for v in order[:count] if v >= 6}
    expected = set()
    for split in splits(tree) | {0b111110}:
        taxa = [t for t in range(6) if split >> t & 1]
        expected.add(tuple(np.bitwise_xor.reduce(codes[taxa], axis=0)))
    assert found == expected
    with np.errstate(over="ignore"):
        total = sum((kernels.mix64(h[0]) for h in expected), np.uint64(0))
    assert np.uint64(total) == key[0]
