"""Runs of `molgen sample` as a user would start them, by seed: how good and how diverse they are.

Usage, from the checkout, with molgen installed::

    python -m benchmarks.molgen.druglike --budget 5m --seeds 1 2 3
    python -m benchmarks.molgen.druglike --seeds 1 2 3 -- --reward-exponent 4 --oracle-calls 50000
    python -m benchmarks.molgen.druglike --quick

One run after another, each a process of its own on all cores. What stands after `--` is given to
`molgen sample` as it is. The figures are those of `summary.json`, but for the molecular weight,
which is computed here from `library.smi`, and the effective shares, which are `ess` over
`n_proposals` and `library_ess` over `n_unique`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rdkit import Chem
from rdkit.Chem.Descriptors import descList

from benchmarks.machine import markdown_table, measured_on

__all__ = ["figures", "main", "run", "table"]

MOLECULAR_WEIGHT = dict(descList)["MolWt"]
COLUMNS = {
    "n_unique": ("unique", ",.0f"),
    "mean_score": ("mean score", ".3f"),
    "internal_diversity": ("internal diversity", ".3f"),
    "n_scaffolds": ("scaffolds", ",.0f"),
    "weight": ("median weight, Da", ".0f"),
    "validity": ("valid", ".0%"),
    "log_partition": ("log Z", ".2f"),
    "log_partition_se": ("standard error", ".2f"),
    "rising": ("local changes that rise", ".0%"),
    "n_proposals": ("draws", ",.0f"),
    "ess_share": ("effective share of draws", ".4f"),
    "library_share": ("of the library", ".2f"),
    "oracle_calls": ("oracle calls", ",.0f"),
    "training_steps": ("steps", ",.0f"),
    "wall_seconds": ("wall, s", ".0f"),
}


def run(options: argparse.Namespace, seed: int, output: Path) -> None:
    """One run of the program.

    Raises
    ------
    SystemExit
        If it fails; its last lines are shown.
    """
    program = Path(sysconfig.get_path("scripts")) / "molgen"
    command = [str(program), "sample", "-o", str(output), "--reward", options.reward]
    command += ["--budget", options.budget, "--seed", str(seed), "--quiet", *options.more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-15:])
        raise SystemExit(f"molgen sample ended with {done.returncode}:\n{tail}")


def figures(output: Path) -> dict[str, float]:
    """What the table has of one run; nan for what is not known."""
    summary: dict[str, Any] = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    lines = (output / "library.smi").read_text(encoding="utf-8").splitlines()
    weights = [MOLECULAR_WEIGHT(Chem.MolFromSmiles(line.split("\t")[0])) for line in lines]
    ess, library = summary["ess"], summary["library_ess"]
    changes = summary["extra"]["local_changes"]
    found = {
        **{key: summary[key] for key in COLUMNS if key in summary},
        "weight": statistics.median(weights),
        "ess_share": math.nan if ess is None else ess / summary["n_proposals"],
        "library_share": math.nan if library is None else library / summary["n_unique"],
        "rising": math.nan if changes is None else changes["rising"],
        "training_steps": summary["extra"]["training_steps"],
    }
    return {key: math.nan if found[key] is None else float(found[key]) for key in COLUMNS}


def table(runs: dict[int, dict[str, float]]) -> str:
    """A line a seed, and the median over seeds where there are several."""
    rows = [
        [str(seed), *(format(found[key], form) for key, (_, form) in COLUMNS.items())]
        for seed, found in runs.items()
    ]
    if len(runs) > 1:
        medians = [
            format(statistics.median(found[key] for found in runs.values()), form)
            for key, (_, form) in COLUMNS.items()
        ]
        rows.append(["median", *medians])
    return markdown_table(["seed", *(title for title, _ in COLUMNS.values())], rows)


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.molgen.druglike", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--reward", default="druglike")
    parser.add_argument("--budget", default="5m", help="of one run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true", help="one seed, 5s, 50 molecules")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds and print a Markdown block."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    options = arguments().parse_args(words[:cut])
    options.more = words[cut + 1 :]
    if options.quick:
        options.budget, options.seeds = "5s", options.seeds[:1]
        options.more += ["--samples", "50"]
    runs, warnings = {}, []
    with tempfile.TemporaryDirectory(prefix="druglike-") as scratch:
        for seed in options.seeds:
            output = Path(scratch) / str(seed)
            run(options, seed, output)
            runs[seed] = figures(output)
            told = json.loads((output / "summary.json").read_text(encoding="utf-8"))["warnings"]
            warnings += [f"* seed {seed}: {warning}" for warning in told]
    shown = [Path(word).name if "/" in word else word for word in words]
    print(measured_on(["python", "-m", "benchmarks.molgen.druglike", *shown]))
    print(table(runs))
    if warnings:
        print("\nWarnings of the runs:\n\n" + "\n".join(warnings))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
