"""An exhaustive check that an environment keeps the contract of `gfncore.environment`.

For the tests of every environment, on its small spaces: each state is visited.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gfncore.environment import Actions, Environment
from gfncore.keys import unique_keys

__all__ = ["check_contract"]


def check_contract(environment: Environment, largest: int = 100_000) -> int:
    """Walk all states and check actions, keys, classes, inverses and graphs.

    Parameters
    ----------
    environment : Environment
    largest : int
        Most states to visit.

    Returns
    -------
    int
        Number of distinct terminal states (by key).

    Raises
    ------
    AssertionError
        Says which promise does not hold.
    """
    level = environment.initial(1)
    assert len(environment.backward_actions(level)) == 0, "s_0 has a backward action"
    visited, terminal_keys = 1, []
    while len(level):
        actions = environment.forward_actions(level)
        _check_actions(environment, level, actions)
        parents = level.take(actions.state)
        children = environment.step(parents, actions.action)
        _check_classes(environment, actions, children)
        _check_undone(environment, parents, actions.action, children)
        first, inverse = unique_keys(environment.keys(children))
        distinct = children.take(first)
        _check_parents(environment, distinct, inverse, environment.keys(parents))
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
    assert len(graph.graph_type) == len(states), "not one graph a state"
    nodes = np.bincount(graph.node_graph.numpy(), minlength=len(states))
    assert (nodes > 0).all() and (np.diff(graph.node_graph.numpy()) >= 0).all(), "bad node_graph"
    if graph.action_bias is not None:
        assert bool(graph.action_bias.isfinite().all()), "action_bias is not finite"


def _check_classes(environment: Environment, actions: Actions, children: Any) -> None:
    """Two actions of a state share a class if and only if their children share a key."""
    _, child = unique_keys(environment.keys(children))
    pair = np.stack([actions.state, child], axis=1).astype(np.uint64)
    _, by_key = unique_keys(pair)
    joint = np.stack([by_key, actions.class_of_action], axis=1)
    kinds = len(np.unique(joint, axis=0))
    assert kinds == by_key.max() + 1 == actions.class_of_action.max() + 1, (
        "classes of actions and keys of children do not agree"
    )


def _check_undone(environment: Environment, parents: Any, codes: np.ndarray, children: Any) -> None:
    undo = environment.backward_of_forward(parents, codes)
    again = environment.backstep(children, undo)
    same = environment.keys(again) == environment.keys(parents)
    assert same.all(), "backstep does not undo step"
    back = environment.backward_actions(children)
    back.find(np.arange(len(children)), undo)
    every = children.take(back.state)
    redo = environment.forward_of_backward(every, back.action)
    before = environment.backstep(every, back.action)
    after = environment.step(before, redo)
    same = environment.keys(after) == environment.keys(every)
    assert same.all(), "the action of forward_of_backward does not undo backstep"
    environment.forward_actions(before).find(np.arange(len(before)), redo)
    _check_classes(environment, back, before)


def _check_parents(
    environment: Environment, distinct: Any, inverse: np.ndarray, parent_keys: np.ndarray
) -> None:
    """The number of parents of a state is the number of its backward classes."""
    _, parent = unique_keys(parent_keys)
    links = np.unique(np.stack([inverse, parent], axis=1), axis=0)
    found = np.bincount(links[:, 0], minlength=len(distinct))
    back = environment.backward_actions(distinct)
    claimed = back.classes_per_state(len(distinct))
    assert np.array_equal(found, claimed), "backward classes and parents are not as many"
    if environment.is_tree:
        assert (found == 1).all(), "is_tree, but a state has several parents"
