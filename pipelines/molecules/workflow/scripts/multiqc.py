"""Two tables of the runs as custom content for MultiQC, which finds them by their file names."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from gfncore.program.multiqc import table_content

PARENT = {
    "parent_id": "molgen",
    "parent_name": "molgen",
    "parent_description": "Libraries of molecules drawn with probability proportional to a score.",
}
RUN_COLUMNS = {
    "n_unique": {"title": "Molecules", "format": "{:,.0f}", "scale": "Blues"},
    "top10_mean": {
        "title": "Mean of ten best",
        "description": "Mean score of the ten best",
        "format": "{:,.3f}",
        "scale": "Greens",
    },
    "mean_score": {"title": "Mean score", "format": "{:,.3f}", "scale": "Greens"},
    "internal_diversity": {"title": "Diversity", "format": "{:,.3f}", "scale": "Blues"},
    "ess": {
        "title": "ESS",
        "description": "Effective sample size",
        "format": "{:,.0f}",
        "scale": "Greens",
    },
    "log_partition": {"title": "ln partition function", "description": "nats", "format": "{:,.2f}"},
    "oracle_calls": {"title": "Scored", "format": "{:,.0f}", "scale": "Purples"},
    "failures": {
        "title": "Failed",
        "description": "Molecules with a failed score",
        "format": "{:,.0f}",
        "scale": "OrRd",
    },
    "wall_seconds": {"title": "Time", "suffix": " s", "format": "{:,.0f}", "scale": "Purples"},
    "memory": {"title": "Memory", "suffix": " MiB", "format": "{:,.0f}", "scale": "Purples"},
}
LIBRARY_COLUMNS = {
    "molecules": RUN_COLUMNS["n_unique"],
    "scaffolds": {"title": "Scaffolds", "format": "{:,.0f}", "scale": "Blues"},
    "best": {"title": "Best score", "format": "{:,.3f}", "scale": "Greens"},
    "top10_mean": RUN_COLUMNS["top10_mean"],
    "mean": RUN_COLUMNS["mean_score"],
    "shared_by_seeds": {
        "title": "Shared",
        "description": "Share of the molecules of two seeds that both found, averaged over pairs",
        "format": "{:,.3f}",
        "scale": "Blues",
    },
    "log_partition": RUN_COLUMNS["log_partition"],
}


def main(snakemake: Any) -> None:
    """Write both files."""
    runs = pd.read_csv(snakemake.input.runs, sep="\t", dtype={"score": str})
    runs["memory"] = runs["peak_memory_bytes"] / 2**20
    libraries = pd.read_csv(snakemake.input.libraries, sep="\t", dtype={"score": str})
    files = {
        snakemake.output.runs: table_content(
            "molgen_runs",
            "Runs of molgen",
            "Runs of <code>molgen sample</code>, one per score and seed.",
            RUN_COLUMNS,
            {f"{row['score']} seed {row['seed']}": row for row in runs.to_dict("records")},
            PARENT,
        ),
        snakemake.output.libraries: table_content(
            "molgen_libraries",
            "Libraries",
            "Seeds merged, filtered and ranked.",
            LIBRARY_COLUMNS,
            {row["score"]: row for row in libraries.to_dict("records")},
            PARENT,
        ),
    }
    for path, text in files.items():
        Path(path).write_text(text + "\n", encoding="utf-8")


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])
