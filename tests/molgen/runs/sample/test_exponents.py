"""One sampler for several reward exponents: draws, files, resumed runs, and what is refused."""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.errors import UserError
from gfncore.program.progress import Progress
from molgen.cli.main import main
from molgen.runs.exact import enumerate_space
from molgen.runs.sample import main as sampling
from molgen.runs.sample.effort import SampleEffort
from molgen.runs.sample.exponents import ExponentRange
from molgen.runs.sample.parts import at_exponent, exponent_parts
from molgen.runs.sample.run import SampleRun
from molgen.runs.sample.train import start_log_z
from molgen.settings import SampleSettings, resolve_sample

SMALL = SampleEffort(
    hidden=16,
    rounds=2,
    on_policy=16,
    replayed=16,
    block=5,
    pilot_every=4,
    pilot=128,
    fewest_steps=40,
    accurate_share=0.5,
    checkpoint_seconds=0.0,
    draw_batch=200,
)
GIVEN = {
    "environment": "atoms",
    "elements": "C,O",
    "max_atoms": 4,
    "ring_sizes": "any",
    "samples": 20,
    "budget": "10m",
    "seed": 3,
    "threads": 1,
    "quiet": True,
}
TIMED = {"summary.json", "provenance.json", "report.html", "train.jsonl", "checkpoint", "run.toml"}


def run_small(output, effort=SMALL, **settings):
    with Progress("molgen", quiet=True) as progress:
        sampling.run_sample(SampleSettings(output=output, **GIVEN | settings), progress, effort)


def summary_of(output):
    return json.loads((output / "summary.json").read_text())


def contents(output):
    return {path.name: path.read_bytes() for path in output.iterdir() if path.name not in TIMED}


