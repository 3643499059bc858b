"""`molgen.sample`: the results of the command line, and nothing left behind."""

from __future__ import annotations

import doctest
import functools
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import rdBase

import molgen
import molgen.api
from gfncore.policies import Backbone
from molgen.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "environment": "atoms", "elements": "C,N,O", "max_atoms": 6, "samples": 8, "oracle_calls": 200,
    "reward_exponent": 2, "seed": 3, "threads": 1,
}  # fmt: skip
# of time, memory, place and start
VARIABLE = {"provenance.json", "report.html", "summary.json", "train.jsonl"}
MEASURED = {"command", "wall_seconds", "compile_seconds", "cpu_seconds", "peak_memory_bytes"}


def oxygen_share(smiles):
    """Score a list of SMILES: the share of oxygen; nothing for methane."""
    assert isinstance(smiles, list)
    return [None if text == "C" else (1 + text.count("O")) / 5 for text in smiles]


def state_of_process():
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    torch_state = torch.get_num_threads(), torch.get_rng_state().tolist()
    place = os.getcwd(), dict(os.environ), sys.argv[:], sys.stdout
    loggers = logging.root.level, logging.root.handlers[:], rdBase.LogStatus()
    return (
        handlers,
        torch_state,
        warnings.filters[:],
        place,
        loggers,
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A library, the reports of its run, and what the run left in the temporary directory."""
    Backbone(1)  # loads PyTorch Geometric, which leaves a temporary folder and filters of warnings
    reports = []
    folder = tmp_path_factory.mktemp("temporary")
    before = state_of_process()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        library = molgen.sample("qed", progress=reports.append, **SETTINGS)
    assert state_of_process() == before
    return library, reports, list(folder.iterdir())


def test_public_names():
    assert [name for name in molgen.__all__ if not hasattr(molgen, name)] == []
    assert set(molgen.__all__) <= set(dir(molgen))
    with pytest.raises(AttributeError, match="has no attribute 'sampel'"):
        molgen.sampel  # noqa: B018
    code = "import sys, molgen; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not {"torch", "numba", "numpy", "rdkit", "pandas", "pydantic"} & set(done.stdout.split())


def test_keywords_are_the_settings():
    from inspect import signature

    from molgen.settings import SampleSettings

    keywords = [
        p.name for p in signature(molgen.sample).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    of_a_directory = {"output", "resume", "force", "quiet", "tensorboard"}
    of_the_score = {"reward", "scoring", "scoring_directory", "config"}
    settings = set(SampleSettings.model_fields) - of_a_directory - of_the_score
    assert set(keywords) == settings | {"progress"}


def test_the_files_are_those_of_the_command_line(found, tmp_path):
    library, _, _ = found
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    command = ["sample", "-o", str(tmp_path / "command"), "-q", "--reward", "qed", *options]
    assert main(command) == 0
    library.write(tmp_path / "function")
    names = {path.name for path in (tmp_path / "command").iterdir()}
    assert {path.name for path in (tmp_path / "function").iterdir()} == names - {"checkpoint"}
    for name in names - VARIABLE - {"checkpoint"}:
        ours, theirs = (tmp_path / kind / name for kind in ("function", "command"))
        assert ours.read_bytes() == theirs.read_bytes(), name
    ours, theirs = (
        json.loads((tmp_path / kind / "summary.json").read_text())
        for kind in ("function", "command")
    )
    assert ours["command"].startswith("molgen.sample('qed', reward_exponent=2, environment='atoms'")
    for summary in (ours, theirs):
        del summary["extra"]["training_seconds_by_part"]
        for name in MEASURED:
            del summary[name]
    assert ours == theirs
    assert "Course of" in (tmp_path / "function" / "report.html").read_text()


def test_a_written_run_can_be_repeated(found, tmp_path):
    library, _, _ = found
    library.write(tmp_path / "out")
    again = molgen.sample(tmp_path / "out" / "run.toml")
    assert again.smiles == library.smiles
    np.testing.assert_array_equal(again.log_probability, library.log_probability)
    fewer = molgen.sample(str(tmp_path / "out" / "run.toml"), samples=np.int64(2))
    assert len(fewer) == 2


def test_nothing_is_left(found):
    library, _, left = found
    assert left == []
    assert len(library) == 8 and len(library.scored) == library.facts.oracle_calls <= 200


def test_reports_follow_the_run(found):
    _, reports, _ = found
    phases = list(dict.fromkeys(report.phase for report in reports))
    assert phases == [
        "starting", "training the sampler", "drawing molecules",
        "checking the library by local changes", "computing probabilities",
    ]  # fmt: skip
    assert [report.seconds for report in reports] == sorted(report.seconds for report in reports)


def test_a_function_is_a_score(monkeypatch):
    library = molgen.sample(oxygen_share, **SETTINGS)
    expected = oxygen_share(list(library.smiles))
    assert library.reward.tolist() == expected == library.components["oxygen_share"].tolist()
    assert library.facts.command.startswith("molgen.sample(oxygen_share, reward_exponent=2")
    assert f'function = "{__name__}:oxygen_share"' in library.facts.run_toml
    assert "C" not in library.smiles
    same = molgen.sample(functools.partial(oxygen_share), **SETTINGS)
    assert same.smiles == library.smiles and list(same.components) == ["partial"]


def test_tables_of_a_scoring_file_are_a_score():
    tables = {
        "aggregation": "product",
        "component": [
            {"type": "qed"},
            {"type": "function", "name": "oxygen", "params": {"function": oxygen_share}},
        ],
    }
    library = molgen.sample(tables, **SETTINGS)
    assert list(library.components) == ["qed", "oxygen"]


@pytest.mark.parametrize(
    ("reward", "settings", "words"),
    [
        ("qde", {}, "there is no reward 'qde'; did you mean 'qed'"),
        ("none.toml", {}, "none.toml: no such file"),
        (3, {}, "reward: int is not a score; give a name such as 'qed'"),
        ({"component": [{"type": "qedd"}]}, {}, r"^scoring: \[\[scoring.component\]\] 1: .*'qed'"),
        ("qed", {"budgt": "1m"}, "unknown keyword 'budgt'; did you mean 'budget'"),
        ("qed", {"budget": "soon"}, "--budget: "),
        ("qed", {"environment": "trees"}, "'trees' is not offered"),
        ("qed", {"environment": "fragments", "strained": True}, "--elements belongs to"),
        (lambda smiles: [0.0] * len(smiles), {}, "no molecule with a score above zero was drawn"),
        (lambda smiles: smiles[0].upper, {}, "<lambda>|lambda: .*function"),
    ],
)
def test_errors_are_those_of_the_command_line(tmp_path, monkeypatch, reward, settings, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = state_of_process()
    with pytest.raises(molgen.UserError, match=words):
        molgen.sample(reward, **{**SETTINGS, **settings})
    assert list(tmp_path.iterdir()) == []
    assert state_of_process() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_callback_may_end_the_run(tmp_path, monkeypatch, error):
    def stop(report):
        if report.phase == "training the sampler" and report.detail:
            raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = state_of_process()
    with pytest.raises(error):
        molgen.sample("qed", progress=stop, **SETTINGS)
    assert list(tmp_path.iterdir()) == []
    assert state_of_process() == before


def test_messages_are_logged_and_not_printed(caplog, capfd):
    caplog.set_level(logging.INFO, logger="molgen")
    library = molgen.sample("qed", **SETTINGS)
    assert capfd.readouterr() == ("", "")
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert sorted(told) == sorted(library.warnings)
    assert "training the sampler" in caplog.messages


def test_a_script_without_a_guard_runs_once(tmp_path):
    settings = SETTINGS | {"threads": 2}
    script = tmp_path / "script.py"
    script.write_text(
        f"import molgen\nprint('begun')\nlibrary = molgen.sample('qed', **{settings!r})\n"
        "print(len(library), __file__ is None, __spec__)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["begun", "8 False None"]
    assert "worker" not in done.stderr


def test_examples_of_the_docstring():
    found = doctest.testmod(molgen.api)
    assert found.failed == 0 and found.attempted == 4
