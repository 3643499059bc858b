"""The merging environment: the contract, histories counted, features beside plain ones."""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# (heads of a policy are modules, whose parts pyright does not know)

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gfncore.backward.registry import BACKWARD_POLICIES
from gfncore.evaluation import check_contract, chi_squared, exact_distribution
from gfncore.exploration import backward_trajectories, local_search
from gfncore.trajectories.scoring import score_backward
from phylogfn.alignments.patterns import SitePatterns
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.merging import ForestStates, MergingEnvironment
from phylogfn.kernels import forest_numba, merging_numba
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.samplers.merging import new_backward_policy
from phylogfn.training.backward import make_backward_policy
from phylogfn.training.curricula import make_policy, make_trainer
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, random_topology, splits


def random_patterns(n_taxa, n_patterns=30, seed=3):
    rng = np.random.default_rng(seed)
    masks = (1 << rng.integers(0, 4, size=(n_taxa, n_patterns))).astype(np.uint32)
    masks[0, 0] = 15
    masks[-1, 1] = 5
    weights = rng.integers(1, 4, size=n_patterns).astype(float)
    return SitePatterns(masks, weights, np.arange(n_patterns, dtype=np.int32), 4)


def random_trees(n_taxa, size, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([random_topology(n_taxa, rng).parent for _ in range(size)]).astype(np.int16)


def make(n_taxa, log_reward=None, keep=0.9):
    features = ForestFeatures(random_patterns(n_taxa), np.array([0.1, 0.2, 0.3, 0.4]), keep)
    features.fit(random_trees(n_taxa, 40), np.random.default_rng(1))
    return MergingEnvironment(features, n_taxa, log_reward or (lambda trees: np.zeros(len(trees))))


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


@pytest.mark.parametrize(("n_taxa", "n_topologies"), [(4, 3), (5, 15), (6, 105)])
def test_contract(n_taxa, n_topologies):
    assert check_contract(make(n_taxa)) == n_topologies


def test_every_topology_has_its_histories():
    """The uniform policy reaches a topology by each history; they are counted by recursion."""
    n = 5
    environment = make(n)
    exact = exact_distribution(environment)
    codes = taxon_codes(n)
    # all histories: every order of joins of five taxa, each with its chance under the policy
    chance: dict[tuple, float] = {}

    def joined(forest, p):
        if len(forest) == 1:
            tree = forest[0]
            chance[tree] = chance.get(tree, 0.0) + p
            return
        pairs = [(a, b) for a in range(len(forest)) for b in range(a)]
        for a, b in pairs:
            rest = [t for i, t in enumerate(forest) if i not in (a, b)]
            joined([*rest, frozenset([forest[a], forest[b]])], p / len(pairs))

    joined(list(range(n)), 1.0)

    def leaves(tree):
        return {tree} if isinstance(tree, int) else set().union(*(leaves(t) for t in tree))

    def clades(tree):
        if isinstance(tree, int):
            return []
        return [leaves(tree)] + [c for part in tree for c in clades(part)]

    unrooted: dict[frozenset, float] = {}
    for tree, p in chance.items():
        sides = {
            frozenset(c if 0 not in c else set(range(n)) - c)
            for c in clades(tree)
            if 2 <= len(c) <= n - 2
        }
        key = frozenset(sides)
        unrooted[key] = unrooted.get(key, 0.0) + p
    assert len(unrooted) == 15 and math.isclose(sum(unrooted.values()), 1.0)
    for parents, p in zip(environment.trees(exact.terminals), exact.probability, strict=True):
        found = splits(Tree.from_parents(parents.astype(np.int32)))
        key = frozenset(frozenset(i for i in range(n) if s >> i & 1) for s in found)
        assert unrooted[key] == pytest.approx(p)
    keys = topology_keys(environment.trees(exact.terminals), codes)
    assert len({tuple(key) for key in keys}) == 15


@pytest.mark.parametrize("n_taxa", [4, 7, 30])
def test_histories_go_back_and_forth(n_taxa):
    rng = np.random.default_rng(n_taxa)
    environment = make(n_taxa)
    trees = random_trees(n_taxa, 20, n_taxa)
    states = environment.terminals(trees)
    assert environment.is_terminal(states).all()
    again = environment.trees(states)
    for before, after in zip(trees, again, strict=True):
        assert splits(Tree.from_parents(before)) == splits(Tree.from_parents(after))
    steps = 0
    for before, chosen, after in walk_back(environment, states, rng):
        redo = environment.backstep(before, chosen).inverse
        forward, undo, _ = environment.step(after, redo)
        assert np.array_equal(forward.parents, before.parents)
        assert np.array_equal(forward.counts, before.counts)
        assert np.array_equal(undo, chosen)
        steps += 1
    assert steps == n_taxa - 1
    assert np.array_equal(after.parents, environment.initial(20).parents)


def test_the_last_join_can_be_any_branch_once():
    environment = make(8)
    states = environment.terminals(random_trees(8, 5))
    actions = environment.backward_actions(states)
    assert np.bincount(actions.state).tolist() == [13] * 5
    parts = environment.backstep(states.take(actions.state), actions.action).states
    keys = np.column_stack([actions.state.astype(np.uint64), environment.keys(parts)])
    assert len(np.unique(keys, axis=0)) == 5 * 13


def test_steps_leave_their_states_alone():
    environment = make(6)
    states = environment.initial(2)
    before = states.parents.copy()
    after = environment.step(states, np.array([1, 2])).states
    assert np.array_equal(states.parents, before) and (states.counts == 6).all()
    environment.backstep(after, np.array([1, 2]))
    assert (after.counts == 5).all()


def plain_partials(patterns, frequencies, keep, tree):
    """Partials (K, P) of a rooted tree of nested pairs, normalised, one site at a time."""
    if not isinstance(tree, tuple):
        value = ((patterns.masks[tree][None] >> np.arange(4)[:, None]) & 1).astype(float)
    else:
        x, y = (plain_partials(patterns, frequencies, keep, part) for part in tree)
        if keep is None:
            both = (x > 0) & (y > 0)
            value = np.where(both.any(axis=0), both, (x > 0) | (y > 0)).astype(float)
        else:
            move = keep * np.eye(4) + (1 - keep) * frequencies[None, :]
            value = (move @ x) * (move @ y)
    return value / value.sum(axis=0)


@pytest.mark.parametrize("keep", [0.8, None])
def test_features_are_projected_partials(keep):
    n, frequencies = 6, np.array([0.1, 0.2, 0.3, 0.4])
    patterns = random_patterns(n)
    features = ForestFeatures(patterns, frequencies, keep)
    features.fit(random_trees(n, 30), np.random.default_rng(2))
    environment = MergingEnvironment(features, n, lambda trees: np.zeros(len(trees)))
    states = environment.initial(1)
    for action in (1 * n + 4, 0 * n + 1, 2 * n + 3):  # ((0, (1, 4)), (2, 3), 5)
        states = environment.step(states, np.array([action])).states
    state, slot, root = merging_numba.slots_and_roots(states.parents, states.counts)
    assert slot.tolist() == [0, 2, 5] and root.tolist() == [n + 1, n + 3, 5]
    mean, basis = features.projection
    for found, tree in zip(
        features.rows(states.parents, state, root), ((0, (1, 4)), (2, 3), 5), strict=True
    ):
        raw = plain_partials(patterns, frequencies, keep, tree).reshape(-1)
        np.testing.assert_allclose(found, (raw - mean) @ basis, atol=2e-4)
    assert 3 <= features.width <= 48


def test_features_do_not_depend_on_what_was_asked_before():
    environment = make(9)
    rng = np.random.default_rng(5)
    parts = [
        after
        for _, _, after in walk_back(environment, environment.terminals(random_trees(9, 30)), rng)
    ]
    states = ForestStates.concat(parts)
    arrays = merging_numba.slots_and_roots(states.parents, states.counts)
    first = environment.features.rows(states.parents, arrays[0], arrays[2])
    fresh = make(9)
    order = rng.permutation(len(arrays[0]))
    second = fresh.features.rows(states.parents, arrays[0][order], arrays[2][order])
    np.testing.assert_allclose(first[order], second, atol=1e-4)


def test_graph_shows_the_taxa_of_each_tree_and_all_pairs():
    environment = make(5)
    states = environment.step(environment.initial(2), np.array([0 * 5 + 3, 1 * 5 + 2])).states
    graph = environment.graph(states)
    assert graph.graph_type.tolist() == [4, 4]
    below = graph.node_features.numpy()[:, :5]
    assert below[:4].tolist() == [
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1],
    ]
    actions = environment.forward_actions(states)
    slots = [[0, 1, 2, 4], [0, 1, 3, 4]]
    assert graph.pairs is not None
    for k, (i, code) in enumerate(zip(actions.state, actions.action, strict=True)):
        a, b = (int(x) for x in graph.pairs[:, k])
        assert (slots[i][a - 4 * i], slots[i][b - 4 * i]) == divmod(int(code), 5)


