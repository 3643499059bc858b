"""Accuracy of `phylogfn sample`: evidence, its error, Tree-KL, effective draws, memory.

Usage, from the checkout, with `phylogfn` installed::

    python -m benchmarks.phylogfn.evidence DS1.fasta --budget 5m --seeds 1 2 3 \\
        --reference DS1.topologies.tsv --reference-log-evidence -7108.41
    python -m benchmarks.phylogfn.evidence spread DS1.fasta --budget 5m \\
        --reference-log-evidence -7108.41

The first form runs the program once a seed and prints one row a seed, the
median and the range. ``spread`` runs ten seeds and also compares the standard
deviation of the log evidence over the seeds with the standard error that the
runs state. The program runs as any user's would: as its own process, and only
its files are read. Options after ``--`` go to `phylogfn sample` as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.durations import parse_duration
from benchmarks.phylogfn.reference import (
    Reference,
    TreeDistance,
    add_reference_options,
    compare_to_reference,
    read_reference,
    read_topologies,
)
from benchmarks.phylogfn.tree_kl import tree_kl_of_run

__all__ = ["Column", "Run", "columns", "main", "read_run", "run_seed", "spread_lines", "table"]

SPREAD_SEEDS = tuple(range(1, 11))


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes
    ----------
    seed : int
        Its seed.
    summary : mapping
        Its ``summary.json``.
    distance : TreeDistance or None
        Of ``topologies.tsv`` from the reference, if one was given.
    kl : mapping
        KL of the reference to the run's own log-probabilities, see `tree_kl_of_run`.
    """

    seed: int
    summary: Mapping[str, object]
    distance: TreeDistance | None = None
    kl: Mapping[str, float] = field(default_factory=dict)

    def number(self, key: str) -> float:
        """A number of the summary, looked up also under ``extra``; NaN if absent."""
        extra = self.summary.get("extra")
        value = self.summary.get(key, extra.get(key) if isinstance(extra, Mapping) else None)
        return float(value) if isinstance(value, int | float) else math.nan

    def ess_share(self) -> float:
        """Effective draws over draws."""
        return self.number("ess") / self.number("n_proposals")


@dataclass(frozen=True)
class Column:
    """A column of the table: its name, its value in a run, and how it is printed."""

    name: str
    value: Callable[[Run], float]
    form: str = "{:.3f}"
    unit: str = ""

    def text(self, value: float) -> str:
        """The value as it is printed; empty if it is not a number."""
        return "" if math.isnan(value) else self.form.format(value) + self.unit


def columns(reference_log_evidence: float | None) -> list[Column]:
    """The columns of the table, of which those that no run can fill are left out later."""
    known = math.nan if reference_log_evidence is None else reference_log_evidence

    def of_distance(attribute: str) -> Callable[[Run], float]:
        return lambda run: getattr(run.distance, attribute, math.nan)

    return [
        Column("log evidence", lambda run: run.number("log_evidence")),
        Column("standard error", lambda run: run.number("log_evidence_se"), "{:.4f}"),
        Column("error", lambda run: run.number("log_evidence") - known, "{:+.3f}"),
        Column("Tree-KL", lambda run: run.kl.get("posterior", math.nan), "{:.4f}"),
        Column("Tree-KL of the sampler", lambda run: run.kl.get("sampler", math.nan), "{:.3f}"),
        Column("Tree-KL as listed", of_distance("kl"), "{:.4f}"),
        Column("TV", of_distance("total_variation"), "{:.4f}"),
        Column("reference mass unlisted", of_distance("unlisted"), "{:.5f}"),
        Column("effective draws", lambda run: run.number("ess"), "{:.0f}"),
        Column("of draws", lambda run: 100 * run.ess_share(), "{:.1f}", " %"),
        Column("k-hat", lambda run: run.number("pareto_k"), "{:.2f}"),
        Column("topologies", lambda run: run.number("n_topologies"), "{:.0f}"),
        Column(
            "likelihoods", lambda run: run.number("likelihood_evaluations") / 1e6, "{:.2f}", " M"
        ),
        Column("memory", lambda run: run.number("peak_memory_bytes") / 2**30, "{:.2f}", " GiB"),
        Column("wall", lambda run: run.number("wall_seconds"), "{:.0f}", " s"),
        Column("CPU", lambda run: run.number("cpu_seconds"), "{:.0f}", " s"),
    ]


def program() -> str:
    """The `phylogfn` of the environment in which the benchmark runs."""
    return str(Path(sysconfig.get_path("scripts")) / "phylogfn")


def sample_command(options: argparse.Namespace, seed: int, out: Path) -> list[str]:
    """The command line of one run."""
    return [
        program(),
        "sample",
        str(options.alignment),
        "-o",
        str(out),
        *("--model", options.model),
        *("--branch-prior", options.branch_prior),
        *("--budget", f"{options.budget:g}s"),
        *("--runs", str(options.runs)),
        *("--seed", str(seed)),
        *options.passed_on,
    ]


