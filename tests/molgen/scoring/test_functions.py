from __future__ import annotations

import pytest

from gfncore.errors import UserError
from molgen.scoring import Scoring

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
        ("words", "function: a score is no number"),
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
