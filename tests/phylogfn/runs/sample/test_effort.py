"""The time that is kept for draws of parameters and branch lengths."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gfncore.program.progress import Progress
from phylogfn.runs.sample import train
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.runs.sample.run import SampleRun
from phylogfn.settings import SampleSettings

PRIMATES = Path(__file__).resolve().parents[4] / "data" / "primates.fasta"


@pytest.fixture
def make_run(tmp_path):
    """Return a function that makes a run on the primates, and the reward of its model."""

    def make(model, **settings):
        chosen = SampleSettings(
            alignment=str(PRIMATES),
            output=tmp_path / "out",
            model=model,
            budget="100s",
            **settings,
        )
        run = SampleRun(chosen, Progress("phylogfn", quiet=True), "phylogfn")
        return run, run.reward(run.spec.start(run.patterns))

    return make


def test_time_is_kept_where_parameters_are_drawn(make_run):
    run, reward = make_run("HKY85+G4")
    theta = run.spec.start(run.patterns)
    run.effort = SampleEffort(fewest_length_draws=10**9)
    run.keep_for_lengths(reward, theta)
    assert run.kept_seconds == pytest.approx(0.3 * 100.0)  # never more
    run.effort = SampleEffort(fewest_length_draws=1000)
    run.keep_for_lengths(reward, theta)
    assert 0.0 < run.kept_seconds < 5.0
    for run, reward in (
        make_run("JC69"),
        make_run("HKY85+G4", environment="merging", branch_lengths="bins"),
    ):
        run.keep_for_lengths(reward, run.spec.start(run.patterns))
        assert run.kept_seconds == 0.0


def test_training_takes_half_of_the_kept_time_while_topologies_are_uncertain(make_run, monkeypatch):
    run, _ = make_run("HKY85+G4")
    run.kept_seconds = 30.0
    now = [0.0]
    monkeypatch.setattr(run, "seconds", lambda state=None: now[0])
    good, poor = SimpleNamespace(projected_error=0.01), SimpleNamespace(projected_error=np.inf)
    for seconds, state, ends in (
        (0.8 * 70.0, good, False),
        (0.83 * 70.0, good, True),
        (0.83 * 70.0, poor, False),  # from here on with half of the time that was kept
        (0.81 * 85.0, good, False),
        (0.83 * 85.0, poor, True),
    ):
        now[0] = seconds
        assert train._out_of_time(run, state) is ends
    assert run.kept_seconds == 15.0
    assert run.left_for_topologies(1.0, poor) == pytest.approx(85.0 - 0.83 * 85.0)
