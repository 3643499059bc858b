from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from gfncore.errors import UserError
from molgen.scoring import Scoring

ALKANES = ["C", "CC", "CCC", "CCCC", "CCCCC"]


def carbons(smiles):
    return [text.count("C") / 10 for text in smiles]


def scoring_of(*components, filters=(), aggregation="geometric", **options):
    config = {"aggregation": aggregation, "component": list(components), "filter": list(filters)}
    options.setdefault("warn", pytest.fail)
    return Scoring.from_config(config, **options)


def own(function, **more):
    return {"type": "function", "params": {"function": function}, **more}


HEAVY = {"type": "heavy_atoms", "transform": {"type": "linear", "low": 0, "high": 10}}


def test_each_distinct_molecule_is_scored_once():
    seen = []

    def count(smiles):
        seen.extend(smiles)
        return carbons(smiles)

    with scoring_of(own(count)) as scoring:
        table = scoring.evaluate(["OCC", "CCO", "C(O)C", "CCCC"])
        assert table.smiles == ["CCO", "CCO", "CCO", "CCCC"]
        assert table.total == pytest.approx([0.2, 0.2, 0.2, 0.4])
        assert scoring.calls == 2
        again = scoring.evaluate(["C(CC)C", "CCN"])
        assert again.total == pytest.approx([0.4, 0.2])
    assert sorted(seen) == ["CCCC", "CCN", "CCO"]
    assert scoring.calls == 3


def test_canonical_smiles_are_taken_as_they_are():
    with scoring_of(HEAVY) as scoring:
        assert scoring.evaluate(["CCO"], canonical=True).total == pytest.approx([0.3])
        assert scoring.evaluate(["OCC"]).total == pytest.approx([0.3])
        assert scoring.calls == 1


def test_smiles_that_cannot_be_read_are_no_calls():
    with scoring_of(HEAVY) as scoring:
        table = scoring.evaluate(["CCO", "C1CC", "", "C(C)(C)(C)(C)C", "C1CC"])
    assert np.isnan(table.total).tolist() == [False, True, True, True, True]
    assert table.failures == dict.fromkeys([1, 2, 3, 4], "invalid SMILES")
    assert scoring.calls == 1
    assert scoring.failed == {"invalid SMILES": 3}
    assert np.isnan(table.objectives[1:]).all()


def test_smiles_that_cannot_be_read_never_reach_a_function():
    def careful(smiles):
        assert "x" not in smiles
        return carbons(smiles)

    with scoring_of(own(careful)) as scoring:
        table = scoring.evaluate(["x", "C"])
    assert table.failures == {0: "invalid SMILES"}
    assert table.total[1] == pytest.approx(0.1)


def test_the_best_of_those_scored_come_first_without_failed_ones():
    with scoring_of(
        own(lambda smiles: [None if s == "CCC" else 0.2 * len(s) for s in smiles])
    ) as s:
        s.evaluate(["CC", "CCC", "C", "CCCC"])
        smiles, scores = s.best(2)
        assert smiles == ["CCCC", "CC"] and scores == pytest.approx([0.8, 0.4])
        assert s.best(9)[0] == ["CCCC", "CC", "C"]
    with scoring_of(HEAVY) as s:
        assert s.best(5)[0] == []


def test_no_molecules():
    with scoring_of(HEAVY, own(carbons)) as scoring:
        table = scoring.evaluate([])
    assert len(table) == 0
    assert table.total.shape == (0,)
    assert table.objectives.shape == (0, 1)
    assert scoring.calls == 0
    assert scoring.failed == {} == scoring.filtered


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("geometric", (0.3 * 0.2**3) ** 0.25),
        ("arithmetic", (0.3 + 3 * 0.2) / 4),
        ("product", 0.3 * 0.2**3),
    ],
)
def test_aggregation_of_weighted_scores(aggregation, expected):
    with scoring_of(HEAVY, own(carbons, weight=3), aggregation=aggregation) as scoring:
        table = scoring.evaluate(["CCO"])
    assert table.total[0] == pytest.approx(expected)
    assert table.objectives.tolist() == [[table.total[0]]]
    assert table.components["heavy_atoms"][0] == 3
    assert table.transformed["heavy_atoms"][0] == pytest.approx(0.3)


def test_pareto_keeps_every_objective():
    scoring = scoring_of(
        HEAVY,
        own(carbons),
        filters=[{"type": "limits", "params": {"max_heavy_atoms": 4}}],
        aggregation="pareto",
    )
    with scoring:
        table = scoring.evaluate(["CCO", "CCCCC", "bad"])
    assert scoring.n_objectives == 2
    assert scoring.objective_names == ["heavy_atoms", "function"]
    assert table.objectives[:2] == pytest.approx(np.array([[0.3, 0.2], [0.0, 0.0]]))
    assert table.total[:2] == pytest.approx([0.25, 0.0])
    assert np.isnan(table.objectives[2]).all()


