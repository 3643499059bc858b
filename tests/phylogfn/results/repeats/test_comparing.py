"""Comparison of repeated runs: figures, limits and words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from phylogfn.results.posterior_data import split_table
from phylogfn.results.repeats.agreement import RunComparison
from phylogfn.results.repeats.comparing import compare_runs
from phylogfn.results.warnings import verdict, verdict_reasons
from phylogfn.trees.comparison import SplitDifference
from phylogfn.trees.keys import UnionOfTopologies, keys_of
from phylogfn.trees.splits import SplitProbabilities
from phylogfn.trees.tree import random_topology

AGREEING = RunComparison(
    log_evidences=(-7.0, -7.1),
    standard_errors=(0.1, 0.1),
    failed=(False, False),
    asdsf=0.004,
    asdsf_limit=0.01,
    split=SplitDifference(0b0110, 0.5, 0.53),
    split_limit=0.05,
    divergence=0.001,
    unshared=(0.0, 0.02),
)
NAMES = ("ant", "bee", "cat", "dog", "eel")


def renumbered(parents, rng):
    """The same topologies with their inner nodes numbered in another order."""
    n_nodes = parents.shape[1]
    n = n_nodes // 2 + 1
    out = np.empty_like(parents)
    for row, new in zip(parents, out, strict=True):
        number = np.concatenate([np.arange(n), n + rng.permutation(n_nodes - n), [-1]])
        new[number[:-1]] = number[row]
    return out


def with_splits(posterior, error):
    """The posterior with split probabilities of the listed topologies and one error of all."""
    supports = split_table(posterior).supports
    values = np.array(list(supports.values()))
    found = SplitProbabilities(tuple(supports), values, np.full(len(values), error))
    return replace(posterior, split_probabilities=found)


def test_runs_that_agree(make_posterior):
    first = with_splits(make_posterior(), 0.002)
    second = replace(first, log_evidence=first.log_evidence + 0.03)
    found = compare_runs([first, second], [False, False])
    assert found.agree and found.doubts(first.names) == ()
    assert found.difference == pytest.approx(0.03)
    assert found.difference_in_errors == pytest.approx(0.03 / math.hypot(0.02, 0.02))
    assert (found.asdsf, found.asdsf_limit, found.divergence) == (0.0, 0.01, 0.0)
    assert found.unshared == (0.0, 0.0)
    assert "2 independent runs agree" in found.confirmation
    assert "0.030 nats (1.1 standard errors)" in found.confirmation


def test_figures_of_other_probabilities_by_hand(make_posterior):
    """One topology has another probability in a run whose nodes are numbered otherwise."""
    p, q = np.array([0.6, 0.4]), np.array([0.5, 0.5])
    first = make_posterior(n_topologies=2, topology_probabilities=p)
    parents = renumbered(first.topology_parents, np.random.default_rng(3))
    second = replace(first, topology_parents=parents, topology_probabilities=q)
    found = compare_runs([with_splits(first, 0.01), with_splits(second, 0.01)], [False, False])
    middle = (p + q) / 2
    expected = 0.5 * (p @ np.log(p / middle) + q @ np.log(q / middle))
    assert found.divergence == pytest.approx(expected)
    supports = [split_table(run).supports for run in (first, second)]
    spreads = [abs(supports[0][s] - supports[1].get(s, 0.0)) / math.sqrt(2.0) for s in supports[0]]
    assert found.asdsf == pytest.approx(np.mean(spreads))
    assert found.split is not None and found.split.difference == pytest.approx(0.1)
    assert found.unshared == (0.0, 0.0)


def test_limits_follow_from_the_errors_of_the_splits(make_posterior):
    """The average of many pairs of runs with these errors lies at half of the limit."""
    run = make_posterior(names=tuple(f"t{i}" for i in range(60)), n_topologies=40)
    exact = with_splits(run, 0.0).split_probabilities
    assert exact is not None
    rng = np.random.default_rng(5)
    error, values = 0.02, []
    limit = math.nan
    for _ in range(20):
        noisy = [
            replace(
                run,
                split_probabilities=SplitProbabilities(
                    exact.splits,
                    0.5 + error * rng.normal(size=len(exact.splits)),
                    np.full(len(exact.splits), error),
                ),
            )
            for _ in range(2)
        ]
        found = compare_runs(noisy, [False, False])
        values.append(found.asdsf)
        limit = found.asdsf_limit
        assert found.splits_agree
    assert np.mean(values) == pytest.approx(limit / 2, rel=0.05)


def test_two_groups_of_trees_of_the_same_evidence_are_told(make_posterior):
    first = with_splits(make_posterior(n_topologies=1, seed=1), 0.001)
    second = with_splits(make_posterior(n_topologies=1, seed=2), 0.001)
    found = compare_runs([first, second], [False, False])
    assert found.evidences_agree and not found.splits_agree
    assert found.unshared == pytest.approx((1.0, 1.0))
    assert found.divergence == pytest.approx(math.log(2.0))
    (doubt,) = found.doubts(first.names)
    for words in (
        "found different clades",
        "(ASDSF, should be below 0.010)",
        "0.00 in one",
        "1.00",
    ):
        assert words in doubt


def test_a_lower_evidence_is_the_suspect():
    low = replace(AGREEING, log_evidences=(-7.0, -9.0))
    (doubt,) = low.doubts(NAMES)
    assert "differ by 2.00 nats, 14.1 standard errors" in doubt
    assert "run 2 has probably missed a part of the posterior" in doubt
    assert low.better == 0 and not low.agree
    missed = replace(low, log_evidences=(-9.0, -7.0), asdsf=0.2, unshared=(0.1, 0.4))
    first, second = missed.doubts(NAMES)
    assert "run 1 has missed trees that have 40% of the probability in run 2" in first
    assert "{bee, cat} is 0.50 in one and 0.53 in another" in second
    assert missed.better == 1


def test_the_run_of_the_smaller_error_is_better_where_both_agree():
    assert AGREEING.better == 0
    assert replace(AGREEING, standard_errors=(0.1, 0.08)).better == 1
    assert replace(AGREEING, standard_errors=(0.1, 0.08), failed=(False, True)).better == 0


def test_tiny_differences_are_not_compared_with_tiny_errors():
    close = replace(AGREEING, log_evidences=(-7.0, -7.0005), standard_errors=(0.0, 1e-6))
    assert close.difference_in_errors == 0.0 and close.agree
    apart = replace(close, log_evidences=(-7.0, -7.1), standard_errors=(0.0, 0.0))
    assert apart.difference_in_errors == math.inf and not apart.agree


def test_a_failed_run_is_told_and_not_compared(make_posterior):
    first = with_splits(make_posterior(), 0.001)
    second = make_posterior(seed=2, ess=2.0, log_evidence=-7000.0, log_evidence_se=math.inf)
    found = compare_runs([first, second], [False, True])
    assert found.difference == 0.0 and math.isnan(found.asdsf) and found.split is None
    (doubt,) = found.doubts(first.names)
    assert doubt.startswith("Run 2 failed")


def test_of_several_runs_the_furthest_two_count():
    three = replace(
        AGREEING,
        log_evidences=(-7.0, -7.1, -8.0),
        standard_errors=(0.1, 0.1, 1.0),
        failed=(False,) * 3,
        unshared=(0.0,) * 3,
    )
    assert three.furthest == (2, 0)  # 0.995 errors; the first two 0.71
    assert replace(three, standard_errors=(0.1, 0.1, 9.0)).furthest == (1, 0)


def test_the_summary_has_all_figures():
    found = AGREEING.as_dict(NAMES)
    assert found["agree"] is True and found["better_run"] == 1
    assert found["log_evidences"] == [-7.0, -7.1]
    assert found["split"] == "{bee, cat}"
    assert found["split_difference"] == pytest.approx(0.03)
    assert replace(AGREEING, split=None).as_dict(NAMES)["split"] is None


def test_verdicts_of_several_runs(make_posterior):
    run = make_posterior()
    both = replace(run, runs=(run, run), comparison=AGREEING)
    assert verdict(both) == "trusted"
    assert verdict_reasons(both) == (AGREEING.confirmation,)
    apart = replace(both, comparison=replace(AGREEING, asdsf=0.3))
    assert verdict(apart) == "doubtful"
    assert "different clades" in verdict_reasons(apart)[0]
    bad = replace(run, ess=1.0)
    assert verdict(replace(both, runs=(bad, bad))) == "failed"
    one = replace(both, runs=(run, bad), comparison=replace(AGREEING, failed=(False, True)))
    assert verdict(one) == "doubtful" and "Run 2 failed" in verdict_reasons(one)[0]


def test_verdict_of_a_single_run(make_posterior):
    assert verdict(make_posterior()) == "unconfirmed"
    (reason,) = verdict_reasons(make_posterior())
    assert "--runs 2" in reason
    (reason,) = verdict_reasons(make_posterior(pareto_k=0.9))
    assert "Pareto k" in reason


def test_union_of_lists_that_number_their_nodes_differently():
    rng = np.random.default_rng(7)
    trees = np.array([random_topology(9, rng).parent for _ in range(6)], np.int32)
    again = renumbered(trees[[4, 1]], rng)
    assert np.array_equal(keys_of(again), keys_of(trees[[4, 1]]))
    found = UnionOfTopologies.from_lists([trees[:4], np.concatenate([again, trees[5:]])])
    assert np.array_equal(found.parents, np.concatenate([trees[:4], again[:1], trees[5:]]))
    assert [rows.tolist() for rows in found.rows] == [[0, 1, 2, 3], [4, 1, 5]]
    values = found.spread([np.arange(4.0), np.array([7.0, 8.0, 9.0])], fill=-1.0)
    assert values.tolist() == [[0, 1, 2, 3, -1, -1], [-1, 8, -1, -1, 7, 9]]
