from __future__ import annotations

import math

import numpy as np
import pytest

from gfncore.errors import UserError
from molgen.scoring.transforms import TRANSFORMS, make_transform


def logistic(exponent):
    return 1 / (1 + 10**-exponent)


# values worked out by hand from the formulas: powers of ten, 10 k / (high - low) for the slope
CASES = [
    ({"type": "sigmoid", "low": 2.0, "high": 4.0, "k": 0.5}, 3.0, 0.5),
    ({"type": "sigmoid", "low": 2.0, "high": 4.0, "k": 0.2}, 4.0, 10 / 11),
    ({"type": "sigmoid", "low": 2.0, "high": 4.0, "k": 0.2}, 2.0, 1 / 11),
    ({"type": "sigmoid", "low": -1.0, "high": 1.0, "k": 0.4}, 1.0, 100 / 101),
    ({"type": "reverse_sigmoid", "low": 2.0, "high": 4.0, "k": 0.2}, 4.0, 1 / 11),
    ({"type": "reverse_sigmoid", "low": 2.0, "high": 4.0, "k": 0.2}, 2.0, 10 / 11),
    ({"type": "double_sigmoid", "low": 0.0, "high": 10.0}, 0.0, 0.5),
    ({"type": "double_sigmoid", "low": 0.0, "high": 10.0}, 10.0, 0.5),
    (
        {"type": "double_sigmoid", "low": 200.0, "high": 500.0, "coef_div": 500.0}
        | {"coef_si": 20.0, "coef_se": 20.0},
        525.0,
        1 / 11,
    ),
    (
        {"type": "double_sigmoid", "low": 0.0, "high": 8.0, "coef_div": 1.0}
        | {"coef_si": 1.0, "coef_se": 2.0},
        9.0,
        1 / 101,
    ),
    ({"type": "right_step", "high": 3.0}, 3.0, 1.0),
    ({"type": "right_step", "high": 3.0}, 2.999, 0.0),
    ({"type": "left_step", "low": 3.0}, 3.0, 1.0),
    ({"type": "left_step", "low": 3.0}, 3.001, 0.0),
    ({"type": "step", "low": 1.0, "high": 2.0}, 1.0, 1.0),
    ({"type": "step", "low": 1.0, "high": 2.0}, 2.0, 1.0),
    ({"type": "step", "low": 1.0, "high": 2.0}, 2.5, 0.0),
    ({"type": "step", "low": 2.0, "high": 2.0}, 2.0, 1.0),
    ({"type": "linear", "low": 10.0, "high": 1.0}, 4.6, 0.6),
    ({"type": "linear", "low": 0.0, "high": 2.0}, 3.0, 1.0),
    ({"type": "linear", "low": 0.0, "high": 2.0}, -1.0, 0.0),
    ({"type": "gaussian", "mu": 1.0, "sigma": 2.0}, 3.0, math.exp(-0.5)),
    ({"type": "gaussian_below", "mu": 1.0, "sigma": 2.0}, 0.0, 1.0),
    ({"type": "gaussian_below", "mu": 1.0, "sigma": 2.0}, 5.0, math.exp(-2.0)),
    ({"type": "gaussian_above", "mu": 1.0, "sigma": 2.0}, 5.0, 1.0),
    ({"type": "gaussian_above", "mu": 1.0, "sigma": 2.0}, -1.0, math.exp(-0.5)),
    ({"type": "value_map", "values": [0, 1], "scores": [1.0, 0.25]}, 1.0, 0.25),
    ({"type": "value_map", "values": [0, 1], "scores": [1.0, 0.25]}, 2.0, 0.0),
    ({"type": "value_map", "values": [0, 1], "scores": [1.0, 0.25], "other": 0.5}, 0.5, 0.5),
]


@pytest.mark.parametrize(("config", "value", "expected"), CASES)
def test_values_worked_out_by_hand(config, value, expected):
    found = make_transform(config, "here")(np.array([value]))
    assert found[0] == pytest.approx(expected, abs=1e-12)


def test_every_transform_has_a_case():
    assert {config["type"] for config, _, _ in CASES} == set(TRANSFORMS)


@pytest.mark.parametrize("config", [config for config, _, _ in CASES])
def test_scores_stay_between_0_and_1_and_nan_stays_nan(config):
    values = np.array([-1e300, -1e9, -1.0, 0.0, 1.0, 1e9, 1e300, np.nan])
    found = make_transform(config, "here")(values)
    assert np.isnan(found[-1])
    assert ((found[:-1] >= 0) & (found[:-1] <= 1)).all()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"type": "sigmod", "low": 0, "high": 1}, "did you mean 'sigmoid'"),
        ({"low": 0, "high": 1}, "'type' is missing"),
        ({"type": "sigmoid", "low": 0, "high": 1, "slope": 2}, "unknown key 'slope'"),
        ({"type": "sigmoid", "lo": 0, "high": 1}, "did you mean 'low'"),
        ({"type": "sigmoid", "low": 0}, "'high' is missing"),
        ({"type": "sigmoid", "low": 1, "high": 1}, "low = 1 must be < high = 1"),
        ({"type": "step", "low": 2, "high": 1}, "low = 2 must be <= high = 1"),
        ({"type": "linear", "low": 1, "high": 1}, "low = 1 must be != high = 1"),
        ({"type": "sigmoid", "low": "a", "high": 1}, "'low' is 'a'; it must be a number"),
        ({"type": "sigmoid", "low": True, "high": 1}, "'low' is True; it must be a number"),
        ({"type": "sigmoid", "low": 0, "high": math.inf}, "'high' is inf"),
        ({"type": "gaussian", "mu": 0, "sigma": 0}, "'sigma' is 0; it must be at least"),
        ({"type": "value_map", "values": [1], "scores": [1, 0]}, "1 entries and 'scores' 2"),
        ({"type": "value_map", "values": [1], "scores": [2]}, "between 0 and 1"),
    ],
)
def test_a_wrong_transform_is_told(config, words):
    with pytest.raises(UserError, match=r"^file: \[\[scoring.component\]\] 1: transform") as error:
        make_transform(config, "file: [[scoring.component]] 1")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
