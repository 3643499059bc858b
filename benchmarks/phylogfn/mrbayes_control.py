"""MrBayes in the same time: the control for evidence, Tree-KL and effective draws.

Usage, from the checkout, with Debian's ``mb`` on the path::

    python -m benchmarks.phylogfn.mrbayes_control DS1.fasta --budget 5m \\
        --reference DS1.topologies.tsv --reference-log-evidence -7108.41

Two processes of ``mb`` run side by side for the whole budget, each an
independent run with its own seed: first plain MCMC, for the topologies, and
then stepping-stone sampling (Xie et al. 2011), for the evidence, so that
MrBayes is given the budget twice. The model is JC69 with independent
exponential branch lengths. ``mb`` knows no wall-clock budget, so a short
calibration, which is not counted, turns the budget into generations.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.durations import parse_duration
from benchmarks.phylogfn.mrbayes_runs import (
    ChainSettings,
    generations_for,
    run_mcmc,
    run_stepping_stone,
    write_alignment,
)
from benchmarks.phylogfn.reference import (
    Topology,
    add_reference_options,
    compare_to_reference,
    read_reference,
)
from benchmarks.phylogfn.topology_ess import topological_ess

__all__ = ["frequencies", "largest_split_difference", "main"]


def frequencies(chains: Sequence[Sequence[Topology]]) -> dict[Topology, float]:
    """Relative frequency of each topology over all runs."""
    total = sum(len(chain) for chain in chains)
    counted: dict[Topology, float] = {}
    for chain in chains:
        for topology in chain:
            counted[topology] = counted.get(topology, 0.0) + 1.0 / total
    return counted


def largest_split_difference(chains: Sequence[Sequence[Topology]]) -> float:
    """Largest difference of a split's frequency between the first two runs."""
    shares: list[dict[int, float]] = []
    for chain in chains[:2]:
        share: dict[int, float] = {}
        for topology in chain:
            for split in topology:
                share[split] = share.get(split, 0.0) + 1.0 / len(chain)
        shares.append(share)
    one, two = shares
    return max(abs(one.get(split, 0.0) - two.get(split, 0.0)) for split in one.keys() | two)


def arguments() -> argparse.ArgumentParser:
    """Command line of the control."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phylogfn.mrbayes_control")
    parser.add_argument("alignment", type=Path, help="FASTA")
    parser.add_argument("--budget", type=parse_duration, default=300.0, help="such as 5m or 90s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--branch-rate", type=float, default=10.0)
    parser.add_argument("--chains", type=int, default=4, help="coupled chains a run")
    parser.add_argument("--steps", type=int, default=50, help="steps of stepping-stone sampling")
    parser.add_argument("--skip-stepping-stone", action="store_true")
    add_reference_options(parser)
    return parser


def control_row(options: argparse.Namespace, seed: int) -> list[str]:
    """Run everything for one seed; returns the cells of its row."""
    settings = ChainSettings(options.branch_rate, options.chains, options.steps, seed)
    with tempfile.TemporaryDirectory(prefix="mrbayes-control-") as scratch:
        folder = Path(scratch)
        names = write_alignment(options.alignment, folder / "alignment.nex")
        reference = read_reference(options.reference) if options.reference else None
        order = reference.taxon if reference else {name: i for i, name in enumerate(names)}
        taxon = {str(i + 1): order[name] for i, name in enumerate(names)}
        budget = options.budget
        generations = generations_for(folder, settings, budget, stepping_stone=False)
        mcmc = run_mcmc(folder, settings, generations, taxon)
        log_evidences, ss_seconds, ss_generations = [], 0.0, 0
        if not options.skip_stepping_stone:
            ss_generations = generations_for(folder, settings, budget, stepping_stone=True)
            log_evidences, ss_seconds = run_stepping_stone(folder, settings, ss_generations)
    rng = np.random.default_rng(seed)
    n_draws = sum(len(chain) for chain in mcmc.chains)
    ess = sum(topological_ess(chain, rng) for chain in mcmc.chains)
    found = frequencies(mcmc.chains)
    cells = [str(seed), f"{generations:,}, {ss_generations:,}"]
    if log_evidences:
        mean = statistics.fmean(log_evidences)
        difference = max(log_evidences) - min(log_evidences)
        cells += [f"{mean:.2f}", f"{difference:.2f}"]
        known = options.reference_log_evidence
        cells.append("" if known is None else f"{mean - known:+.2f}")
    else:
        cells += ["", "", ""]
    if reference:
        distance = compare_to_reference(reference.probabilities, found)
        cells += [
            f"{distance.kl:.4f}",
            f"{distance.total_variation:.3f}",
            f"{100 * distance.covered:.2f} % ({distance.n_unseen} unseen)",
        ]
    else:
        cells += ["", "", ""]
    cells += [
        f"{ess:.0f} of {n_draws} ({100 * ess / n_draws:.1f} %)",
        str(len(found)),
        f"{largest_split_difference(mcmc.chains):.3f}",
        f"{mcmc.wall_seconds:.0f} + {ss_seconds:.0f}",
    ]
    return cells


HEADER = [
    "seed",
    "generations a run (mcmc, ss)",
    "log evidence (mean of 2 ss runs)",
    "difference of the 2",
    "error",
    "Tree-KL",
    "TV",
    "reference mass visited",
    "effective draws (topologies)",
    "topologies",
    "largest split difference",
    "wall s (mcmc + ss)",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the control for each seed and print a Markdown block."""
    options = arguments().parse_args(argv)
    if not shutil.which("mb"):
        raise SystemExit("mb is not on the path: install MrBayes (Debian: apt install mrbayes)")
    print(measured_on(["python", "-m", "benchmarks.phylogfn.mrbayes_control", *sys.argv[1:]]))
    rows = [control_row(options, seed) for seed in options.seeds]
    print(markdown_table(HEADER, rows))
    print(
        f"\nTwo runs of {options.chains} coupled chains side by side; the first quarter is "
        "burn-in; effective draws: median pseudo-ESS of Robinson-Foulds traces (Lanfear et al. "
        "2016), summed over the runs. Topologies of the reference that were not visited count "
        "as half a draw each in Tree-KL."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
