"""Whole runs on posteriors of two islands with equal mass: both are found, or the run warns."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gfncore.program.progress import Progress
from phylogfn.alignments.alignment import read_alignment
from phylogfn.settings import SampleSettings
from phylogfn.trees.files import read_trees
from phylogfn.trees.tree import relabel, robinson_foulds

pytestmark = [pytest.mark.verification, pytest.mark.long]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("n_taxa", "simulated"), [(12, 1), (16, 1), (24, 24), (32, 32)])
def test_both_islands_or_a_warning(two_islands, tmp_path, n_taxa, simulated, seed):
    from phylogfn.runs.sample.main import run_sample

    text, exchange = two_islands(n_taxa, simulated)
    (tmp_path / "islands.fasta").write_text(text)
    settings = SampleSettings(
        alignment=str(tmp_path / "islands.fasta"),
        output=tmp_path / "out",
        model="JC69",
        branch_prior="exp:10",
        seed=seed,
        budget="120s",
        quiet=True,
    )
    with Progress("phylogfn", quiet=True) as progress:
        run_sample(settings, progress)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    if summary["verdict"] != "trusted":
        assert set(summary["verdict_reasons"]) <= set(summary["warnings"])
        return
    names = read_alignment(tmp_path / "islands.fasta").names
    trees = read_trees(tmp_path / "out" / "trees.nwk", names).trees
    image = relabel(trees[0], exchange)
    if robinson_foulds(trees[0], image) <= n_taxa // 2:
        return  # one island, that is its own image
    nearer = [robinson_foulds(t, trees[0]) - robinson_foulds(t, image) for t in trees]
    assert 0.4 < np.mean(np.array(nearer) < 0) + 0.5 * np.mean(np.array(nearer) == 0) < 0.6
