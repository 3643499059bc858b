"""Figures that compare sets of trees by their splits."""

from __future__ import annotations

import math
import statistics

import pytest

from phylogfn.trees.comparison import (
    asdsf,
    largest_split_difference,
    mean_robinson_foulds,
    robinson_foulds_splits,
    split_names,
)

A, B, C, D = 0b0110, 0b1100, 0b1010, 0b1110


def test_asdsf_by_hand():
    runs = [{A: 0.9, B: 0.05, C: 0.2}, {A: 0.7, B: 0.09}]
    expected = statistics.fmean([statistics.stdev([0.9, 0.7]), statistics.stdev([0.2, 0.0])])
    assert asdsf(runs) == pytest.approx(expected)


def test_asdsf_counts_a_split_of_exactly_the_minimum():
    assert asdsf([{A: 0.10}, {}]) == pytest.approx(statistics.stdev([0.1, 0.0]))


def test_asdsf_of_equal_runs_is_zero():
    assert asdsf([{A: 0.5}, {A: 0.5}, {A: 0.5}]) == 0.0


def test_asdsf_is_not_a_number_when_no_split_is_frequent():
    assert math.isnan(asdsf([{A: 0.05}, {B: 0.09}]))
    assert math.isnan(asdsf([{}, {}]))


def test_asdsf_of_one_run_is_an_error():
    with pytest.raises(ValueError, match="two runs"):
        asdsf([{A: 1.0}])


def test_largest_difference():
    worst = largest_split_difference([{A: 0.9, B: 0.2}, {A: 0.8}])
    assert worst is not None
    assert (worst.split, worst.lowest, worst.highest) == (B, 0.0, 0.2)
    assert worst.difference == pytest.approx(0.2)
    assert largest_split_difference([{}, {}]) is None


def test_robinson_foulds():
    assert robinson_foulds_splits({A, D}, {A, C}) == 2
    # Trees {A} or {B} with equal chance against {A}: distance 0 or 2.
    assert mean_robinson_foulds({A: 0.5, B: 0.5}, {A: 1.0}) == pytest.approx(1.0)


def test_split_names_give_the_smaller_side():
    names = ("a", "b", "c", "d", "e")
    assert split_names(0b11100, names) == "{a, b}"
    assert split_names(0b00110, names, limit=1) == "{b, and 1 more}"
