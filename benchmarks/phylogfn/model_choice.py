"""Does ``phylogfn sample --model auto`` find the model under which an alignment was simulated?

Usage, from the checkout::

    python -m benchmarks.phylogfn.model_choice --replicates 20 --budget 2m --processes 2
    python -m benchmarks.phylogfn.model_choice --quick

Each replicate simulates an alignment on a random tree under one of eight models, whose parameters
are clearly different from those of the smaller models (`TRUE_MODELS`), and runs ``--model auto``. A
row counts how often the true model, or one that contains it, had the highest evidence, how often
the true one had, and states the largest error of a log Bayes factor against the best model.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.simulated import in_processes, simulated_alignment
from phylogfn import sample
from phylogfn.models import parse_model

__all__ = ["TRUE_MODELS", "Choice", "contains", "main", "simulated", "table"]

BASES = ("JC69", "K80", "HKY85", "GTR")
RATES = ("", "+G4", "+I+G4")
FREQUENCIES = "+F{0.35,0.15,0.2,0.3}"
TRUE_MODELS = {
    "JC69": "JC69",
    "JC69+G4": "JC69+G4{0.4}",
    "K80": "K80{4}",
    "K80+I+G4": "K80{4}+I{0.3}+G4{0.7}",
    "HKY85": "HKY85{4}" + FREQUENCIES,
    "HKY85+G4": "HKY85{4}" + FREQUENCIES + "+G4{0.4}",
    "GTR+G4": "GTR{1.5,5,0.6,1.2,7,1}" + FREQUENCIES + "+G4{0.4}",
    "GTR+I+G4": "GTR{1.5,5,0.6,1.2,7,1}" + FREQUENCIES + "+I{0.3}+G4{0.7}",
}
MEAN_LENGTH = 0.1  # of a branch, expected substitutions per site


@dataclass(frozen=True)
class Choice:
    """What one alignment says.

    Attributes
    ----------
    true, best : str
        Model of the simulation, and model of the highest evidence.
    probability : float
        Of the best model.
    error : float
        Largest standard error of a log Bayes factor among the compared models; NaN with one.
    """

    true: str
    best: str
    probability: float
    error: float


def contains(larger: str, smaller: str) -> bool:
    """Whether a model of the default set is another one or contains it."""
    base, _, rates = larger.partition("+")
    other, _, other_rates = smaller.partition("+")
    ranks = ["+" + rates if rates else "", "+" + other_rates if other_rates else ""]
    first, second = (RATES.index(each) for each in ranks)
    return BASES.index(base) >= BASES.index(other) and first >= second


def simulated(model: str, n_taxa: int, n_sites: int, rng: np.random.Generator) -> str:
    """Return an alignment (FASTA) simulated under a model with values for all its parameters."""
    built = parse_model(model, "dna").build()
    return simulated_alignment(built, n_taxa, n_sites, MEAN_LENGTH, rng)[0]


def table(choices: Sequence[Choice]) -> list[list[str]]:
    """Return rows: true model, alignments, best is true or contains it, best is true, errors."""
    rows = []
    for name in [*dict.fromkeys(choice.true for choice in choices), "all"]:
        own = [choice for choice in choices if name in (choice.true, "all")]
        wide = sum(contains(choice.best, choice.true) for choice in own)
        exact = sum(choice.best == choice.true for choice in own)
        errors = [choice.error for choice in own if math.isfinite(choice.error)]
        largest = f"{max(errors):.3f}" if errors else ""
        rows.append([name, f"{len(own)}", f"{wide}", f"{exact}", largest])
    return rows


def choose(task: tuple[argparse.Namespace, str, int, int]) -> Choice:
    """Simulate one alignment under a model, and let the program choose."""
    options, name, place, number = task
    rng = np.random.default_rng([options.seed, number, place])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.fasta"
        text = simulated(TRUE_MODELS[name], options.taxa, options.sites, rng)
        path.write_text(text, encoding="utf-8")
        posterior = sample(
            path,
            budget=options.budget,
            seed=number + 1,
            runs=options.runs,
            threads=options.threads,
        )
    found = posterior.model_table().dropna(subset=["log_evidence"])
    best = found.iloc[0]
    errors = found["log_bayes_factor_se"].iloc[1:].dropna()
    error = float(errors.max()) if len(errors) else math.nan
    return Choice(name, str(best["model"]), float(best["probability"]), error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--taxa", type=int, default=10)
    parser.add_argument("--sites", type=int, default=2000)
    parser.add_argument("--replicates", type=int, default=20, help="of each of the eight models")
    parser.add_argument("--budget", default="2m", help="of each alignment")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one model, five taxa")
    options = parser.parse_args(arguments)
    models = list(TRUE_MODELS)
    if options.quick:
        options.replicates, options.taxa, options.sites, options.budget = 1, 5, 300, "15s"
        models = ["K80"]
    command = ["python", "-m", "benchmarks.phylogfn.model_choice", *(arguments or sys.argv[1:])]
    print(measured_on(command), flush=True)
    choices = []
    tasks = [
        (options, name, place, number)
        for number in range(options.replicates)
        for place, name in enumerate(models)
    ]
    for choice in in_processes(choose, tasks, options.processes):
        choices.append(choice)
        print(
            f"{choice.true}: {choice.best} {choice.probability:.3f}, error {choice.error:.3f}",
            file=sys.stderr,
            flush=True,
        )
    header = ["true model", "alignments", "true or larger", "true", "largest error (nats)"]
    print(markdown_table(header, table(choices)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
