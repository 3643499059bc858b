"""The benchmark of parsimony: what it counts, and what it says where its peer is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.phylogfn import parsimony
from benchmarks.phylogfn.parsimony import ABSENT, Found, Phangorn, main, search_rows, simulated
from phylogfn.parsimony.scores import ParsimonyScorer
from phylogfn.trees.tree import canonical_newick, random_topology

PRIMATES = Path(__file__).parents[2] / "data" / "primates.fasta"


def test_trees_are_counted_against_the_best_of_all() -> None:
    parents = np.zeros((3, 6), np.int16)
    good = Found("a", 1, 2.0, 0.5, parents, np.array([10.0, 10.0, 11.0]), "note")
    poor = Found("b", 1, 3.0, 2.5, parents, np.array([11.0, 11.0, 12.0]))
    rows = search_rows("data", [good, poor])
    assert rows[0] == ["data", "a", "1", "10", "0.5", "2.0", "2", "3", "note"]
    assert rows[1] == ["data", "b", "1", "11", "2.5", "3.0", "0", "2", ""]


def test_without_the_peer_our_own_figures_stand_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parsimony.shutil, "which", lambda name: None)
    assert main([str(PRIMATES), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert ABSENT in printed
    assert "| primates | phylogfn | 1 | 1163 |" in printed
    assert "| phangorn" not in printed


@pytest.mark.skipif(not parsimony.has_phangorn(), reason="phangorn is not installed")
def test_phangorn_scores_as_we_do(tmp_path: Path) -> None:
    characters = simulated(9, 50, seed=1)
    trees = [random_topology(9, np.random.default_rng(seed)) for seed in range(4)]
    names = parsimony.labels(9)
    file = tmp_path / "trees.nwk"
    file.write_text("".join(canonical_newick(tree, names) + "\n" for tree in trees))
    scorer = ParsimonyScorer(characters, 1)
    theirs = Phangorn(characters, tmp_path / "data")
    found = np.array(theirs.ask("scores", file), float)
    assert np.array_equal(found, scorer.scores(np.stack([tree.parent for tree in trees])))
    met = parsimony.their_search(theirs, scorer, seed=1, seconds=0.5)
    theirs.close()
    ours = parsimony.our_search(scorer, seed=1, seconds=30.0)
    assert met.scores.min() >= ours.scores.min() and len(np.unique(met.parents, axis=0)) >= 1
