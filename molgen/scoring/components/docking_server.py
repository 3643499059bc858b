"""Docks molecules as an external program (see `molgen.scoring.components.external.server_command`).

Its argument is JSON: receptor, center, size, exhaustiveness, seed. The protocol is that of
`molgen.scoring.components.external`; a score is Vina's affinity of the best pose (kcal/mol).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from meeko import MoleculePreparation, PDBQTWriterLegacy  # pyright: ignore[reportMissingImports]
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from vina import Vina  # pyright: ignore[reportMissingImports]

from molgen.scoring.components.isomers import chosen_isomer

__all__ = ["ligand_pdbqt", "main", "serve"]


def ligand_pdbqt(smiles: str, seed: int) -> str:
    """Return a molecule as a flexible ligand, from one conformer (ETKDGv3, then MMFF94).

    Where stereo is open, it is that of `molgen.scoring.components.isomers.chosen_isomer`.

    Raises
    ------
    ValueError
        The SMILES cannot be read, no conformer is found, or meeko cannot prepare it.
    """
    mol = Chem.AddHs(Chem.MolFromSmiles(chosen_isomer(smiles)))
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed = seed
    if rdDistGeom.EmbedMolecule(mol, settings) != 0:
        settings.useRandomCoords = True  # slower, and succeeds with crowded rings
        if rdDistGeom.EmbedMolecule(mol, settings) != 0:
            raise ValueError("no conformer was found")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        rdForceFieldHelpers.MMFFOptimizeMolecule(mol)
    text, good, problem = PDBQTWriterLegacy.write_string(MoleculePreparation().prepare(mol)[0])
    if not good:
        raise ValueError(f"meeko: {problem}")
    return text


def _affinity(vina: Any, smiles: str, settings: dict[str, Any]) -> float:
    vina.set_ligand_from_string(ligand_pdbqt(smiles, settings["seed"]))
    vina.dock(exhaustiveness=settings["exhaustiveness"], n_poses=1)
    return float(vina.energies(n_poses=1)[0][0])


def serve(settings: dict[str, Any]) -> None:
    """Answer each line of stdin with affinities until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # Vina writes to stdout, where answers go
    vina = Vina(sf_name="vina", cpu=1, seed=settings["seed"], verbosity=0)
    vina.set_receptor(settings["receptor"])
    vina.compute_vina_maps(center=settings["center"], box_size=settings["size"])
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            answer["scores"] = [_affinity(vina, text, settings) for text in request["smiles"]]
        except (ValueError, RuntimeError, TypeError) as problem:  # of RDKit, meeko and Vina
            answer["error"] = f"{type(problem).__name__}: {problem}"
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Serve with the settings of the command line."""
    serve(json.loads(sys.argv[1]))
