"""What walkers teach: drug-like runs with them and without, at the same number of scores.

Usage, from the checkout::

    python -m benchmarks.molgen.walkers --calls 20000 --seeds 1 2 3
    python -m benchmarks.molgen.walkers --quick

Each seed is run twice, in this process: as `molgen sample` does it, and with the policy's own draws
in the place of the walkers. A quarter of the scores is left for the draws of the library. A log Z
that is lower at the same number of scores means that the sampler misses a part of its target, which
its standard error cannot show; the check by local changes is to show it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.machine import markdown_table, measured_on
from gfncore.program.progress import Progress
from molgen.runs.sample.effort import SampleEffort
from molgen.runs.sample.main import run_sample
from molgen.settings import SampleSettings

__all__ = ["HEADER", "main", "row"]

HEADER = [
    "seed",
    "training",
    "log Z",
    "local changes that rise",
    "effective share of draws",
    "k-hat",
    "library worth",
    "mean score",
    "oracle calls",
    "steps",
]


def row(seed: int, training: str, summary: dict[str, Any]) -> list[str]:
    """Return the line of a run in the table."""
    changes, error = summary["extra"]["local_changes"], summary["log_partition_se"]
    k = summary["pareto_k"]
    return [
        str(seed),
        training,
        f"{summary['log_partition']:.2f} ± {math.nan if error is None else error:.2f}",
        "not checked"
        if changes is None
        else f"{changes['rising']:.0%} ± {changes['standard_error']:.0%}",
        f"{summary['ess'] / summary['n_proposals']:.4f}",
        "none" if k is None else f"{k:.2f}",
        f"{summary['library_ess']:.0f} of {summary['n_unique']:,}",
        f"{summary['mean_score']:.3f}",
        f"{summary['oracle_calls']:,}",
        f"{summary['extra']['training_steps']:,}",
    ]


def run(options: argparse.Namespace, seed: int, effort: SampleEffort) -> dict[str, Any]:
    """Run once and return the summary."""
    with tempfile.TemporaryDirectory(prefix="walkers-") as scratch:
        output = Path(scratch) / "out"
        settings = SampleSettings(
            output=output,
            reward="druglike",
            reward_exponent=options.exponent,
            oracle_calls=options.calls,
            samples=options.samples,
            budget="10h",
            seed=seed,
            quiet=True,
        )
        with Progress("molgen", quiet=True) as progress:
            run_sample(settings, progress, effort)
        return json.loads((output / "summary.json").read_text(encoding="utf-8"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds and print a Markdown block."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.molgen.walkers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--calls", type=int, default=20_000, help="scores of a run")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--exponent", type=float, default=64.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true", help="one seed, 1,000 scores")
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(words)
    if options.quick:
        options.calls, options.samples, options.seeds = 1000, 50, options.seeds[:1]
    usual = SampleEffort()
    ways = {
        "with walkers": usual,
        "without": replace(usual, on_policy=usual.on_policy + usual.walkers, walkers=0),
    }
    print(measured_on(["python", "-m", "benchmarks.molgen.walkers", *words]), flush=True)
    rows = [
        row(seed, name, run(options, seed, way))
        for seed in options.seeds
        for name, way in ways.items()
    ]
    print(markdown_table(HEADER, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
