from __future__ import annotations

import itertools
import os
import pickle
import queue
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest

from gfncore.errors import UserError
from molgen.scoring import Scoring
from molgen.scoring.components.functions import find_function, prints_to_stderr
from molgen.scoring.parallel.batch import ScoringFailed, numbers

MODULE = """
import time
calls = []

def length(smiles):
    print("words that must not look like an answer")
    calls.append(list(smiles))
    return [len(text) / 10 for text in smiles]

def as_array(smiles):
    import numpy
    return numpy.array([len(text) / 10 for text in smiles])

def slow(smiles):
    if "CCC" in smiles:
        time.sleep(60)
    return [0.5] * len(smiles)

def short(smiles):
    return [0.5] * (len(smiles) - ("CCC" in smiles))

def leaves(smiles):
    if "CCC" in smiles:
        raise SystemExit("I quit")
    return [0.5] * len(smiles)

def none(smiles):
    return None

def words(smiles):
    return ["high"] * len(smiles)

not_callable = 3
"""


ORDINARY = """
from __future__ import annotations

import pickle
from dataclasses import dataclass

from helper import scale

@dataclass
class Point:
    x: float = 0.5

def score(smiles):
    import late_helper
    point = pickle.loads(pickle.dumps(Point()))
    return [late_helper.half(point.x * scale) for _ in smiles]
"""


