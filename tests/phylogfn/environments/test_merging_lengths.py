"""Merging with lengths: histories keep them, weights are unbiased, features beside plain ones."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from scipy.stats import gamma

from gfncore.evaluation import WeightedDraws
from gfncore.evaluation.object_probability import draw_objects, trajectory_log_ratios
from gfncore.exploration import backward_trajectories, local_search, sample_trajectories
from gfncore.policies import ValueSpec
from gfncore.trajectories.scoring import score_backward, score_forward
from phylogfn.alignments.patterns import SitePatterns
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.length_rates import LengthRates
from phylogfn.environments.merging_lengths import LengthForestStates, MergingLengthsEnvironment
from phylogfn.kernels import merging_numba
from phylogfn.kernels.forest_lengths_numba import FEATURES
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.likelihood.branch_prior import ExponentialPrior
from phylogfn.training.backward import make_backward_policy
from phylogfn.training.curricula import make_policy
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, node_splits, random_topology

FREQUENCIES = np.array([0.1, 0.2, 0.3, 0.4])
BETA = 1.3


def random_patterns(n_taxa, n_patterns=30, seed=3):
    rng = np.random.default_rng(seed)
    masks = (1 << rng.integers(0, 4, size=(n_taxa, n_patterns))).astype(np.uint32)
    weights = rng.integers(1, 4, size=n_patterns).astype(float)
    return SitePatterns(masks, weights, np.arange(n_patterns, dtype=np.int32), 4)


def random_trees(n_taxa, size, seed=0):
    rng = np.random.default_rng(seed)
    trees = np.stack([random_topology(n_taxa, rng).parent for _ in range(size)]).astype(np.int16)
    lengths = rng.exponential(0.1, trees.shape)
    lengths[:, 0] = 0.0
    return trees, lengths


def make(n_taxa, log_density=None):
    features = ForestFeatures(random_patterns(n_taxa), FREQUENCIES, 0.9, beta=BETA)
    features.fit(random_trees(n_taxa, 40)[0], np.random.default_rng(1))
    log_density = log_density or (lambda trees, lengths: np.zeros(len(trees)))
    return MergingLengthsEnvironment(features, n_taxa, log_density, ExponentialPrior(10.0))


def by_split(parents, lengths):
    """Length of each branch by its split."""
    masks = node_splits(Tree.from_parents(parents.astype(np.int32)))
    return dict(zip(masks[1:], lengths[1:].tolist(), strict=True))


def walk_back(environment, states, rng):
    """Undo joins at random, all the way; yield (before, chosen, after)."""
    while not (states.counts == environment.n_taxa).all():
        actions = environment.backward_actions(states)
        chosen = np.array(
            [rng.choice(actions.action[actions.state == i]) for i in range(len(states))]
        )
        after = environment.backstep(states, chosen).states
        yield states, chosen, after
        states = after


@pytest.mark.parametrize("n_taxa", [3, 4, 7, 20])
def test_histories_carry_the_lengths_back_and_forth(n_taxa):
    environment = make(n_taxa)
    trees, lengths = random_trees(n_taxa, 12, n_taxa)
    states = environment.terminals(trees, lengths)
    again, same = environment.trees_with_lengths(states)
    for k in range(12):
        assert by_split(again[k], same[k]) == by_split(trees[k], lengths[k])
    seen = np.zeros(12)
    for before, chosen, after in walk_back(environment, states, np.random.default_rng(1)):
        _, redo, values = environment.backstep(before, chosen)
        features, present = environment.value_features(after, redo)
        assert features.shape == (12, 2, FEATURES) and np.isfinite(features).all()
        assert np.array_equal(values > 0.0, present)
        seen += values.sum(axis=1)
        forward, undo, _ = environment.step(after, redo, values)
        assert np.array_equal(forward.parents, before.parents)
        assert np.array_equal(forward.lengths, before.lengths)
        assert np.array_equal(environment.keys(forward), environment.keys(before))
        assert np.array_equal(undo, chosen)
        assert ((after.lengths > 0.0) == (after.parents >= 0)).all()
    np.testing.assert_allclose(seen, lengths.sum(axis=1))  # every branch once


def test_the_two_lengths_are_of_the_two_trees_in_order():
    environment = make(5)
    state = environment.step(
        environment.initial(1), np.array([1 * 5 + 3]), np.array([[0.1, 0.2]])
    ).states
    assert state.lengths[0, 1] == 0.1 and state.lengths[0, 3] == 0.2
    state = environment.step(state, np.array([0 * 5 + 1]), np.array([[0.3, 0.4]])).states
    assert state.lengths[0, 0] == 0.3 and state.lengths[0, 5 + 3] == 0.4
    assert environment.backstep(state, np.array([1])).values.tolist() == [[0.3, 0.4]]


def test_keys_tell_lengths_apart():
    environment = make(6)
    trees, lengths = random_trees(6, 1)
    other = lengths.copy()
    other[0, 3] = np.nextafter(other[0, 3], 1.0)
    keys = environment.keys(
        LengthForestStates.concat(
            [environment.terminals(trees, lengths), environment.terminals(trees, other)]
        )
    )
    assert (keys[0] != keys[1]).all()


def test_features_are_projected_partials_with_the_lengths():
    n = 6
    environment = make(n)
    patterns = random_patterns(n)
    states = environment.initial(1)
    steps = [(1 * n + 4, (0.1, 0.02)), (0 * n + 1, (0.5, 0.001)), (2 * n + 3, (0.3, 0.3))]
    for action, values in steps:  # ((0, (1, 4)), (2, 3), 5)
        states = environment.step(states, np.array([action]), np.array([values])).states

    def plain(tree):
        if not isinstance(tree, tuple):
            value = ((patterns.masks[tree][None] >> np.arange(4)[:, None]) & 1).astype(float)
        else:
            value = np.ones((4, patterns.n_patterns))
            for part, length in tree:
                keep = math.exp(-BETA * length)
                value *= (keep * np.eye(4) + (1 - keep) * FREQUENCIES[None, :]) @ plain(part)
        return value / value.sum(axis=0)

    inner = ((1, 0.1), (4, 0.02))
    mean, basis = environment.features.projection
    state, _, root = merging_numba.slots_and_roots(states.parents, states.counts)
    for _ in range(2):  # computed, and remembered
        rows = environment.graph(states).node_features.numpy()[:, n:]
        forest = [((0, 0.5), (inner, 0.001)), ((2, 0.3), (3, 0.3)), 5]
        for row, tree in zip(rows, forest, strict=True):
            np.testing.assert_allclose(row, (plain(tree).reshape(-1) - mean) @ basis, atol=2e-4)
    longer = states.lengths.copy()
    longer[0, 4] = 0.7
    other = environment.features.rows_with_lengths(states.parents, longer, state, root)
    assert np.abs(other[0] - rows[0]).max() > 1e-3
    np.testing.assert_allclose(other[1:], rows[1:], atol=1e-6)


def plain_sums(trees, lengths, n):
    """Sums of 1, log b and its square by split, and by split and how one end goes on."""
    everything = frozenset(range(n))
    sums, overall = defaultdict(lambda: np.zeros(3)), np.zeros((2, 3))
    for parents, own in zip(trees, lengths, strict=True):
        below = {v: {v} for v in range(1, n)}
        children = defaultdict(list)
        for v in range(1, 2 * n - 2):
            children[int(parents[v])].append(v)

        def clade(v, below=below, children=children):
            if v not in below:
                below[v] = set().union(*(clade(c) for c in children[v]))
            return below[v]

        for v in range(1, 2 * n - 2):
            y = math.log(own[v])
            term = np.array([1.0, y, y * y]) / len(trees)
            a = frozenset(clade(v))
            rest = everything - a
            sums[frozenset([a, rest])] += term
            overall[0 if min(len(a), len(rest)) == 1 else 1] += term
            if v >= n:
                sums[(rest, frozenset(frozenset(clade(c)) for c in children[v]))] += term
            p = int(parents[v])
            if p > 0:
                other = frozenset(clade(next(c for c in children[p] if c != v)))
                sums[(a, frozenset([other, rest - other]))] += term
    return sums, overall


def test_what_is_known_of_a_length_is_smoothed_sums_over_trees():
    n = 7
    environment = make(n)
    trees, lengths = random_trees(n, 25, 5)
    prior = environment.prior_rates
    environment.length_rates = LengthRates.of(trees, lengths, np.ones(25), prior)
    sums, overall = plain_sums(trees, lengths, n)
    overall += prior.overall / 25.0
    everything = frozenset(range(n))

    def branch(a, kind):
        mean = overall[kind, 1] / overall[kind, 0]
        variance = overall[kind, 2] / overall[kind, 0] - mean**2
        w, s1, s2 = sums.get(frozenset([a, everything - a]), np.zeros(3))
        centre = (s1 + mean / 25.0) / (w + 1 / 25.0)
        spread = (s2 - 2 * centre * s1 + w * centre**2 + variance / 25.0) / (w + 1 / 25.0)
        return (centre, max(spread, 1e-4), w) if w else (mean, variance, 0.0)

    def end(key, mean, variance):
        if key not in sums:
            return 0.0, 0.0
        (w, s1, s2), c = sums[key], 3.0 / 25.0
        centre = (s1 + c * mean) / (w + c)
        spread = (s2 - 2 * centre * s1 + w * centre**2 + c * variance) / (w + c)
        return centre - mean, 0.5 * math.log(max(spread, 1e-5) / variance)

    known = environment.terminals(trees, lengths)
    for before, chosen, after in walk_back(environment, known, np.random.default_rng(3)):
        redo = environment.backstep(before, chosen).inverse
        features, present = environment.value_features(after, redo)
        for i in range(len(after)):
            parents = after.parents[i].astype(int)
            leaves = defaultdict(set)
            for leaf in range(n):
                v = leaf
                while v >= 0:
                    leaves[v].add(leaf)
                    v = parents[v]
            roots = []
            for slot in divmod(int(redo[i]), n):
                while parents[slot] >= 0:
                    slot = parents[slot]
                roots.append(slot)
            last = after.counts[i] == 2
            for k in range(1 if last else 2):
                a, b = roots[k], roots[1 - k]
                clade, other = frozenset(leaves[a]), frozenset(leaves[b])
                kind = 0 if len(clade) == 1 or (last and len(other) == 1) else 1
                mean, variance, w = branch(clade, kind)
                ends, scores = [], []
                for v in (a, b):
                    kids = [c for c in range(2 * n) if parents[c] == v]
                    if v == a or last:
                        parts = frozenset(frozenset(leaves[c]) for c in kids)
                        key = (everything - leaves[v], parts)
                    else:
                        key = (clade, frozenset([other, everything - clade - other]))
                        kids = []
                    ends.append(end(key, mean, variance) if kids or not last and v == b else (0, 0))
                    z = [0.0, 0.0]
                    for side, c in enumerate(kids):
                        m, s, _ = branch(frozenset(leaves[c]), 0 if c < n else 1)
                        z[side] = np.clip((math.log(after.lengths[i, c]) - m) / s**0.5, -5, 5)
                    scores += z
                expected = [
                    mean + ends[0][0] + ends[1][0],
                    0.5 * math.log(variance),
                    ends[0][0],
                    ends[1][0],
                    ends[0][1],
                    ends[1][1],
                    math.log1p(25.0 * w),
                    float(a < n),
                    *scores,
                ]
                np.testing.assert_allclose(features[i, k], expected, rtol=1e-4, atol=1e-5)
        assert present[:, 0].all() and (present[:, 1] == (after.counts > 2)).all()


def weighted_gammas(n, seed=0):
    """A density on trees with lengths whose integrals over lengths are known: topology weights."""
    codes = taxon_codes(n)

    def log_weight(trees):
        return (topology_keys(trees, codes)[:, 0] % np.uint64(1000)).astype(float) / 400.0

    def log_density(trees, lengths):
        return log_weight(trees) + gamma.logpdf(lengths[:, 1:], 2.0, scale=0.05).sum(axis=1)

    return log_weight, log_density


@pytest.mark.parametrize("shape", ["lognormal", "bins"])
@pytest.mark.parametrize("learned", [False, True])
def test_weights_have_the_mean_z_and_the_shares_of_topologies(all_topologies, shape, learned):
    n = 5
    log_weight, log_density = weighted_gammas(n)
    environment = make(n, log_density)
    trees, _ = random_trees(n, 200)
    lengths = np.random.default_rng(2).gamma(2.0, 0.05, trees.shape)
    environment.length_rates = LengthRates.of(trees, lengths, np.ones(200), environment.prior_rates)
    policy = make_policy(environment, 1, "cpu", lengths=ValueSpec(shape, FEATURES))
    assert policy.value_head is not None
    back = make_backward_policy(environment, 2, "cpu")
    with torch.no_grad():
        policy.heads[0].sign.normal_(std=0.3)
        policy.value_head.last.weight.normal_(std=0.03)
        back.heads[0].last.weight.normal_(std=0.3)
    rng = np.random.default_rng(3)
    terminals, log_q = draw_objects(environment, policy, 3000, 3, rng, back if learned else None)
    log_w = environment.log_reward(terminals) - log_q
    codes = taxon_codes(n)
    every = all_topologies(n)
    exact = np.exp(log_weight(every))
    estimate = WeightedDraws(log_w).estimate()
    error = estimate.standard_error
    assert error < 0.1
    assert estimate.log_z == pytest.approx(math.log(exact.sum()), abs=4 * error)
    names = [tuple(key) for key in topology_keys(every, codes)]
    found = np.array(
        [names.index(tuple(k)) for k in topology_keys(environment.trees(terminals), codes)]
    )
    weighed = np.exp(log_w)[:, None] * (found[:, None] == np.arange(15))
    z = (weighed.mean(axis=0) - exact) / (weighed.std(axis=0) / math.sqrt(len(weighed)))
    assert np.abs(z).max() < 4.0


@pytest.mark.parametrize("shape", ["lognormal", "bins"])
def test_what_drew_a_trajectory_scores_it_alike(shape):
    environment = make(8)
    policy = make_policy(environment, 1, "cpu", lengths=ValueSpec(shape, FEATURES))
    assert policy.value_head is not None
    with torch.no_grad():
        policy.heads[0].sign.normal_()
        policy.value_head.last.weight.normal_(std=0.1)
    drawn = sample_trajectories(environment, policy, 20, np.random.default_rng(0))
    assert drawn.values is not None and drawn.log_pf is not None
    assert (drawn.values[:, :-1] > 0).all() and (drawn.values[:, -1, 1] == 0).all()
    log_pf = score_forward(environment, policy, drawn)
    assert log_pf.requires_grad and (drawn.lengths == 7).all()
    np.testing.assert_allclose(log_pf.sum(dim=1).detach(), drawn.log_pf, atol=2e-4)
    # and the same numbers in one state at a time
    one = [
        backward_trajectories(
            environment, drawn.terminals.take(np.array([i])), np.random.default_rng(i)
        )
        for i in range(3)
    ]
    for i, path in enumerate(one):
        assert path.values is not None
        np.testing.assert_allclose(path.values.sum(), drawn.values[i].sum())
        steps = score_forward(environment, policy, path)
        ratio = trajectory_log_ratios(environment, policy, path)
        log_pb = score_backward(environment, None, path)
        np.testing.assert_allclose(float((steps - log_pb).sum().detach()), ratio[0], atol=1e-5)


def test_local_search_refuses_lengths():
    environment = make(5)
    policy = make_policy(environment, 1, "cpu", lengths=ValueSpec("bins", FEATURES))
    terminals = environment.terminals(*random_trees(5, 3))
    with pytest.raises(TypeError, match="values"):
        local_search(environment, policy, terminals, np.zeros(3), 2, np.random.default_rng(0))


def test_lengths_are_asked_for():
    environment = make(5)
    with pytest.raises(TypeError, match="lengths"):
        environment.step(environment.initial(1), np.array([1]))
    with pytest.raises(TypeError, match="lengths"):
        environment.terminals(random_trees(5, 1)[0])
