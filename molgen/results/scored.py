"""``scored.csv``: every molecule that was scored, best first."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

from molgen.scoring import Scoring
from molgen.scoring.table import column_names, score_text

__all__ = ["write_scored"]


def write_scored(path: Path, scoring: Scoring, count: Mapping[str, int]) -> None:
    """Write the table of all molecules scored, row by row.

    Columns: smiles, reward, the raw value of each component, the number of the oracle call that
    gave the score, how often the molecule was drawn for the library, and a remark where there is
    no score or a filter was not passed.

    Parameters
    ----------
    path : Path
    scoring : Scoring
    count : mapping of str to int
        Draws of the trained sampler by canonical SMILES.
    """
    components, _ = column_names(scoring.names)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["smiles", "reward", *components, "oracle_call", "count", "remark"])
        for table, calls in scoring.ranked():
            columns = list(table.components.values())
            for row, (smiles, call) in enumerate(zip(table.smiles, calls, strict=True)):
                remark = table.failures.get(row, "")
                if row in table.filtered:
                    remark = f"filtered by {table.filtered[row]}"
                values = [score_text(float(column[row])) for column in columns]
                total = score_text(float(table.total[row]))
                writer.writerow([smiles, total, *values, call, count.get(smiles, 0), remark])
        file.flush()
        os.fsync(file.fileno())