@pytest.mark.parametrize("n_taxa", [3, 4, 9])
def test_backward_graph_has_a_node_for_all_that_can_be_undone(n_taxa):
    """Against plain sets: the taxa of trees and branches, in the order of the backward actions."""
    environment = make(n_taxa)
    states = environment.terminals(random_trees(n_taxa, 6))
    rng = np.random.default_rng(n_taxa)
    mixed = ForestStates.concat(
        [
            part
            for before, _, after in walk_back(environment, states, rng)
            for part in (before, after)
        ]
    )
    mixed = mixed.take(rng.permutation(len(mixed)))
    graph = environment.backward_graph(mixed)
    actions = environment.backward_actions(mixed)
    assert np.array_equal(graph.action_state.numpy(), actions.state)
    assert np.array_equal(graph.graph_type.numpy(), mixed.counts)
    assert np.array_equal(graph.node_graph.numpy()[graph.action_index], actions.state)
    shown = [
        frozenset(np.flatnonzero(row).tolist()) for row in graph.node_features[:, :n_taxa].numpy()
    ]
    nodes_of = [
        [shown[k] for k in np.flatnonzero(graph.node_graph.numpy() == i)] for i in range(len(mixed))
    ]
    for i in range(len(mixed)):
        if mixed.counts[i] == 1:
            assert len(set(nodes_of[i])) == len(nodes_of[i]) == 2 * n_taxa - 3
            assert not any(0 in taxa for taxa in nodes_of[i])
        else:
            assert len(nodes_of[i]) == mixed.counts[i]
            assert sorted(x for taxa in nodes_of[i] for x in taxa) == list(range(n_taxa))
    # a node shows what its action takes apart: the pair that had been joined
    after, redo, _ = environment.backstep(mixed.take(actions.state), actions.action)
    below = environment.graph(after)
    root = forest_numba.backward_graph_arrays(mixed.parents, mixed.counts)[1]
    clades = forest_numba.undone_pairs(
        mixed.parents, mixed.counts, actions.state, root[graph.action_index.numpy()]
    )
    parts = below.node_features[:, :n_taxa].numpy() > 0
    for k, node in enumerate(graph.action_index.tolist()):
        trees = [set(np.flatnonzero(row)) for row in parts[below.node_graph.numpy() == k]]
        first, second = (
            next(tree for tree in trees if slot in tree) for slot in divmod(int(redo[k]), n_taxa)
        )
        if mixed.counts[actions.state[k]] == 1:
            assert shown[node] == second
        else:
            assert shown[node] == first | second
        assert set(np.flatnonzero(clades[2 * k])) == first
        assert set(np.flatnonzero(clades[2 * k + 1])) == second


