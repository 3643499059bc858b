"""``scored.csv``: every molecule that was scored, best first."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molgen.scoring import Scoring
from molgen.scoring.table import column_names, score_text

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["ScoredMolecules"]


@dataclass(frozen=True, eq=False)
class ScoredMolecules:
    """All scored molecules in order of score and SMILES; molecules without a score come last.

    Parameters
    ----------
    smiles : tuple of str
        Canonical SMILES.
    reward : ndarray, shape (n,), float64
        Score, nan if it could not be computed.
    components : mapping of str to ndarray, shape(n,)
        Raw values of the components.
    oracle_call : ndarray, shape (n,), int64
        Number of the oracle call of the score, from 1.
    count : ndarray, shape (n,), int64
        Number of draws of the trained sampler.
    remarks : mapping of int to str
        The reason for a missing score, or the failed filter, by row.
    """

    smiles: tuple[str, ...]
    reward: NDArray[np.float64]
    components: Mapping[str, NDArray[np.float64]]
    oracle_call: NDArray[np.int64]
    count: NDArray[np.int64]
    remarks: Mapping[int, str]

    def __len__(self) -> int:
        """Return the number of molecules."""
        return len(self.smiles)

    @staticmethod
    def collect(scoring: Scoring, count: Mapping[str, int]) -> ScoredMolecules:
        """Return the molecules that a scoring has scored.

        Parameters
        ----------
        scoring : Scoring
        count : mapping of str to int
            Draws of the trained sampler by canonical SMILES.
        """
        smiles: list[str] = []
        calls: list[int] = []
        rewards = [np.zeros(0)]
        columns: dict[str, list[NDArray[np.float64]]] = {
            name: [np.zeros(0)] for name in scoring.names
        }
        remarks: dict[int, str] = {}
        for table, called in scoring.ranked():
            first = len(smiles)
            remarks |= {first + row: text for row, text in table.failures.items()}
            remarks |= {first + row: f"filtered by {name}" for row, name in table.filtered.items()}
            smiles += table.smiles
            calls += called
            rewards.append(table.total)
            for name, values in table.components.items():
                columns[name].append(values)
        return ScoredMolecules(
            tuple(smiles),
            np.concatenate(rewards),
            {name: np.concatenate(parts) for name, parts in columns.items()},
            np.array(calls, np.int64),
            np.array([count.get(text, 0) for text in smiles], np.int64),
            remarks,
        )

    def to_pandas(self) -> DataFrame:
        """Return the columns of ``scored.csv`` with all digits."""
        import pandas

        components, _ = column_names(list(self.components))
        return pandas.DataFrame(
            {
                "smiles": self.smiles,
                "reward": self.reward,
                **dict(zip(components, self.components.values(), strict=True)),
                "oracle_call": self.oracle_call,
                "count": self.count,
                "remark": [self.remarks.get(row, "") for row in range(len(self))],
            }
        )

    def write(self, path: Path) -> None:
        """Write the table as CSV, row by row.

        Columns: smiles, reward, the raw value of each component, oracle_call, count, remark.
        """
        components, _ = column_names(list(self.components))
        values = list(self.components.values())
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["smiles", "reward", *components, "oracle_call", "count", "remark"])
            for row, smiles in enumerate(self.smiles):
                writer.writerow(
                    [
                        smiles,
                        score_text(float(self.reward[row])),
                        *(score_text(float(column[row])) for column in values),
                        self.oracle_call[row],
                        self.count[row],
                        self.remarks.get(row, ""),
                    ]
                )
            file.flush()
            os.fsync(file.fileno())
