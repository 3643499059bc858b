"""Parts of the reports: curves and axes."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from gfncore.report.axes import nice_step
from gfncore.report.histogram import draw_histogram
from gfncore.report.line_chart import draw_line_chart
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
    from gfncore.report.histogram import draw_histogram

    def columns(svg):
        return [float(part.split('width="')[1].split('"')[0]) for part in svg.split("<rect")[1:]]

    alone = draw_histogram([1153.0] * 5, x_label="steps", y_label="trees", unit=1.0)
    assert len(columns(alone)) == 1 and "1153" in alone and "1250" not in alone
    several = draw_histogram([3.0, 4.0, 6.0], x_label="steps", y_label="trees", unit=1.0)
    assert len(columns(several)) == 3
    # four units side by side share the axis
    assert all(width == columns(several)[0] for width in columns(several))