@pytest.mark.parametrize("keep", [0.9, None])
def test_backward_graph_shows_the_partials_below_each_branch(keep):
    n, frequencies = 6, np.array([0.1, 0.2, 0.3, 0.4])
    patterns = random_patterns(n)
    environment = make(n, keep=keep)
    states = environment.initial(1)
    for action in (1 * n + 4, 0 * n + 1, 2 * n + 3, 2 * n + 5):  # (0, (1, 4)), ((2, 3), 5)
        states = environment.step(states, np.array([action])).states
    end = environment.step(states, np.array([2])).states
    whole = (((2, 3), 5), (1, 4))  # seen from taxon 0

    def clades(tree):
        return [tree] + ([c for part in tree for c in clades(part)] if type(tree) is tuple else [])

    def taxa(tree):
        return frozenset(c for c in clades(tree) if type(c) is int)

    trees = {taxa(tree): tree for tree in [*clades(whole), (0, (1, 4))]}
    mean, basis = environment.features.projection
    for graph, n_nodes in (
        (environment.backward_graph(states), 2),
        (environment.backward_graph(end), 9),
    ):
        assert len(graph.node_features) == n_nodes
        for row in graph.node_features.numpy():
            tree = trees[frozenset(np.flatnonzero(row[:n]).tolist())]
            raw = plain_partials(patterns, frequencies, keep, tree).reshape(-1)
            np.testing.assert_allclose(row[n:], (raw - mean) @ basis, atol=2e-4)


def test_bias_of_undoing_a_join_is_that_of_the_join_turned_round():
    """What a forward action reads as its rate, the action that undoes it reads with a minus."""
    n = 8
    environment = make(n)
    trees = random_trees(n, 12)
    environment.rates = JoinRates.of(trees, np.linspace(1.0, 2.0, 12))
    rng = np.random.default_rng(2)
    for before, chosen, after in walk_back(environment, environment.terminals(trees), rng):
        actions = environment.backward_actions(before)
        bias = environment.backward_graph(before).action_bias
        forward = environment.forward_actions(after)
        rates = environment.graph(after).action_bias
        assert bias is not None and rates is not None
        redo = environment.backstep(before, chosen).inverse
        every = np.arange(len(before))
        np.testing.assert_allclose(
            bias[actions.find(every, chosen)], -rates[forward.find(every, redo)], rtol=1e-6
        )
        assert bias.std() > 0.1


