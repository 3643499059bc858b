"""Parts of the reports: curves and axes."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from gfncore.report.axes import nice_step
from gfncore.report.histogram import draw_histogram
from gfncore.report.line_chart import _range_of_interest, draw_line_chart
from gfncore.report.page import _sentence, curve_drawings, percentage
from gfncore.report.scatter import draw_scatter
from gfncore.report.training import read_training

LABELS = {"log_evidence": "log evidence", "loss": "training loss", "ess": "not there"}


@pytest.fixture
def training(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = [
        {"seconds": i, "log_evidence": -6490 + i / 9, "log_evidence_se": 0.1, "loss": 1 / (i + 1)}
        for i in range(9)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + '\n{"seconds": 9, "lo')
    return path


def test_training_lines_that_are_broken_are_passed_over(training):
    curves = read_training(training, LABELS)
    assert [curve.label for curve in curves] == [
        "log evidence",
        "training loss",
    ]
    assert curves[0].errors == [0.1] * 9
    assert curves[1].errors is None
    assert read_training(training.with_name("missing.jsonl"), LABELS) == []


def test_curves_of_several_runs_follow_each_other(tmp_path):
    path = tmp_path / "train.jsonl"
    lines = [(1, 10.0, 1.0), (1, 20.0, 2.0), (2, 5.0, 3.0), (2, 15.0, 4.0), (1, 30.0, 2.5)]
    texts = [json.dumps({"run": run, "seconds": s, "x": x}) for run, s, x in lines]
    path.write_text("\n".join(texts) + "\n")
    (curve,) = read_training(path, {"x": "the x"})
    assert curve.seconds == [10.0, 20.0, 30.0, 30.0, 35.0, 45.0]
    assert curve.values[:3] == [1.0, 2.0, 2.5] and curve.values[4:] == [3.0, 4.0]
    assert math.isnan(curve.values[3])


def test_long_curves_are_thinned(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(f'{{"seconds": {i}, "loss": {i}}}\n' for i in range(5000)))
    (curve,) = read_training(path, LABELS)
    assert len(curve.seconds) <= 300
    assert curve.seconds == curve.values
    assert curve.seconds[0] == 8.0  # the mean of 0..16


def test_chart_of_values_that_are_not_finite():
    assert draw_line_chart([0, 1], [np.nan, 1.0], x_label="s", y_label="y") == ""
    svg = draw_line_chart([0, 1, 2], [2.0, np.inf, 2.0], x_label="s", y_label="y")
    ElementTree.fromstring(svg)


def shapes(svg, kind):
    return [shape for shape in ElementTree.fromstring(svg).iter() if shape.get("class") == kind]


def test_a_figure_that_failed_is_a_gap_and_one_not_named_is_none(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = [
        {"seconds": 1, "ess": 10},
        {"seconds": 2, "ess": 20},
        {"seconds": 3, "loss": 1.0},
        {"seconds": 4, "ess": None},
        {"seconds": 5, "ess": float("nan")},
        {"seconds": 6, "ess": 30},
        {"seconds": 7, "ess": None},
        {"seconds": 8, "ess": 40},
        {"seconds": 9, "ess": 50},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (curve,) = read_training(path, {"ess": "ESS"})
    assert curve.seconds == [1, 2, 4, 5, 6, 7, 8, 9]
    assert np.isnan(curve.values).tolist() == [0, 0, 1, 1, 0, 1, 0, 0]
    svg = draw_line_chart(curve.seconds, curve.values, x_label="s", y_label="ESS")
    lines = shapes(svg, "line")
    assert [len(line.get("points").split()) for line in lines] == [2, 2]
    assert len(shapes(svg, "point")) == 5  # the value between two gaps is seen as well
    assert "from 10 at 1 to 50 at 9; lowest 10, highest 50" in svg


def test_speed_is_computed_from_the_lines_of_steps(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = []
    for step in range(1, 401):
        rows.append({"step": step, "seconds": step / 4, "learning_rate": 1, "trajectories": 32})
        if step % 10 == 0:  # judged by draws: no step
            rows.append({"step": step, "seconds": step / 4, "ess": 3.0})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels = {"steps_per_second": "steps", "trajectories_per_second": "trajectories"}
    steps, trajectories = read_training(path, labels)
    assert 30 <= len(steps.values) <= 40
    assert steps.values == pytest.approx([4.0] * len(steps.values))
    assert trajectories.values == pytest.approx([128.0] * len(steps.values))


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([1.0, 2.0, 3.0], 0.84, 3.16),
        ([1000.0, *[1.0, 2.0] * 15], 0.92, 2.08),  # the first steps would squeeze the rest
        ([5.0, 5.0], 4.75, 5.25),
        ([0.0, 0.0], -1.0, 1.0),
        ([-2543.8236292, -2543.8236291], -2543.83635, -2543.81091),  # noise of rounding
    ],
)
def test_range_of_a_line(values, low, high):
    points = [(float(i), float(value), 0.0) for i, value in enumerate(values)]
    assert _range_of_interest(points) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("seconds", "unit"), [(90, "seconds"), (900, "minutes"), (2e4, "hours")])
def test_axes_of_curves_name_their_units(tmp_path, seconds, unit):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(f'{{"seconds": {seconds * i}, "ess": {i}}}\n' for i in (0.5, 1)))
    ((wide, _),) = curve_drawings(path, {"ess": "effective sample size (draws)"})
    assert f"training time ({unit})" in wide[1] and "effective sample size (draws)" in wide[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("the budget ended", "The budget ended."),
        ("--budget is too small.", "--budget is too small."),
        ("my_data.fasta: cut off", "my_data.fasta: cut off."),
    ],
)
def test_warnings_are_sentences(words, sentence):
    assert _sentence(words) == sentence


@pytest.mark.parametrize(
    ("share", "text"), [(0.5, "50.00\u00a0%"), (1e-7, "<\u00a00.01\u00a0%"), (0.0, "0.00\u00a0%")]
)
def test_a_small_share_is_not_nought(share, text):
    assert percentage(share) == text


@pytest.mark.parametrize(
    ("span", "parts", "step"), [(1.0, 5, 0.2), (0.37, 5, 0.05), (90, 4, 20), (0, 4, 1)]
)
def test_nice_steps(span, parts, step):
    assert nice_step(span, parts) == pytest.approx(step)


def bars(svg):
    return [
        float(rectangle.get("height"))
        for rectangle in ElementTree.fromstring(svg)
        if rectangle.get("class") == "column"
    ]


def test_histogram_counts():
    values = [0.05] * 3 + [0.15] * 6 + [0.95, np.nan, np.inf]
    svg = draw_histogram(values, x_label="<score>", y_label="molecules", bins=10)
    heights = bars(svg)
    assert len(heights) == 3
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert "&lt;score&gt;" in svg


@pytest.mark.parametrize("values", [[1.0], [0.0] * 4, [-3.0, -3.0], [1e9, 1e9 + 1]])
def test_histogram_of_one_value(values):
    assert sum(height > 0 for height in bars(draw_histogram(values, x_label="x", y_label="y"))) >= 1


def test_charts_of_nothing():
    assert draw_histogram([np.nan], x_label="x", y_label="y") == ""
    assert draw_scatter([1.0], [1.0], x_label="x", y_label="y") == ""


def test_scatter_draws_marked_points_last():
    svg = draw_scatter(
        [0, 1, 2, np.nan], [0, 1, 2, 3], x_label="x", y_label="y",
        marked=[True, False, False, True], intercept=0.0,
    )  # fmt: skip
    kinds = [shape.get("class") for shape in ElementTree.fromstring(svg) if shape.get("r")]
    assert kinds == ["dot", "dot", "marked"]
    assert 'class="guide"' in svg


@pytest.mark.parametrize("intercept", [1e6, -1e6, float("nan")])
def test_a_line_outside_is_not_drawn(intercept):
    svg = draw_scatter([0, 1], [0, 1], x_label="x", y_label="y", intercept=intercept)
    assert "guide" not in svg


def test_bars_of_a_histogram_are_not_narrower_than_the_unit():
    def columns(svg):
        return [float(part.split('width="')[1].split('"')[0]) for part in svg.split("<rect")[1:]]

    alone = draw_histogram([1153.0] * 5, x_label="steps", y_label="trees", unit=1.0)
    assert len(columns(alone)) == 1 and "1153" in alone and "1250" not in alone
    several = draw_histogram([3.0, 4.0, 6.0], x_label="steps", y_label="trees", unit=1.0)
    assert len(columns(several)) == 3
    # four units side by side share the axis
    assert all(width == columns(several)[0] for width in columns(several))
