"""``molgen sample`` on two processes that torchrun starts: one directory, repeatable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.verification


def torchrun(folder, *arguments, program="molgen"):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def sample(folder, name, calls, *more):
    options = ["--samples", "20", "--budget", "10m", "--threads", "1", "--oracle-calls", str(calls)]
    done = torchrun(folder, "sample", "-o", name, *options, *more)
    assert done.returncode == 0, done.stderr
    # what rank 0 says is said once
    assert done.stderr.count("drawing molecules") == 1
    summary = json.loads((folder / name / "summary.json").read_text())
    return summary | summary["extra"]


def test_two_processes_make_one_library(tmp_path):
    summary = sample(tmp_path, "out", 500)
    assert summary["processes"] == 2
    assert summary["command"].startswith("molgen sample -o out")
    assert summary["n_unique"] == 20
    # 128 molecules a step are drawn by two processes and scored by one, which counts them
    assert 128 < summary["oracle_calls"] <= 500
    steps = summary["training_steps"]
    assert summary["trajectories_trained"] == steps * 2 * 128
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    done = [row["step"] for row in map(json.loads, lines) if "loss" in row]
    assert done == list(range(1, steps + 1)) and steps >= 2


@pytest.mark.long
def test_two_processes_repeat_and_resume(tmp_path):
    summary = sample(tmp_path, "out", 500, "--seed", "3")
    sample(tmp_path, "again", 500, "--seed", "3")
    for name in ("library.csv", "library.smi"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    later = sample(tmp_path, "out", 800, "--resume")
    assert later["training_steps"] > summary["training_steps"]
    assert later["oracle_calls"] > summary["oracle_calls"]


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("phylogfn", ["sample", "x.fasta", "-o", "out"], "runs in one process"),
        pytest.param(
            "molgen",
            ["sample", "-o", "out", "--objective", "order_preserving"],
            "in one process",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(tmp_path, program, arguments, words):
    done = torchrun(tmp_path, *arguments, program=program)
    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "out").exists()
