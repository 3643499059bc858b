"""Metrics for TensorBoard, read back from its event files."""

from __future__ import annotations

import importlib.util
import json
import math

import pytest

from gfncore.errors import UserError
from gfncore.program.metrics import MetricsWriter
from gfncore.program.tensorboard import require_tensorboard

ROWS = [
    {"step": 1, "seconds": 0.5, "loss": 3.0, "note": "words are left out"},
    {"step": 2, "seconds": 1.0, "loss": 2.0},
    {"step": 2, "seconds": 1.0, "log_evidence": -12.5, "failed": math.nan},
    {"step": 3, "seconds": 1.5, "loss": 1.0},
]


def read_back(directory):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    events = accumulator.EventAccumulator(str(directory))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def write(tmp_path, rows, after_step=0):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    board = tmp_path / "tensorboard"
    with MetricsWriter(tmp_path / "train.jsonl", after_step, board) as metrics:
        for row in rows:
            metrics.write(row)
    return board


def test_the_numbers_of_train_jsonl_are_read_back(tmp_path):
    found = read_back(write(tmp_path, ROWS))
    assert found["loss"] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert found["log_evidence"] == [(2, -12.5)]
    assert found["seconds"][0] == (1, 0.5)
    assert math.isnan(found["failed"][0][1])
    assert set(found) == {"seconds", "loss", "log_evidence", "failed"}
    lines = (tmp_path / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 2, 3]
    assert json.loads(lines[2], parse_constant=pytest.fail)["failed"] is None


def test_what_a_resumed_run_does_again_replaces_what_was_written(tmp_path):
    write(tmp_path, ROWS)
    again = [{"step": 3, "seconds": 1.5, "loss": 0.5}]
    found = read_back(write(tmp_path, again, after_step=2))
    assert found["loss"] == [(1, 3.0), (2, 2.0), (3, 0.5)]


def test_where_it_is_missing_the_error_names_the_cure(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"in a clone of phylogfn: pip install '\.\[tensorboard\]'"):
        require_tensorboard()


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("phylogfn", ["sample", "data/primates.fasta"]),
        ("phylogfn", ["parsimony", "data/primates.fasta"]),
        ("molgen", ["sample"]),
    ],
)
def test_commands_stop_before_they_begin(program, command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    main = importlib.import_module(f"{program}.cli.main").main
    output = tmp_path / "out"
    assert main([*command, "-o", str(output), "--tensorboard", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{program}: error: --tensorboard: TensorBoard is not installed")
    assert error.count("\n") == 1 and not output.exists()


def test_the_option_may_stand_in_the_file_and_is_kept_by_resume(tmp_path):
    from gfncore.program.configuration import resolve_settings, settings_toml
    from phylogfn.settings import SampleSettings

    file = tmp_path / "run.toml"
    file.write_text('alignment = "x.fasta"\ntensorboard = true\n')
    settings = resolve_settings(SampleSettings, {"output": tmp_path / "out"}, file)
    assert settings.tensorboard_directory == tmp_path / "out" / "tensorboard"
    file.write_text(settings_toml(settings))
    again = resolve_settings(SampleSettings, {"output": tmp_path, "resume": True})
    assert again.tensorboard
    plain = resolve_settings(SampleSettings, {"output": tmp_path, "alignment": "x.fasta"})
    assert plain.tensorboard_directory is None
