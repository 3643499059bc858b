"""The posterior density of parameters and lengths, its peak, and a proposal there."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.evaluation import effective_sample_size
from phylogfn.alignments.patterns import compress
from phylogfn.likelihood.branch_prior import ExponentialPrior, external_branches
from phylogfn.likelihood.joint.proposal import ParameterNormals, TopologyProposal
from phylogfn.likelihood.joint.target import LEAST_SKEW, MOST_SKEW, JointTarget
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.tree import Tree, random_topology

MODELS = ["JC69", "HKY85+G4", "GTR+I+G4"]


@pytest.fixture
def problem(primates, make_reward):
    """Return a function that fits a model to five taxa: spec, tree, target, coordinates."""

    def make(model, threads=1, branch_prior="exp:10"):
        alignment = primates([0, 1, 2, 7, 11], 300)
        patterns = compress(alignment)
        spec = parse_model(model, "dna").resolve(patterns)
        tree = random_topology(5, np.random.default_rng(1))
        reward = make_reward(alignment, model=model, threads=threads, branch_prior=branch_prior)
        found = fit_model(spec, patterns, tree, branch_prior=reward.branch_prior, with_prior=True)
        reward.likelihood = TreeLikelihood(patterns, found.model)
        target = JointTarget(spec, reward, found.theta)
        phi = target.to_phi @ found.theta
        return spec, tree, target, np.concatenate([phi, np.log(found.lengths[1:])])

    return make


def fitted_normals(d, size, rng):
    """Normals that are not those of the Hessian."""
    whitened = 0.8 * rng.standard_normal((300, size))
    whitened[:, : d + 1] += 0.5
    return ParameterNormals.fitted(whitened, d, np.ones(300))


def plain_log_density(spec, target, tree, x):
    """Log density at x, every part from its definition."""
    d = spec.n_free
    theta = target.from_phi @ x[:d]
    lengths = np.append(0.0, np.exp(x[d:]))
    patterns = target.reward.likelihood.patterns
    likelihood = TreeLikelihood(patterns, spec.build(theta))
    value = likelihood.log_likelihood(Tree(tree.parent, tree.children, lengths))
    prior = target.reward.branch_prior
    if isinstance(prior, ExponentialPrior):
        log_prior = (np.log(prior.rate) - prior.rate * lengths[1:]).sum()
    else:
        external = external_branches(np.asarray(tree.parent)[None])[0, 1:]
        log_prior = prior.log_density(lengths[None, 1:], external)[0]
    # densities of logarithms: those of lengths times the lengths
    return value + spec.log_prior(theta) + log_prior + x[d:].sum()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("threads", "prior"), [(1, "exp:10"), (2, "gammadir:2,4,0.6,2.5")])
def test_density_is_that_of_its_parts(problem, model, threads, prior):
    spec, tree, target, x = problem(model, threads, prior)
    points = x + 0.1 * np.random.default_rng(2).standard_normal((20, len(x)))
    log_likelihood, log_density = target.log_densities(tree, points)
    plain = [plain_log_density(spec, target, tree, point) for point in points]
    np.testing.assert_allclose(log_density, plain, rtol=1e-10)
    assert np.all(log_likelihood < 0.0)


@pytest.mark.parametrize("model", MODELS)
def test_coordinates_of_parameters_are_a_map_of_unit_volume(problem, model):
    spec, _, target, x = problem(model)
    d = spec.n_free
    assert abs(np.linalg.det(target.from_phi)) == pytest.approx(1.0)
    np.testing.assert_allclose(target.thetas(x[None])[0], target.from_phi @ x[:d])
    for name, values in spec.split(target.thetas(x[None])[0]).items():
        if name in ("exchangeabilities", "frequencies"):
            # log ratios to the largest component
            position = [p.name for p in spec.parameters].index(name)
            start = sum(p.n_free for p in spec.parameters[:position])
            ratios = np.delete(values, values.argmax()) / values.max()
            np.testing.assert_allclose(np.exp(x[start : start + len(ratios)]), ratios, rtol=1e-9)


@pytest.mark.parametrize(
    ("model", "prior"),
    [*((model, "exp:10") for model in MODELS), ("HKY85+G4", "gammadir:2,4,0.6,2.5")],
)
def test_peak_is_where_the_gradient_vanishes_and_its_covariance_is_the_inverse_hessian(
    problem, model, prior
):
    spec, tree, target, x = problem(model, branch_prior=prior)
    shifted = x + 0.01 * np.random.default_rng(3).standard_normal(len(x))
    peak = target.peak(tree, shifted)
    before = plain_log_density(spec, target, tree, shifted)
    assert plain_log_density(spec, target, tree, peak.mode) > before
    step, size = 1e-3, len(x)
    hessian = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                point = shifted.copy()
                point[i] += a * step
                point[j] += b * step
                total += a * b * plain_log_density(spec, target, tree, point)
            hessian[i, j] = total / (4.0 * step**2)
    scale = np.sqrt(np.diag(peak.covariance))
    expected = np.linalg.inv(-hessian)
    np.testing.assert_allclose(
        peak.covariance / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.01
    )


def test_steps_towards_the_peak_reach_it_from_afar(problem):
    spec, tree, target, x = problem("HKY85+G4")
    far = x + np.random.default_rng(8).uniform(-0.7, 0.7, len(x))
    peak = target.climbed(tree, far)
    assert peak.rise < 0.02
    assert target.peak(tree, far).rise > 1.0
    reference = plain_log_density(spec, target, tree, target.climbed(tree, x).mode)
    assert plain_log_density(spec, target, tree, peak.mode) == pytest.approx(reference, abs=0.01)
    # without time it is that of the start
    np.testing.assert_array_equal(
        target.climbed(tree, far, lambda: True).mode, target.peak(tree, far).mode
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_peak_is_never_below_the_start(problem, seed):
    spec, tree, target, x = problem("JC69")
    far = x + np.random.default_rng(seed).uniform(-4.0, 3.0, len(x))
    peak = target.climbed(tree, far)
    densities = target.log_densities(tree, np.array([far, peak.mode]))[1]
    assert densities[1] >= densities[0]


@pytest.mark.parametrize("model", MODELS)
def test_skews_are_third_derivatives_over_curvatures(problem, model):
    spec, tree, target, x = problem(model)
    peak = target.climbed(tree, x)
    skews, variances = target.skews(tree, peak), np.diag(peak.covariance)
    for i in range(len(x)):
        direction = peak.covariance[i] / variances[i]
        steps = np.sqrt(variances[i]) * np.linspace(-2.0, 2.0, 5)
        values = target.log_densities(tree, peak.mode + steps[:, None] * direction)[1]
        third = 6.0 * np.polynomial.Polynomial.fit(steps, values, 4).convert().coef[3]
        expected = np.clip(-third * variances[i], LEAST_SKEW, MOST_SKEW)
        assert skews[i] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_draws_of_the_proposal_have_the_density_that_it_says(problem, model, skewed):
    spec, tree, target, x = problem(model)
    d = spec.n_free
    peak = target.peak(tree, x)
    skews = target.skews(tree, peak) if skewed else None
    proposal = TopologyProposal.of_peak(peak, target.are_shares, skews=skews)
    rng = np.random.default_rng(4)
    normals = fitted_normals(d, len(x), rng)
    points, log_q, scores = proposal.draw(4000, normals, rng)
    assert scores.shape == (4000, len(x))
    np.testing.assert_allclose(proposal.log_density(points, normals), log_q, atol=1e-8)
    # a second proposal integrates to one under draws of the first
    other = TopologyProposal(
        proposal.mode + 0.1, proposal.shapes * 1.5, np.eye(len(x)), proposal.are_shares
    )
    ratio = np.exp(other.log_density(points, normals) - log_q)
    assert ratio.mean() == pytest.approx(1.0, abs=4.0 * ratio.std() / np.sqrt(len(ratio)))
    if "+I" in model:  # its posterior is a curved ridge, which only fitted normals cover
        return
    points, log_q, _ = proposal.draw(2000, ParameterNormals.unfitted(d), rng)
    log_density = target.log_densities(tree, points)[1]
    assert effective_sample_size(log_density - log_q) > 0.05 * len(points)


@pytest.mark.parametrize("step", [0.3, 1.0])
def test_moves_are_reversible_for_the_density_of_the_proposal(problem, step):
    spec, tree, target, x = problem("HKY85+G4")
    proposal = TopologyProposal.of_peak(target.peak(tree, x), target.are_shares)
    rng = np.random.default_rng(6)
    normals = fitted_normals(spec.n_free, len(x), rng)
    before = proposal.draw_points(20_000, normals, rng)
    after = proposal.move(before, step, normals, rng)
    np.testing.assert_allclose(
        proposal.log_density(after.coordinates, normals), after.log_density, atol=1e-7
    )
    assert np.all(np.any(after.scores != before.scores, axis=1))
    # pairs before and after can be exchanged: their moments differ by chance alone
    for i, j in [(0, 0), (0, 5), (2, -1), (-1, -1)]:
        one = before.scores[:, i] * after.scores[:, j] ** 2
        other = after.scores[:, i] * before.scores[:, j] ** 2
        for difference in (one - other, after.scores[:, i] ** 2 - before.scores[:, i] ** 2):
            error = difference.std() / np.sqrt(len(difference))
            assert abs(difference.mean()) < 4.0 * error


def test_fitted_normals_have_the_moments_of_the_draws():
    rng = np.random.default_rng(5)
    draws = rng.multivariate_normal([1.0, -2.0], [[2.0, 0.5], [0.5, 1.0]], 20_000)
    others = 1.2 * rng.standard_normal((20_000, 3))
    normals = ParameterNormals.fitted(np.hstack([draws, others]), 1, np.ones(len(draws)))
    np.testing.assert_allclose(normals.spreads[:-1], 1.2, atol=0.02)
    assert normals.spreads[-1] == 1.0
    assert normals.shares.sum() == pytest.approx(1.0)
    shares = normals.shares[:-1] / normals.shares[:-1].sum()
    mean = shares @ normals.means[:-1]
    np.testing.assert_allclose(mean, [1.0, -2.0], atol=0.05)
    apart = normals.means[:-1] - mean
    covariances = normals.roots[:-1] @ normals.roots[:-1].transpose(0, 2, 1)
    covariance = np.einsum("k,kij->ij", shares, covariances) + (apart.T * shares) @ apart
    np.testing.assert_allclose(covariance, [[2.0, 0.5], [0.5, 1.0]], atol=0.08)


def test_fits_are_as_free_as_the_draws_allow():
    rng = np.random.default_rng(7)
    standard = rng.standard_normal((400, 25))
    # noise is not fitted
    normals = ParameterNormals.fitted(standard, 19, np.ones(400))
    means, roots = normals.means[0], normals.roots[0]
    assert np.abs(means).max() < 0.15
    np.testing.assert_allclose(roots, np.eye(20), atol=0.15)
    np.testing.assert_allclose(normals.spreads, 1.0, atol=0.05)
    # a shift is
    shift = np.where(np.arange(25) < 20, 0.4, 0.0)
    normals = ParameterNormals.fitted(standard + shift, 19, np.ones(400))
    assert normals.means[0].mean() == pytest.approx(0.4, abs=0.1)
    # a curved ridge needs several normals
    x = rng.standard_normal(4000)
    noise = rng.standard_normal((4000, 3))
    ridge = np.column_stack([x, 0.1 * noise[:, 0] + x**2 - 1.0, noise[:, 1:]])
    assert len(ParameterNormals.fitted(ridge, 1, np.ones(4000)).shares) == 4
    # a few effective draws say nothing
    weights = np.append(1e6 * np.ones(5), np.ones(395))
    assert len(ParameterNormals.fitted(standard + 3.0, 19, weights, ess=4.0).shares) == 1


def test_a_proposal_is_carried_to_a_topology_with_other_branches(problem):
    spec, tree, target, x = problem("HKY85+G4")
    d = spec.n_free
    proposal = TopologyProposal.of_peak(target.peak(tree, x), target.are_shares)
    conditional = proposal.shapes * np.diag(np.linalg.inv(proposal.correlation))
    every = np.arange(d, len(x))
    same = proposal.transferred(proposal.mode, conditional, every, every)
    np.testing.assert_allclose(same.shapes, proposal.shapes, rtol=1e-9)
    np.testing.assert_allclose(same.correlation, proposal.correlation, atol=1e-12)
    # so are the means of its lengths
    shift = np.random.default_rng(1).standard_normal(len(x) - d - 1)
    shifted = proposal.shifted(shift)
    same = shifted.transferred(proposal.mode, conditional, every, every)
    np.testing.assert_allclose(same.shift, shift, atol=1e-9)
    none = proposal.transferred(proposal.mode, conditional, every[:0], every[:0])
    assert np.all(none.correlation[d:, d:] == np.eye(len(x) - d))
    np.testing.assert_allclose(none.shapes[d:], conditional[d:])


@pytest.mark.parametrize("model", ["JC69", "GTR+I+G4"])
def test_the_score_after_those_of_the_parameters_is_the_scale_of_the_tree(problem, model):
    spec, tree, target, x = problem(model)
    d = spec.n_free
    proposal = TopologyProposal.of_peak(target.peak(tree, x), target.are_shares)
    np.testing.assert_allclose(proposal.root @ proposal.root.T, proposal.correlation, atol=1e-12)
    np.testing.assert_allclose(proposal.inverse_root @ proposal.root, np.eye(len(x)), atol=1e-9)
    # parameters do not change with it, and all lengths by about the same factor
    assert np.all(proposal.root[:d, d:] == 0.0)
    logarithms = proposal.root[d:, d] / np.sqrt(proposal.shapes[d:])
    np.testing.assert_allclose(logarithms / logarithms[0], 1.0, rtol=1e-9)
    assert logarithms[0] > 0.0


def test_a_share_that_is_well_determined_is_hardly_drawn_from_wider_gammas():
    rng = np.random.default_rng(2)
    shapes = np.append([1.0, 40.0], np.full(40, 9.0))  # of two shares and 40 lengths
    proposal = TopologyProposal(np.zeros(42), shapes, np.eye(42), np.array([True, True]))
    points = proposal.draw_points(20_000, ParameterNormals.unfitted(2), rng)
    far = np.mean(np.abs(points.coordinates) > 6.0 / np.sqrt(shapes), axis=0)
    assert far[0] > 0.04 > 0.02 > far[1]


def test_a_peak_without_correlations_of_branches_has_those_of_the_parameters(problem):
    spec, tree, target, x = problem("HKY85+G4")
    d = spec.n_free
    full = target.peak(tree, x)
    precision = np.linalg.inv(full.covariance)
    simple = np.linalg.inv(target.peak(tree, x, np.diag(precision)).covariance)
    np.testing.assert_allclose(simple[:d], precision[:d], rtol=0.02, atol=0.5)
    np.testing.assert_allclose(np.diag(simple), np.diag(precision), rtol=0.02)
    lengths = simple[d:, d:]
    assert np.all(np.abs(lengths[~np.eye(len(lengths), dtype=bool)]) < 1e-6)
    seconds, simply = target.seconds_a_peak(tree, x)
    assert 0.0 < simply < seconds < 60.0
