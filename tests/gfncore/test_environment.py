"""The contract, kept by the hypergrid and broken on purpose."""

import numpy as np
import pytest

from gfncore.environment import Actions
from gfncore.evaluation import check_contract
from gfncore.keys import key_bytes, unique_keys


@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize(("side", "dimensions"), [(4, 2), (3, 3)])
def test_hypergrid_keeps_the_contract(hypergrid, side, dimensions, duplicates):
    grid = hypergrid.Hypergrid(side, dimensions, duplicates=duplicates)
    assert check_contract(grid) == side**dimensions


@pytest.mark.parametrize("duplicates", [False, True])
def test_symmetric_hypergrid_keeps_the_contract(hypergrid, duplicates):
    assert check_contract(hypergrid.SymmetricHypergrid(4, duplicates=duplicates)) == 10


def test_a_broken_environment_is_found(hypergrid):
    class Broken(hypergrid.Hypergrid):
        def backward_actions(self, states):
            actions = super().backward_actions(states)
            return Actions(actions.state, actions.action, np.zeros_like(actions.action))

    with pytest.raises(AssertionError, match="one class"):
        check_contract(Broken(3))


def test_classes_are_numbered_over_states():
    actions = Actions(
        np.array([0, 0, 0, 2, 2]), np.array([4, 5, 6, 4, 9]), np.array([1, 0, 1, 7, 7])
    )
    assert actions.class_of_action.tolist() == [1, 0, 1, 2, 2]
    assert actions.first_of_class.tolist() == [1, 0, 3]
    assert actions.state_of_class.tolist() == [0, 0, 2]
    assert actions.classes_per_state(3).tolist() == [2, 0, 1]
    assert actions.find(np.array([2, 0]), np.array([9, 4])).tolist() == [4, 0]
    with pytest.raises(ValueError, match="not legal"):
        actions.find(np.array([1]), np.array([4]))


def test_concat_of_actions_shifts_states():
    part = Actions(np.array([0, 1]), np.array([3, 4]))
    both = Actions.concat([part, part], [3, 2])
    assert both.state.tolist() == [0, 1, 3, 4]
    assert both.class_of_action.tolist() == [0, 1, 2, 3]


def test_unique_keys_uses_all_128_bits():
    keys = np.array([[1, 2], [2, 1], [1, 2], [1, 3]], dtype=np.uint64)
    first, inverse = unique_keys(keys)
    assert np.array_equal(keys[first][inverse], keys)
    assert len(first) == 3
    assert len(set(key_bytes(keys))) == 3
    assert unique_keys(keys[:0])[0].shape == (0,)


def test_parallel_classes_must_be_as_many_on_both_sides(hypergrid):
    class OneSided(hypergrid.Hypergrid):
        def forward_actions(self, states):
            actions = super().forward_actions(states)
            return Actions(actions.state, actions.action)  # duplicates are no longer one class

    with pytest.raises(AssertionError, match="not as many"):
        check_contract(OneSided(3, duplicates=True))


def test_many_labels_are_numbered_as_few_are():
    few = Actions(np.array([0, 0, 1, 1]), np.arange(4), np.array([2, 0, 2, 2]))
    many = Actions(few.state, few.action, few.action_class * 10**9)
    assert many.class_of_action.tolist() == few.class_of_action.tolist() == [1, 0, 2, 2]


def test_what_an_environment_does_not_offer_is_neutral(hypergrid):
    grid = hypergrid.Hypergrid(3)
    states = grid.step(grid.initial(2), np.array([0, 1])).states
    assert not (grid.is_tree or grid.carries_values or grid.is_conditioned or grid.has_objectives)
    assert np.array_equal(grid.labels(states), grid.keys(states))
    assert grid.log_scale(states).tolist() == [0.0, 0.0]
    assert grid.energy(states) is None and grid.condition(states) is None
    assert grid.backstep(states, np.array([0, 1])).values is None
    assert grid.inner is grid
    assert grid.without_temperature(states) is states is grid.with_temperature(states)
    with pytest.raises(TypeError, match="the environment has none"):
        grid.set_temperatures([1.0])
    with pytest.raises(TypeError, match="the environment has none"):
        grid.objectives(states)
    with pytest.raises(TypeError, match="carry none"):
        grid.value_features(states, np.array([0, 1]))
