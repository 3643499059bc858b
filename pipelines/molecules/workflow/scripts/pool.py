"""The merged libraries of all seeds of a score: one row per molecule, with its seeds."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

DRAWN = ["log_probability", "log_probability_se", "count", "seed"]


def pool(libraries: Sequence[pd.DataFrame], seeds: Sequence[int]) -> pd.DataFrame:
    """Merge libraries and return their distinct molecules in order of score.

    The score of a molecule does not depend on the seed, but each seed has its own sampler:
    ``log_probability`` is that of the mixture of the samplers which drew the molecule (logarithm of
    their mean probability), and ``count`` the number of draws of all samplers.

    Parameters
    ----------
    libraries : sequence of DataFrame
        ``library.csv`` of each seed.
    seeds : sequence of int
        The seeds.
    """
    rows = pd.concat(
        [library.assign(seed=seed) for library, seed in zip(libraries, seeds, strict=True)],
        ignore_index=True,
    )
    groups = rows.groupby("smiles", sort=False)
    table = groups.first().drop(columns=DRAWN)
    if rows["log_probability"].notna().any():
        probabilities = groups["log_probability"]
        sums = probabilities.agg(lambda logs: np.logaddexp.reduce(logs.dropna().to_numpy()))
        table["log_probability"] = sums - np.log(probabilities.count())
    table["count"] = groups["count"].sum()
    table["n_seeds"] = groups["seed"].nunique()
    table["seeds"] = groups["seed"].agg(lambda found: " ".join(map(str, sorted(set(found)))))
    return (
        table.reset_index()
        .sort_values(["reward", "n_seeds"], ascending=False, kind="stable")
        .reset_index(drop=True)
    )


def main(snakemake: Any) -> None:
    """Write the pooled table."""
    libraries = [
        pd.read_csv(path, dtype={"smiles": str, "scaffold": str}) for path in snakemake.input
    ]
    pool(libraries, snakemake.params.seeds).to_csv(
        snakemake.output[0], index=False, float_format="%.7g"
    )


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])
