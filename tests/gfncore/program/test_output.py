"""Output directories: refused when not empty, never half overwritten."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gfncore.errors import UserError
from gfncore.files import clear_leftovers, write_atomic
from gfncore.program.output import (
    RUN_HEAD,
    absolute_path,
    check_inputs,
    check_output,
    clear_output,
    json_line,
    json_text,
    locked_output,
    staged_output,
)

ROOT = Path(__file__).resolve().parents[3]


def test_new_and_empty_directories_are_accepted(tmp_path):
    check_output(tmp_path)
    check_output(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_a_directory_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match=r"not empty \(it holds mine.txt\).*--resume.*--force"):
        check_output(tmp_path)
    check_output(tmp_path, force=True)


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(UserError, match="no run to resume"):
        check_output(tmp_path, resume=True)
    (tmp_path / "run.toml").write_text("")
    check_output(tmp_path, resume=True)


def test_force_and_resume_exclude_each_other(tmp_path):
    with pytest.raises(UserError, match="cannot be combined"):
        check_output(tmp_path, force=True, resume=True)


def test_a_file_in_the_place_of_a_directory(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(UserError, match="is a file"):
        check_output(path, force=True)
    with pytest.raises(UserError, match="cannot be written"):
        check_output(path / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="no permission"):
            check_output(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


def test_clear_removes_our_files_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "run.toml").write_text(RUN_HEAD)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "checkpoint.json").write_text("")
    (tmp_path / "checkpoint" / "0123456789abcdef.safetensors").write_text("")
    (tmp_path / ".staging-left").mkdir()
    (tmp_path / ".writing-left").write_text("")
    clear_output(tmp_path, ("summary.json", "checkpoint", "run.toml"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_checkpoints_of_several_runs_are_cleared(tmp_path):
    (tmp_path / "run.toml").write_text(RUN_HEAD)
    for name in ("checkpoint/checkpoint.json", "checkpoint/run2/checkpoint.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    clear_output(tmp_path, ("checkpoint", "run.toml"))
    assert list(tmp_path.iterdir()) == []
    # files of others stay
    for name in ("checkpoint/run2/mine.txt", "checkpoint/runs/checkpoint.json", "run.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(RUN_HEAD)
    clear_output(tmp_path, ("checkpoint", "run.toml"))
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["checkpoint/run2/mine.txt", "checkpoint/runs/checkpoint.json"]


KNOWN = ("summary.json", "checkpoint", "tensorboard", "report.html", "run.toml")


@pytest.mark.parametrize(
    "name", ["checkpoint", "tensorboard", "report.html", "summary.json.partial"]
)
@pytest.mark.parametrize("run_file", [None, "model = 1\n", b"\xff"])
def test_what_no_run_has_written_is_not_cleared(tmp_path, name, run_file):
    mine = tmp_path / name
    if "." in name:
        mine.write_text("mine")
    else:
        mine.mkdir()
        (mine / "checkpoint.json").write_text("mine")
    if run_file is not None:
        data = run_file.encode() if isinstance(run_file, str) else run_file
        (tmp_path / "run.toml").write_bytes(data)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"holds .*{name}.*no run.toml that says.*move them away"):
        clear_output(tmp_path, KNOWN)
    assert sorted(tmp_path.rglob("*")) == before


def test_files_of_others_in_the_directories_of_a_run_stay(tmp_path):
    (tmp_path / "run.toml").write_text(RUN_HEAD)
    for name in ("checkpoint/model.safetensors", "tensorboard/notes.txt", "checkpoint/a/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "tensorboard" / "events.out.tfevents.1.host").write_text("")
    clear_output(tmp_path, KNOWN)
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["checkpoint/a/x", "checkpoint/model.safetensors", "tensorboard/notes.txt"]


def test_a_killed_clearing_can_be_repeated(tmp_path, monkeypatch):
    (tmp_path / "run.toml").write_text(RUN_HEAD)
    (tmp_path / "summary.json").write_text("")
    (tmp_path / "tensorboard").mkdir()
    removed = []

    def killed(path):
        removed.append(path.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        clear_output(tmp_path, KNOWN)
    monkeypatch.undo()
    assert removed == ["summary.json"]
    clear_output(tmp_path, KNOWN)
    assert not list(tmp_path.iterdir())


def test_inputs_with_the_name_of_a_result_are_refused(tmp_path):
    (tmp_path / "out" / "checkpoint").mkdir(parents=True)
    for name in ("report.html", "checkpoint/a.fasta", "mine.fasta", "run.toml"):
        (tmp_path / "out" / name).write_text(RUN_HEAD)
    link, out = tmp_path / "link", tmp_path / "out"
    link.symlink_to(out)
    for directory in (out, link):
        for name in ("report.html", "checkpoint/a.fasta"):
            for given in (out / name, link / name, out / "checkpoint" / ".." / name):
                with pytest.raises(UserError, match="would replace .*; move it, or choose"):
                    check_inputs(directory, [given], KNOWN)
        check_inputs(directory, [out / "mine.fasta", out / "run.toml", out / "none"], KNOWN)
    (out / "run.toml").write_text("model = 'JC69'")
    with pytest.raises(UserError, match="would replace 'run.toml'"):
        check_inputs(out, [out / "run.toml"], KNOWN)
    check_inputs(tmp_path / "new", [out / "report.html"], KNOWN)


def test_a_link_in_the_directory_to_an_input_elsewhere_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "data.fasta").write_text("x")
    (tmp_path / "out" / "report.html").symlink_to(tmp_path / "data.fasta")
    with pytest.raises(UserError, match="would replace 'report.html'"):
        check_inputs(tmp_path / "out", [tmp_path / "out" / "report.html"], KNOWN)


@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied", "moved", "a file"])
def test_a_directory_that_vanishes_during_a_run_is_an_error(tmp_path, how):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="was deleted, moved or replaced during the run") as found:
        with locked_output(out, "run.toml") as check:
            (out / "run.toml").write_text(RUN_HEAD)
            check()
            if how == "emptied":
                (out / "run.toml").unlink()
            elif how == "moved":
                out.rename(tmp_path / "elsewhere")
            else:
                shutil.rmtree(out)
            if how == "replaced":
                out.mkdir()
                (out / "run.toml").write_text(RUN_HEAD)
            if how == "a file":
                out.write_text("")
    assert str(out) in str(found.value)


def test_a_write_that_fails_in_a_vanished_directory_names_the_cause(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="was deleted, moved or replaced"):
        with locked_output(out):
            shutil.rmtree(out)
            write_atomic(out / "x", "text")
    with pytest.raises(FileNotFoundError):
        with locked_output(out):
            write_atomic(out / "none" / "x", "text")


def test_a_path_is_absolute_or_refused_where_the_directory_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert absolute_path(Path("out")) == gone / "out"
    gone.rmdir()
    with pytest.raises(UserError, match="the current directory has been deleted"):
        absolute_path(Path("out"))
    assert absolute_path(tmp_path) == tmp_path


def test_devices_and_pipes_are_not_replaced_by_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null"), tmp_path):
        with pytest.raises(UserError, match="is not a regular file"):
            write_atomic(path, "text")
    assert not Path("/dev/null").is_file()


def test_clear_does_not_follow_links(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "x").write_text("")
    out = tmp_path / "out"
    out.mkdir()
    (out / "checkpoint").symlink_to(kept)
    (out / "run.toml").write_text(RUN_HEAD)
    clear_output(out, ("checkpoint", "run.toml"))
    assert (kept / "x").exists()
    assert list(out.iterdir()) == []


def test_what_killed_writes_left_is_removed_and_nothing_else(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / ".writing-abc").write_text("of the directory below")
    (tmp_path / "mine.writing-abc").write_text("")
    (tmp_path / ".writing-abc").write_text("half")
    (tmp_path / ".staging-abc").mkdir()
    (tmp_path / ".staging-abc" / "trees.nex").write_text("half")
    (tmp_path / ".staging-link").symlink_to(kept)
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "mine.writing-abc"]
    assert (kept / ".writing-abc").exists()


HOLDER = """
import sys
from pathlib import Path
from gfncore.program.output import locked_output
with locked_output(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_directory_is_locked_until_its_process_ends(tmp_path):
    out = tmp_path / "a" / "out"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            with (
                pytest.raises(UserError, match="out is in use by another run; wait") as caught,
                locked_output(out),
            ):
                pass
            assert "\n" not in str(caught.value)
            with locked_output(tmp_path / "other"):
                pass
        finally:
            holder.kill()
    with locked_output(out):
        assert list(out.iterdir()) == []


def test_a_lock_ends_with_its_block(tmp_path):
    with pytest.raises(RuntimeError), locked_output(tmp_path):
        raise RuntimeError
    with locked_output(tmp_path):
        (tmp_path / "a").write_text("x")
        with pytest.raises(UserError, match="in use"), locked_output(tmp_path):
            pass
    with locked_output(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_where_directories_cannot_be_locked_the_run_goes_on(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EBADF, "no locks here")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked_output(tmp_path / "out"):
        assert (tmp_path / "out").is_dir()


def test_atomic_write_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.txt"
    write_atomic(path, "one\n")
    write_atomic(path, "zwölf\r\n")
    assert path.read_bytes() == "zwölf\r\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_obeys_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_staged_files_appear_together(tmp_path):
    out = tmp_path / "out"
    with staged_output(out, last="summary.json") as staging:
        (staging / "a").write_text("1")
        (staging / "summary.json").write_text("2")
        assert not (out / "a").exists()
    assert sorted(path.name for path in out.iterdir()) == ["a", "summary.json"]


def test_staged_files_that_fail_change_nothing(tmp_path):
    write_atomic(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), staged_output(tmp_path) as staging:
        (staging / "a").write_text("new")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_json_has_no_numbers_that_json_lacks():
    text = json_text({"a": np.float64("nan"), "b": np.arange(2), "c": (1, float("inf")), "d": None})
    assert json.loads(text) == {"a": None, "b": [0, 1], "c": [1, None], "d": None}


def test_a_line_of_json_is_one_line_that_every_reader_takes():
    def refused(name):
        raise AssertionError(f"{name} is no JSON")

    line = json_line({"step": 1, "loss": float("nan"), "best": -np.inf, "at": [1.5, np.inf]})
    assert line.endswith("\n") and line.count("\n") == 1
    found = json.loads(line, parse_constant=refused)
    assert found == {"step": 1, "loss": None, "best": None, "at": [1.5, None]}
