"""What a policy is taught from a table of topologies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gfncore.evaluation import exact_distribution, total_variation
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.training import curricula as learning
from phylogfn.training.curricula import InsertionCurriculum, make_policy, make_trainer
from phylogfn.trees.keys import taxon_codes


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small(all_topologies):
    """Return a function: environment of 6 taxa, table of some topologies, their probabilities."""

    def make(n_known=105, seed=1, spread=2.0):
        rng = np.random.default_rng(seed)
        every = all_topologies(6)
        evidence = spread * rng.normal(size=105)
        value = TopologyTable(6)
        value.add(every, np.zeros((105, 10)), evidence)
        environment = InsertionEnvironment(
            rng.permutation(6), lambda trees: value.log_evidence[value.find(trees)]
        )
        table = TopologyTable(6)
        table.add(every[:n_known], np.zeros((n_known, 10)), evidence[:n_known])
        p = np.exp(evidence)
        return environment, table, p / p.sum()

    return make


def policy_distribution(environment, policy, table):
    exact = exact_distribution(environment, policy)
    q = np.zeros(105)
    q[table.find(environment.trees(exact.terminals))] = exact.probability
    return q


def test_a_fresh_policy_is_uniform_and_set_by_its_seed(small):
    environment, table, _ = small()
    q = policy_distribution(environment, make_policy(environment, 1, "cpu"), table)
    np.testing.assert_allclose(q, 1 / 105, rtol=1e-5)
    fresh = [make_policy(environment, seed, "cpu").state_dict() for seed in (1, 1, 2)]
    first, second, third = fresh
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert not all(torch.equal(value, third[key]) for key, value in first.items())


def test_targets_are_the_exact_choices(small):
    environment, table, p = small(40)
    curriculum = InsertionCurriculum(environment, table)
    curriculum.refresh(None)
    p = p[:40] / p[:40].sum()
    targets = curriculum.states(np.random.default_rng(2))
    sums = np.bincount(targets.actions.state, targets.targets)
    np.testing.assert_allclose(sums, 1.0)
    assert (targets.targets >= 0).all() and (targets.weights > 0).all()
    # by hand: which known topologies pass each state
    terminals = environment.terminals(table.parents)
    paths = [set() for _ in range(40)]
    states = terminals
    while (states.counts > 3).all():
        states = environment.backstep(states, np.zeros(40, int)).states
        for row, key in enumerate(environment.keys(states)):
            paths[row].add(tuple(key))
    keys = [tuple(key) for key in environment.keys(targets.states)]
    children = environment.step(
        targets.states.take(targets.actions.state), targets.actions.action
    ).states
    ends = [tuple(key) for key in environment.keys(children)]
    last = [tuple(key) for key in environment.keys(terminals)]
    for row in range(40):
        paths[row].add(last[row])
    for state, end, target in zip(targets.actions.state, ends, targets.targets, strict=True):
        flow = sum(p[row] for row in range(40) if keys[state] in paths[row])
        onward = sum(p[row] for row in range(40) if end in paths[row])
        assert target == pytest.approx(onward / flow)


def test_states_are_weighted_back_to_their_flow(small):
    environment, table, _ = small(40)
    curriculum = InsertionCurriculum(environment, table)
    curriculum.refresh(None)
    targets = curriculum.states(np.random.default_rng(3))
    root = np.flatnonzero(targets.states.counts == 3)
    assert root.size == 1
    # chance of a state is the root of its flow, up to a factor: weight times chance is the flow
    relative = targets.weights / targets.weights[root[0]]
    assert relative.max() == pytest.approx(1.0)
    assert len(curriculum._trie) == len(
        {
            tuple(key)
            for depth in (3, 4, 5)
            for key in environment.keys(_cut(environment, table.parents, depth))
        }
    )


def _cut(environment, trees, n_taxa):
    states = environment.terminals(trees)
    while states.counts[0] > n_taxa:
        states = environment.backstep(states, np.zeros(len(states), int)).states
    return states


def shares_of_terminals(curriculum, environment, table, rng):
    rows = [table.find(environment.trees(curriculum.terminals(rng))) for _ in range(200)]
    return np.bincount(np.concatenate(rows), minlength=len(table)) / (200 * len(rows[0]))


def test_terminals_follow_the_evidence(small):
    environment, table, p = small(spread=1.0)
    curriculum = InsertionCurriculum(environment, table)
    curriculum.refresh(None)
    found = shares_of_terminals(curriculum, environment, table, np.random.default_rng(4))
    assert total_variation(found, p) < 0.05


def test_what_was_met_stands_for_what_was_not(small):
    environment, table, p = small(60)
    table.visits[[3, 7, 11, 20]] = [50, 1, 2, 1]
    table.log_q[30], table.n_draws = np.log(0.001), 200
    table.log_q[3] = np.log(0.2)
    curriculum = InsertionCurriculum(environment, table)
    weights = curriculum._expanded(p[:60])
    met = [3, 7, 11, 20, 30]
    assert (np.flatnonzero(weights) == met).all()
    chance = 4 * p[met] * [1, 1, 1, 1, 0] + 200 * np.array([0.2, 0, 0, 0, 0.001])
    expected = p[met] / np.minimum(chance, 1.0)
    largest = learning.LARGEST_WEIGHT * expected.sum()
    np.testing.assert_allclose(weights[met], np.minimum(expected, largest))
    # nothing else is taught
    curriculum.refresh(float(np.logaddexp.reduce(table.log_evidence)))
    drawn = environment.trees(curriculum.terminals(np.random.default_rng(5)))
    assert set(table.find(drawn)) <= set(met)


def test_negligible_topologies_are_left_out(small):
    environment, table, _ = small(10)
    far = table.parents[:1].copy()
    assert table.find(far)[0] == 0
    table.log_evidence[0] = table.log_evidence[1:].max() - 40.0
    curriculum = InsertionCurriculum(environment, table)
    curriculum.refresh(None)
    drawn = environment.trees(curriculum.terminals(np.random.default_rng(5)))
    assert 0 not in table.find(drawn)


@pytest.mark.parametrize("own_draws", [False, True])
def test_teaching_learns_the_posterior(small, own_draws):
    environment, table, p = small(105 if not own_draws else 60)
    policy, rng = make_policy(environment, 1, "cpu"), np.random.default_rng(6)
    trainer = make_trainer(environment, policy, 0.0, rng, None)
    curriculum = InsertionCurriculum(environment, table)
    curriculum.refresh(None)
    every = TopologyTable(6)
    every.add(
        np.concatenate(
            [table.parents, environment.trees(exact_distribution(environment).terminals)]
        ),
        np.zeros((len(table) + 105, 10)),
        np.zeros(len(table) + 105),
    )
    target = np.zeros(105)
    target[: len(table)] = np.exp(table.log_evidence)
    steps = 120
    if own_draws:  # 45 topologies are not in the trie; their own draws must tell
        terminals = exact_distribution(environment).terminals
        target[every.find(environment.trees(terminals))] = np.exp(environment.log_reward(terminals))
    target /= target.sum()
    before = total_variation(policy_distribution(environment, trainer.policy, every), target)
    for step in range(steps):
        metrics = curriculum.teach(trainer, own_draws and step % 3 == 2)
        assert ("loss" in metrics) == (own_draws and step % 3 == 2)
        assert np.isfinite(metrics["state_loss"])
    after = total_variation(
        policy_distribution(environment, trainer.averaged.policy, every), target
    )
    assert before > 0.4
    assert after < (0.15 if not own_draws else 0.75 * before)


def test_codes_and_table_agree(small):
    environment, table, _ = small()
    keys = table.find(environment.trees(environment.terminals(table.parents)))
    assert keys.tolist() == list(range(105))
    assert taxon_codes(6).shape == (6, 2)
