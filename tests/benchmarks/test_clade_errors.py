"""The spread of clade probabilities over runs, beside errors that are right or too small."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.phylogfn.clade_errors import clade_rows, far_pairs


def made_up(stated: float, n_runs: int = 200) -> list[dict[tuple[str, ...], tuple[float, float]]]:
    rng = np.random.default_rng(1)
    return [
        {("a", "b"): (0.6 + 0.01 * rng.normal(), stated), ("c", "d"): (0.9999, 1e-5)}
        for _ in range(n_runs)
    ]


@pytest.mark.parametrize(("stated", "low", "high"), [(0.01, 0.03, 0.07), (0.005, 0.25, 0.4)])
def test_pairs_beyond_two_errors(stated: float, low: float, high: float) -> None:
    runs = made_up(stated)
    ((taxa, p, spread, error),) = clade_rows(runs)
    assert taxa == ("a", "b") and error == pytest.approx(stated)
    assert p == pytest.approx(0.6, abs=0.003) and spread == pytest.approx(0.01, rel=0.15)
    far, total = far_pairs(runs)
    assert total == 200 * 199 // 2 and low < far / total < high


def test_clades_that_a_run_lacks_are_left_out() -> None:
    runs = made_up(0.01, 3)
    del runs[1][("a", "b")]
    assert clade_rows(runs) == []
