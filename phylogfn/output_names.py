"""Names of the files in the output directories, importable without anything heavy."""

from __future__ import annotations

__all__ = ["MOST_RUNS", "OUTPUT_NAMES", "PARSIMONY_OUTPUT_NAMES"]

MOST_RUNS = 8
"""Maximum number of independent runs in one."""

OUTPUT_NAMES = (
    "summary.json",
    "trees.nwk",
    "topologies.tsv",
    "clades.tsv",
    "parameters.tsv",
    "models.tsv",
    "consensus.nwk",
    "consensus.con.tre",
    "map.nwk",
    "map.tre",
    "mcc.nwk",
    "mcc.tre",
    "ancestral.tsv",
    "ancestral.fasta",
    *(f"posterior.run{number}.{kind}" for number in range(1, MOST_RUNS + 1) for kind in "tp"),
    "posterior.trprobs",
    "report.html",
    "run.toml",
    "provenance.json",
    "train.jsonl",
    "tensorboard",
    "checkpoint",
)
"""All that may appear in the output directory."""

PARSIMONY_OUTPUT_NAMES = (
    "summary.json",
    "best_trees.nwk",
    "trees.tsv",
    "consensus.nwk",
    "consensus.strict.nwk",
    "report.html",
    "run.toml",
    "provenance.json",
    "train.jsonl",
    "tensorboard",
    "checkpoint",
)
"""All that may appear in the output directory."""
