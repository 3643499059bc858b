"""How often is a run trusted, and do two trusted runs agree within their stated errors?

Usage, from the checkout::

    python -m benchmarks.phylogfn.verdicts --simulated 40 --processes 2 data/primates.fasta ...
    python -m benchmarks.phylogfn.verdicts --quick

Every alignment, those given and those simulated, is sampled twice by ``phylogfn sample`` with its
defaults, from different seeds. Simulated alignments differ in the number of taxa (5 to 60) and of
sites (100 to 2,000), in the mean branch length (.02 to .3) and in the model. Printed are a row for
each alignment, the share of trusted runs, and among the pairs of trusted runs the share of those
whose log evidences differ by more than three of their standard errors.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.simulated import in_processes, simulated_alignment
from phylogfn import sample
from phylogfn.models import parse_model

__all__ = ["Pair", "main", "shares", "simulated"]

MODELS = (
    "JC69",
    "HKY85{4}+F{0.35,0.15,0.2,0.3}",
    "HKY85{4}+F{0.35,0.15,0.2,0.3}+G4{0.4}",
    "GTR{1.5,5,0.6,1.2,7,1}+F{0.35,0.15,0.2,0.3}+I{0.3}+G4{0.7}",
)


@dataclass(frozen=True)
class Pair:
    """Two runs of ``phylogfn sample`` on one alignment.

    Attributes
    ----------
    name, size : str
        Of the alignment; its taxa and sites.
    verdicts : tuple of str
    z : float
        Difference of the log evidences in standard errors; NaN if it is not defined.
    minutes : float
        Of the longer run.
    """

    name: str
    size: str
    verdicts: tuple[str, str]
    z: float
    minutes: float

    @property
    def trusted(self) -> bool:
        """Whether both runs are trusted."""
        return set(self.verdicts) == {"trusted"}


def simulated(number: int, seed: int, largest: int = 60) -> tuple[str, str]:
    """Return the name and the text (FASTA) of a simulated alignment."""
    rng = np.random.default_rng([seed, number])
    n_taxa = round(math.exp(rng.uniform(math.log(5), math.log(largest))))
    n_sites = round(math.exp(rng.uniform(math.log(100), math.log(2000))))
    mean_length = math.exp(rng.uniform(math.log(0.02), math.log(0.3)))
    place = number % len(MODELS)
    model = parse_model(MODELS[place], "dna").build()
    text, _ = simulated_alignment(model, n_taxa, n_sites, mean_length, rng)
    return f"simulated {number}, {MODELS[place].partition('{')[0]}, {mean_length:.2f}", text


def shares(pairs: Sequence[Pair]) -> list[str]:
    """Return two sentences: how many runs are trusted, and how many pairs of them disagree."""
    runs = [verdict for pair in pairs for verdict in pair.verdicts]
    trusted = runs.count("trusted")
    low, high = binomtest(trusted, len(runs)).proportion_ci()
    both = [abs(pair.z) for pair in pairs if pair.trusted and math.isfinite(pair.z)]
    apart = sum(z > 3.0 for z in both)
    return [
        f"Trusted: {trusted} of {len(runs)} runs ({trusted / len(runs):.0%}; "
        f"95 % interval {low:.0%} to {high:.0%}).",
        f"More than three standard errors apart: {apart} of {len(both)} pairs of trusted runs.",
    ]


def run_simulated(task: tuple[argparse.Namespace, int]) -> tuple[Pair, str]:
    """Simulate an alignment and sample it from two seeds."""
    options, number = task
    name, text = simulated(number, options.seed, options.largest)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.fasta"
        path.write_text(text, encoding="utf-8")
        return run_pair((options, path, name))


def run_pair(task: tuple[argparse.Namespace, Path, str]) -> tuple[Pair, str]:
    """Sample one alignment from two seeds; return also a line about it."""
    options, path, name = task
    found, seconds = [], []
    for seed in (2 * options.seed - 1, 2 * options.seed):
        start = time.perf_counter()
        found.append(sample(path, budget=options.budget, seed=seed, threads=options.threads))
        seconds.append(time.perf_counter() - start)
    error = math.hypot(*(each.log_evidence_se for each in found))
    z = (found[0].log_evidence - found[1].log_evidence) / error if error > 0.0 else math.nan
    facts = found[0].facts
    assert facts is not None
    size = f"{found[0].n_taxa} x {facts.n_sites}"
    pair = Pair(name, size, (found[0].verdict, found[1].verdict), z, max(seconds) / 60.0)
    reasons = [str(each.verdict_reasons[0]) for each in found if each.verdict != "trusted"]
    line = f"{name} ({pair.size}): {', '.join(pair.verdicts)}, z {z:.2f}"
    return pair, ". ".join([line, *reasons])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("alignments", nargs="*", type=Path)
    parser.add_argument("--simulated", type=int, default=40, help="number of alignments")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--largest", type=int, default=60, help="taxa of simulated alignments")
    parser.add_argument("--budget", default="5m", help="of each run")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one simulated alignment")
    options = parser.parse_args(arguments)
    if options.quick:
        options.simulated, options.largest, options.budget = 1, 6, "10s"
    command = ["python", "-m", "benchmarks.phylogfn.verdicts", *(arguments or sys.argv[1:])]
    print(measured_on(command), flush=True)
    pairs = []
    given = [(options, path, path.name) for path in options.alignments]
    numbers = range(options.first, options.first + options.simulated)
    for pair, line in itertools.chain(
        in_processes(run_pair, given, options.processes),
        in_processes(run_simulated, [(options, number) for number in numbers], options.processes),
    ):
        pairs.append(pair)
        print(line, file=sys.stderr, flush=True)
    header = ["alignment", "taxa x sites", "verdicts", "z of the two", "minutes"]
    rows = [
        [pair.name, pair.size, ", ".join(pair.verdicts), f"{pair.z:.2f}", f"{pair.minutes:.1f}"]
        for pair in pairs
    ]
    print(markdown_table(header, rows))
    print("\n" + "\n".join(shares(pairs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