def run_seed(options: argparse.Namespace, seed: int, reference: Reference | None) -> Run:
    """Run the program once and read what it wrote.

    Raises
    ------
    SystemExit
        If the program fails; its last lines are shown.
    """
    with tempfile.TemporaryDirectory(prefix="evidence-") as scratch:
        out = options.keep / f"seed{seed}" if options.keep else Path(scratch) / "out"
        out.parent.mkdir(parents=True, exist_ok=True)
        command = sample_command(options, seed, out)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join(done.stderr.splitlines()[-15:])
            raise SystemExit(f"{shlex.join(command)}\nended with {done.returncode}:\n{tail}")
        run = read_run(out, seed, reference)
        if reference is None:
            return run
        return replace(run, kl=tree_kl_of_run(out, Path(options.reference)))


def read_run(out: Path, seed: int, reference: Reference | None) -> Run:
    """Read the files of a finished run."""
    summary = json.loads((out / "summary.json").read_text())
    if reference is None:
        return Run(seed, summary)
    listed = read_topologies(out / "topologies.tsv", reference.taxon)
    return Run(seed, summary, compare_to_reference(reference.probabilities, listed))


def table(runs: Sequence[Run], reference_log_evidence: float | None) -> str:
    """Markdown table: a row a run, then the median and the range over runs."""
    filled = [
        column
        for column in columns(reference_log_evidence)
        if not all(math.isnan(column.value(run)) for run in runs)
    ]
    rows = [[str(run.seed), *(column.text(column.value(run)) for column in filled)] for run in runs]
    if len(runs) > 1:
        known = [
            [value for run in runs if not math.isnan(value := column.value(run))]
            for column in filled
        ]
        pairs = list(zip(filled, known, strict=True))
        median = [column.text(statistics.median(v)) for column, v in pairs]
        extent = [f"{column.text(min(v))} to {column.text(max(v))}" for column, v in pairs]
        rows += [["**median**", *median], ["range", *extent]]
    return markdown_table(["seed", *(column.name for column in filled)], rows)


def spread_lines(runs: Sequence[Run], reference_log_evidence: float | None) -> str:
    """Compare the spread of the log evidence over seeds with the stated standard errors.

    The ratio is the sample standard deviation over the seeds divided by the
    root mean square of the stated standard errors; with ten runs and right
    errors it lies between 0.55 and 1.45 in 95 of 100 cases (chi-squared, 9
    degrees of freedom).
    """
    values = [run.number("log_evidence") for run in runs]
    errors = [run.number("log_evidence_se") for run in runs]
    deviation = statistics.stdev(values)
    stated = math.sqrt(statistics.fmean(error**2 for error in errors))
    lines = [
        f"Standard deviation of log evidence over {len(runs)} seeds: {deviation:.4f}; "
        f"stated standard error (root mean square): {stated:.4f}; "
        f"ratio {deviation / stated if stated else math.inf:.2f} (asked: 0.5 to 2)."
    ]
    if reference_log_evidence is not None:
        bias = statistics.fmean(values) - reference_log_evidence
        standard = deviation / math.sqrt(len(runs))
        lines.append(f"Mean minus the reference: {bias:+.4f} +- {standard:.4f}.")
    return "\n".join(lines)


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.phylogfn.evidence", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("alignment", type=Path)
    parser.add_argument("--budget", type=parse_duration, default=300.0, help="such as 5m or 90s")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--runs", type=int, default=1, help="independent runs of each seed")
    parser.add_argument("--model", default="JC69")
    parser.add_argument("--branch-prior", default="exp:10")
    add_reference_options(parser)
    parser.add_argument("--keep", type=Path, help="folder in which the runs' files are left")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run all seeds, one after another, and print a Markdown block."""
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    own, passed_on = words[:end], words[end + 1 :]
    spread = own[:1] == ["spread"]
    options = arguments().parse_args(own[1:] if spread else own)
    options.passed_on = passed_on
    seeds = options.seeds or (SPREAD_SEEDS if spread else (1, 2, 3))
    reference = read_reference(options.reference) if options.reference else None
    print(measured_on(["python", "-m", "benchmarks.phylogfn.evidence", *words]))
    runs = []
    for seed in seeds:
        runs.append(run_seed(options, seed, reference))
        print(f"seed {seed}: {runs[-1].number('log_evidence'):.3f}", file=sys.stderr, flush=True)
    print(table(runs, options.reference_log_evidence))
    if spread and len(runs) > 1:
        print("\n" + spread_lines(runs, options.reference_log_evidence))
    if reference:
        print(
            "\nTree-KL and TV: of topologies.tsv from the reference posterior; a topology of the "
            "reference that is not listed is given half of the smallest listed probability."
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
