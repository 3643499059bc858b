"""A larger share of the fuzzing of all readers: see `tests.fuzzing`, and CONTRIBUTING.md."""

from __future__ import annotations

import os

import pytest

from tests.fuzzing.__main__ import campaign


@pytest.mark.verification
@pytest.mark.long
def test_damaged_inputs_are_read_or_refused_in_one_line():
    counts, failures = campaign(20_000, seed=20261128, processes=len(os.sched_getaffinity(0)))
    assert not failures, [(number, outcome.detail) for number, outcome, _ in failures.values()]
    assert counts.total() == 20_000
