"""Transforms: from the raw value of a component to a score between 0 and 1.

Names, parameters and curves follow REINVENT 4, so that its scoring files carry over: both kinds of
sigmoid go by powers of ten. ``linear`` and ``gaussian`` (with its two half forms) are added here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean
from molgen.scoring.registry import REQUIRED, Parameter, check_parameters

__all__ = ["TRANSFORMS", "Transform", "TransformKind", "make_transform"]

Curve = Callable[[np.ndarray], np.ndarray]
_ORDERS = {"<": operator.lt, "<=": operator.le, "!=": operator.ne}


@dataclass(frozen=True)
class TransformKind:
    """A kind of transform: its words, its parameters and its curve."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    curve: Callable[[dict[str, Any]], Curve]
    order: str = "<"  # required relation of low to high: "<", "<=" or "!="


@dataclass(frozen=True)
class Transform:
    """A transform with its parameters.

    Attributes
    ----------
    type : str
    parameters : dict
    curve : callable
        From finite values to scores, elementwise.
    """

    type: str
    parameters: dict[str, Any]
    curve: Curve

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the scores of raw ``values`` (float64, any shape); NaN stays NaN."""
        values = np.asarray(values, dtype=np.float64)
        scores = np.full(values.shape, np.nan)
        known = ~np.isnan(values)
        scores[known] = self.curve(values[known])
        return scores


def make_transform(config: Mapping[str, Any], where: str) -> Transform:
    """Return the transform that a table ``{type = …, …}`` describes.

    Raises
    ------
    UserError
        The type or a parameter is unknown, missing or wrong; the message names the nearest.
    """
    name = config.get("type")
    if not isinstance(name, str) or name not in TRANSFORMS:
        known = list(TRANSFORMS)
        hint = did_you_mean(str(name), known) or f" (there are: {', '.join(known)})"
        found = "'type' is missing" if name is None else f"there is no type '{name}'"
        raise UserError(f"{where}: transform: {found}{hint}")
    kind = TRANSFORMS[name]
    place = f"{where}: transform '{name}'"
    given = {key: value for key, value in config.items() if key != "type"}
    values = check_parameters(given, kind.parameters, place)
    if {"low", "high"} <= set(values):
        low, high = values["low"], values["high"]
        if not _ORDERS[kind.order](low, high):
            raise UserError(f"{place}: low = {low:g} must be {kind.order} high = {high:g}")
    try:
        curve = kind.curve(values)
    except ValueError as problem:
        raise UserError(f"{place}: {problem}") from None
    return Transform(name, values, curve)


def _logistic(exponent: np.ndarray) -> np.ndarray:
    """Return ``1 / (1 + 10^-exponent)`` without overflow."""
    # tanh saturates where the power of ten would overflow
    return 0.5 * (1.0 + np.tanh(0.5 * np.log(10.0) * exponent))


def _sigmoid(p: dict[str, Any]) -> Curve:
    middle, slope = (p["low"] + p["high"]) / 2, 10.0 * p["k"] / (p["high"] - p["low"])
    return lambda x: _logistic(slope * (x - middle))


def _reverse_sigmoid(p: dict[str, Any]) -> Curve:
    rising = _sigmoid(p)
    return lambda x: 1.0 - rising(x)


def _double_sigmoid(p: dict[str, Any]) -> Curve:
    left, right = p["coef_si"] / p["coef_div"], p["coef_se"] / p["coef_div"]
    middle = (p["low"] + p["high"]) / 2
    return lambda x: np.where(
        x < middle,
        _logistic(left * (x - p["low"])),
        1.0 - _logistic(right * (x - p["high"])),
    )


def _linear(p: dict[str, Any]) -> Curve:
    return lambda x: np.clip((x - p["low"]) / (p["high"] - p["low"]), 0.0, 1.0)


def _gaussian(p: dict[str, Any]) -> Curve:
    # at 100 standard deviations the curve is 0; further away the square would overflow
    return lambda x: np.exp(-0.5 * np.clip((x - p["mu"]) / p["sigma"], -100, 100) ** 2)


def _gaussian_below(p: dict[str, Any]) -> Curve:
    bell = _gaussian(p)
    return lambda x: bell(np.maximum(x, p["mu"]))


def _gaussian_above(p: dict[str, Any]) -> Curve:
    bell = _gaussian(p)
    return lambda x: bell(np.minimum(x, p["mu"]))


def _value_map(p: dict[str, Any]) -> Curve:
    values, scores = np.array(p["values"], dtype=float), np.array(p["scores"], dtype=float)
    if len(values) != len(scores) or not len(values):
        raise ValueError(
            f"'values' has {len(values)} entries and 'scores' {len(scores)}; "
            "give as many of the one as of the other"
        )
    if scores.min() < 0 or scores.max() > 1 or not 0 <= p["other"] <= 1:
        raise ValueError("'scores' and 'other' must lie between 0 and 1")

    def curve(x: np.ndarray) -> np.ndarray:
        found = np.full(x.shape, p["other"])
        for value, score in zip(values, scores, strict=True):
            found[np.isclose(x, value, rtol=0, atol=1e-9)] = score
        return found

    return curve


def _number(
    name: str, summary: str, default: Any = REQUIRED, minimum: float | None = None
) -> Parameter:
    return Parameter(name, "number", summary, default, minimum=minimum)


_LOW, _HIGH = _number("low", "lower end"), _number("high", "upper end")
_K = _number("k", "steepness", 0.5, minimum=1e-6)
_BELL = (_number("mu", "centre"), _number("sigma", "standard deviation", minimum=1e-9))

TRANSFORMS: dict[str, TransformKind] = {
    kind.name: kind
    for kind in (
        TransformKind("sigmoid", "rises from low to high", (_LOW, _HIGH, _K), _sigmoid),
        TransformKind(
            "reverse_sigmoid", "falls from low to high", (_LOW, _HIGH, _K), _reverse_sigmoid
        ),
        TransformKind(
            "double_sigmoid",
            "high between low and high, 0.5 at both ends",
            (
                _LOW,
                _HIGH,
                _number("coef_div", "divides both steepnesses", 100.0, minimum=1e-9),
                _number("coef_si", "steepness of the rise", 150.0, minimum=0),
                _number("coef_se", "steepness of the fall", 150.0, minimum=0),
            ),
            _double_sigmoid,
        ),
        TransformKind(
            "right_step",
            "1 from high on, otherwise 0",
            (_HIGH,),
            lambda p: lambda x: (x >= p["high"]).astype(float),
        ),
        TransformKind(
            "left_step",
            "1 up to low, otherwise 0",
            (_LOW,),
            lambda p: lambda x: (x <= p["low"]).astype(float),
        ),
        TransformKind(
            "step",
            "1 from low to high, otherwise 0",
            (_LOW, _HIGH),
            lambda p: lambda x: ((p["low"] <= x) & (x <= p["high"])).astype(float),
            order="<=",
        ),
        TransformKind(
            "linear",
            "linear from 0 at low to 1 at high, clipped outside; decreasing if low > high",
            (_LOW, _HIGH),
            _linear,
            order="!=",
        ),
        TransformKind("gaussian", "Gaussian with value 1 at mu", _BELL, _gaussian),
        TransformKind(
            "gaussian_below", "1 up to mu, Gaussian decrease above", _BELL, _gaussian_below
        ),
        TransformKind(
            "gaussian_above",
            "1 from mu on, Gaussian increase below",
            _BELL,
            _gaussian_above,
        ),
        TransformKind(
            "value_map",
            "scores of listed values",
            (
                Parameter("values", "numbers", "raw values"),
                Parameter("scores", "numbers", "their scores, between 0 and 1"),
                _number("other", "score of every other value", 0.0),
            ),
            _value_map,
        ),
    )
}
