"""Two tables of the runs as custom content for MultiQC, which finds them by their file names."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from gfncore.program.multiqc import table_content

PARENT = {
    "parent_id": "phylogfn",
    "parent_name": "phylogfn",
    "parent_description": "Posteriors over phylogenetic trees and the evidence of their models.",
}
RUN_COLUMNS = {
    "log_evidence": {"title": "Log evidence", "description": "nats", "format": "{:,.2f}"},
    "log_evidence_se": {
        "title": "Standard error",
        "description": "of the log evidence, nats",
        "format": "{:,.3f}",
        "scale": "OrRd",
    },
    "ess": {
        "title": "ESS",
        "description": "Effective sample size",
        "format": "{:,.0f}",
        "scale": "Greens",
    },
    "pareto_k": {
        "title": "Pareto k",
        "description": "Tail of the weights; below 0.7 the errors are reliable",
        "format": "{:,.2f}",
        "scale": "OrRd",
    },
    "n_topologies": {"title": "Topologies", "format": "{:,.0f}", "scale": "Blues"},
    "wall_seconds": {"title": "Time", "suffix": " s", "format": "{:,.0f}", "scale": "Purples"},
    "memory": {"title": "Memory", "suffix": " MiB", "format": "{:,.0f}", "scale": "Purples"},
}
EVIDENCE_COLUMNS = {
    "log_evidence": {"title": "Log evidence", "description": "nats", "format": "{:,.2f}"},
    "log_evidence_se": RUN_COLUMNS["log_evidence_se"],
    "log_bayes_factor": {
        "title": "Log Bayes factor",
        "description": "against the best model of the alignment, nats",
        "format": "{:,.2f}",
        "scale": "RdYlGn",
    },
    "asdsf": {
        "title": "ASDSF",
        "description": "Average standard deviation of split frequencies between seeds",
        "format": "{:,.4f}",
        "scale": "OrRd",
    },
    "rf_consensus": {
        "title": "RF",
        "description": "Largest Robinson-Foulds distance between consensus trees of seeds",
        "format": "{:,.0f}",
        "scale": "OrRd",
    },
}


def main(snakemake: Any) -> None:
    """Write both files."""
    names = {"alignment": str, "directory": str}
    runs = pd.read_csv(snakemake.input.runs, sep="\t", dtype=names)
    runs["memory"] = runs["peak_memory_bytes"] / 2**20
    evidence = pd.read_csv(snakemake.input.evidence, sep="\t", dtype=names)
    files = {
        snakemake.output.runs: table_content(
            "phylogfn_runs",
            "Runs of phylogfn",
            "Runs of <code>phylogfn sample</code>, one per alignment, model and seed.",
            RUN_COLUMNS,
            {
                f"{row['alignment']} {row['directory']} seed {row['seed']}": row
                for row in runs.to_dict("records")
            },
            PARENT,
        ),
        snakemake.output.evidence: table_content(
            "phylogfn_evidence",
            "Evidence of models",
            "Seeds combined. Free parameters were fixed at their maximum-likelihood values, so the "
            "evidence of a model with more free parameters is too high in comparison.",
            EVIDENCE_COLUMNS,
            {f"{row['alignment']} {row['directory']}": row for row in evidence.to_dict("records")},
            PARENT,
        ),
    }
    for path, text in files.items():
        Path(path).write_text(text + "\n", encoding="utf-8")


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])
