"""Three tables over all runs: results of each run, library of each score, all molecules."""

import json
import math
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from gfncore.evaluation.weighted_mean import weighted_mean

FIGURES = (
    "log_partition",
    "log_partition_se",
    "ess",
    "n_proposals",
    "n_samples",
    "n_unique",
    "n_scaffolds",
    "n_modes",
    "mean_score",
    "top10_mean",
    "internal_diversity",
    "validity",
    "oracle_calls",
    "wall_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
)
TOP = 10


def read_run(path: str) -> dict[str, Any]:
    """Return a row of the table of runs from ``SCORE/seedN/summary.json``."""
    score, seed = Path(path).parts[-3:-1]
    summary = json.loads(Path(path).read_text(encoding="utf-8"))
    return {
        "score": score,
        "seed": int(seed.removeprefix("seed")),
        **{key: summary[key] for key in FIGURES},
        "failures": sum(summary["oracle_failures"].values()),
        "reward_exponent": summary["reward_exponent"],
        "objective": summary["objective"],
        "warnings": " | ".join(summary["warnings"]),
    }


def shared(pooled: pd.DataFrame) -> float:
    """Return the mean over pairs of seeds of the share of molecules that both found (Jaccard)."""
    found: dict[str, set[str]] = {}
    for smiles, seeds in zip(pooled["smiles"], pooled["seeds"], strict=True):
        for seed in str(seeds).split():
            found.setdefault(seed, set()).add(smiles)
    shares = [len(a & b) / len(a | b) for a, b in combinations(found.values(), 2)]
    return math.fsum(shares) / len(shares) if shares else math.nan


def library_row(
    score: str, runs: pd.DataFrame, pooled: pd.DataFrame, library: pd.DataFrame, counts: dict
) -> dict[str, Any]:
    """Return a row of the table of libraries."""
    partition = weighted_mean(
        runs["log_partition"].astype(float).tolist(),
        runs["log_partition_se"].astype(float).tolist(),
    )
    return {
        "score": score,
        "seeds": len(runs),
        "molecules": len(library),
        "scaffolds": library["scaffold"].nunique(),
        "best": library["reward"].max(),
        "top10_mean": library["reward"].nlargest(TOP).mean(),
        "mean": library["reward"].mean(),
        "log_partition": partition.value,
        "log_partition_se": partition.error,
        "birge_ratio": partition.birge_ratio,
        "shared_by_seeds": shared(pooled),
        "oracle_calls": int(runs["oracle_calls"].sum()),
        "warnings": int((runs["warnings"] != "").sum()),
        "counts": json.dumps(counts),
    }


def main(snakemake: Any) -> None:
    """Write the tables."""
    runs = pd.DataFrame([read_run(path) for path in snakemake.input.summaries])
    types = {"smiles": str, "scaffold": str, "seeds": str}
    rows, molecules = [], []
    for score, pooled, library, counts in zip(
        snakemake.params.scores,
        snakemake.input.pooled,
        snakemake.input.libraries,
        snakemake.input.counts,
        strict=True,
    ):
        table = pd.read_csv(library, dtype=types)
        rows.append(
            library_row(
                score,
                runs[runs["score"] == score],
                pd.read_csv(pooled, dtype=types),
                table,
                json.loads(Path(counts).read_text(encoding="utf-8")),
            )
        )
        if len(table):
            molecules.append(table.assign(score=score))
    figures = ["score", "rank", "smiles", "reward", "screen", "scaffold"]
    figures += ["log_probability", "count", "n_seeds", "seeds"]
    whole = pd.concat(molecules, ignore_index=True) if molecules else pd.DataFrame(columns=figures)
    # scores differ in their components, whose columns are only in the library of each score
    whole = whole[[name for name in figures if name in whole]]
    runs.to_csv(snakemake.output.runs, sep="\t", index=False, float_format="%.10g")
    libraries = pd.DataFrame(rows)
    libraries.to_csv(snakemake.output.libraries, sep="\t", index=False, float_format="%.10g")
    whole.to_csv(snakemake.output.molecules, index=False, float_format="%.7g")


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])
