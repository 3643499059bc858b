"""A new objective is one class and one entry of the registry; all of ``molgen sample`` knows it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gfncore.errors import UserError
from gfncore.objectives.base import Objective
from gfncore.objectives.registry import OBJECTIVES, ObjectiveEntry, reward_objectives
from molgen.citations import REFERENCES, methods_of_settings
from molgen.settings import resolve_sample
from tests.molgen.runs.sample.test_main import (
    ATOMS,
    CALLS,
    SMALL,
    Interrupted,
    check_library,
    contents,
    few_fragments,
    run_small,
)

ROOT = Path(__file__).resolve().parents[2]
QUICK = replace(SMALL, accurate_share=0.0)  # trained for `fewest_steps`
SPREAD = ObjectiveEntry(
    "tests.molgen.test_objectives:Spread",
    title="spread of log-weights",
    description="the mean distance of log-weights from their mean",
    citations=("guacamol",),  # which nothing else in these runs cites
)


class Spread(Objective):
    """Mean distance of log R + log P_B - log P_F from its mean."""

    def forward(self, batch):
        log_weight = batch.log_reward + (batch.log_pb - batch.log_pf).sum(dim=1)
        return (log_weight - log_weight.mean()).abs().mean()

    def log_partition(self, batch):
        log_weight = batch.log_reward + (batch.log_pb - batch.log_pf).sum(dim=1)
        return float(log_weight.detach().mean())


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "spread", SPREAD)


def test_references_of_objectives_exist():
    for name in reward_objectives():
        assert set(OBJECTIVES[name].citations) <= set(REFERENCES)


def test_settings_take_it_once_it_is_registered(monkeypatch):
    with pytest.raises(UserError, match="'spread' is not offered; choose 'trajectory_balance', "):
        resolve_sample({"output": "out", "objective": "spread"})
    monkeypatch.setitem(OBJECTIVES, "spread", SPREAD)
    settings = resolve_sample({"output": "out", "objective": "spread"})
    assert settings.objective == "spread" and settings.proportional


def test_one_that_learns_an_order_takes_its_temperature(monkeypatch):
    entry = replace(SPREAD, orders=True, options=("order_temperature",))
    monkeypatch.setitem(OBJECTIVES, "spread", entry)
    settings = resolve_sample({"output": "out", "objective": "spread"})
    assert settings.order_temperature == 1.0 and not settings.proportional
    with pytest.raises(UserError, match="--objective order_preserving or spread; leave it out"):
        resolve_sample({"output": "out", "order_temperature": 0.5})


def test_help_lists_it():
    code = (
        "from gfncore.objectives.registry import OBJECTIVES, ObjectiveEntry\n"
        f"OBJECTIVES['spread'] = {SPREAD!r}\n"
        "from molgen.cli.main import main\n"
        "main(['sample', '--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = " ".join(done.stdout.replace("\u2502", " ").split())
    assert f"spread: {SPREAD.description}" in said
    assert ", spread]" in said


def test_a_run_learns_by_it_and_says_so(tmp_path, registered):
    run_small(tmp_path / "out", **ATOMS, objective="spread")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["objective"] == "spread"
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    assert losses[-1] < losses[0]
    report = (tmp_path / "out" / "report.html").read_text()
    assert SPREAD.title in report
    assert REFERENCES["guacamol"].title in report
    assert methods_of_settings({"objective": "spread", "symmetry": "none"}) == (
        "guacamol",
        "local_search",
    )


@pytest.mark.parametrize("environment", ["atoms", "fragments"])
@pytest.mark.parametrize("name", ["detailed_balance", "sub_trajectory_balance"])
def test_objectives_with_state_flows(tmp_path, name, environment):
    settings = {"objective": name, "oracle_calls": CALLS}
    settings |= ATOMS if environment == "atoms" else few_fragments(tmp_path)
    if name == "sub_trajectory_balance":
        settings["sub_trajectory_lambda"] = 0.8
    run_small(tmp_path / "out", effort=QUICK, **settings)
    _, summary = check_library(tmp_path / "out")
    assert summary["sub_trajectory_lambda"] == settings.get("sub_trajectory_lambda")
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    trained = [row["log_z"] for row in map(json.loads, lines) if "log_z" in row]
    learned = summary["extra"]["trained_log_partition"]
    assert 0.0 < abs(learned - trained[-1]) < 0.5  # that was before the last step
    assert ("\u03bb = 0.8" in (tmp_path / "out" / "report.html").read_text()) == (
        name == "sub_trajectory_balance"
    )


def test_a_resumed_run_with_state_flows_is_the_uninterrupted_one(tmp_path):
    settings = {**ATOMS, "objective": "sub_trajectory_balance", "oracle_calls": CALLS}
    run_small(tmp_path / "whole", effort=QUICK, **settings)
    with pytest.raises(KeyboardInterrupt):
        run_small(tmp_path / "part", Interrupted(6), effort=QUICK, **settings)
    run_small(tmp_path / "part", effort=QUICK, resume=True, **settings)
    assert contents(tmp_path / "part") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("environment", "name", "title"),
    [
        ("atoms", "maximum_entropy", "soft Q-learning"),
        ("fragments", "pessimistic", "Pessimistic backward policy"),
    ],
)
def test_backward_policies_of_a_run_are_used_kept_and_cited(tmp_path, environment, name, title):
    settings = {"backward_policy": name, "oracle_calls": CALLS}
    settings |= ATOMS if environment == "atoms" else few_fragments(tmp_path)
    run_small(tmp_path / "whole", effort=QUICK, **settings)
    _, summary = check_library(tmp_path / "whole")
    assert summary["backward_policy"] == name
    assert f'backward_policy = "{name}"' in (tmp_path / "whole" / "run.toml").read_text()
    lines = (tmp_path / "whole" / "train.jsonl").read_text().splitlines()
    assert [row for row in map(json.loads, lines) if "backward_loss" in row]
    assert title in (tmp_path / "whole" / "report.html").read_text()
    with pytest.raises(KeyboardInterrupt):
        run_small(tmp_path / "part", Interrupted(6), effort=QUICK, **settings)
    run_small(tmp_path / "part", effort=QUICK, resume=True, **settings)
    assert contents(tmp_path / "part") == contents(tmp_path / "whole")
