"""Arrays of checkpoints: what a kernel could not take is refused in one line."""

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.kernels.topology_numba import children_batch
from phylogfn.runs.stored_arrays import (
    check_parameters,
    check_parsimony_state,
    check_sample_state,
    check_topologies,
)
from phylogfn.trees.tree import random_topology

N = 6


def trees(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([random_topology(N, rng).parent for _ in range(count)], np.int16)


def sample_arrays():
    """What a run of 6 taxa with 3 topologies and 2 replicas would store."""
    parents, nodes = trees(3), 2 * N - 2
    walkers = parents[:2].astype(np.int32)
    return {
        "table/parents": parents,
        "table/lengths": np.full((3, nodes), 0.1, np.float32),
        "table/log_evidence": np.zeros(3),
        "table/visits": np.zeros(3, np.int64),
        "table/searches": np.array([0, 1, 3], np.uint8),
        "table/log_q": np.full(3, -np.inf),
        "table/n_draws": np.array([7]),
        "walkers/parent": walkers,
        "walkers/children": children_batch(parents[:2]),
        "walkers/lengths": np.full((2, nodes), 0.1),
        "walkers/highest": np.array([-7.0, -np.inf]),
        "walkers/idle": np.array([0, 40]),
        "walkers/ends": np.array([-8.0, -7.0, -9.0]),
        "walkers/age": np.array([80, 200]),
        "walkers/log_evidence": np.zeros(2),
        "walkers/row": np.array([0, 2]),
        "order": np.arange(N)[::-1].copy(),
        "rates/codes": np.arange(N, dtype=np.uint64),
        "rates/smoothing": np.array([0.1]),
        "rates/table": np.zeros(8, np.uint64),
        "rates/total": np.zeros(8),
        "rates/taken": np.zeros(8),
        "features/mean": np.zeros(4, np.float32),
        "features/basis": np.zeros((4, 2), np.float32),
    }


def test_what_a_run_stores_passes():
    check_sample_state(sample_arrays(), N, 2, "here")
    check_parameters({"theta": np.zeros(3)}, 3, "here")
    scores = {"table/parents": trees(3), "table/scores": np.array([1.0, 2.0, 2.0])}
    check_parsimony_state(scores, N, "here")
    pilots = {
        "pilots/betas": np.ones(2),
        "pilots/ess": np.ones((3, 2)),
        "pilots/parents": trees(4),
        "pilots/cycle": np.array([0, 1, 2, 2]),
        "pilots/place": np.array([0, 1, 1, 0]),
        "pilots/log_weights": np.zeros(4),
    }
    check_parsimony_state(scores | pilots, N, "here")
    for name, bad in (("cycle", 3), ("place", 2), ("cycle", -1)):
        wrong = pilots[f"pilots/{name}"].copy()
        wrong[0] = bad
        with pytest.raises(UserError, match=f"'pilots/{name}' has values from"):
            check_parsimony_state(scores | pilots | {f"pilots/{name}": wrong}, N, "here")


@pytest.mark.parametrize("name", sorted(sample_arrays()))
def test_an_array_of_another_type_or_shape_is_refused(name):
    arrays = sample_arrays()
    others = [arrays[name].astype(np.complex64), np.concatenate([arrays[name], arrays[name]])]
    for other in (*others, arrays[name][None], arrays[name][..., None]):
        if name in ("features/mean", "features/basis") and other.ndim == arrays[name].ndim:
            other = other[:1]
        if name == "walkers/ends" and other.dtype == float and other.ndim == 1:
            continue  # of any length
        with pytest.raises(UserError, match="^here: '"):
            check_sample_state(arrays | {name: other}, N, 2, "here")
    del arrays[name]
    if not name.startswith(("order",)):
        with pytest.raises(UserError, match="^here: the array .* is missing|^here: 'rates"):
            check_sample_state(arrays, N, 2, "here")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("table/parents", 2 * N - 2, "has values from"),
        ("table/parents", -2, "has values from"),
        ("table/lengths", np.nan, "not finite"),
        ("table/lengths", -0.1, "has values from"),
        ("table/log_evidence", -np.inf, "not finite"),
        ("table/log_q", np.nan, "not finite"),
        ("table/log_q", np.inf, "not finite"),
        ("table/visits", -1, "has values from"),
        ("walkers/row", 3, "has values from 2 to 3, and 0 to 2 were expected"),
        ("walkers/children", 2 * N - 2, "has values from"),
        ("walkers/children", 3, "are not those of"),
        ("order", 2, "is not an order"),
        ("rates/total", -1.0, "has values from"),
        ("features/basis", np.inf, "not finite"),
    ],
)
def test_values_that_a_kernel_could_not_take_are_refused(name, value, words):
    arrays = sample_arrays()
    arrays[name].flat[0] = value
    with pytest.raises(UserError, match=words):
        check_sample_state(arrays, N, 2, "here")


def test_a_full_table_of_rates_is_refused():
    arrays = sample_arrays()
    arrays["rates/table"][:] = 1
    with pytest.raises(UserError, match="2\\^k places, one empty"):
        check_sample_state(arrays, N, 2, "here")


def test_every_exchange_of_a_parent_is_judged_as_by_a_walk_through_the_tree():
    def is_tree(parent):
        children = [[i for i, p in enumerate(parent) if p == v] for v in range(len(parent))]
        wanted = [1] + [0] * (N - 1) + [2] * (N - 2)
        if parent[0] != -1 or [len(c) for c in children] != wanted:
            return False
        seen, todo = set(), [0]
        while todo:
            v = todo.pop()
            seen.add(v)
            todo += children[v]
        return len(seen) == len(parent)

    judged = {True: 0, False: 0}
    rng = np.random.default_rng(1)
    for tree in trees(40):
        for _ in range(40):
            other = tree.copy()
            i, j = rng.integers(len(tree), size=2)
            other[i], other[j] = other[j], other[i]
            good = is_tree(other.tolist())
            judged[good] += 1
            if good:
                check_topologies(other[None], N, "here")
            else:
                with pytest.raises(UserError, match="not all are binary trees of 6 taxa"):
                    check_topologies(np.array([tree, other]), N, "here")
    assert min(judged.values()) > 100
