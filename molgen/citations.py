"""References to cite for a library of molecules, by the methods of its run."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gfncore.backward.registry import BACKWARD_POLICIES
from gfncore.errors import UserError
from gfncore.objectives.registry import OBJECTIVES
from gfncore.program.citations import (
    ENGINE_REFERENCES,
    Reference,
    bibtex,
    citations_text,
    plain_text,
    read_references,
    select,
)

__all__ = [
    "ALWAYS_CITED",
    "REFERENCES",
    "bibtex",
    "citations_text",
    "methods_of_run",
    "methods_of_settings",
    "plain_text",
    "references",
]

REFERENCES: dict[str, Reference] = {
    **read_references(Path(__file__).with_name("references.toml")),
    **ENGINE_REFERENCES,
}
"""All references by their key: those of ``references.toml`` and the engine's."""

ALWAYS_CITED = (
    "gflownet_molecules",
    "gflownet",
    "trajectory_balance",
    "muon",
    "canonical_labelling",
    "rdkit",
    "morgan_fingerprints",
    "murcko",
)
"""What every run of ``molgen sample`` uses."""

_SYMMETRY = {
    "merged": ("symmetry",),
    "reward_scaling": ("symmetry",),
    "flow_scaling": ("symmetry",),
}
_GUACAMOL = (
    "_rediscovery",
    "_similarity",
    "_mpo",
    "_hop",
    "median1",
    "median2",
    "valsartan_smarts",
)
_PRESET = {"druglike": ("qed", "sa_score")}
_COMPONENT = {
    "qed": ("qed",),
    "sa_score": ("sa_score",),
    "docking": ("vina", "vina_2021"),
    "pains": ("pains",),
    "brenk": ("brenk",),
}


def methods_of_settings(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the references for the settings of a run, without ``ALWAYS_CITED``.

    Parameters
    ----------
    settings : mapping
        Values as in ``run.toml``, None for missing ones.

    Raises
    ------
    TypeError, AttributeError
        An entry has the wrong type.
    """
    keys = [] if settings.get("symmetry") == "none" else ["symmetry"]
    if (name := settings.get("objective")) is not None:
        if not isinstance(name, str):
            raise TypeError(f"objective is {name!r}, but must be a string")
        keys += OBJECTIVES[name].citations if name in OBJECTIVES else ()
        keys += [] if name in OBJECTIVES and OBJECTIVES[name].orders else ["local_search"]
    keys += ["temperature"] if settings.get("conditioning") is not None else []
    if (backward := settings.get("backward_policy")) is not None:
        if not isinstance(backward, str):
            raise TypeError(f"backward_policy is {backward!r}, but must be a string")
        known = BACKWARD_POLICIES.get(backward)
        keys += () if known is None else known.citations
    scoring = settings.get("scoring") or {}
    tables = [*scoring.get("component", ()), *scoring.get("filter", ())]
    names = [str(settings.get("reward") or "")]
    names += _PRESET.get(names[0], ())
    for table in tables:
        names.append(str(table.get("type", "")))
        names += table.get("params", {}).get("catalogs", ())
    for name in names:
        keys += _COMPONENT.get(name.lower(), ())
        keys += ("guacamol",) if name.endswith(_GUACAMOL) or name.startswith("isomers_") else ()
    return tuple(dict.fromkeys(keys))


def methods_of_run(output: Path) -> tuple[str, ...]:
    """Return the keys of the references for the run in an output directory.

    Raises
    ------
    UserError
        There is no finished run.
    """
    try:
        json.loads((output / "summary.json").read_text(encoding="utf-8"))
        return methods_of_settings(tomllib.loads((output / "run.toml").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # for any other content than a summary and settings
        raise UserError(
            f"{output} contains no finished run (summary.json or run.toml is missing or damaged); "
            "give the output directory of molgen sample"
        ) from None


def references(keys: Iterable[str] = ALWAYS_CITED) -> dict[str, Reference]:
    """Return the references of some methods, each publication once, in the order asked for.

    Raises
    ------
    KeyError
        A key is not known.
    """
    return select(REFERENCES, keys)
