"""Agreement of independent searches, on tables made up for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from phylogfn.exploration.agreement import compare_searches
from phylogfn.exploration.topologies import TopologyTable


@pytest.fixture
def compare(all_topologies):
    """Return a function of the log evidence of all trees of 7 taxa and what each search found."""
    every = all_topologies(7)

    def make(log_evidence, first, second):
        table = TopologyTable(7)
        lengths = np.zeros(every.shape)
        table.add(every, lengths, np.broadcast_to(log_evidence, len(every)).astype(float))
        table.searches[first] |= 1
        table.searches[second] |= 2
        return compare_searches(table, np.random.default_rng(1))

    make.n = len(every)
    return make


def test_searches_that_found_all(compare):
    log_evidence = np.random.default_rng(1).normal(-5000.0, 3.0, compare.n)
    best = np.argsort(-log_evidence)[:200]
    found = compare(log_evidence, best, best)
    assert found.agree and found.log_mass_difference == 0.0 and found.asdsf < 0.01
    share = np.exp(logsumexp(log_evidence[best]) - logsumexp(log_evidence))
    assert found.first_share == found.second_share == pytest.approx(share)
    assert found.as_dict()["searches_agree"] is True


def test_an_island_that_one_search_missed(compare):
    log_evidence = np.full(compare.n, -900.0)
    log_evidence[:3] = -100.0
    log_evidence[-3:] = -100.0
    found = compare(log_evidence, [0, 1, 2, -1, -2, -3], [0, 1, 2])
    assert not found.agree
    assert found.first_share == pytest.approx(1.0) and found.second_share == pytest.approx(0.5)
    assert found.log_mass_difference == pytest.approx(np.log(2))
    assert found.split_difference == pytest.approx(0.5, abs=0.01) and found.asdsf > 0.1
    assert "one found 100.0%, the other 50.0%" in found.warning
    # each search on an island of its own: equal masses do not make them agree
    assert not compare(log_evidence, [0, 1, 2], [-1, -2, -3]).agree


def test_searches_of_a_posterior_too_wide_to_be_found_whole(compare):
    rng = np.random.default_rng(2)
    first, second = rng.permutation(compare.n)[:700].reshape(2, -1)
    found = compare(-1000.0, first, second)
    assert found.first_share < 0.4 and found.agree and found.asdsf < 0.05
