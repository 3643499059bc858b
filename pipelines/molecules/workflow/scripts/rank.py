"""The library of a score: pooled molecules, filtered, ranked and limited per scaffold."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd


def with_screen(pooled: pd.DataFrame, screened: pd.DataFrame) -> pd.DataFrame:
    """Return the pooled table with the second score and the remarks of ``molgen score``.

    Raises
    ------
    ValueError
        The tables contain different molecules.
    """
    if len(pooled) != len(screened):
        raise ValueError(
            f"the table of the screen has {len(screened)} molecules, but {len(pooled)} were "
            "pooled: some could not be read (see the log of the rule screen)"
        )
    return pooled.assign(
        screen=pd.to_numeric(screened["reward"]).to_numpy(),
        screen_remark=screened["remark"].fillna("").to_numpy(),
    )


def rank(table: pd.DataFrame, settings: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the library, and the number of molecules after each step.

    Parameters
    ----------
    table : DataFrame
        Pooled molecules, with the column ``screen`` if they were screened.
    settings : dict
        The part ``library`` of the settings.
    """
    left = {"pooled": len(table)}
    table = table[table["reward"] >= settings["min_score"]]
    left["with the minimum score"] = len(table)
    table = table[table["n_seeds"] >= settings["min_seeds"]]
    left["found by enough seeds"] = len(table)
    by = "reward"
    if "screen" in table:
        passed = (table["screen"] >= settings.get("min_screen", 0)) & (table["screen_remark"] == "")
        table = table[passed].drop(columns="screen_remark")
        left["that pass the screen"] = len(table)
        by = "screen" if settings.get("rank_by") == "screen" else by
    table = table.sort_values(by, ascending=False, kind="stable")
    if "max_per_scaffold" in settings:
        # molecules without rings have no scaffold and are not limited
        place = table.groupby(table["scaffold"].fillna("")).cumcount()
        table = table[table["scaffold"].isna() | (place < settings["max_per_scaffold"])]
        left["within the limit per scaffold"] = len(table)
    table = table.head(settings["size"]).reset_index(drop=True)
    left["in the library"] = len(table)
    table.insert(0, "rank", range(1, len(table) + 1))
    return table, left


def main(snakemake: Any) -> None:
    """Write the library as a table and as SMILES, and the counts."""
    types = {"smiles": str, "scaffold": str, "seeds": str}
    table = pd.read_csv(snakemake.input.pooled, dtype=types)
    if snakemake.input.screened:
        screened = pd.read_csv(snakemake.input.screened[0], dtype={"smiles": str, "remark": str})
        table = with_screen(table, screened)
    settings = snakemake.params.library
    library, left = rank(table, settings)
    library.to_csv(snakemake.output.table, index=False, float_format="%.7g")
    by = "screen" if settings.get("rank_by") == "screen" else "reward"
    library[["smiles", by]].to_csv(
        snakemake.output.smiles, sep="\t", index=False, header=False, float_format="%.7g"
    )
    Path(snakemake.output.counts).write_text(json.dumps(left, indent=2) + "\n", encoding="utf-8")


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])
