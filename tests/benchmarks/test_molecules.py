"""The benchmarks of `molgen sample`: what they count, and what they read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.molgen import druglike
from benchmarks.molgen.sampling import Batch, n_valid, rows_of
from benchmarks.molgen.training import PARTS, measure, row
from molgen.runs.sample.effort import SampleEffort


def test_counts_and_times_of_training_add_up() -> None:
    effort = SampleEffort()
    rounds = measure(True, threads=1, seconds=0.2, rounds=2)
    assert len(rounds) == 2
    for one in rounds:
        assert one.steps >= 1 and one.seconds >= 0.1
        drawn = effort.on_policy + effort.walkers
        assert one.trajectories == one.steps * (drawn + effort.replayed)
        assert 0 < one.scored <= one.steps * drawn
        assert set(one.parts) == set(PARTS) and min(one.parts.values()) >= 0
        assert sum(one.parts.values()) == pytest.approx(one.seconds)
    shown = row("mix", rounds)
    assert shown[0] == "mix" and len(shown) == 4 + len(PARTS)


def test_only_what_comes_out_as_it_went_in_is_valid() -> None:
    good = ["CCO", "c1ccccc1"]
    bad = ["OCC", "C1CC", "C(C)(C)(C)(C)C", "c1cccc1", "x"]  # not canonical, or no molecule
    assert n_valid(good + bad) == 2


def test_rates_of_draws() -> None:
    batch = Batch(["CCO", "CCO", "C", "CC"], drawing=1.5, naming=0.5, atoms=2.25)
    found = dict(rows_of([batch], 3))
    assert found["molecules a second, with SMILES"].startswith("2 ")
    assert found["unique"] == "75.00 %" and found["valid"] == "3 (75 %)"


def write_run(folder: Path, ess: float | None) -> Path:
    folder.mkdir()
    computed = ("weight", "ess_share", "library_share", "rising")
    summary: dict[str, Any] = {key: 1.0 for key in druglike.COLUMNS if key not in computed}
    summary |= {"ess": ess, "n_proposals": 200, "library_ess": ess, "n_unique": 100}
    changes = None if ess is None else {"rising": 0.6}
    summary["extra"] = {"training_steps": 7, "local_changes": changes}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "library.smi").write_text("C\t0.5\nCC\t0.5\nCCCCCC\t0.1\n")
    return folder


def test_figures_of_a_run_and_the_median(tmp_path: Path) -> None:
    found = druglike.figures(write_run(tmp_path / "a", 50.0))
    assert found["ess_share"] == 0.25 and found["training_steps"] == 7
    assert found["library_share"] == 0.5 and found["rising"] == 0.6
    assert found["weight"] == pytest.approx(30.07, abs=0.01)  # ethane
    unknown = druglike.figures(write_run(tmp_path / "b", None))
    assert math.isnan(unknown["ess_share"]) and math.isnan(unknown["library_share"])
    assert math.isnan(unknown["rising"])
    many = {1: found, 2: found | {"mean_score": 0.2}, 3: found | {"mean_score": 0.4}}
    lines = druglike.table(many).splitlines()
    assert len(lines) == 2 + 3 + 1
    assert lines[-1].startswith("| median | 100 | 0.400 |")
    assert len(druglike.table({1: found}).splitlines()) == 2 + 1


@pytest.mark.parametrize("words", [["--seconds", "0"], ["--threads", "0"]])
def test_wrong_usage(words: list[str]) -> None:
    from benchmarks.molgen.training import main

    with pytest.raises(SystemExit):
        main(words)
