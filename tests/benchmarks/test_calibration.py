"""The benchmark of calibration: what its table says of replicates."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.phylogfn.calibration import Replicate, table


def replicates(share_true: float, rank: float | None = None) -> list[Replicate]:
    """Replicates whose clades of probability .8 are true in a given share of the cases."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(200):
        true = number < 200 * share_true
        made.append(
            Replicate(
                ranks={"TL": rng.random() if rank is None else rank},
                topology_rank=rng.random(),
                clades=[(0.8, true), (0.2, not true)],
                z=rng.normal(),
                verdict="trusted",
            )
        )
    return made


def value(rows: list[list[str]], name: str) -> str:
    (found,) = (row[1] for row in rows if row[0].startswith(name))
    return found


def test_a_calibrated_posterior():
    rows = table(replicates(0.8))
    assert abs(float(value(rows, "clades"))) < 0.1
    assert float(rows[0][2]) > 0.05
    assert float(value(rows, "difference")) == pytest.approx(1.0, abs=0.15)
    assert value(rows, "verdict trusted") == "200 of 200"


def test_what_is_wrong_shows():
    rows = table(replicates(0.6, rank=0.99))
    assert float(value(rows, "clades")) < -5.0
    assert rows[0][1].startswith("0.0%") and float(rows[0][2]) < 0.01
