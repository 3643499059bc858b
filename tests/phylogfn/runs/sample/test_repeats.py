"""Two runs from other seeds in one ``phylogfn sample``: compared, combined, resumed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from phylogfn.runs.sample.state import read_state
from phylogfn.settings import SampleSettings, resolve_settings
from phylogfn.trees.samples import read_tree_sample
from tests.phylogfn.runs.sample.test_main import (
    SMALL,
    Interrupted,
    contents,
    run_small,
    untimed,
    write_fasta,
)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Alignment, output directory and number of updates of two runs together."""
    folder = tmp_path_factory.mktemp("twice")
    alignment = write_fasta(folder / "six.fasta", [0, 1, 2, 5, 7, 11], 150)
    return alignment, folder / "out", run_small(alignment, folder / "out", runs=2, samples=61)


def summary_of(output):
    return json.loads((output / "summary.json").read_text())


def parameters(output, number):
    lines = (output / f"posterior.run{number}.p").read_text().splitlines()[2:]
    return np.array([line.split() for line in lines], float)


def test_two_runs_are_compared(twice):
    _, output, _ = twice
    summary = summary_of(output)
    assert summary["runs"] == 2 and summary["n_samples"] == 61
    found = summary["comparison"]
    assert summary["verdict"] == ("trusted" if found["agree"] else "doubtful")
    first, second = found["log_evidences"]
    assert first != second and first == pytest.approx(second, abs=0.2)
    z = abs(first - second) / np.hypot(*found["log_evidence_errors"])
    assert found["difference_in_standard_errors"] == pytest.approx(z)
    assert min(first, second) <= summary["log_evidence"] <= max(first, second)
    assert summary["ess"] == pytest.approx(sum(found["ess"]))
    assert "Independent runs" in (output / "report.html").read_text()


def test_the_draws_of_each_run_are_its_own(twice):
    _, output, _ = twice
    own = [parameters(output, number) for number in (1, 2)]
    assert [len(rows) for rows in own] == [31, 30]
    # trees.nwk has those of both
    names = read_tree_sample(output / "trees.nwk").names
    everything = read_tree_sample(output / "trees.nwk", names).branches
    lengths = np.sort([sum(branches.values()) for branches in everything])
    assert np.sort(np.concatenate([rows[:, 3] for rows in own])) == pytest.approx(lengths, abs=1e-5)


def test_the_first_run_is_that_of_a_single_one(twice, tmp_path):
    alignment, output, _ = twice
    run_small(alignment, tmp_path / "one", samples=31)
    alone, both = summary_of(tmp_path / "one"), summary_of(output)
    assert alone["runs"] == 1 and alone["comparison"] is None
    assert alone["log_evidence"] == pytest.approx(
        both["comparison"]["log_evidences"][0], abs=alone["log_evidence_se"] / 5
    )
    lines = untimed(output / "train.jsonl")
    assert {line["run"] for line in lines} == {1, 2}
    first = [line for line in lines if line.pop("run") == 1]
    assert first == untimed(tmp_path / "one" / "train.jsonl")
    assert alone["verdict"] in ("unconfirmed", "doubtful")


@pytest.mark.parametrize(
    "share", [0.8, pytest.param(0.3, marks=[pytest.mark.verification, pytest.mark.long])]
)
def test_an_interrupted_pair_goes_on_as_if_nothing_had_been(twice, tmp_path, share):
    alignment, output, updates = twice
    out = tmp_path / f"{share}"
    with pytest.raises(KeyboardInterrupt):
        run_small(alignment, out, Interrupted(int(share * updates)), runs=2, samples=61)
    assert (out / "checkpoint" / "run2").exists() is (share > 0.5)
    given = {"alignment": str(alignment), "output": out, "resume": True}
    assert resolve_settings(given).runs == 2
    run_small(alignment, out, resume=True, runs=2, samples=61)
    first, second = contents(output), contents(out)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert untimed(out / "train.jsonl") == untimed(output / "train.jsonl")


def test_a_single_run_can_be_repeated_later(twice, tmp_path):
    alignment, output, _ = twice
    out = tmp_path / "out"
    run_small(alignment, out, samples=61)
    lines = (out / "run.toml").read_text().splitlines(keepends=True)
    (out / "run.toml").write_text("".join(x for x in lines if not x.startswith("runs")))
    given = {"alignment": str(alignment), "output": out, "resume": True}
    assert resolve_settings(given).runs == 1  # those made before there were several
    run_small(alignment, out, resume=True, runs=2, samples=61)
    found = summary_of(out)
    assert found["runs"] == 2
    assert found["comparison"]["log_evidences"] == pytest.approx(
        summary_of(output)["comparison"]["log_evidences"], abs=0.05
    )
    saved = [read_state(out / "checkpoint"), read_state(out / "checkpoint" / "run2")]
    assert all(one is not None and one.extra["cycles"] for one in saved)
    run_small(alignment, out, force=True, samples=61)  # a new run leaves nothing of them
    assert not (out / "checkpoint" / "run2").exists()


