"""The insertion environment: the contract on all of two small spaces, and trees there and back."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.evaluation import check_contract, exact_distribution
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.kernels import insertion_numba as kernels
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import Tree, random_topology, splits


def make(n_taxa, seed=1, log_reward=None):
    order = np.random.default_rng(seed).permutation(n_taxa)
    return InsertionEnvironment(order, log_reward or (lambda trees: np.zeros(len(trees))))


@pytest.mark.parametrize(("n_taxa", "n_topologies"), [(4, 3), (5, 15), (6, 105)])
def test_contract(n_taxa, n_topologies):
    assert check_contract(make(n_taxa)) == n_topologies


@pytest.mark.parametrize("seed", range(3))
def test_every_topology_is_reached_once(all_topologies, seed):
    environment = make(6, seed)
    exact = exact_distribution(environment)
    np.testing.assert_allclose(exact.probability, 1 / 105)  # 3 * 5 * 7 branches, one path each
    codes = taxon_codes(6)
    keys = topology_keys(environment.trees(exact.terminals), codes)
    expected = topology_keys(all_topologies(6), codes)
    assert {tuple(key) for key in keys} == {tuple(key) for key in expected}


@pytest.mark.parametrize("n_taxa", [4, 7, 30])
def test_trees_and_terminals_go_round(n_taxa):
    rng = np.random.default_rng(n_taxa)
    environment = make(n_taxa, seed=n_taxa)
    trees = np.stack([random_topology(n_taxa, rng).parent for _ in range(20)]).astype(np.int16)
    states = environment.terminals(trees)
    assert environment.is_terminal(states).all()
    again = environment.trees(states)
    for before, after in zip(trees, again, strict=True):
        assert splits(Tree.from_parents(before)) == splits(Tree.from_parents(after))
    assert np.array_equal(environment.terminals(again).parents, states.parents)
    assert np.array_equal(environment.keys(environment.terminals(again)), environment.keys(states))


def test_actions_of_trees_build_them_step_by_step():
    rng = np.random.default_rng(4)
    environment = make(10, seed=3)
    trees = np.stack([random_topology(10, rng).parent for _ in range(15)]).astype(np.int16)
    actions = kernels.actions_of_trees(trees, environment.order)
    states = environment.initial(15)
    for depth in range(7):
        depths = np.full(15, depth)
        assert np.array_equal(states.parents, kernels.states_of_actions(actions, depths))
        assert not environment.is_terminal(states).any()
        states = environment.step(states, actions[:, depth]).states
    assert np.array_equal(states.parents, environment.terminals(trees).parents)
    # and back down
    for depth in range(6, -1, -1):
        undone = environment.backstep(states, np.zeros(15, int)).inverse
        assert np.array_equal(undone, actions[:, depth])
        states = environment.backstep(states, np.zeros(15, int)).states
    assert np.array_equal(states.parents, environment.initial(15).parents)


def test_steps_leave_their_states_alone():
    environment = make(6)
    states = environment.initial(2)
    before = states.parents.copy()
    after = environment.step(states, np.array([1, 2])).states
    assert np.array_equal(states.parents, before) and (states.counts == 3).all()
    environment.backstep(after, np.zeros(2, int))
    assert (after.counts == 4).all()


def test_graph_shows_taxa_below_branches_and_the_next_taxon():
    environment = make(7, seed=5)
    rng = np.random.default_rng(5)
    tree = random_topology(7, rng).parent[None].astype(np.int16)
    actions = kernels.actions_of_trees(tree, environment.order)
    states = environment.initial(2).concat(
        [
            environment.initial(1),
            type(environment.initial(1))(
                kernels.states_of_actions(actions, np.array([2])), np.array([5])
            ),
        ]
    )
    graph = environment.graph(states)
    choices = environment.forward_actions(states)
    assert graph.graph_type.tolist() == [3, 5]
    assert np.bincount(graph.node_graph.numpy()).tolist() == [3, 7]
    below = graph.node_features.numpy()[:, :7]
    for row, (state, branch) in enumerate(zip(choices.state, choices.action, strict=True)):
        parent = states.parents[state]
        expected = []
        for position in range(1, states.counts[state]):
            v = position
            while v not in (branch, 0):
                v = parent[v]
            expected.append(v == branch)
        assert below[row].tolist() == [0.0, *map(float, expected)] + [0.0] * (6 - len(expected))
    # every edge is there both ways, between branches that meet at a node
    edges = {
        (int(a), int(b)): int(t) for a, b, t in zip(*graph.edge_index, graph.edge_type, strict=True)
    }
    assert len(edges) == 2 * (2 + 6)
    for (a, b), kind in edges.items():
        assert edges[b, a] == 1 - kind
        child, up = (a, b) if kind == 0 else (b, a)
        assert states.parents[choices.state[child], choices.action[child]] == choices.action[up]


def test_reward_is_that_of_the_tree(all_topologies):
    every = all_topologies(5)
    codes = taxon_codes(5)
    value = {tuple(k): float(i) for i, k in enumerate(topology_keys(every, codes))}

    def log_reward(trees):
        return np.array([value[tuple(key)] for key in topology_keys(trees, codes)])

    environment = make(5, seed=2, log_reward=log_reward)
    found = environment.log_reward(environment.terminals(every))
    assert found.tolist() == list(range(15))
