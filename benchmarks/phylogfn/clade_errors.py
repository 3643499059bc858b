"""Are the standard errors of clade probabilities right? Their spread over seeds.

Usage, from the checkout::

    python -m benchmarks.phylogfn.clade_errors data/primates.fasta --sites 120 --budget 30s
    python -m benchmarks.phylogfn.clade_errors data/primates.fasta --quick

Runs of other seeds on the same data differ by their sampling errors alone. For each clade the table
compares the standard deviation over the runs with the stated error (root mean square), and the last
line counts pairs of runs that differ by more than two stated errors of the difference (5 % if the
errors are right). Failed runs, which state no errors, are left out and counted.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.machine import markdown_table, measured_on
from phylogfn import sample
from phylogfn.alignments.alignment import read_alignment
from phylogfn.results.posterior import Posterior

__all__ = ["clade_rows", "far_pairs", "main"]

CERTAIN = 0.01  # clades whose mean probability is within it of 0 or 1 are left out

Clades = Mapping[tuple[str, ...], tuple[float, float]]  # probability and error by the taxa


def clades_of(posterior: Posterior) -> Clades:
    """Return probability and standard error of each clade."""
    frame = posterior.clades()
    columns = (frame["taxa"], frame["probability"], frame["probability_se"])
    return {taxa: (p, error) for taxa, p, error in zip(*columns, strict=True)}


def clade_rows(runs: Sequence[Clades]) -> list[tuple[tuple[str, ...], float, float, float]]:
    """Return taxa, mean probability, spread over the runs and stated error of uncertain clades.

    Clades that a run lacks are left out.
    """
    rows = []
    for taxa in sorted(set.intersection(*(set(run) for run in runs))):
        p, errors = np.array([run[taxa] for run in runs]).T
        if CERTAIN < p.mean() < 1.0 - CERTAIN:
            stated = float(np.sqrt((errors**2).mean()))
            rows.append((taxa, float(p.mean()), float(p.std(ddof=1)), stated))
    return sorted(rows, key=lambda row: -row[1])


def far_pairs(runs: Sequence[Clades]) -> tuple[int, int]:
    """Return how many pairs of runs and clades differ by over two errors, and their number."""
    chosen = [taxa for taxa, *_ in clade_rows(runs)]
    far = total = 0
    for one, two in itertools.combinations(runs, 2):
        for taxa in chosen:
            (p, error), (q, other) = one[taxa], two[taxa]
            far += abs(p - q) > 2.0 * np.hypot(error, other)
            total += 1
    return int(far), total


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("alignment", type=Path)
    parser.add_argument("--sites", type=int, help="use the first sites only")
    parser.add_argument("--taxa", type=int, help="use the first taxa only")
    parser.add_argument("--model", default="JC69")
    parser.add_argument("--seeds", type=int, default=10, help="number of runs")
    parser.add_argument("--budget", default="30s", help="of each run")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true", help="two runs of six taxa")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.taxa, options.sites, options.budget = 2, 6, 60, "15s"
    command = ["python", "-m", "benchmarks.phylogfn.clade_errors", *(arguments or sys.argv[1:])]
    print(measured_on(command), flush=True)
    whole = read_alignment(options.alignment)
    options.data_type = whole.alphabet.name
    rows = range(min(options.taxa or whole.n_taxa, whole.n_taxa))
    part = replace(
        whole,
        names=tuple(whole.names[i] for i in rows),
        masks=whole.masks[: len(rows), : options.sites],
    )
    runs, verdicts = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.fasta"
        letters = {1 << i: state for i, state in enumerate(part.alphabet.states)}
        with path.open("w", encoding="utf-8") as file:
            for name, masks in zip(part.names, part.masks.tolist(), strict=True):
                file.write(f">{name}\n{''.join(letters.get(mask, '?') for mask in masks)}\n")
        for seed in range(1, options.seeds + 1):
            posterior = sample(
                path,
                model=options.model,
                budget=options.budget,
                seed=seed,
                runs=1,
                threads=options.threads,
                data_type=vars(options)["data_type"],
            )
            verdicts.append(posterior.verdict)
            if posterior.verdict != "failed":
                runs.append(clades_of(posterior))
    found = clade_rows(runs) if len(runs) > 1 else []
    table = [
        [", ".join(taxa[:4]) + (" ..." if taxa[4:] else ""), *(f"{x:.4f}" for x in figures)]
        for taxa, *figures in found
    ]
    print(markdown_table(["clade", "probability", "spread", "stated error"], table))
    if found:
        ratio = np.mean([(sd / e) ** 2 for _, _, sd, e in found])
        far, total = far_pairs(runs)
        print(f"mean of (spread / stated error)^2: {ratio:.2f}; pairs beyond 2: {far} of {total}")
    print(f"verdicts: {', '.join(f'{verdicts.count(v)} {v}' for v in sorted(set(verdicts)))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
