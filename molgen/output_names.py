"""Names of the files in the output directory, importable without anything heavy."""

from __future__ import annotations

__all__ = ["EXACT_OUTPUT_NAMES", "OUTPUT_NAMES"]

OUTPUT_NAMES = (
    "summary.json",
    "library.csv",
    "scored.csv",
    "library.smi",
    "library.sdf",
    "pareto.csv",
    "report.html",
    "run.toml",
    "provenance.json",
    "train.jsonl",
    "tensorboard",
    "checkpoint",
)
"""All names that may appear in the output directory of ``molgen sample``."""

EXACT_OUTPUT_NAMES = ("exact.json", "run.toml", "provenance.json")
"""All names that may appear in the output directory of ``molgen exact``."""
