"""`molgen exact`: what is sampled beside the truth, by correction for symmetry, over seeds.

Usage, from the checkout, with molgen installed::

    python -m benchmarks.molgen.exact --max-atoms 5 --seeds 1 2 3 --budget 15m
    python -m benchmarks.molgen.exact --max-atoms 6 --seeds 1 --budget 120m --symmetry merged
    python -m benchmarks.molgen.exact --fragments few.smi --max-fragments 3 --seeds 1 2 3

Each seed is a run of `molgen exact` in a process of its own, one after another. The table has the
median over seeds and, where there are several, the range: total variation of the policy's exact
distribution over molecules from R / Z, error of log Z from 10^5 weighted draws, p of a chi-squared
test of these draws against the truth and against the policy's own distribution, steps and seconds
of training. "By theory" is what a sampler without training error would have.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import markdown_table, measured_on

__all__ = ["main", "table"]

HEADER = (
    "correction",
    "total variation",
    "by theory",
    "Jensen-Shannon",
    "log Z",
    "error",
    "by theory",
    "p, truth",
    "p, policy",
    "steps",
    "seconds",
)


def spread(values: Sequence[float], form: str) -> str:
    """Median, and the range where there are several."""
    shown = format(statistics.median(values), form)
    if len(values) == 1:
        return shown
    return f"{shown} ({min(values):{form}} to {max(values):{form}})"


def table(results: Sequence[dict[str, Any]]) -> str:
    """The Markdown table of the runs' ``exact.json``."""
    rows = []
    for name in results[0]["corrections"]:
        runs = [result["corrections"][name] for result in results]
        truth = results[0]["log_partition_true"]

        def column(key: str, form: str, runs: Sequence[dict[str, Any]] = runs) -> str:
            return spread([run[key] for run in runs], form)

        rows.append(
            [
                name,
                column("total_variation", ".4f"),
                column("ideal_total_variation", ".4f"),
                column("jensen_shannon", ".2e"),
                column("log_partition", ".4f"),
                spread([run["log_partition"] - truth for run in runs], "+.4f"),
                f"{runs[0]['ideal_log_partition'] - truth:+.4f}",
                column("chi2_p_value", ".2g"),
                column("chi2_p_value_policy", ".2g"),
                column("training_steps", ".0f"),
                column("training_seconds", ".0f"),
            ]
        )
    return markdown_table(HEADER, rows)


def run(options: argparse.Namespace, seed: int, output: Path) -> dict[str, Any]:
    """One run of the program; its ``exact.json``."""
    command = [sys.executable, "-m", "molgen.cli.main", "exact", "-o", str(output)]
    command += ["--seed", str(seed), "--budget", options.budget]
    command += ["--symmetry", options.symmetry, "--draws", str(options.draws), "--quiet"]
    if options.fragments is not None:
        command += ["--environment", "fragments", "--fragments", str(options.fragments)]
        command += ["--max-fragments", str(options.max_fragments)]
    else:
        command += ["--elements", options.elements]
    if options.max_atoms is not None:
        command += ["--max-atoms", str(options.max_atoms)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"molgen exact ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads((output / "exact.json").read_text(encoding="utf-8"))


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.molgen.exact", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--elements", default="C,N,O")
    parser.add_argument("--max-atoms", type=int)
    parser.add_argument("--fragments", type=Path)
    parser.add_argument("--max-fragments", type=int, default=3)
    parser.add_argument("--symmetry", default="all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--budget", default="15m", help="for the training of each correction")
    parser.add_argument("--draws", type=int, default=100_000)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds and print a Markdown block."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = arguments().parse_args(words)
    results = []
    with tempfile.TemporaryDirectory(prefix="exact-") as scratch:
        for seed in options.seeds:
            results.append(run(options, seed, Path(scratch) / str(seed)))
    first = results[0]
    shown = [Path(word).name if "/" in word else word for word in words]
    print(measured_on(["python", "-m", "benchmarks.molgen.exact", *shown]))
    print(
        f"{first['n_molecules']:,} molecules in {first['n_states']:,} states, "
        f"{first['n_objects_of_several_states']:,} of several finished states; reward "
        f"{first['reward']}, log Z {first['log_partition_true']:.4f}; seeds "
        f"{', '.join(map(str, options.seeds))}.\n"
    )
    print(table(results))
    memory = max(result["peak_memory_bytes"] for result in results) / 2**30
    seconds = statistics.median(result["wall_seconds"] for result in results)
    print(f"\nWhole run: {seconds:.0f} s (median), {memory:.2f} GiB at most.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
