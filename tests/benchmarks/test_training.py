"""The speed of training, measured on a run of a second or two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.phylogfn.training import PARTS, main, measure
from gfncore.program.progress import Progress
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.runs.sample.main import run_sample
from phylogfn.settings import SampleSettings
from phylogfn.training.curricula import TRAJECTORIES_A_STEP

ROOT = Path(__file__).resolve().parents[2]
AIMS = replace(SampleEffort().collapsed, cycle_steps=5, pilot=200)
SMALL = SampleEffort(collapsed=AIMS, walk_most=10, cycle_rounds=1, fewest_cycles=1)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output directory of a run on six short sequences."""
    folder = tmp_path_factory.mktemp("training")
    records = (ROOT / "data" / "primates.fasta").read_text().split(">")[1:7]
    pairs = [record.partition("\n") for record in records]
    text = "".join(f">{name}\n{''.join(body.split())[:120]}\n" for name, _, body in pairs)
    (folder / "six.fasta").write_text(text)
    with Progress("phylogfn", quiet=True) as progress:
        settings = SampleSettings(
            alignment=str(folder / "six.fasta"),
            output=folder / "out",
            model="JC69",
            branch_prior="exp:10",
            samples=20,
            budget="10m",
            runs=1,
            threads=1,
        )
        run_sample(settings, progress, SMALL)
    return folder / "out"


def test_counts_and_times_add_up(output: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    rounds, problem = measure(output, seconds=0.4, rounds=2)
    assert problem.startswith("6 taxa")
    assert len(rounds) == 2
    for one in rounds:
        assert one.steps >= 1 and one.seconds >= 0.2
        assert one.drawn == one.steps * TRAJECTORIES_A_STEP
        assert one.trajectories == 2 * one.drawn
        # three taxa are inserted, and the trie has prefixes to teach in every step
        assert 3 * one.trajectories < one.states <= 3 * one.trajectories + 300 * one.steps
        assert sum(one.parts.values()) == pytest.approx(one.seconds)
        assert set(one.parts) == set(PARTS) and min(one.parts.values()) >= 0
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == files


def test_block_is_printed(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(output), "--seconds", "0.2", "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    assert "| trajectories trained |" in text and "| policy |" in text
    assert str(output.parent) not in text  # no path of this machine in what is kept


@pytest.mark.parametrize("words", [[], ["a.fasta", "--run", "out"], ["a.fasta", "--seconds", "0"]])
def test_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)


def test_directory_without_a_run(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(f'alignment = "{ROOT / "data" / "primates.fasta"}"\n')
    with pytest.raises(SystemExit, match="no trained sampler"):
        measure(tmp_path, seconds=1.0, rounds=1)
