"""``phylogfn workflow``: the Snakemake workflow for many alignments."""

from __future__ import annotations

from gfncore.program.workflow_command import workflow_app

__all__ = ["app"]

app = workflow_app(
    "phylogfn",
    "phylogeny",
    "many alignments, models and seeds: posteriors, evidence of the models, one report",
)
