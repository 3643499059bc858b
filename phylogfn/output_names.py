"""Names of the files in the output directories, importable without anything heavy."""

from __future__ import annotations

__all__ = ["OUTPUT_NAMES", "PARSIMONY_OUTPUT_NAMES"]

OUTPUT_NAMES = (
    "summary.json",
    "trees.nwk",
    "topologies.tsv",
    "clades.tsv",
    "consensus.nwk",
    "consensus.con.tre",
    "map.nwk",
    "map.tre",
    "mcc.nwk",
    "mcc.tre",
    "posterior.run1.t",
    "posterior.run1.p",
    "posterior.run2.t",
    "posterior.run2.p",
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
