"""Docking with AutoDock Vina as a component (the extra ``docking``: vina, meeko, gemmi).

Of a molecule with open stereocentres one isomer is docked (`molgen.scoring.components.isomers`),
and named in the column ``NAME_isomer`` of the library. RDKit makes one three-dimensional conformer,
meeko prepares it as a flexible ligand, Vina docks it into a rigid receptor (Eberhardt et al. 2021,
J. Chem. Inf. Model. 61:3891-3898). It all happens in programs of its own
(`molgen.scoring.components.docking_server`), several at once, so that a molecule that takes too
long or crashes Vina costs no other its score.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from molgen.scoring.components.external import ExternalScorer, server_command
from molgen.scoring.components.isomers import chosen_isomer
from molgen.scoring.registry import MOST_PROCESSES, Kind, Parameter, reference_path, register

__all__ = ["PACKAGES"]

PACKAGES = ("vina", "meeko", "gemmi")
_START_LIMIT = 180.0  # seconds for imports and the maps of the receptor


def _build(parameters: dict[str, Any]) -> ExternalScorer:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"docking needs {', '.join(missing)}; install the extra, "
            "in a clone of phylogfn: pip install '.[docking]'"
        )
    directory: Path | None = parameters["directory"]
    receptor = reference_path(parameters["receptor"], directory)
    if not os.path.isfile(receptor):  # unlike Path.is_file, for a name too long, too
        raise ValueError(f"there is no receptor file '{receptor}'")
    if receptor.suffix != ".pdbqt":
        raise ValueError(
            f"the receptor '{receptor}' is not a .pdbqt file; use mk_prepare_receptor.py"
        )
    for name in ("center", "size"):
        if len(parameters[name]) != 3:
            raise ValueError(f"'{name}' has {len(parameters[name])} numbers; give x, y and z")
    if min(parameters["size"]) <= 0:
        raise ValueError("'size' must be above 0")
    settings = {
        "receptor": str(receptor.resolve()),
        **{name: parameters[name] for name in ("center", "size", "exhaustiveness", "seed")},
    }
    command = server_command("docking_server", json.dumps(settings))
    return ExternalScorer(
        command,
        size=1,
        time_limit=parameters["time_limit"],
        processes=parameters["processes"],
        start_limit=_START_LIMIT,
    )


register(
    Kind(
        "docking",
        "Docking",
        "affinity by AutoDock Vina (kcal/mol; lower is better)",
        _build,
        (
            Parameter("receptor", "text", "rigid receptor, a .pdbqt file"),
            Parameter("center", "numbers", "centre of the box: x, y, z (ångström)"),
            Parameter("size", "numbers", "side lengths of the box: x, y, z (ångström)"),
            Parameter("exhaustiveness", "integer", "effort of the search", 8, minimum=1),
            Parameter("seed", "integer", "seed of conformers and of the search", 1, minimum=1),
            Parameter("time_limit", "number", "maximum seconds per molecule", 300.0, minimum=0.01),
            Parameter(
                "processes",
                "integer",
                "number of molecules docked concurrently",
                1,
                minimum=1,
                maximum=MOST_PROCESSES,
            ),
        ),
        batch=True,
        files=lambda parameters: {
            parameters["receptor"]: reference_path(parameters["receptor"], parameters["directory"])
        },
        isomer=chosen_isomer,
        unit=False,
        transform={"type": "reverse_sigmoid", "low": -12.0, "high": -6.0, "k": 0.25},
    )
)
