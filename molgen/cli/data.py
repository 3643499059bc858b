"""``molgen data``: the example data that come with the program."""

from __future__ import annotations

from pathlib import Path

from gfncore.program.data_command import data_app

__all__ = ["app"]

_SMILES = frozenset({".smi", ".smiles"})
_SUFFIXES = _SMILES | {".sdf", ".toml", ".csv", ".pdb", ".pdbqt"}


def _describe(path: Path) -> str:
    """Return the number of SMILES of a file of these, else the size of the file."""
    if path.suffix not in _SMILES:
        return f"{path.stat().st_size:,} bytes"
    lines = path.read_text(encoding="utf-8").splitlines()
    count = sum(bool(line.strip()) and not line.startswith("#") for line in lines)
    return f"{count:,} SMILES"


app = data_app("molgen", "fragments.smi", _SUFFIXES, _describe)
