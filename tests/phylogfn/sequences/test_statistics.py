"""Statistics of alignments, beside plain versions and those of other programs."""

from __future__ import annotations

import itertools
from collections import Counter
from math import log

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from phylogfn.sequences.statistics import (
    composition_chi_squared,
    multinomial_log_likelihood,
    parsimony_score,
    single_states,
    variable_sites,
)
from phylogfn.trees.tree import postorder, random_topology


@pytest.fixture
def states():
    rng = np.random.default_rng(1)
    found = rng.integers(4, size=(7, 60)).astype(np.int8)
    found[:, :20] = found[0, :20]
    found[rng.random(found.shape) < 0.1] = -1
    return found


def test_cells_with_several_states_are_missing():
    masks = np.array([[1, 2, 4, 8, 15, 5]], np.uint32)
    assert single_states(masks, 4).tolist() == [[0, 1, 2, 3, -1, -1]]


def test_composition_is_the_statistic_of_a_contingency_table(states):
    counts = [[int((row == state).sum()) for state in range(4)] for row in states]
    expected = chi2_contingency(counts, correction=False).statistic
    assert composition_chi_squared(states, 4) == pytest.approx(expected)
    # a state that no taxon has does not count
    assert composition_chi_squared(states, 5) == pytest.approx(expected)
    assert composition_chi_squared(np.full((3, 4), -1, np.int8), 4) == 0.0


def test_multinomial_likelihood_counts_equal_columns(states):
    counts = Counter(map(tuple, states.T.tolist()))
    expected = sum(n * log(n / 60) for n in counts.values())
    assert multinomial_log_likelihood(states) == pytest.approx(expected)
    assert multinomial_log_likelihood(np.zeros((3, 8), np.int8)) == 0.0


def test_variable_sites_have_two_states_or_more(states):
    expected = sum(len(set(column) - {-1}) > 1 for column in states.T.tolist())
    assert variable_sites(states) == expected > 20
    assert variable_sites(np.full((3, 4), -1, np.int8)) == 0


def test_parsimony_score_is_the_fewest_changes():
    rng = np.random.default_rng(2)
    for seed in range(5):
        tree = random_topology(5, np.random.default_rng(seed))
        found = rng.integers(3, size=(5, 6)).astype(np.int8)
        found[rng.random(found.shape) < 0.15] = -1
        expected = 0
        for column in found.T.tolist():
            least = 99
            free = [v for v in range(8) if v >= 5 or column[v] < 0]
            for choice in itertools.product(range(3), repeat=len(free)):
                value = [*column, -1, -1, -1]
                for v, state in zip(free, choice, strict=True):
                    value[v] = state
                changes = sum(value[v] != value[tree.parent[v]] for v in range(1, 8))
                least = min(least, changes)
            expected += least
        assert parsimony_score(found, tree.children, postorder(tree).tolist()) == expected
