"""The accuracy table, read from the files of finished runs, and the clock that starts them."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest

from benchmarks.phylogfn.durations import parse_duration
from benchmarks.phylogfn.evidence import (
    Run,
    arguments,
    read_run,
    sample_command,
    spread_lines,
    table,
)
from benchmarks.phylogfn.reference import read_reference

TOPOLOGIES = "probability\tnewick\n0.75\t(a,b,(c,(d,e)));\n0.25\t(a,c,(b,(d,e)));\n"


def summary(log_evidence: float, error: float = 0.02) -> dict[str, object]:
    return {
        "log_evidence": log_evidence,
        "log_evidence_se": error,
        "ess": 400.0,
        "n_proposals": 1000,
        "peak_memory_bytes": 2**30,
        "wall_seconds": 61.2,
        "extra": {"known_share": 0.5},
    }


def test_runs_become_rows_with_median_and_range(tmp_path: Path) -> None:
    (tmp_path / "topologies.tsv").write_text(TOPOLOGIES)
    reference = read_reference(tmp_path / "topologies.tsv")
    runs = []
    for seed, log_evidence in enumerate([-100.10, -100.00, -99.95], start=1):
        (tmp_path / "summary.json").write_text(json.dumps(summary(log_evidence)))
        runs.append(read_run(tmp_path, seed, reference))
    lines = table(runs, -100.0).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header = cells[0]
    row = dict(zip(header, cells[2], strict=True))
    assert row["seed"] == "1"
    assert row["error"] == "-0.100"
    assert row["Tree-KL as listed"].lstrip("-") == "0.0000"
    assert row["of draws"] == "40.0 %"
    assert row["memory"] == "1.00 GiB"
    assert "k-hat" not in header
    median, extent = (dict(zip(header, line, strict=True)) for line in cells[-2:])
    assert median["log evidence"] == "-100.000"
    assert extent["log evidence"] == "-100.100 to -99.950"


def test_spread_is_compared_with_the_stated_error() -> None:
    runs = [Run(seed, summary(-100.0 + 0.02 * (-1) ** seed)) for seed in range(10)]
    text = spread_lines(runs, -100.0)
    ratio = re.search(r"ratio ([0-9.]+)", text)
    assert ratio and float(ratio[1]) == pytest.approx((10 / 9) ** 0.5, abs=0.006)
    assert "Mean minus the reference: +0.0000" in text


def test_command_line_of_a_run(tmp_path: Path) -> None:
    options = arguments().parse_args(["DS1.fasta", "--budget", "5m", "--seeds", "3"])
    options.passed_on = ["--samples", "10"]
    command = sample_command(options, 3, tmp_path)
    assert Path(command[0]).name == "phylogfn"
    assert command[1:5] == ["sample", "DS1.fasta", "-o", str(tmp_path)]
    assert command[command.index("--budget") + 1] == "300s"
    assert command[-4:] == ["--seed", "3", "--samples", "10"]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "5d", "0"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no duration"):
        parse_duration(text)
