"""Scores by executors: threads, processes and a Dask cluster, whose workers may die."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gfncore.errors import UserError
from molgen.scoring import Scoring

ROOT = Path(__file__).resolve().parents[4]
EXAMPLES = ROOT / "docs" / "examples"
MOLECULES = ["C" * n + "O" for n in range(1, 25)]
ORACLE = """
import os, signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).parent
DEADLY = "C" * 24 + "O"


def open_executor():
    with open(HERE / "opened", "a") as file:
        file.write("pool\\n")
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def length(smiles):
    with open(HERE / "calls", "a") as file:
        file.write("".join(f"{text}\\n" for text in smiles))
    if DEADLY in smiles:
        kill_once()
    return [len(text) / 100 for text in smiles]


def kill_once():
    try:
        (HERE / "killed").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def fails():
    raise OSError("no cluster")


def text():
    print("connected")
    return "executor"
"""
CONFIG = """
[scoring]
executor = "oracle.py:open_executor"
chunk_size = 2

[[scoring.component]]
type = "function"
params = { function = "oracle.py:length" }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "oracle.py").write_text(ORACLE)
    (tmp_path / "score.toml").write_text(CONFIG)
    return tmp_path


def called(folder):
    return Counter((folder / "calls").read_text().split())


def test_a_function_runs_in_the_executor_that_is_given(folder):
    (folder / "killed").touch()
    config = {"component": [{"type": "function", "params": {"function": "oracle.py:length"}}]}
    with ThreadPoolExecutor(2) as executor:
        seen = []
        submit = executor.submit

        def counted(function, /, *args):
            seen.append((function.__name__, len(args[-1])))
            return submit(function, *args)

        executor.submit = counted  # type: ignore[method-assign]
        with Scoring.from_config(
            {**config, "chunk_size": 5}, directory=folder, executor=executor
        ) as scoring:
            table = scoring.evaluate(MOLECULES, canonical=True)
            scoring.evaluate(MOLECULES, canonical=True)
    assert table.total == pytest.approx([len(text) / 100 for text in MOLECULES])
    assert Counter(seen) == {
        ("score_chunk", 5): 4,
        ("score_chunk", 4): 1,
        ("score_batch", 5): 4,
        ("score_batch", 4): 1,
    }
    assert set(called(folder).values()) == {1}
    assert scoring.retried == 0


def test_a_failure_in_an_executor_is_that_of_its_molecule():
    def picky(smiles):
        return [0.5 if len(text) < 4 else float("nan") for text in smiles]

    config = {"component": [{"type": "function", "params": {"function": picky}}]}
    with ThreadPoolExecutor(2) as executor, Scoring.from_config(config, executor=executor) as one:
        found = one.evaluate(["CC", "CCCC"])
    with Scoring.from_config(config) as two:
        assert found.failures == two.evaluate(["CC", "CCCC"]).failures
    assert found.failures == {1: "function: not a number"}
    assert found.total[0] == 0.5


def test_a_killed_process_loses_no_scored_molecule(folder):
    warnings = []
    with Scoring.from_toml(folder / "score.toml", workers=2, warn=warnings.append) as scoring:
        table = scoring.evaluate(MOLECULES, canonical=True)
        assert table.total == pytest.approx([len(text) / 100 for text in MOLECULES])
        assert table.failures == {}
        # those that came back were not asked for again; the pool had two calls of two at most,
        # and two more in its queue
        assert 1 <= scoring.retried <= 8
        again = [text for text, n in called(folder).items() if n > 1]
        assert 1 <= len(again) <= scoring.retried
        assert len(warnings) == 1
        assert f"(BrokenProcessPool); {scoring.retried} molecules are scored again" in warnings[0]
        assert (folder / "opened").read_text() == "pool\n" * 2
        arrays, extra = scoring.cache_state()
    with Scoring.from_toml(folder / "score.toml") as resumed:
        resumed.restore(arrays, extra)
        assert resumed.retried == scoring.retried
        assert np.array_equal(resumed.evaluate(MOLECULES, canonical=True).total, table.total)
    assert (folder / "opened").read_text() == "pool\n" * 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('executor = "oracle.py:opne"', "has no function 'opne'"),
        ('executor = "nowhere.py:f"', "there is no file 'nowhere.py'"),
        ("executor = 4", 'write executor = "module:function"'),
        ('executor = "oracle.py:fails"', "'oracle.py:fails' raised OSError: no cluster"),
        ('executor = "oracle.py:text"', "returned str; it must return a concurrent"),
        ("chunk_size = 0", "chunk_size is 0"),
        ("chunk_size = true", "chunk_size is True"),
    ],
)
def test_a_wrong_executor_is_told(folder, lines, words, capsys):
    text = CONFIG.replace('executor = "oracle.py:open_executor"\nchunk_size = 2', lines)
    (folder / "score.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        with Scoring.from_toml(folder / "score.toml") as scoring:
            scoring.evaluate(["CCO"])
    assert capsys.readouterr().out == ""
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{folder / 'score.toml'}: [scoring]")


def score(folder, config):
    command = [sys.executable, "-m", "molgen.cli.main", "score", "molecules.smi"]
    done = subprocess.run(
        [*command, "--config", config],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout))), done.stderr


def test_the_dask_example_with_a_worker_that_is_killed(folder):
    """Two workers, of which one is killed in its first call: the scores are those of none."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    shutil.copy(EXAMPLES / "dask_oracle.py", folder)
    text = (EXAMPLES / "dask_oracle.toml").read_text()
    deadly = text.replace('"dask_oracle.py:strain"', '"deadly:strain"')
    assert deadly != text
    (folder / "dask.toml").write_text(deadly)
    (folder / "alone.toml").write_text(
        "".join(line for line in text.splitlines(True) if not line.startswith("executor"))
    )
    (folder / "deadly.py").write_text(
        "import dask_oracle, oracle\n\n\ndef strain(smiles):\n"
        "    oracle.kill_once()\n    return dask_oracle.strain(smiles)\n"
    )
    (folder / "molecules.smi").write_text("\n".join(MOLECULES[:8]) + "\n")
    rows, messages = score(folder, "dask.toml")
    assert (folder / "killed").exists()
    assert rows == score(folder, "alone.toml")[0]
    assert {row["remark"] for row in rows} == {""}
    assert "a scoring worker died (KilledWorker" in messages
    assert "scored again" in messages
    assert "main process" not in messages
