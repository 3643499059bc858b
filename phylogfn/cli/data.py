"""``phylogfn data``: the example data that come with the program."""

from __future__ import annotations

from pathlib import Path

from gfncore.program.data_command import data_app

__all__ = ["app"]

_FASTA = frozenset({".fasta", ".fa", ".fas"})
_SUFFIXES = _FASTA | {".phy", ".phylip", ".nex", ".nexus", ".nwk", ".aln", ".sto"}


def _describe(path: Path) -> str:
    """Return the dimensions of a FASTA file, else the size of the file."""
    if path.suffix not in _FASTA:
        return f"{path.stat().st_size:,} bytes"
    text = path.read_text(encoding="utf-8")
    sequences = [record.partition("\n")[2] for record in text.split(">")[1:]]
    columns = len("".join(sequences[0].split())) if sequences else 0
    return f"{len(sequences)} sequences of {columns:,} columns"


app = data_app("phylogfn", "primates.fasta", _SUFFIXES, _describe)