def rows_of(output):
    with (output / "library.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("exponents") / "run"
    run_small(output, reward_exponent="8,2")
    return output


@pytest.fixture(scope="module")
def log_partition():
    """The exact log Z at an exponent, by enumeration."""

    def exact(exponent, folder):
        settings = SampleSettings(output=folder, **GIVEN, reward_exponent=exponent)
        with Progress("molgen", quiet=True) as progress:
            with ThreadPoolExecutor(1) as pool:
                run = SampleRun(settings, progress, pool)
                try:
                    return enumerate_space(run.environment).log_partition
                finally:
                    run.scoring.close()

    return exact


def test_every_exponent_has_its_estimates(finished, log_partition, tmp_path):
    summary = summary_of(finished)
    assert summary["conditioning"] == "input"
    assert [summary[name] for name in ("reward_exponent", "log_partition", "ess")] == [None] * 3
    found = summary["exponents"]
    assert [one["reward_exponent"] for one in found] == [2.0, 8.0]
    for one in found:
        exact = log_partition(one["reward_exponent"], tmp_path / "space")
        assert abs(one["log_partition"] - exact) < max(5.0 * one["log_partition_se"], 0.02)
        assert one["ess"] > 0.1 * one["n_proposals"]
    assert found[0]["mean_score"] < found[1]["mean_score"] + 0.05
    assert sum(one["n_proposals"] for one in found) == summary["n_proposals"]


def test_columns_tell_what_was_drawn_at_which_exponent(finished):
    rows, summary = rows_of(finished), summary_of(finished)
    assert list(rows[0])[:4] == ["smiles", "reward", "qed", "scaffold"]
    assert "log_probability" not in rows[0] and "count" not in rows[0]
    for one in summary["exponents"]:
        suffix = f"_E{one['reward_exponent']:g}"
        drawn = [row for row in rows if int(row[f"count{suffix}"])]
        assert len(drawn) == one["n_unique"] <= 20
        assert sum(int(row[f"count{suffix}"]) for row in drawn) == one["n_samples"]
        # log p - exponent * log score is about -log Z for each
        rest = [
            float(row[f"log_probability{suffix}"])
            - one["reward_exponent"] * np.log(float(row["reward"]))
            for row in drawn
        ]
        assert np.median(rest) == pytest.approx(-one["log_partition"], abs=0.7)
        absent = [row for row in rows if not int(row[f"count{suffix}"])]
        assert all(row[f"log_probability{suffix}"] == "" for row in absent)
    rewards = [float(row["reward"]) for row in rows]
    assert rewards == sorted(rewards, reverse=True)
    assert len({row["smiles"] for row in rows}) == len(rows) == summary["n_unique"]


def test_report_shows_the_exponents(finished):
    page = (finished / "report.html").read_text()
    assert "to the power 2 and 8" in page and "Molecules at each reward exponent" in page
    assert "Effective sample size at exponent 8" in page
    assert "an input of the network" in page


def test_the_same_seed_gives_the_same_files(finished, tmp_path):
    run_small(tmp_path / "run", reward_exponent=[2, 8], threads=2)
    assert contents(tmp_path / "run") == contents(finished)


def test_a_finished_run_draws_at_other_exponents_of_its_range(finished, tmp_path):
    output = tmp_path / "run"
    run_small(output, reward_exponent="2,8")
    steps = summary_of(output)["extra"]["training_steps"]
    run_small(output, reward_exponent=4, conditioning="input", resume=True)
    summary = summary_of(output)
    assert summary["extra"]["training_steps"] == steps and summary["reward_exponent"] == 4.0
    assert "exponents" not in summary and summary["ess"] > 0.1 * summary["n_proposals"]
    assert {"log_probability", "count"} <= set(rows_of(output)[0])
    with pytest.raises(UserError, match="--reward-exponent 16: .* trained for 1.667 to 9.6; start"):
        run_small(output, reward_exponent="4,16", resume=True)


def test_one_exponent_is_learned_alone(tmp_path):
    output = tmp_path / "run"
    run_small(output, reward_exponent=2)
    assert summary_of(output)["conditioning"] is None
    with pytest.raises(UserError, match="--reward-exponent 3: .* was trained for 2 alone"):
        run_small(output, reward_exponent=3, resume=True)


@pytest.mark.parametrize(
    ("objective", "conditioning"),
    [
        ("trajectory_balance", "scaling"),
        ("trajectory_balance", "input"),
        ("detailed_balance", "both"),
        ("sub_trajectory_balance", "input"),
        ("log_variance", "scaling"),
    ],
)
def test_every_objective_of_a_reward(objective, conditioning, tmp_path):
    few = replace(SMALL, pilot_every=1, fewest_steps=1, accurate_share=0.0)
    run_small(
        tmp_path / "run",
        few,
        reward_exponent="2,8",
        objective=objective,
        conditioning=conditioning,
        symmetry="reward_scaling",
    )
    summary = summary_of(tmp_path / "run")
    assert summary["conditioning"] == conditioning
    assert all(one["ess"] > 0.0 for one in summary["exponents"])


@pytest.mark.parametrize("symmetry", ["merged", "reward_scaling", "flow_scaling"])
def test_fragments_of_several_graphs_keep_their_partition(symmetry, tmp_path):
    """Counts of graphs are not tempered: log Z is that of the molecules at each exponent."""
    fragments = tmp_path / "fragments.smi"
    fragments.write_text("[*]C\n[*]CC[*]\n[*]C[*]\n[*]O[*]\n[*]O\n")
    given = {"environment": "fragments", "fragments": str(fragments), "max_fragments": 3}
    output, left = tmp_path / "run", {"samples": 20, "seed": 3, "threads": 1, "quiet": True}
    settings = SampleSettings(
        output=output, reward_exponent="1,6", symmetry=symmetry, **given, **left
    )
    with Progress("molgen", quiet=True) as progress:
        few = replace(SMALL, pilot_every=1, fewest_steps=1, accurate_share=0.0, most_draws=100)
        with sampling.trained_run(settings, progress, effort=few) as run:
            assert run is not None
            space = enumerate_space(run.environment)
            assert len(space.molecules) < len(space.terminals)
            for part in exponent_parts(run):
                assert part.exponent in (1.0, 6.0)
                drawn, log_weights = sampling.draw_weighted(
                    part, run.trainer.averaged.policy, 4000, part.rng("pilot")
                )
                assert part.merged.smiles(drawn)[0] in space.molecules
                scores = run.scoring.evaluate(space.molecules, canonical=True).total
                exact = np.log((scores**part.exponent).sum())
                assert np.logaddexp.reduce(log_weights) - np.log(4000) == pytest.approx(
                    exact, abs=0.2
                )


def test_log_partition_starts_on_the_line_of_the_untrained_policy(tmp_path):
    settings = SampleSettings(
        output=tmp_path, **GIVEN, reward_exponent="2,8", objective="trajectory_balance"
    )
    with Progress("molgen", quiet=True) as progress, ThreadPoolExecutor(1) as pool:
        run = SampleRun(settings, progress, pool, effort=replace(SMALL, pilot=2000))
        try:
            start_log_z(run)
            for exponent in (2.0, 4.0, 8.0):
                part = at_exponent(run, exponent)
                _, log_weights = sampling.draw_weighted(
                    part, run.trainer.policy, 2000, np.random.default_rng(0)
                )
                condition = torch.tensor([exponent / run.exponents.middle]).double().log()
                with torch.no_grad():
                    learned = float(run.trainer.objective.log_z_at(condition))
                spread = log_weights.std() / np.sqrt(500)
                assert learned == pytest.approx(log_weights.mean(), abs=6.0 * spread)
        finally:
            run.scoring.close()


def test_range_of_exponents():
    one = ExponentRange.for_settings(SampleSettings(output="o", reward_exponent=7))
    assert (one.low, one.high, one.middle) == (7.0, 7.0, 7.0)
    several = ExponentRange.for_settings(SampleSettings(output="o", reward_exponent=[12, 3]))
    assert (several.low, several.high) == (2.5, pytest.approx(14.4))
    assert several.middle == pytest.approx(6.0)
    drawn = several.middle * several.draw(np.random.default_rng(0))
    assert len(drawn) == 8 and 2.5 <= drawn.min() < drawn.max() <= 14.4
    several.check([2.5, 14.4])
    for wrong in (2.4, 15.0):
        with pytest.raises(UserError, match="trained for 2.5 to 14.4"):
            several.check([wrong])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--objective", "order_preserving"], "draws by rank, which no exponent changes"),
        (["--objective", "detailed_balance", "--conditioning", "scaling"], "learns flows"),
        (["--config", "two.toml"], "the score has 2 objectives, but several exponents need"),
        (["--reward-exponent", "0,4"], "too wide a range for one sampler"),
        (["--reward-exponent", "0.01", "64"], "too wide a range for one sampler"),
        (["--reward-exponent", "four"], "'four' is not a list of exponents"),
        (["--reward-exponent=-1,2"], "-1.0 is out of range"),
    ],
)
def test_what_cannot_be_is_one_line_and_code_2(options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(
        '[scoring]\naggregation = "pareto"\n[[scoring.component]]\ntype = "qed"\n'
        '[[scoring.component]]\ntype = "sa_score"\n'
    )
    several = [] if options[0].startswith("--reward-exponent") else ["--reward-exponent", "4,16"]
    assert main(["sample", "-o", "out", "--quiet", *several, *options]) == 2
    message = capsys.readouterr().err
    assert words in message and len(message.strip().splitlines()) == 1


def test_settings_hold_one_number_or_a_list(tmp_path):
    one = resolve_sample({"output": "out", "reward_exponent": ["16"]})
    assert (one.reward_exponent, one.exponents, one.conditioning) == (16.0, (16.0,), None)
    several = resolve_sample({"output": "out", "reward_exponent": ["64", "16,32"]})
    assert several.reward_exponent == several.exponents == (16.0, 32.0, 64.0)
    assert several.configured()["reward_exponent"] == [16.0, 32.0, 64.0]
    assert several.conditioning == "input"
    chosen = resolve_sample({"output": "out", "reward_exponent": "2,4", "conditioning": "both"})
    assert chosen.conditioning == "both"