def test_filters_give_0_and_are_counted_and_spare_what_comes_after():
    asked = []

    def costly(smiles):
        asked.extend(smiles)
        return carbons(smiles)

    filters = [
        {"type": "limits", "name": "size", "params": {"max_heavy_atoms": 3}},
        own(lambda smiles: [float("O" not in text) for text in smiles], name="no oxygen"),
    ]
    with scoring_of(own(costly), HEAVY, filters=filters) as scoring:
        table = scoring.evaluate(["CC", "CCCC", "CCO", "CCCCO", "OCC"])
    assert table.total == pytest.approx([0.2, 0, 0, 0, 0])
    assert table.filtered == {1: "size", 2: "no oxygen", 3: "size", 4: "no oxygen"}
    assert scoring.filtered == {"size": 2, "no oxygen": 1}  # distinct molecules
    assert scoring.failed == {}
    assert asked == ["CC"]
    assert np.isnan(table.components["function"][1:]).all()


def test_a_component_can_be_a_filter_with_a_transform():
    small = HEAVY | {"transform": {"type": "left_step", "low": 2}, "filter": True, "name": "small"}
    with scoring_of(own(carbons), small) as scoring:
        table = scoring.evaluate(ALKANES)
    assert table.total == pytest.approx([0.1, 0.2, 0, 0, 0])
    assert scoring.filtered == {"small": 3}


def test_what_fails_is_nan_with_its_reason_and_never_0():
    def moody(smiles):
        (text,) = smiles if len(smiles) == 1 else ("C",)
        if len(smiles) > 1:
            raise RuntimeError("one at a time")
        return {"C": [math.nan], "CC": [None], "CCC": [math.inf], "CCCC": [0.4]}[text]

    with scoring_of(own(moody)) as scoring:
        table = scoring.evaluate(ALKANES)
    assert np.isnan(table.total).tolist() == [True, True, True, False, True]
    assert table.failures == {
        0: "function: not a number",
        1: "function: not a number",
        2: "function: not finite",
        4: "function: raised KeyError: 'CCCCC'",
    }
    assert scoring.failed == {
        "function: not a number": 2,
        "function: not finite": 1,
        "function: raised KeyError": 1,
    }
    assert scoring.calls == 5


def test_a_failed_molecule_is_not_asked_for_again():
    asked = []

    def failing(smiles):
        asked.append(list(smiles))
        raise ValueError("no")

    with scoring_of(own(failing)) as scoring:
        scoring.evaluate(["C", "CC"])
        table = scoring.evaluate(["C", "CC"])
    assert asked == [["C", "CC"], ["C"], ["CC"]]  # the batch, then one by one
    assert table.failures[0] == "function: raised ValueError: no"


def test_a_score_outside_0_to_1_without_a_transform_fails():
    with scoring_of(own(lambda smiles: [len(text) - 1 for text in smiles])) as scoring:
        table = scoring.evaluate(["C", "CC", "CCC"])
    assert table.total[:2].tolist() == [0, 1]
    assert math.isnan(table.total[2])
    assert table.failures == {2: "function: outside 0 to 1: 2 without a transform"}


def test_a_failing_filter_is_a_failure():
    with scoring_of(HEAVY, filters=[own(lambda smiles: [math.nan] * len(smiles))]) as scoring:
        table = scoring.evaluate(["C"])
    assert table.failures == {0: "function: not a number"}
    assert scoring.filtered == {}


def test_a_checkpoint_goes_on_where_it_was():
    def moody(smiles):
        return [math.nan if "O" in text else 0.5 for text in smiles]

    first = scoring_of(HEAVY, own(moody, weight=2))
    before = first.evaluate(["CC", "CCO", "x", "CC"])
    arrays, extra = first.cache_state()
    assert arrays["values"].dtype == np.float64
    assert arrays["smiles"].dtype == np.uint8

    second = scoring_of(HEAVY, own(moody, weight=1))
    second.restore(arrays, extra)
    assert second.calls == first.calls == 2
    assert second.failed == first.failed
    after = second.evaluate(["CC", "CCO", "x", "CC"])
    assert second.calls == 2
    assert after.failures == before.failures
    assert after.total[0] == pytest.approx(math.sqrt(0.2 * 0.5))  # the new weights

    with pytest.raises(UserError, match="other components"):
        scoring_of(HEAVY).restore(arrays, extra)


