"""The search against all topologies of few taxa; and that its end depends on counts alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.parsimony.scores import ParsimonyScorer
from phylogfn.parsimony.search import RUNS, search
from phylogfn.trees.tree import random_topology

_file = importlib.util.spec_from_file_location(
    "plain_parsimony", Path(__file__).parents[1] / "plain_parsimony.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)


def keys_of(parents, codes):
    return {key.tobytes() for key in topology_keys(np.asarray(parents, np.int16), codes)}


def check_against_all(all_topologies, data, excess, seed):
    n = len(data.masks)
    scorer = ParsimonyScorer(data, 2)
    trees = all_topologies(n)
    scores = np.array(
        [plain.plain_score(t, data.masks, data.weights, data.n_states) for t in trees]
    )
    scores += data.constant_steps
    found = search(scorer, seed, excess=excess)
    assert found.best_score == pytest.approx(scores.min(), rel=1e-12)
    wanted = trees[scores <= scores.min() + excess + 1e-6]
    codes = found.table.codes
    assert found.all_best and found.all_near and not found.capped and not found.out_of_time
    assert np.array_equal(found.table.scores, np.sort(found.table.scores))
    assert found.hits <= found.runs
    return keys_of(found.table.parents, codes), keys_of(wanted, codes)


@pytest.mark.parametrize("n_taxa", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("excess", [0.0, 1.0, 3.0])
def test_all_trees_within_the_excess_are_found(all_topologies, n_taxa, excess):
    rng = np.random.default_rng(n_taxa)
    data = plain.random_characters(rng, n_taxa, 16, 4, 0.1, rng.integers(1, 3, 16))
    found, wanted = check_against_all(all_topologies, data, excess, 1)
    assert found == wanted


@pytest.mark.parametrize("n_states", [2, 20])
def test_fractional_weights_and_many_states(all_topologies, n_states):
    rng = np.random.default_rng(n_states)
    data = plain.random_characters(rng, 6, 14, n_states, 0.1, rng.choice([0.1, 0.7, 1.3], 14))
    found, wanted = check_against_all(all_topologies, data, 0.8, 3)
    assert found == wanted


def test_data_that_say_nothing_leave_all_trees(all_topologies):
    data = plain.random_characters(np.random.default_rng(1), 6, 5)
    data.masks[:] = 1
    found, wanted = check_against_all(all_topologies, data, 0.0, 1)
    assert found == wanted and len(found) == 105


def test_data_that_say_nothing_fill_the_cap():
    data = plain.random_characters(np.random.default_rng(1), 60, 5)
    data.masks[:] = 1
    found = search(ParsimonyScorer(data, 2), 1, cap=300)
    assert found.capped and not found.all_best and len(found.table) == 300
    assert len(keys_of(found.table.parents, found.table.codes)) == 300


def larger(seed=5, n_taxa=30, n_characters=60):
    rng = np.random.default_rng(seed)
    tree = random_topology(n_taxa, rng)
    return plain.evolved_characters(rng, tree, n_characters, change=0.15), tree


def test_the_result_is_that_of_the_seed_and_not_of_the_threads():
    data, tree = larger()
    one, three = ParsimonyScorer(data, 1), ParsimonyScorer(data, 3)
    first, second = search(one, 7, excess=1.0, cap=500), search(three, 7, excess=1.0, cap=500)
    assert one.n_scores == three.n_scores > 1000
    assert first.best_score <= one.scores(tree.parent[None])[0]
    assert first.best_score == second.best_score
    assert (first.runs, first.hits, first.capped) == (second.runs, second.hits, second.capped)
    assert np.array_equal(first.table.parents, second.table.parents)
    assert np.array_equal(first.table.scores, three.scores(first.table.parents))
    other = search(one, 8)
    assert other.best_score == first.best_score


def test_large_trees_and_proteins():
    data, tree = larger(seed=6, n_taxa=80, n_characters=100)
    scorer = ParsimonyScorer(data, 2)
    found = search(scorer, 1, hits=1, cap=50)
    assert found.best_score <= scorer.scores(tree.parent[None])[0]
    rng = np.random.default_rng(3)
    tree = random_topology(20, rng)
    scorer = ParsimonyScorer(plain.evolved_characters(rng, tree, 80, 20), 2)
    assert search(scorer, 1).best_score <= scorer.scores(tree.parent[None])[0]


def test_the_cap_is_told_and_kept():
    data, _ = larger()
    reports = []
    found = search(ParsimonyScorer(data, 2), 1, excess=3.0, cap=40, progress=reports.append)
    assert found.capped and not found.all_near and len(found.table) == 40
    assert {report.stage for report in reports} >= {"ratchet"}
    assert [report.seconds for report in reports] == sorted(report.seconds for report in reports)
    assert all(report.n_trees <= 40 and report.hits <= report.runs for report in reports)


def test_the_budget_ends_a_search_with_a_result():
    data, _ = larger()
    scorer = ParsimonyScorer(data, 2)
    found = search(scorer, 1, excess=2.0, hits=1000, seconds=0.0)
    assert found.out_of_time and not found.all_best and found.runs == RUNS
    assert len(found.table) >= 1
    assert found.table.scores[0] == found.best_score


@pytest.mark.parametrize("wrong", [{"excess": -1.0}, {"excess": np.inf}, {"cap": 0}, {"hits": 0}])
def test_arguments_out_of_range(wrong):
    data, _ = larger()
    with pytest.raises(ValueError, match="must be"):
        search(ParsimonyScorer(data, 1), 1, **wrong)
