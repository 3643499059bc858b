"""The table of topologies."""

from __future__ import annotations

import numpy as np

from phylogfn.exploration.topologies import TopologyTable
from phylogfn.trees.tree import random_topology


def some(n_taxa, n, seed=1):
    rng = np.random.default_rng(seed)
    return np.stack([random_topology(n_taxa, rng).parent for _ in range(n)]).astype(np.int16)


def test_add_and_find(all_topologies):
    table = TopologyTable(6)
    every = all_topologies(6)
    lengths = np.arange(105)[:, None] * np.ones(10)
    assert table.find(every).tolist() == [-1] * 105
    rows = table.add(every[:60], lengths[:60], -np.arange(60.0))
    assert rows.tolist() == list(range(60))
    # known and new together, one of them twice
    part = np.array([59, 60, 3, 60])
    assert table.add(every[part], lengths[part], np.full(4, -1e9)).tolist() == [59, 60, 3, 60]
    assert len(table) == 61
    assert table.find(every[[61, 60, 0]]).tolist() == [-1, 60, 0]
    assert table.log_evidence[3] == -3.0 and table.lengths[3, 0] == 3.0


def test_a_better_optimum_replaces_a_worse_one():
    table = TopologyTable(7)
    tree = some(7, 1)
    table.add(tree, np.ones((1, 12)), np.array([-10.0]))
    table.add(tree, np.full((1, 12), 2.0), np.array([-9.0]))
    table.add(tree, np.full((1, 12), 3.0), np.array([-9.5]))
    assert len(table) == 1
    assert table.log_evidence[0] == -9.0
    assert (table.lengths[0] == 2.0).all()


def test_the_table_grows_and_is_saved_whole():
    trees = np.unique(some(12, 2600), axis=0)
    table = TopologyTable(12)
    for start in range(0, len(trees), 500):
        part = slice(start, start + 500)
        size = len(trees[part])
        lengths = np.full((size, 22), start, float)
        table.add(trees[part], lengths, np.arange(start, start + size, dtype=float))
    table.visits[5] = 3
    table.log_q[9], table.n_draws = -2.5, 7
    table.visits[len(table) - 1] = 4
    assert len(table) > 2048
    again = TopologyTable.from_state(12, {k: v.copy() for k, v in table.state().items()})
    assert len(again) == len(table)
    assert again.n_draws == 7 and np.isneginf(table.log_q).sum() == len(table) - 1
    for name in ("parents", "lengths", "log_evidence", "visits", "log_q"):
        assert np.array_equal(getattr(again, name), getattr(table, name)), name
    assert np.array_equal(again.find(trees), table.find(trees))


def test_look_up_evaluates_what_is_missing_and_no_more(primates, make_reward, all_topologies):
    reward, every = make_reward(primates(5)), all_topologies(5)
    table = TopologyTable(5)
    rows = table.look_up(reward, every[[4, 2, 4]])
    assert rows[0] == rows[2] != rows[1] and len(table) == 2
    spent = reward.evaluations
    assert np.array_equal(table.look_up(reward, every[[2, 4]]), rows[[1, 0]])
    assert reward.evaluations == spent
    table.look_up(reward, every)
    assert len(table) == 15
    expected = reward.closed_form(every).log_evidence
    np.testing.assert_allclose(table.log_evidence[table.find(every)], expected, atol=1e-9)
