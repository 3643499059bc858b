"""What a run records of itself."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import datetime

import pytest

from gfncore.program.clock import RunClock
from gfncore.program.output import json_text
from gfncore.program.provenance import (
    command_line,
    file_sha256,
    git_commit,
    package_versions,
    record_provenance,
    software_version,
)


def test_record_is_whole_and_can_be_written(tmp_path):
    data = tmp_path / "x.fasta"
    data.write_bytes(b">a\nACGT\n")
    record = record_provenance(
        "phylogfn",
        parameters={"model": "JC69"},
        seed=7,
        threads=2,
        inputs=(data, "-"),
        command="phylogfn sample x.fasta",
        use=RunClock().usage(),
    )
    written = json.loads(json_text(record.as_dict()))
    assert written["seed"] == 7
    assert written["parameters"] == {"model": "JC69"}
    assert written["inputs"][0]["sha256"] == hashlib.sha256(b">a\nACGT\n").hexdigest()
    assert written["inputs"][1] == {"path": "-", "sha256": None}
    assert datetime.fromisoformat(written["started"]).utcoffset() is not None
    assert written["resources"]["peak_memory_bytes"] > 10_000_000


def test_command_line_is_quoted_and_without_the_directory():
    assert command_line(["/opt/bin/phylogfn", "sample", "my file"]) == "phylogfn sample 'my file'"


def test_versions():
    assert "numpy" in package_versions()
    assert package_versions(("no-such-package",)) == {}
    assert software_version("numpy").count(".") >= 1
    assert software_version() not in ("", "unknown")


def test_git_commit(tmp_path):
    assert git_commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    try:
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git is not there")
    (tmp_path / "a").write_text("1")
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "-q", "--no-verify", "-m", "x"], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None and len(commit) == 40
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == commit + "-dirty"


def test_usage_grows():
    watch = RunClock()
    first = watch.usage()
    sum(i * i for i in range(200_000))
    second = watch.usage()
    assert second.wall_seconds > first.wall_seconds >= 0
    assert second.cpu_seconds >= first.cpu_seconds > 0


def test_checksum(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x").startswith("ba7816bf")


def test_nothing_heavy_is_imported():
    code = (
        "import sys, gfncore.program.provenance, gfncore.program.progress, gfncore.program.output\n"
        "assert not {'numpy', 'torch', 'rich', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=_root())


def _root():
    from pathlib import Path

    return Path(__file__).resolve().parents[3]
