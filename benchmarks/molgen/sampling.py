"""Molecules drawn a second from a trained sampler, with their SMILES; how many are new, and valid.

Usage, from the checkout, with molgen installed::

    python -m benchmarks.molgen.sampling --steps 150 --batches 5
    python -m benchmarks.molgen.sampling --quick

The sampler is trained on QED for some steps as `molgen sample` does it. Then batches are drawn, and
the canonical SMILES of each molecule is made, in this process or in a pool of processes, whichever
was faster on a batch before that is not counted; both times are counted then. Every SMILES is
afterwards read and sanitised by RDKit, and must come out of it as it went in.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from rdkit import Chem

from benchmarks.machine import markdown_table, measured_on
from benchmarks.molgen.training import new_trainer
from benchmarks.phylogfn.likelihood import spread
from gfncore.exploration import sample_trajectories

__all__ = ["Batch", "draw", "main", "n_valid"]


@dataclass(frozen=True)
class Batch:
    """One batch of molecules.

    Attributes
    ----------
    smiles : list of str
        Canonical SMILES.
    drawing, naming : float
        Seconds of the draws, and of the SMILES.
    atoms : float
        Mean number of heavy atoms.
    """

    smiles: list[str]
    drawing: float
    naming: float
    atoms: float


def draw(
    environment: Any, policy: Any, n: int, generator: np.random.Generator, executor: Executor | None
) -> Batch:
    """Draw n molecules."""
    began = time.perf_counter()
    terminals = sample_trajectories(environment, policy, n, generator).terminals
    drawn = time.perf_counter()
    smiles = environment.smiles(terminals, executor)
    named = time.perf_counter()
    return Batch(smiles, drawn - began, named - drawn, float(terminals.n_nodes.mean()))


def n_valid(smiles: Sequence[str]) -> int:
    """How many RDKit reads, sanitises, and writes again as they are."""
    valid = 0
    for text in smiles:
        molecule = Chem.MolFromSmiles(text, sanitize=False)
        if molecule is None or Chem.SanitizeMol(molecule, catchErrors=True):
            continue
        valid += Chem.MolToSmiles(molecule) == text
    return valid


def rows_of(batches: Sequence[Batch], valid: int) -> list[list[str]]:
    """The table."""
    every = [text for batch in batches for text in batch.smiles]
    n = len(batches[0].smiles)
    both = [n / (batch.drawing + batch.naming) for batch in batches]
    return [
        ["molecules a second, with SMILES", spread(both, 0)],
        ["drawn a second", spread([n / batch.drawing for batch in batches], 0)],
        ["SMILES a second", spread([n / batch.naming for batch in batches], 0)],
        ["molecules", f"{len(every):,}"],
        ["unique", f"{100 * len(set(every)) / len(every):.2f} %"],
        ["valid", f"{valid:,} ({100 * valid / len(every):g} %)"],
        ["heavy atoms, mean", f"{np.mean([batch.atoms for batch in batches]):.1f}"],
    ]


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.molgen.sampling", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--steps", type=int, default=150, help="of training before")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--size", type=int, default=2000, help="molecules of a batch")
    parser.add_argument("--threads", type=int, default=2, help="and processes for SMILES")
    parser.add_argument("--quick", action="store_true", help="2 steps, 2 batches of 100")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train, draw, and print a Markdown block."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = arguments()
    options = parser.parse_args(words)
    if options.quick:
        options.steps, options.batches, options.size = 2, 2, 100
    if min(options.steps, options.batches, options.size, options.threads) < 1:
        parser.error("all numbers must be at least 1")
    generator = np.random.default_rng(2)
    spawning = multiprocessing.get_context("spawn")
    with (
        new_trainer(replayed=True, threads=options.threads) as (trainer, _),
        ProcessPoolExecutor(options.threads, mp_context=spawning) as processes,
    ):
        for _ in range(options.steps):
            trainer.step()
        policy = trainer.averaged.policy

        def batch(executor: Executor | None) -> Batch:
            return draw(trainer.environment, policy, options.size, generator, executor)

        batch(processes)  # starts them
        ways = {None: batch(None).naming, processes: batch(processes).naming}
        faster = min(ways, key=lambda way: ways[way])
        batches = [batch(faster) for _ in range(options.batches)]
    valid = n_valid([text for one in batches for text in one.smiles])
    print(measured_on(["python", "-m", "benchmarks.molgen.sampling", *words]))
    where = "this process" if faster is None else f"{options.threads} processes"
    print(
        f"Trained for {options.steps} steps; batches of {options.size:,}; SMILES made in {where}; "
        "median of batches (lowest-highest).\n"
    )
    print(markdown_table(["what", "found"], rows_of(batches, valid)))
    total = options.batches * options.size
    if valid < total:
        print(f"\n{total - valid:,} molecules are not valid.")
    return int(valid < total)


if __name__ == "__main__":
    raise SystemExit(main())
