"""Workflows are copied whole, to a new or empty directory alone; wheels hold them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gfncore.errors import UserError
from gfncore.program.workflows import copy_workflow, workflow_files
from molgen.cli.main import main as molgen
from phylogfn.cli.main import main as phylogfn

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = [(phylogfn, "phylogfn", "phylogeny"), (molgen, "molgen", "molecules")]


@pytest.mark.parametrize(("main", "program", "name"), PROGRAMS)
def test_init_copies_what_the_checkout_has(main, program, name, tmp_path, capsys):
    assert main(["workflow", "init", str(tmp_path / "mine")]) == 0
    out = capsys.readouterr()
    assert out.out == f"{tmp_path / 'mine'}\n"
    assert "snakemake" in out.err
    copied = {
        path.relative_to(tmp_path / "mine").as_posix()
        for path in (tmp_path / "mine").rglob("*")
        if path.is_file()
    }
    tracked = subprocess.run(
        ["git", "ls-files", "."],
        cwd=ROOT / "pipelines" / name,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode == 0:  # a copy without git has nothing to compare with
        assert set(tracked.stdout.split()) <= copied
    assert {"workflow/Snakefile", "config/README.md", ".test/config/config.yaml"} <= copied
    source = ROOT / "pipelines" / name / "workflow" / "Snakefile"
    assert (tmp_path / "mine" / "workflow" / "Snakefile").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("main", "program", "name"), PROGRAMS)
def test_init_refuses_what_is_not_empty(main, program, name, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["workflow", "init", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.err == (
        f"{program}: error: {tmp_path} is not empty (it holds notes.txt); "
        "give a directory that is new or empty\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert main(["workflow", "init", str(tmp_path / "notes.txt")]) == 2
    assert "notes.txt is a file" in capsys.readouterr().err


@pytest.mark.parametrize(("main", "program", "name"), PROGRAMS)
def test_list_names_the_workflow(main, program, name, capsys):
    assert main(["workflow", "list"]) == 0
    assert capsys.readouterr().out.startswith(f"{name}  many ")


@pytest.fixture
def installed(tmp_path):
    root = tmp_path / "site"
    made = root / "gfncore_share" / "pipelines" / "some"
    for name in ("workflow/Snakefile", ".test/config/config.yaml", "results/old", ".snakemake/log"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    return root


def test_leavings_of_runs_are_not_copied(installed, tmp_path):
    assert set(workflow_files("some", installed)) == {
        "workflow/Snakefile",
        ".test/config/config.yaml",
    }
    (tmp_path / "empty").mkdir()
    copy_workflow("some", tmp_path / "empty", installed)
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == [".test", "workflow"]


def test_an_incomplete_installation_is_said(installed):
    with pytest.raises(UserError, match="workflow 'other' is missing"):
        workflow_files("other", installed)


def test_the_wheel_holds_the_workflows(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    for name in ("phylogeny", "molecules"):
        here = workflow_files(name)
        there = workflow_files(name, tmp_path / "site")
        assert set(here) == set(there)
        for relative, path in there.items():
            assert path.read_bytes() == here[relative].read_bytes()
