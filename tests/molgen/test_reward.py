"""From scores to rewards: the exponent, scores of zero, and what failed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from molgen.reward import FLOOR, LEAST_SCORE, Reward
from molgen.scoring import Scoring

SCORES = {"C": 1.0, "CC": 0.5, "CCC": 0.0, "CCCC": None, "CCCCC": 1e-300}


def by_table(smiles):
    return [SCORES[s] for s in smiles]


def second(smiles):
    return [1.0 / len(s) for s in smiles]


def make_reward(exponent=1.0, **more):
    component = {"type": "function", "params": {"function": by_table}}
    return Reward(Scoring.from_config({"component": [component], **more}), exponent)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 4.0])
def test_log_of_the_power_of_the_score(exponent):
    reward = make_reward(exponent)
    assert reward(["C", "CC"]) == pytest.approx([0.0, exponent * np.log(0.5)])
    assert reward.floored == set()


def test_zero_and_failed_scores_are_apart_and_counted_once():
    reward = make_reward()
    for _ in range(2):
        found = reward(["CCC", "C", "CCCC", "CC"])
        assert found == pytest.approx([-FLOOR, 0.0, -FLOOR, np.log(0.5)])
    assert reward.floored == {"CCC", "CCCC"} and reward.buried == set()
    assert reward.positive(["C", "CCC", "CCCC"]).tolist() == [True, False, False]
    assert reward.scoring.calls == 4
    assert sum(reward.scoring.failed.values()) == 1


@pytest.mark.parametrize("exponent", [1.0, 64.0, 400.0, 1e6])
def test_the_power_of_a_score_above_zero_is_never_cut_off(exponent):
    reward = make_reward(exponent)
    found = reward(["CC", "CCCCC", "CCC"])
    assert found[:2] == pytest.approx(exponent * np.log([0.5, 1e-300]))
    assert found[2] == reward.least == min(-FLOOR, exponent * np.log(LEAST_SCORE))
    assert found[2] < found[0]
    assert reward.buried == {"CCCCC"} and reward.floored == {"CCC"}


def test_no_exponent_makes_all_scores_alike_but_not_those_that_failed():
    reward = make_reward(0.0)
    assert reward(["C", "CC"]) == pytest.approx([0.0, 0.0])
    assert reward(["CCCC"]) == pytest.approx([-FLOOR])


def test_none_asked_for():
    assert make_reward()([]).shape == (0,)


def test_objectives_of_states_and_zero_where_a_score_failed():
    components = [
        {"type": "function", "name": name, "params": {"function": function}}
        for name, function in (("table", by_table), ("size", second))
    ]
    scoring = Scoring.from_config({"aggregation": "pareto", "component": components})
    reward = Reward(scoring)
    reward.environment = SimpleNamespace(smiles=lambda states: states)
    found = reward.objectives(["CC", "CCCC", "C"])
    assert found == pytest.approx(np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 1.0]]))
