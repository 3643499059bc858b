"""``phylogfn sample`` with each training objective."""

from __future__ import annotations

import json

import pytest

from gfncore.errors import UserError
from phylogfn.cli.main import main
from phylogfn.settings import resolve_settings
from tests.phylogfn.runs.sample.test_main import Interrupted, contents, run_small, write_fasta


@pytest.fixture(scope="module")
def alignment(tmp_path_factory):
    return write_fasta(tmp_path_factory.mktemp("objectives") / "six.fasta", [0, 1, 2, 5, 7, 11], 60)


@pytest.fixture(scope="module")
def by_default(alignment, tmp_path_factory):
    output = tmp_path_factory.mktemp("default") / "out"
    run_small(alignment, output)
    return json.loads((output / "summary.json").read_text())


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("log_variance", {"random_trees": True}),
        ("detailed_balance", {"random_trees": True}),
        ("sub_trajectory_balance", {"sub_trajectory_lambda": 0.7, "environment": "merging"}),
        (
            "trajectory_balance",
            {"environment": "merging", "backward_policy": "maximum_entropy"},
        ),
    ],
)
def test_each_finds_the_same_evidence(alignment, by_default, tmp_path, name, given, capsys):
    run_small(alignment, tmp_path / "out", objective=name, **given)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    error = summary["log_evidence_se"] + by_default["log_evidence_se"]
    assert summary["log_evidence"] == pytest.approx(by_default["log_evidence"], abs=4 * error)
    assert (summary["extra"]["objective"], by_default["extra"]["objective"]) == (
        name,
        "trajectory_balance",
    )
    assert f'objective = "{name}"' in (tmp_path / "out" / "run.toml").read_text()
    main(["cite", str(tmp_path / "out")])
    said = capsys.readouterr().out
    if "backward_policy" in given:
        assert summary["extra"]["backward_policy"] == "maximum_entropy"
        assert "soft Q-learning" in said
    cited = {"log_variance": "VarGrad", "sub_trajectory_balance": "partial episodes"}
    assert cited.get(name, "GFlowNet foundations") in said


def test_a_resumed_run_with_state_flows_is_the_uninterrupted_one(alignment, tmp_path):
    given = {"objective": "sub_trajectory_balance"}
    updates = run_small(alignment, tmp_path / "whole", **given)
    with pytest.raises(KeyboardInterrupt):
        run_small(alignment, tmp_path / "part", Interrupted(updates // 2), **given)
    run_small(alignment, tmp_path / "part", resume=True, **given)
    first, second = contents(tmp_path / "whole"), contents(tmp_path / "part")
    first.pop("run.toml"), second.pop("run.toml")
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"objective": "order_preserving"}, "--objective: 'order_preserving' is not offered"),
        ({"sub_trajectory_lambda": 0.5}, "--sub-trajectory-lambda belongs to --objective sub_"),
        (
            {"objective": "sub_trajectory_balance", "sub_trajectory_lambda": -1.0},
            "--sub-trajectory-lambda: -1.0 is out of range",
        ),
    ],
)
def test_wrong_values(given, words):
    with pytest.raises(UserError) as caught:
        resolve_settings({"alignment": "a.fasta", "output": "o", **given})
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_lambda_is_that_of_the_publication_unless_given():
    given = {"alignment": "a.fasta", "output": "o", "objective": "sub_trajectory_balance"}
    assert resolve_settings(given).sub_trajectory_lambda == 0.9
