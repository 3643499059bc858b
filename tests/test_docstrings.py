"""The examples of docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        ("gfncore.evaluation.partition_estimate", 4),
        ("gfncore.evaluation.resampling", 0),
        ("gfncore.program.library_call", 1),
        ("phylogfn.results.phylogeny", 3),
    ],
)
def test_examples(name: str, examples: int) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0 and found.attempted >= examples
