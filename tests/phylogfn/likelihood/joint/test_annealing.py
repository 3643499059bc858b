"""Annealed importance sampling of one topology."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.evaluation import effective_sample_size
from phylogfn.alignments.patterns import compress
from phylogfn.likelihood.joint.annealing import Bridge, Ladder, found_ladder
from phylogfn.likelihood.joint.proposal import ParameterNormals, TopologyProposal
from phylogfn.likelihood.joint.target import JointTarget
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.tree import random_topology

ONE_STEP = Ladder(np.array([0.0, 1.0]), np.ones(2))


@pytest.fixture
def bridges(primates, make_reward):
    """Return a bridge from a proposal that fits, and one from a proposal that does not."""
    alignment = primates([0, 1, 2, 7, 11], 100)
    patterns = compress(alignment)
    spec = parse_model("HKY85+G4", "dna")
    tree = random_topology(5, np.random.default_rng(1))
    reward = make_reward(alignment, model="HKY85+G4")
    found = fit_model(spec, patterns, tree, branch_prior=reward.branch_prior, with_prior=True)
    reward.likelihood = TreeLikelihood(patterns, found.model)
    target = JointTarget(spec, reward, found.theta)
    x = np.concatenate([target.to_phi @ found.theta, np.log(found.lengths[1:])])
    good = TopologyProposal.of_peak(target.peak(tree, x), target.are_shares)
    poor = TopologyProposal(good.mode + 0.2, 0.7 * good.shapes, np.eye(len(x)), good.are_shares)
    normals = ParameterNormals.unfitted(spec.n_free)
    return [Bridge(target, tree, proposal, normals) for proposal in (good, poor)]


def log_mean(log_weights):
    """Log of the mean weight, and its relative error."""
    n = len(log_weights)
    relative = np.exp(log_weights - log_weights.max())
    return np.asarray(logsumexp(log_weights)) - np.log(
        n
    ), relative.std() / relative.mean() / np.sqrt(n)


def test_annealed_weights_have_the_mean_of_importance_weights_and_vary_less(bridges):
    good, poor = bridges
    rng = np.random.default_rng(2)
    check, log_v = good.draw(20_000, ONE_STEP, rng)
    expected, error = log_mean(log_v)
    assert error < 0.03
    sought = found_ladder([poor], 128, rng)
    assert sought is not None
    ladder, clouds = sought
    assert ladder.betas[0] == 0.0
    assert ladder.betas[-1] == 1.0
    assert np.all(np.diff(ladder.betas) > 0.0)
    assert len(clouds[0].log_ratios) == 128
    shares = []
    for rungs in (1, 8 * ladder.n_rungs):
        at, log_w = poor.draw(1500, ladder.resized(rungs), rng)
        shares.append(effective_sample_size(log_w) / 1500)
    found, own_error = log_mean(log_w)
    assert abs(found - expected) < 4.0 * np.hypot(error, own_error)
    assert own_error < 0.1
    assert shares[1] > 2.0 * shares[0]
    # weighted points are posterior draws
    weights, reference = (np.exp(w - np.asarray(logsumexp(w))) for w in (log_w, log_v))
    for x, y in zip(at.points.coordinates.T, check.points.coordinates.T, strict=True):
        mean = reference @ y
        sd = np.sqrt(reference @ (y - mean) ** 2)
        assert abs(weights @ x - mean) < 5.0 * sd * (own_error + error)


def test_moves_do_not_reach_points_without_a_density(bridges):
    good, _ = bridges
    rng = np.random.default_rng(3)
    at = good.start(50, rng)
    at.log_ratios[:10] = -np.inf
    good._weighted = lambda points: type(at)(points, at.log_likelihoods, np.full(50, -np.inf))
    after, accepted = good.move(at, 0.5, 1.0, rng)
    assert accepted == 0.0
    np.testing.assert_array_equal(after.log_ratios, at.log_ratios)


def test_a_resized_ladder_keeps_its_spacing():
    ladder = Ladder(np.array([0.0, 0.1, 0.4, 1.0]), np.array([1.0, 0.8, 0.4, 0.2]))
    longer = ladder.resized(6)
    np.testing.assert_allclose(longer.betas, [0.0, 0.05, 0.1, 0.25, 0.4, 0.7, 1.0])
    assert longer.steps[3] == pytest.approx(0.6)
    np.testing.assert_allclose(longer.resized(3).betas, ladder.betas)


def test_no_ladder_is_found_without_time(bridges):
    assert found_ladder(bridges, 8, np.random.default_rng(1), late=lambda: True) is None
