"""Two tables over all runs: what each found, and the evidence of each model for each alignment."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

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
        "warnings": " | ".join(summary["warnings"]),
    }


def combine(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of independent estimates, its standard error, and how well they agree.

    The mean is weighted by the inverse squares of the errors. The third number, the Birge ratio,
    is the spread of the estimates over what their errors lead one to expect: about 1 when they
    agree, and when it is larger the error is multiplied by it (R. T. Birge, Phys. Rev. 40:207,
    1932). It is NaN for a single estimate. Where an error is not known or 0, the plain mean and its
    error from the spread are returned.
    """
    n = len(values)
    if any(not error > 0 for error in errors):  # NaN is not above 0 either
        mean = math.fsum(values) / n
        spread = math.fsum((value - mean) ** 2 for value in values)
        return mean, math.sqrt(spread / (n * (n - 1))) if n > 1 else math.nan, math.nan
    weights = [error**-2 for error in errors]
    total = math.fsum(weights)
    mean = math.fsum(w * value for w, value in zip(weights, values, strict=True)) / total
    if n == 1:
        return mean, errors[0], math.nan
    misfit = math.fsum(w * (value - mean) ** 2 for w, value in zip(weights, values, strict=True))
    ratio = math.sqrt(misfit / (n - 1))
    return mean, max(ratio, 1.0) / math.sqrt(total), ratio


def read_comparison(path: str) -> dict[str, float]:
    """Return the figures of ``phylogfn compare``; distances are the largest of all pairs."""
    found: dict[str, list[float]] = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition("\t")
        if key in {"asdsf", "largest_split_difference", "rf_consensus", "rf_mean"}:
            value = rest.partition("\t")[0]
            found.setdefault(key, []).append(
                math.nan if value.startswith("NA") else float(value)
            )
    return {key: max(values) for key, values in found.items()}


def evidence_table(
    runs: pd.DataFrame, comparisons: dict[tuple[str, str], dict[str, float]], limit: float
) -> pd.DataFrame:
    """Return a row an alignment and model, the best model of each alignment first.

    Parameters
    ----------
    runs : DataFrame
        The table of runs.
    comparisons : dict
        By alignment and directory of the model: what :func:`read_comparison` returns.
    limit : float
        Seeds agree when the average standard deviation of split frequencies is at most this.
    """
    rows = []
    for (alignment, directory), group in runs.groupby(["alignment", "directory"], sort=False):
        mean, error, ratio = combine(
            group["log_evidence"].astype(float).tolist(),
            group["log_evidence_se"].astype(float).tolist(),
        )
        compared = comparisons.get((alignment, directory), {})
        asdsf = compared.get("asdsf", math.nan)
        rows.append(
            {
                "alignment": alignment,
                "directory": directory,
                "model": " / ".join(dict.fromkeys(group["model"])),
                "seeds": len(group),
                "log_evidence": mean,
                "log_evidence_se": error,
                "birge_ratio": ratio,
                "asdsf": asdsf,
                "largest_split_difference": compared.get("largest_split_difference", math.nan),
                "rf_consensus": compared.get("rf_consensus", math.nan),
                "rf_mean": compared.get("rf_mean", math.nan),
                # with no split that any seed finds often there is nothing to disagree on
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
