"""An exhaustive check that an environment keeps the contract of `gfncore.environment`.

For the tests of every environment, on its small spaces: each state is visited.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gfncore.environment import Actions, Environment
from gfncore.keys import unique_keys

__all__ = ["check_contract"]


def check_contract(environment: Environment, largest: int = 100_000, starts: int = 1) -> int:
    """Visit all states, check actions, keys, classes, inverses and graphs, and return a count.

    Parameters
    ----------
    environment : Environment
    largest : int
        Maximum number of states to visit.
    starts : int
        Number of distinct states s_0: 1, or the number of temperatures if states have one.

    Returns
    -------
    int
        Number of distinct terminal states (by key).

    Raises
    ------
    AssertionError
        If a requirement is violated; the message names it.
    """
    level = environment.initial(starts)
    assert len(environment.backward_actions(level)) == 0, "s_0 has a backward action"
    assert len(unique_keys(environment.keys(level))[0]) == starts, "states s_0 are not distinct"
    visited, terminal_keys = starts, []
    while len(level):
        actions = environment.forward_actions(level)
        _check_actions(environment, level, actions)
        _check_stops(environment, level, actions)
        _check_one_hot(environment, level, actions)
        parents = level.take(actions.state)
        children, undo, _ = environment.step(parents, actions.action)
        _check_classes(environment, actions, children)
        _check_undone(environment, parents, children, undo)
        _check_parents(environment, level, actions, children)
        first, _ = unique_keys(environment.keys(children))
        distinct = children.take(first)
        visited += len(distinct)
        assert visited <= largest, f"more than {largest} states"
        finished = environment.is_terminal(distinct)
        ended = distinct.take(np.flatnonzero(finished))
        if len(ended):
            terminal_keys.append(environment.keys(ended))
            log_reward = environment.log_reward(ended)
            assert log_reward.shape == (len(ended),), "log_reward is not one number a state"
            assert not np.isnan(log_reward).any(), "log_reward is NaN"
            assert len(environment.forward_actions(ended)) == 0, "a terminal state can go on"
        level = distinct.take(np.flatnonzero(~finished))
    return len(unique_keys(np.concatenate(terminal_keys))[0])


def _check_actions(environment: Environment, states: Any, actions: Actions) -> None:
    assert (np.diff(actions.state) >= 0).all(), "actions are not sorted by state"
    assert (np.bincount(actions.state, minlength=len(states)) > 0).all(), "a dead end"
    graph = environment.graph(states)
    assert np.array_equal(graph.action_state.numpy(), actions.state), (
        "the graph's actions are not those of forward_actions"
    )
    n_graphs = len(graph.graph_type)
    assert n_graphs == len(states) or (n_graphs < len(states) and graph.action_bias is None), (
        "not one graph a state"
    )
    nodes = np.bincount(graph.node_graph.numpy(), minlength=n_graphs)
    assert (nodes > 0).all() and (np.diff(graph.node_graph.numpy()) >= 0).all(), "bad node_graph"
    if graph.action_bias is not None:
        assert bool(graph.action_bias.isfinite().all()), "action_bias is not finite"


def _check_stops(environment: Environment, states: Any, actions: Actions) -> None:
    stop = environment.stop_actions(states)
    if stop is None:
        return
    rows = np.flatnonzero(stop >= 0)
    actions.find(rows, stop[rows])
    finished = environment.step(states.take(rows), stop[rows]).states
    assert environment.is_terminal(finished).all(), "a stop action does not finish a state"
    back = environment.backward_actions(finished)
    assert (back.classes_per_state(len(rows)) == 1).all(), "a stop can be undone in several ways"


def _check_one_hot(environment: Environment, states: Any, actions: Actions) -> None:
    seen = environment.one_hot(states)
    if seen is None:
        return
    graph, n, d = environment.graph(states), len(states), seen.values.shape[1]
    legal = np.nonzero(seen.legal)
    assert np.array_equal(legal, [actions.state, actions.action]), "one_hot has other actions"
    assert len(actions.first_of_class) == len(actions), "one_hot has actions that share a class"
    expected = np.zeros((n, d * seen.base))
    np.put_along_axis(expected, seen.values + seen.base * np.arange(d), 1.0, axis=1)
    assert np.array_equal(graph.node_features.numpy(), expected), "one_hot has other features"
    plain = graph.action_bias is None and graph.action_head is None and not len(graph.edge_type)
    assert plain and not graph.graph_type.any(), "one_hot leaves out a part of the graph"
    column = graph.action_column
    assert column is not None and np.array_equal(column.numpy(), actions.action), (
        "codes of actions of one_hot are not columns of the head"
    )


def _links(state: np.ndarray, keys: np.ndarray, classes: np.ndarray) -> dict[tuple, int]:
    """Return the number of classes of a state that lead to each key."""
    joint = np.column_stack([state.astype(np.uint64), keys, classes.astype(np.uint64)])
    links: dict[tuple, int] = {}
    for one in np.unique(joint, axis=0):
        place = tuple(int(x) for x in one[:3])
        links[place] = links.get(place, 0) + 1
    return links


def _check_classes(environment: Environment, actions: Actions, children: Any) -> None:
    """Check that actions of one class lead to isomorphic states."""
    links = _links(actions.state, environment.keys(children), actions.class_of_action)
    n_classes = len(actions.first_of_class)
    assert sum(links.values()) == n_classes, "actions of one class lead to different states"


def _check_undone(environment: Environment, parents: Any, children: Any, undo: np.ndarray) -> None:
    again = environment.backstep(children, undo).states
    same = environment.keys(again) == environment.keys(parents)
    assert same.all(), "backstep does not undo step"
    back = environment.backward_actions(children)
    back.find(np.arange(len(children)), undo)
    every = children.take(back.state)
    before, redo, _ = environment.backstep(every, back.action)
    after = environment.step(before, redo).states
    same = environment.keys(after) == environment.keys(every)
    assert same.all(), "step does not undo backstep"
    environment.forward_actions(before).find(np.arange(len(before)), redo)
    _check_classes(environment, back, before)


def _check_parents(environment: Environment, level: Any, actions: Actions, children: Any) -> None:
    """Check that two states have as many backward as forward classes."""
    own, child_keys = environment.keys(level), environment.keys(children)
    first, _ = unique_keys(child_keys)
    distinct = children.take(first)
    back = environment.backward_actions(distinct)
    before = environment.backstep(distinct.take(back.state), back.action).states
    parents = environment.keys(before)
    forward = _links(actions.state, child_keys, actions.class_of_action)
    backward = _links(back.state, parents, back.class_of_action)
    names = {tuple(int(x) for x in key): i for i, key in enumerate(own)}
    children_of = [tuple(int(x) for x in key) for key in environment.keys(distinct)]
    turned: dict[tuple, int] = {}
    for (child, *parent), count in backward.items():
        row = names.get(tuple(parent))
        assert row is not None, "a parent of a state of this level is not on the level before"
        turned[(row, *children_of[child])] = count
    assert turned == forward, "backward classes and forward classes are not as many"
    if environment.is_tree:
        assert (back.classes_per_state(len(distinct)) == 1).all(), (
            "is_tree, but a state has several parents"
        )