def test_a_fresh_backward_policy_is_uniform_and_reads_every_state():
    environment = make(7)
    policy = make_backward_policy(environment, 1, "cpu")
    terminals = environment.terminals(random_trees(7, 10))
    paths = backward_trajectories(environment, terminals, np.random.default_rng(0), policy)
    log_pb = score_backward(environment, policy, paths)
    assert log_pb.requires_grad and (paths.lengths == 6).all()
    np.testing.assert_allclose(log_pb.detach(), score_backward(environment, None, paths), atol=1e-6)
    with torch.no_grad():
        torch.nn.init.normal_(policy.heads[0].last.weight)
        assert (score_backward(environment, policy, paths) - log_pb).abs().max() > 0.1


@pytest.mark.parametrize("name", [name for name in BACKWARD_POLICIES if name != "uniform"])
def test_every_backward_policy_learns_from_histories(name):
    environment = make(6, lambda trees: np.zeros(len(trees)))
    back, training = new_backward_policy(name, environment, 2, "cpu")
    assert back is not None
    before = [p.detach().clone() for p in back.parameters()]
    trainer = make_trainer(
        environment,
        make_policy(environment, 1, "cpu"),
        0.0,
        np.random.default_rng(0),
        None,
        backward_policy=back,
        backward_training=training,
    )
    trainer.on_policy = 8
    seen = [trainer.step() for _ in range(3)]
    assert all(np.isfinite(metrics["loss"]) for metrics in seen)
    assert ("backward_loss" in seen[-1]) == (name != "learned")
    after = list(back.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("learned", [False, True])
def test_local_search_keeps_the_distribution_of_topologies(learned):
    n = 5
    codes = taxon_codes(n)

    def log_reward(trees):  # some number of each topology
        return (topology_keys(trees, codes)[:, 0] % np.uint64(1000)).astype(float) / 500.0

    environment = make(n, log_reward)
    policy = make_policy(environment, 1, "cpu")
    back = make_backward_policy(environment, 2, "cpu")
    with torch.no_grad():
        policy.heads[0].sign.normal_()
        back.heads[0].last.weight.normal_(std=0.3)
    exact = exact_distribution(environment)
    p = np.exp(environment.log_reward(exact.terminals))
    p /= p.sum()
    rng = np.random.default_rng(0)
    states = exact.terminals.take(rng.choice(15, 10_000, p=p))
    log_rewards = environment.log_reward(states)
    for _ in range(3):
        found = local_search(
            environment,
            policy,
            states,
            log_rewards,
            3,
            rng,
            backward_policy=back if learned else None,
        )
        states, log_rewards = found.terminals, found.log_reward
    changed = exact.rows(environment.keys(found.proposals))[found.accepted]
    assert len(np.unique(changed)) == 15 and found.accepted.mean() > 0.2
    counts = np.bincount(exact.rows(environment.keys(states)), minlength=15)
    assert chi_squared(counts, p).p_value > 1e-3


def test_keys_tell_forests_apart():
    environment = make(6)
    rng = np.random.default_rng(8)
    parts = [environment.initial(1)]
    parts += [
        after
        for _, _, after in walk_back(environment, environment.terminals(random_trees(6, 60)), rng)
    ]
    states = ForestStates.concat(parts)
    keys = {tuple(key) for key in environment.keys(states)}
    rows = {row.tobytes() for row in states.parents}
    assert len(keys) == len(rows)


def test_hashes_are_of_shapes_on_taxa():
    environment = make(4)
    one = environment.step(environment.initial(1), np.array([0 * 4 + 1])).states
    left = environment.step(one, np.array([0 * 4 + 2])).states  # ((0, 1), 2), 3
    other = environment.step(
        environment.step(environment.initial(1), np.array([1 * 4 + 2])).states, np.array([1])
    ).states  # (0, (1, 2)), 3
    codes = environment.features.codes

    def hashes(states):
        state, _, root = merging_numba.slots_and_roots(states.parents, states.counts)
        return forest_numba.tree_hashes(states.parents, state, root, codes)

    assert hashes(left)[0] != hashes(other)[0] and hashes(left)[1] == hashes(other)[1]
    assert len(set(hashes(environment.initial(1)).tolist())) == 4
