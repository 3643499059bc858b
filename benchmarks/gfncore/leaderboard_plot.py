"""The plot of a leaderboard: total variation and error of log Z of each method, a panel a space.

Usage, from the checkout, after ``benchmarks.gfncore.leaderboard``; needs matplotlib::

    python -m benchmarks.gfncore.leaderboard_plot build/leaderboard/trials.jsonl leaderboard.png

Dots are medians over seeds, lines reach from the smallest to the largest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main", "method_rows", "plot"]

AIM = 0.02
FIGURES = {"total_variation": ("total variation", "o"), "log_z_error": ("error of log Z", "x")}


def method_rows(trials: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the trials of each method, by space, the method of least total variation last."""
    spaces: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for one in trials:
        if "reason" in one:
            continue
        method = one["method"]
        name = method["objective"].replace("_", " ")
        if method["backward"] != "uniform":
            name += f", P_B {method['backward'].replace('_', ' ')}"
        if method["exploration"] != "uniform 5 %":
            name += f", {method['exploration']}"
        spaces.setdefault(method["space"], {}).setdefault(name, []).append(one)

    def distance(group: list[dict[str, Any]]) -> float:
        return statistics.median(one["total_variation"] for one in group)

    return {
        space: dict(sorted(groups.items(), key=lambda item: -distance(item[1])))
        for space, groups in spaces.items()
    }


def plot(trials: Sequence[dict[str, Any]], picture: Path) -> None:
    """Draw a panel for each space and write the picture."""
    from matplotlib.figure import Figure

    spaces = method_rows(trials)
    most = max(len(groups) for groups in spaces.values())
    figure = Figure(figsize=(4.6 * len(spaces), 0.3 * most + 1.2), layout="constrained")
    for panel, (space, groups) in enumerate(spaces.items()):
        axes = figure.add_subplot(1, len(spaces), panel + 1)
        for figure_name, (label, marker) in FIGURES.items():
            values = [[one[figure_name] for one in group] for group in groups.values()]
            middle = [statistics.median(found) for found in values]
            colour = "tab:blue" if marker == "o" else "tab:orange"
            axes.scatter(middle, range(len(groups)), marker=marker, label=label, color=colour)
            axes.hlines(
                range(len(groups)),
                [min(found) for found in values],
                [max(found) for found in values],
                color=colour,
            )
        axes.axvline(AIM, color="grey", linewidth=1, linestyle="--", label=f"{AIM:g}")
        axes.set_xscale("log")
        axes.set_yticks(range(len(groups)), list(groups), fontsize=8)
        axes.set_title(space, fontsize=10)
        if panel == 0:
            axes.legend(fontsize=7, loc="lower right")
    figure.savefig(picture, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read trials and draw them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("trials", type=Path, nargs="+", help="trials.jsonl of a leaderboard")
    parser.add_argument("picture", type=Path, help="a file that ends in .png or .svg")
    options = parser.parse_args(arguments)
    lines = [line for path in options.trials for line in path.read_text().splitlines()]
    plot([json.loads(line) for line in lines], options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
