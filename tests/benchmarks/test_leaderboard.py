"""Rows, order and plot of the leaderboard."""

import pytest

from benchmarks.gfncore.leaderboard import table
from benchmarks.gfncore.leaderboard_plot import method_rows, plot


def trial(objective, distance, seed=1, exploration="uniform 5 %", backward="uniform"):
    method = {
        "space": "bits",
        "objective": objective,
        "backward": backward,
        "exploration": exploration,
    }
    figures = {"total_variation": distance, "log_z_error": distance / 10, "mass_found": 1.0}
    own = {"method": method, "steps": 10, "seed": seed, "calls": 640, "seconds": 2.0}
    return own | figures


TRIALS = [
    trial("detailed_balance", 0.06),
    trial("trajectory_balance", 0.01),
    trial("trajectory_balance", 0.04, seed=2),
    trial("trajectory_balance", 0.02, seed=3),
    trial("trajectory_balance", 0.001, exploration="walkers", backward="maximum_entropy"),
    {"method": trial("flow_matching", 0)["method"], "steps": 10, "seed": 1, "reason": "no use"},
]


def test_methods_are_in_order_with_what_could_not_be_tried():
    lines = table(TRIALS).splitlines()
    assert [line.split(" | ")[4] for line in lines[2:5]] == [
        "0.0010",
        "0.0200 (0.0100 to 0.0400)",
        "0.0600",
    ]
    assert lines[-1] == "* bits: no use"
    rows = method_rows(TRIALS)
    assert list(rows["bits"]) == [
        "detailed balance",
        "trajectory balance",
        "trajectory balance, P_B maximum entropy, walkers",
    ]


def test_the_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    plot(TRIALS, tmp_path / "leaderboard.svg")
    text = (tmp_path / "leaderboard.svg").read_text()
    assert text.startswith("<?xml") and "bits" in text