def test_parts_share_the_parameters_and_not_the_random_numbers(tmp_path):
    from gfncore.program.clock import RunClock
    from gfncore.program.progress import Progress
    from phylogfn.runs.sample.run import SampleRun
    from phylogfn.runs.sample.walk import started

    alignment = write_fasta(tmp_path / "five.fasta", [0, 2, 5, 7, 11], 200)
    settings = SampleSettings(
        alignment=str(alignment), output=tmp_path / "out", model="HKY85", threads=1, budget="10m"
    )
    with Progress("phylogfn", quiet=True) as progress:
        run = SampleRun(settings, progress)
        first, second = (run.part(i, 300.0, 10, RunClock.from_now()) for i in (1, 2))
        fitted = started(first)
        second.theta = fitted.theta
        assert np.array_equal(started(second).theta, fitted.theta)
        assert not np.array_equal(fitted.theta, run.spec.start(run.patterns))
    assert second.settings.budget_seconds == 300.0 and second.settings.samples == 10
    numbers = [one.rng("walk", 7).random() for one in (run, first, second)]
    assert numbers[0] == numbers[1] != numbers[2]
    assert second.checkpoint == first.checkpoint / "run2" == run.checkpoint_of(2)


def test_a_budget_too_small_for_two_is_told(tmp_path):
    alignment = write_fasta(tmp_path / "five.fasta", [0, 2, 5, 7, 11], 200)
    run_small(alignment, tmp_path / "out", runs=2, budget="3s")
    summary = summary_of(tmp_path / "out")
    assert summary["runs"] == 1 and summary["verdict"] != "trusted"
    assert any("too small for 2 independent runs" in text for text in summary["warnings"])
    assert "runs = 1" in (tmp_path / "out" / "run.toml").read_text()


def test_each_run_has_its_share_of_the_budget(tmp_path, monkeypatch):
    """A run that never ends by itself leaves the other its half."""
    from phylogfn.runs.sample.run import SampleRun

    alignment = write_fasta(tmp_path / "seven.fasta", range(7), 200)
    endless = replace(
        SMALL,
        collapsed=replace(SMALL.collapsed, effective_share=2.0),
        train_share=0.99,
        checkpoint_seconds=1e9,
        round_share=1e9,
    )
    monkeypatch.setattr(
        SampleRun, "seconds", lambda run, state=None: float(state.cycles if state else 0)
    )
    monkeypatch.setattr(SampleRun, "least_seconds", lambda run, reward: 0.0)
    run_small(alignment, tmp_path / "out", effort=endless, runs=2, budget="3s")
    parts = [tmp_path / "out" / "checkpoint" / part for part in (".", "run2")]
    saved = [read_state(part) for part in parts]
    # time is counted in cycles of the run that asks: what a finished one has used is unknown here
    assert [one.extra["cycles"] for one in saved] == [2, 3]


def test_probabilities_of_all_topologies_sum_to_one(twice, all_topologies):
    from gfncore.program.progress import Progress
    from phylogfn.runs.sample.main import open_run
    from phylogfn.samplers.registry import make_sampler

    _, output, _ = twice
    with Progress("phylogfn", quiet=True) as progress:
        _, environment, state = open_run(output, progress)
    sampler = make_sampler(resolve_settings({"output": output, "resume": True}))
    every, rng = all_topologies(6), np.random.default_rng(1)
    found = sampler.log_probabilities(state, environment, every, rng, lambda: False)
    assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-4)
    assert sampler.log_probabilities(state, environment, every, rng, lambda: True) is None


@pytest.mark.parametrize(
    "environment",
    ["insertion", pytest.param("merging", marks=[pytest.mark.verification, pytest.mark.long])],
)
def test_draws_of_wide_posteriors_are_weighed_together(tmp_path, environment):
    alignment = write_fasta(tmp_path / "nine.fasta", range(9), 12)
    aims = replace(
        SMALL.collapsed, standard_error=0.5, effective_share=0.0, missed=9.0, most_draws=500
    )
    effort = replace(SMALL, collapsed=aims, fewest_cycles=1)
    out = tmp_path / "out"
    run_small(alignment, out, effort=effort, runs=2, environment=environment)
    summary = summary_of(out)
    found = summary["comparison"]
    assert summary["extra"]["known_share"] < 0.99
    assert summary["ess"] != pytest.approx(sum(found["ess"]))  # that of the mixture
    assert summary["ess"] > max(found["ess"])
    errors = found["log_evidence_errors"]
    for value, error in zip(found["log_evidences"], errors, strict=True):
        assert summary["log_evidence"] == pytest.approx(value, abs=4 * error)
    assert summary["log_evidence_se"] < max(errors)
