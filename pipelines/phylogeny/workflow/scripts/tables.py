"""Two tables over all runs: results of each run, and evidence by alignment and model."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from gfncore.evaluation.weighted_mean import WeightedMean, weighted_mean

FIGURES = (
    "n_taxa",
    "n_sites",
    "n_patterns",
    "log_evidence",
    "log_evidence_se",
    "ess",
    "n_proposals",
    "pareto_k",
    "n_samples",
    "n_topologies",
    "wall_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
)


def read_run(path: str) -> dict[str, Any]:
    """Return a row of the table of runs from ``ALIGNMENT/MODEL/seedN/summary.json``."""
    alignment, directory, seed = Path(path).parts[-4:-1]
    summary = json.loads(Path(path).read_text(encoding="utf-8"))
    return {
        "alignment": alignment,
        "directory": directory,
        "seed": int(seed.removeprefix("seed")),
        "model": summary["model"],
        **{key: summary[key] for key in FIGURES},
        "listed_probability": summary["extra"]["listed_probability"],
        "known_share": summary["extra"]["known_share"],
        "branch_length_pareto_k": summary["extra"].get("branch_length_pareto_k"),
        "topology_pareto_k": summary["extra"].get("topology_pareto_k"),
        "verdict": summary["verdict"],
        "warnings": " | ".join(summary["warnings"]),
    }


def read_comparison(path: str) -> dict[str, float]:
    """Return the figures of ``phylogfn compare``, each the largest of all pairs."""
    found: dict[str, list[float]] = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition("\t")
        if key in {"asdsf", "largest_split_difference", "rf_consensus", "rf_mean"}:
            value = rest.partition("\t")[0]
            found.setdefault(key, []).append(math.nan if value.startswith("NA") else float(value))
    return {key: max(values) for key, values in found.items()}


def evidence_table(
    runs: pd.DataFrame, comparisons: dict[tuple[str, str], dict[str, float]], limit: float
) -> pd.DataFrame:
    """Return one row per alignment and model, the best model of each alignment first.

    Parameters
    ----------
    runs : DataFrame
        The table of runs.
    comparisons : dict
        Results of :func:`read_comparison` by alignment and directory of the model.
    limit : float
        Seeds agree if the average standard deviation of split frequencies is at most this.

    Failed runs do not contribute to the evidence, which is NaN if all runs failed.
    """
    rows = []
    for (alignment, directory), group in runs.groupby(["alignment", "directory"], sort=False):
        usable = group[group["verdict"] != "failed"]
        evidence = WeightedMean(math.nan, math.nan, math.nan)
        if len(usable):
            evidence = weighted_mean(
                usable["log_evidence"].astype(float).tolist(),
                usable["log_evidence_se"].astype(float).tolist(),
            )
        compared = comparisons.get((alignment, directory), {})
        asdsf = compared.get("asdsf", math.nan)
        rows.append(
            {
                "alignment": alignment,
                "directory": directory,
                "model": " / ".join(dict.fromkeys(group["model"])),
                "seeds": len(group),
                "log_evidence": evidence.value,
                "log_evidence_se": evidence.error,
                "birge_ratio": evidence.birge_ratio,
                "asdsf": asdsf,
                "largest_split_difference": compared.get("largest_split_difference", math.nan),
                "rf_consensus": compared.get("rf_consensus", math.nan),
                "rf_mean": compared.get("rf_mean", math.nan),
                # without a frequent split in any seed, there is nothing to disagree on
                "agree": (not asdsf > limit) if compared else None,
                "ess": group["ess"].sum(),
                "warnings": int((group["warnings"] != "").sum()),
            }
        )
    table = pd.DataFrame(rows)
    order = {name: place for place, name in enumerate(dict.fromkeys(runs["alignment"]))}
    table = table.sort_values(
        ["alignment", "log_evidence"],
        key=lambda column: column.map(order) if column.name == "alignment" else -column,
        kind="stable",
        ignore_index=True,
    )
    best = table.groupby("alignment", sort=False)[["log_evidence", "log_evidence_se"]].transform(
        "first"
    )
    factor = table["log_evidence"] - best["log_evidence"]
    error = (table["log_evidence_se"] ** 2 + best["log_evidence_se"] ** 2) ** 0.5
    table.insert(6, "log_bayes_factor", factor)
    table.insert(7, "log_bayes_factor_se", error.where(factor != 0.0, 0.0))
    share = factor.map(math.exp)
    table.insert(8, "model_probability", share / share.groupby(table["alignment"]).transform("sum"))
    return table


def main(snakemake: Any) -> None:
    """Write both tables."""
    runs = pd.DataFrame([read_run(path) for path in snakemake.input.summaries])
    comparisons = {
        tuple(Path(path).parts[-3:-1]): read_comparison(path)
        for path in snakemake.input.comparisons
    }
    evidence = evidence_table(runs, comparisons, snakemake.params.asdsf)
    for table, path in ((runs, snakemake.output.runs), (evidence, snakemake.output.evidence)):
        table.to_csv(path, sep="\t", index=False, float_format="%.10g")


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])
