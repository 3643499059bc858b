"""``molgen workflow``: the Snakemake workflow for many scoring files."""

from __future__ import annotations

from gfncore.program.workflow_command import workflow_app

__all__ = ["app"]

app = workflow_app(
    "molgen",
    "molecules",
    "many scoring files and seeds: libraries, merged, filtered and ranked, one report",
)
