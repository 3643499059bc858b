"""Fronts and indicators against values by hand and against brute force."""

import numpy as np
import pytest

from gfncore.evaluation.pareto import (
    front_numbers,
    hypervolume,
    igd_plus,
    non_dominated,
    r2_indicator,
    simplex_weights,
)


def dominated_by_any(points):
    return np.array(
        [any((q >= p).all() and (q > p).any() for q in points) for p in points], dtype=bool
    )


def peeled(points):
    """Front numbers by taking one front after another away."""
    numbers, left, current = np.full(len(points), -1), np.arange(len(points)), 0
    while len(left):
        front = ~dominated_by_any(points[left])
        numbers[left[front]] = current
        left, current = left[~front], current + 1
    return numbers


def sliced_volume(points):
    """Hypervolume above the origin, by slices along the last objective."""
    points = points[(points > 0.0).all(axis=1)]
    if len(points) == 0:
        return 0.0
    if points.shape[1] == 1:
        return points.max()
    points = points[np.argsort(-points[:, -1])]
    depth = points[:, -1] - np.append(points[1:, -1], 0.0)
    return sum(d * sliced_volume(points[: i + 1, :-1]) for i, d in enumerate(depth) if d > 0.0)


def random_sets(count):
    """Sets of points with ties and duplicates, half of them with some values of -inf."""
    rng = np.random.default_rng(3)
    for number in range(count):
        n, k, levels = rng.integers(1, 40), rng.integers(1, 6), rng.choice([2, 5, 10**6])
        points = rng.integers(levels, size=(n, k)).astype(float)
        if number % 2:
            points[rng.random((n, k)) < 0.15] = -np.inf
        yield points


def counted_volume(points, cells):
    """Share of the cells of a grid on the unit cube whose upper corner a point reaches."""
    axes = [np.arange(1, cells + 1)] * points.shape[1]
    corners = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, points.shape[1])
    covered = (corners[:, None] <= points[None]).all(axis=2).any(axis=1)
    return covered.sum()


def test_fronts_are_those_of_the_definition():
    for points in random_sets(150):
        assert np.array_equal(non_dominated(points), ~dominated_by_any(points))
        numbers = front_numbers(points)
        assert np.array_equal(numbers, peeled(points)) and numbers.dtype == np.int64


def test_indicators_are_those_of_their_formulas():
    rng = np.random.default_rng(5)
    for points in random_sets(150):
        origin = rng.normal(size=points.shape[1])
        assert hypervolume(points, origin) == pytest.approx(sliced_volume(points - origin))
        front = rng.normal(size=(7, points.shape[1]))
        short = np.maximum(front[:, None] - points[None], 0.0)
        expected = np.sqrt((short**2).sum(axis=2)).min(axis=1).mean()
        assert igd_plus(points, front) == pytest.approx(expected)


def test_equal_points_share_the_front_and_infinite_ones_are_allowed():
    points = np.array([[1.0, 2.0], [1.0, 2.0], [-np.inf, 3.0], [1.0, 1.0]])
    assert non_dominated(points).tolist() == [True, True, True, False]
    assert front_numbers(points).tolist() == [0, 0, 0, 1]
    for k in (1, 2):
        assert non_dominated(np.zeros((0, k))).shape == (0,)
        assert front_numbers(np.zeros((0, k))).shape == (0,)


def test_hypervolume_by_hand():
    steps = np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0], [1.0, 1.0], [-1.0, 9.0]])
    assert hypervolume(steps, np.zeros(2)) == pytest.approx(6.0)
    assert hypervolume(steps, np.array([1.0, 1.0])) == pytest.approx(1.0)
    assert hypervolume(np.array([[0.25]]), np.zeros(1)) == pytest.approx(0.25)
    cubes = np.array([[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]])
    assert hypervolume(cubes, np.zeros(3)) == pytest.approx(4.0)
    assert hypervolume(np.zeros((0, 3)), np.zeros(3)) == 0.0


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_hypervolume_is_the_counted_volume(k):
    points = np.random.default_rng(10 + k).integers(0, 9, size=(25, k)).astype(float)
    assert hypervolume(points, np.zeros(k)) == pytest.approx(counted_volume(points, 9))


def test_igd_plus_by_hand():
    front = np.array([[0.0, 4.0], [4.0, 0.0]])
    assert igd_plus(front, front) == 0.0
    assert igd_plus(front + 1.0, front) == 0.0  # better than the front in all respects
    # short of (0, 4) by 3 in the second; of (4, 0) by 3 in the first
    assert igd_plus(np.array([[1.0, 1.0]]), front) == pytest.approx(3.0)
    assert igd_plus(np.array([[-3.0, 0.0]]), front) == pytest.approx((5.0 + 7.0) / 2)
    assert igd_plus(np.zeros((0, 2)), front) == np.inf


def test_r2_by_hand():
    points = np.array([[1.0, 0.0], [0.0, 1.0]])
    ideal = np.ones(2)
    weights = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert r2_indicator(points, ideal, weights) == pytest.approx((0.0 + 0.5 + 0.0) / 3)


def test_simplex_weights_are_the_lattice():
    weights = simplex_weights(3, 4)
    assert weights.shape == (15, 3)
    assert np.allclose(weights.sum(axis=1), 1.0)
    assert (weights >= 0).all() and len(np.unique(weights, axis=0)) == 15
    assert simplex_weights(1, 5).tolist() == [[1.0]]


def test_what_is_no_table_of_numbers_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        non_dominated(np.zeros(3))
    with pytest.raises(ValueError, match="not all numbers"):
        front_numbers(np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match="2 objectives"):
        hypervolume(np.zeros((3, 2)), np.zeros(3))