@pytest.mark.parametrize(
    ("kind", "params", "name"),
    [
        ("function", {"function": "own_scores.py:score"}, "own_scores.py"),
        ("function", {"function": "own_scores.py:score", "time_limit": 9.0}, "own_scores.py"),
        ("function", {"function": "own_scores:score"}, "own_scores"),
        ("external", {"command": [sys.executable, "own_scores.py"]}, "own_scores.py"),
        ("external", {"command": "own_scores.py --fast"}, "own_scores.py"),
    ],
)
def test_scores_of_a_file_that_changed_are_not_gone_on_with(
    tmp_path, monkeypatch, kind, params, name
):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "own_scores", raising=False)
    path = tmp_path / "own_scores.py"
    path.write_text("def score(smiles):\n    return [0.1]\n")

    def scoring():
        own = {"type": kind, "name": "own", "params": params}
        config = {"component": [HEAVY, own]}
        return Scoring.from_config(config, directory=tmp_path, warn=pytest.fail)

    with scoring() as first:
        saved = first.cache_state()
    with scoring() as same:
        same.restore(*saved)
    path.write_text("def score(smiles):\n    return [0.2]\n")
    with scoring() as other, pytest.raises(UserError) as error:
        other.restore(*saved)
    assert f"another '{name}' (component 'own')" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_does_not_know_files_is_told_of(tmp_path):
    (tmp_path / "own_scores.py").write_text("def score(smiles):\n    return [0.1]\n")
    config = {"component": [HEAVY, own("own_scores.py:score")]}
    warnings = []
    with Scoring.from_config(config, directory=tmp_path, warn=warnings.append) as scoring:
        arrays, extra = scoring.cache_state()
        del extra["files"]
        scoring.restore(arrays, extra)
    assert len(warnings) == 1 and "whether own_scores.py changed" in warnings[0]


def test_what_failed_with_a_program_is_tried_again_after_a_restart(tmp_path):
    """The program says that it has no score of CCC, hangs at CCCC, and crashes at CCCCC."""
    (tmp_path / "program.py").write_text(
        "import json, os, sys, time\n"
        "for line in sys.stdin:\n"
        "    text, = json.loads(line)['smiles']\n"
        "    if not os.path.exists('mended'):\n"
        "        time.sleep(60 * (text == 'CCCC'))\n"
        "        text == 'CCCCC' and sys.exit(3)\n"
        "    score = None if text == 'CCC' else len(text) / 10\n"
        "    print(json.dumps({'scores': [score]}), flush=True)\n"
    )
    params = {
        "command": [sys.executable, "program.py"],
        "batch_size": 1,
        "time_limit": 1.0,
        "restarts": 1,
    }
    config = {"component": [{"type": "external", "name": "own", "params": params}]}
    smiles = ["x", *ALKANES, "CCCCCC"]
    warnings = []
    with Scoring.from_config(config, directory=tmp_path, warn=warnings.append) as first:
        first.evaluate(smiles)
        assert first.failed == {
            "invalid SMILES": 1,
            "own: not a number": 1,
            "own: timed out after 1 s": 1,
            "own: program ended with exit code 3": 1,
            "own: program given up": 1,
        }
        saved = first.cache_state()
    (tmp_path / "mended").touch()
    del warnings[:]
    with Scoring.from_config(config, directory=tmp_path, warn=warnings.append) as second:
        second.restore(*saved)
        assert len(warnings) == 1 and warnings[0].startswith("3 molecules that have no score")
        assert second.failed == {"invalid SMILES": 1, "own: not a number": 1}
        assert second.calls == 3
        table = second.evaluate(smiles)
        assert second.components[0].scorer.starts == 1
    assert table.failures == {0: "invalid SMILES", 3: "own: not a number"}
    assert table.total[[1, 2, 4, 5, 6]] == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.6])


def test_an_empty_checkpoint():
    scoring = scoring_of(HEAVY)
    scoring.restore(*scoring_of(HEAVY).cache_state())
    assert scoring.calls == 0
    assert scoring.evaluate(["C"]).total == pytest.approx([0.1])


def test_warnings_go_to_stderr_by_default(capsys):
    scoring = Scoring.from_config({"component": [HEAVY]})
    scoring._warn("careful")
    assert capsys.readouterr().err == "molgen: warning: careful\n"


def test_all_molecules_scored_come_best_first_with_the_number_of_their_call():
    values = {"C": 0.2, "CC": 0.9, "CCC": None, "CCCC": 0.9, "O": 0.0}
    component = {"type": "function", "params": {"function": lambda s: [values[t] for t in s]}}
    with Scoring.from_config({"component": [component]}) as scoring:
        scoring.evaluate(list(values), canonical=True)
        tables = list(scoring.ranked(chunk=2))
        examples = scoring.failure_examples
    assert [name for table, _ in tables for name in table.smiles] == ["CC", "CCCC", "C", "O", "CCC"]
    assert [call for _, calls in tables for call in calls] == [2, 4, 1, 5, 3]
    assert examples == {"function: not a number": "CCC"}


def test_a_transform_that_gives_no_number_is_a_failure():
    transform = {"type": "reverse_sigmoid", "low": -1, "high": 1, "k": 1e308}
    config = {"component": [{"type": "spiro_atoms", "transform": transform}]}
    with Scoring.from_config(config) as scoring:
        table = scoring.evaluate(["CCO"])
    assert table.failures == {0: "spiro_atoms: not finite: after the transform"}
