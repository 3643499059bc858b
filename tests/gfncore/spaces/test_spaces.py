"""Small spaces: their contracts, their sizes, and rewards beside plain formulas."""

import itertools
import math

import numpy as np
import pytest

from gfncore.environment import OneHot
from gfncore.evaluation import check_contract, exact_distribution
from gfncore.keys import unique_keys
from gfncore.spaces import Bags, BitSequences, Hypergrid
from gfncore.spaces.vectors import vector_keys


@pytest.mark.parametrize(
    ("space", "n_objects"),
    [
        (Hypergrid(8), 64),
        (Hypergrid(3, 4), 81),
        (BitSequences(6, 2), 2**6),
        (BitSequences(6, 3, any_order=False), 2**6),
        (BitSequences(4, 1), 2**4),
        (Bags(5, 4), math.comb(5 + 3, 3)),
        (Bags(3, 1), 1),
    ],
)
def test_spaces_keep_the_contract(space, n_objects):
    assert check_contract(space) == n_objects
    uniform = exact_distribution(space, space.make_policy(hidden=8, rounds=1))
    assert uniform.probability.sum() == pytest.approx(1.0)
    assert np.allclose(uniform.probability, exact_distribution(space).probability, atol=1e-6)


def test_a_contract_of_one_hot_states_is_checked():
    class OtherActions(Hypergrid):
        def one_hot(self, states):
            values, base, legal = super().one_hot(states) or pytest.fail()
            return OneHot(values, base, np.ones_like(legal))

    class OtherValues(Hypergrid):
        def one_hot(self, states):
            values, base, legal = super().one_hot(states) or pytest.fail()
            return OneHot(values[:, ::-1], base, legal)

    class OtherGraphs(Hypergrid):
        def _graph(self, states, actions):
            return super()._graph(states.take(np.arange(len(states))), actions)

    assert OtherGraphs(3).one_hot(OtherGraphs(3).initial(2)) is None
    with pytest.raises(AssertionError, match="other actions"):
        check_contract(OtherActions(3))
    with pytest.raises(AssertionError, match="other features"):
        check_contract(OtherValues(3))


def test_rewards_of_hypergrids():
    grid = Hypergrid(7, 3, floor=0.01, plateau=0.4, peak=1.5)
    found = exact_distribution(grid).terminals
    for cell, log_reward in zip(found.values, grid.log_reward(found), strict=True):
        away = [abs(x / 6 - 0.5) for x in cell]
        reward = 0.01 + 0.4 * all(a > 0.25 for a in away) + 1.5 * all(0.3 < a < 0.4 for a in away)
        assert log_reward == pytest.approx(math.log(reward))
    peaks = grid.log_reward(found) > math.log(1.5)
    assert np.count_nonzero(peaks) == 2**3


def test_rewards_of_bit_sequences():
    space = BitSequences(6, 3, modes=3, sharpness=0.7, seed=5)
    found = exact_distribution(space).terminals
    texts = {tuple(bits) for bits in space.sequences(found).astype(int)}
    assert texts == set(itertools.product((0, 1), repeat=6))
    for bits, log_reward in zip(space.sequences(found), space.log_reward(found), strict=True):
        nearest = min(
            sum(a != b for a, b in zip(bits, mode, strict=True)) for mode in space.mode_bits
        )
        assert log_reward == pytest.approx(-0.7 * nearest)
    written = space.step(space.initial(1), np.array([0b101])).states
    written = space.step(written, np.array([1 * 8 + 0b011])).states
    assert space.sequences(written).astype(int).tolist() == [[1, 0, 1, 0, 1, 1]]


def test_rewards_of_bags():
    space = Bags(4, 3, coupling=2.0, seed=1)
    found = exact_distribution(space).terminals
    assert (found.values.sum(axis=1) == 4).all()
    for bag, log_reward in zip(found.values, space.log_reward(found), strict=True):
        energy = sum(space.single[k] * bag[k] for k in range(3))
        energy += 0.5 * sum(space.pairs[k, j] * bag[k] * bag[j] for k in range(3) for j in range(3))
        assert log_reward == pytest.approx(2.0 * energy / 4)
    assert np.array_equal(space.pairs, space.pairs.T)


def test_keys_are_distinct_or_refused():
    vectors = np.array(list(itertools.product(range(4), repeat=5)))
    assert len(unique_keys(vector_keys(vectors, 4))[0]) == 4**5
    large = np.zeros((40, 40), np.int64)
    large[np.arange(40), np.arange(40)] = 6
    assert len(unique_keys(vector_keys(large, 7))[0]) == 40
    with pytest.raises(ValueError, match="more than there are keys"):
        vector_keys(np.zeros((1, 60), np.int64), 7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hypergrid(1), "side of 2"),
        (lambda: Hypergrid(8, floor=0.0), "floor above 0"),
        (lambda: BitSequences(7, 2), "7 bits"),
        (lambda: Bags(0, 3), "0 and 3"),
        (lambda: BitSequences(400, 2), "keys of 128 bits"),
    ],
)
def test_spaces_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
