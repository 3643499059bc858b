"""The control's own arithmetic, and one short run of MrBayes where it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.phylogfn.mrbayes_control import frequencies, largest_split_difference
from benchmarks.phylogfn.mrbayes_runs import (
    ChainSettings,
    run_mcmc,
    run_stepping_stone,
    write_alignment,
)
from benchmarks.phylogfn.topology_ess import effective_size, topological_ess

ONE, TWO = frozenset([0b110]), frozenset([0b1010])


def test_frequencies_and_split_differences() -> None:
    chains = [[ONE, ONE, TWO, TWO], [ONE, ONE, ONE, TWO]]
    assert frequencies(chains) == {ONE: 0.625, TWO: 0.375}
    assert largest_split_difference(chains) == pytest.approx(0.25)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_effective_size_of_an_autoregressive_trace(correlation: float) -> None:
    rng = np.random.default_rng(2)
    n = 50_000
    noise = rng.normal(size=n)
    trace = np.zeros(n)
    for i in range(1, n):
        trace[i] = correlation * trace[i - 1] + noise[i]
    expected = n * (1 - correlation) / (1 + correlation)
    assert effective_size(trace) == pytest.approx(expected, rel=0.12)


def test_effective_size_of_a_trace_that_never_moves() -> None:
    assert effective_size(np.ones(100)) == 1.0


def test_topological_ess_sees_slow_mixing() -> None:
    rng = np.random.default_rng(5)
    independent = [ONE if heads else TWO for heads in rng.random(4000) < 0.5]
    slow = [topology for topology in independent[:400] for _ in range(10)]
    assert topological_ess(independent, rng) == pytest.approx(4000, rel=0.15)
    assert topological_ess(slow, rng) == pytest.approx(400, rel=0.25)


@pytest.mark.skipif(not shutil.which("mb"), reason="mb (MrBayes) is not installed")
def test_short_runs_of_mrbayes(tmp_path: Path) -> None:
    fasta = tmp_path / "four.fasta"
    fasta.write_text(">a b\nACGTACGTAA\n>c-d\nACGTACGTAC\n>e\nACGAACGTTC\n>f\nACGAACTTTC\n")
    names = write_alignment(fasta, tmp_path / "alignment.nex")
    assert names == ["a", "c-d", "e", "f"]
    settings = ChainSettings(n_chains=1, n_steps=4, seed=3)
    taxon = {str(number + 1): number for number in range(4)}
    mcmc = run_mcmc(tmp_path, settings, 2000, taxon)
    assert [len(chain) for chain in mcmc.chains] == [76, 76]
    assert set(frequencies(mcmc.chains)) <= {frozenset([mask]) for mask in (0b110, 0b1010, 0b1100)}
    log_evidences, _ = run_stepping_stone(tmp_path, settings, 20_000)
    assert log_evidences[0] == pytest.approx(log_evidences[1], abs=1.0)
    assert -60.0 < log_evidences[0] < -30.0
