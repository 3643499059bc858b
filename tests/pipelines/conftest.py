"""Scripts of the workflows as modules, and Snakemake in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


@pytest.fixture(scope="session")
def script():
    """Return a function of a workflow and a script's name: the module."""

    def load(workflow, name):
        path = PIPELINES / workflow / "workflow" / "scripts" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"{workflow}_{name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def plan(tmp_path):
    """Return a function that plans the example of a workflow: exit code, and all that is said.

    Its second argument changes the copy of ``.test`` beforehand.
    """
    pytest.importorskip("snakemake", reason="the extra workflow is not installed")

    def dry_run(workflow, change):
        work = tmp_path / workflow
        shutil.copytree(PIPELINES / workflow / ".test", work)
        change(work)
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--dry-run", "--directory", str(work)],
            cwd=PIPELINES / workflow,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return dry_run