@pytest.fixture
def ordinary(tmp_path, monkeypatch):
    """A file as users write them, with two others that it imports."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in ("helper", "late_helper", "ordinary"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "ordinary.py").write_text(ORDINARY)
    (tmp_path / "helper.py").write_text("scale = 0.5\n")
    (tmp_path / "late_helper.py").write_text("def half(x):\n    return x / 2\n")
    return tmp_path


@pytest.fixture
def own(tmp_path):
    (tmp_path / "my_scores.py").write_text(MODULE)

    def make(name, module="my_scores.py", extra=""):
        path = tmp_path / "own.toml"
        path.write_text(
            "[[scoring.component]]\n"
            'type = "function"\n'
            f'params = {{ function = "{module}:{name}"{extra} }}\n'
        )
        return Scoring.from_toml(path, warn=pytest.fail)

    return make


@pytest.mark.parametrize("name", ["length", "as_array"])
def test_a_function_in_a_file_beside_the_scoring_file(own, name):
    with own(name) as scoring:
        table = scoring.evaluate(["CCO", "OCC", "C"])
    assert table.total == pytest.approx([0.3, 0.3, 0.1])


def test_a_function_of_a_module_beside_the_scoring_file(own):
    with own("length", module="my_scores") as scoring:
        assert scoring.evaluate(["CCO"]).total == pytest.approx([0.3])


def test_batches_are_no_larger_than_asked_for(own):
    with own("length", extra=", batch_size = 2") as scoring:
        scoring.evaluate(["C", "CC", "CCC", "CCCC", "CCCCC"])
        calls = scoring.components[0].scorer._function.__globals__["calls"]
    assert calls == [["C", "CC"], ["CCC", "CCCC"], ["CCCCC"]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "function: no list of scores"),
        ("words", "function: a score is not a number"),
        ("short", "function: wrong number of scores"),
    ],
)
def test_what_is_no_list_of_numbers_fails(own, name, reason):
    with own(name) as scoring:
        table = scoring.evaluate(["C", "CCC"])
    assert table.failures[1].startswith(reason)
    # tried one by one, the other has its score where the function gives one
    assert (0 in table.failures) == (name != "short")


def test_a_function_with_a_time_limit_runs_apart_and_is_stopped(own):
    with own("slow", extra=", time_limit = 1") as scoring:
        table = scoring.evaluate(["C", "CCC", "CC"])
    assert table.total[[0, 2]] == pytest.approx([0.5, 0.5])
    assert table.failures == {1: "function: timed out after 1 s"}


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("", "function: raised SystemExit: I quit"),
        (", time_limit = 20", "function: program reported an error: SystemExit: I quit"),
    ],
)
def test_a_function_cannot_end_the_run(own, extra, reason):
    with own("leaves", extra=extra) as scoring:
        table = scoring.evaluate(["C", "CCC"])
    assert table.failures == {1: reason}
    assert table.total[0] == 0.5


def test_a_function_apart_may_print(own):
    with own("length", extra=", time_limit = 20") as scoring:
        assert scoring.evaluate(["CCO"]).total == pytest.approx([0.3])


@pytest.mark.parametrize("module", ["ordinary.py", "ordinary"])
@pytest.mark.parametrize("extra", ["", ", time_limit = 20"])
def test_a_file_may_be_written_as_any_other(ordinary, own, module, extra):
    """Dataclasses, pickles, imports of what lies beside it, on import and in the function."""
    with own("score", module=module, extra=extra) as scoring:
        table = scoring.evaluate(["C"])
    assert table.failures == {}
    assert table.total.tolist() == [0.125]


def test_the_name_of_a_file_shadows_no_other_module(ordinary):
    (ordinary / "ordinary.py").rename(ordinary / "queue.py")
    function = find_function("queue.py:score", ordinary)
    assert function(["C"]) == [0.125]
    assert sys.modules["queue"] is queue
    assert sys.path[-1] == str(ordinary) != sys.path[0]


def test_other_processes_read_pickles_of_what_a_file_defines(ordinary):
    function = find_function("ordinary.py:score", ordinary)
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(['C']))"
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(function), capture_output=True
    )
    assert done.stdout.decode() == "[0.125]\n", done.stderr.decode()


def test_a_file_that_was_edited_is_another_module(tmp_path):
    path = tmp_path / "edited.py"
    path.write_text("def score(smiles):\n    return [0.1]\n")
    first = find_function("edited.py:score", tmp_path)
    assert find_function("edited.py:score", tmp_path) is first
    path.write_text("def score(smiles):\n    return [0.2]\n")
    assert find_function("edited.py:score", tmp_path)(["C"]) == [0.2]


def test_what_a_function_prints_is_no_part_of_a_table(tmp_path, capsys):
    (tmp_path / "talks.py").write_text(
        "print('hello')\ndef score(smiles):\n    print('scoring')\n    return [0.5]\n"
    )
    config = {"component": [{"type": "function", "params": {"function": "talks.py:score"}}]}
    with Scoring.from_config(config, directory=tmp_path) as scoring:
        print("a,b")
        scoring.evaluate(["C"])
        print("1,2")
    assert capsys.readouterr() == ("a,b\n1,2\n", "hello\nscoring\n")


def test_prints_of_calls_that_overlap():
    """As of two threads: the first that begins is the first that ends."""
    before = sys.stdout
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(prints_to_stderr())
        second.enter_context(prints_to_stderr())
        first.close()
        assert sys.stdout is sys.stderr
        second.close()
        assert sys.stdout is before


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [
        ("not_callable", "my_scores.py", "has no function 'not_callable' (it has: length, "),
        ("length", "other.py", "there is no file 'other.py'"),
    ],
)
def test_a_function_that_is_not_there(own, name, module, words):
    with pytest.raises(UserError) as error:
        own(name, module)
    assert words in str(error.value)
    assert "own.toml: [[scoring.component]] 1 ('function')" in str(error.value)


@pytest.mark.parametrize("module", ["mine.py", "mine"])
@pytest.mark.parametrize("extra", ["", ", time_limit = 60"])
def test_a_file_called_like_a_library_is_not_executed(tmp_path, monkeypatch, module, extra):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(tmp_path)
    trap = "open('executed', 'a').write(__name__)\nraise SystemExit('trap')\n"
    for name in ("numpy", "rdkit", "json", "molgen", "colorsys", "wave"):
        (tmp_path / f"{name}.py").write_text(trap)
    (tmp_path / "beside_mine.py").write_text("half = 0.5\n")
    (tmp_path / "mine.py").write_text(
        "import colorsys, wave, numpy\nimport beside_mine\n"
        "def score(smiles):\n    return numpy.full((len(smiles), 1), beside_mine.half)\n"
    )
    path = tmp_path / "own.toml"
    path.write_text(
        f'[[scoring.component]]\ntype = "function"\n'
        f'params = {{ function = "{module}:score"{extra} }}\n'
    )
    with Scoring.from_toml(path, warn=pytest.fail) as scoring:
        table = scoring.evaluate(["C", "CC"])
    assert table.failures == {} and table.total.tolist() == [0.5, 0.5]
    assert not (tmp_path / "executed").exists()


def test_a_module_beside_the_scoring_file_comes_before_an_installed_one(tmp_path):
    (tmp_path / "this.py").write_text("def score(smiles):\n    return [0.25] * len(smiles)\n")
    assert find_function("this:score", tmp_path)(["C"]) == [0.25]
    (tmp_path / "email").mkdir()
    (tmp_path / "email" / "__init__.py").write_text("def score(smiles):\n    return [0.25]\n")
    with pytest.raises(ValueError, match="the installed module .* has the same name"):
        find_function("email:score", tmp_path)


@pytest.mark.parametrize("where", ["on import", "in the call"])
def test_a_function_does_not_move_what_is_written_later(tmp_path, monkeypatch, where):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    move = f"os.chdir({str(tmp_path / 'elsewhere')!r})\n"
    (tmp_path / "moves.py").write_text(
        "import os\n"
        + (move if where == "on import" else "")
        + "def score(smiles):\n"
        + (f"    {move}" if where == "in the call" else "")
        + "    return [0.5] * len(smiles)\n"
    )
    config = {"component": [{"type": "function", "params": {"function": "moves.py:score"}}]}
    with Scoring.from_config(config, directory=tmp_path) as scoring:
        assert scoring.evaluate(["C", "CC"]).total.tolist() == [0.5, 0.5]
        assert os.getcwd() == str(tmp_path / "here")


def rows_of_one(smiles):
    return [[0.5] for _ in smiles]


def column(smiles):
    return np.full((len(smiles), 1), 0.5)


def table(smiles):
    return pd.DataFrame({"score": [0.5] * len(smiles)})


def generated(smiles):
    yield from [0.5] * len(smiles)


@pytest.mark.parametrize("function", [rows_of_one, column, table, generated])
def test_one_column_is_a_list_of_numbers(function):
    assert numbers(function(["C", "CC"]), 2) == [0.5, 0.5]


def broken_generator(smiles):
    yield 0.5
    raise RuntimeError("no more")


class Odd:
    def __float__(self):
        raise KeyError("odd")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _: np.ones((2, 2)), "a score is not a number"),
        (lambda _: np.ones((1, 2)), "wrong number of scores: 1 for 2"),
        (lambda _: "12", "no list of scores: answered str"),
        (lambda _: {"C": 1, "CC": 2}, "no list of scores: answered dict"),
        (lambda _: {0.1, 0.2}, "no list of scores: answered set"),
        (lambda _: itertools.repeat(0.5), "wrong number of scores: 3 for 2"),
        (lambda _: [10**400, 1], "a score is not a number: int too large"),
        (lambda _: [Odd(), 1], "a score is not a number: 'odd'"),
        (broken_generator, "no list of scores: generator raised RuntimeError: no more"),
    ],
)
def test_what_a_function_returns_never_ends_the_run(answer, reason):
    def function(smiles):
        return answer(smiles)

    config = {"component": [{"type": "function", "params": {"function": function}}]}
    with pytest.raises(ScoringFailed) as caught:
        numbers(answer(["C", "CC"]), 2)
    assert str(caught.value).startswith(reason)
    with Scoring.from_config(config) as scoring:
        assert len(scoring.evaluate(["C", "CC"]).failures) in (0, 1, 2)
