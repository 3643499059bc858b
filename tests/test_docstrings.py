"""The examples of docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# a run each, whose examples the tests of these modules run
RUNS = {"phylogfn.api", "molgen.api"}


def modules_with_examples() -> list[str]:
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("gfncore", "phylogfn", "molgen")
        for path in (ROOT / package).rglob("*.py")
        if ">>> " in path.read_text()
    }
    assert RUNS <= found and len(found) > 30
    return sorted(found - RUNS)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0 and found.failed == 0


def test_the_main_functions_have_examples() -> None:
    for name in (
        "gfncore.evaluation.partition_estimate",
        "gfncore.program.messages",
        "gfncore.text.durations",
        "phylogfn.likelihood.branch_prior",
        "phylogfn.models.parsing",
        "phylogfn.results.phylogeny",
        "phylogfn.trees.comparison",
        "phylogfn.trees.tree",
        "molgen.fragments.cores",
        "molgen.molecules.diversity",
        "molgen.scoring.scores",
    ):
        assert name in modules_with_examples()
