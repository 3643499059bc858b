"""A library with the facts of its run, and its files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gfncore.errors import UserError
from gfncore.program.configuration import settings_toml
from molgen.results.library import Library
from molgen.results.scored import ScoredMolecules
from molgen.scoring import Scoring
from molgen.settings import resolve_sample


@pytest.fixture
def library(make_library, run_facts):
    columns = make_library()
    with Scoring.preset("qed") as scoring:
        scoring.evaluate([*columns.smiles, "CCCO"])
        scored = ScoredMolecules.collect(scoring, {columns.smiles[0]: 3})
    facts = replace(
        run_facts,
        run_toml=settings_toml(resolve_sample({"output": "out"})),
        train_jsonl='{"step": 1, "seconds": 0.5, "loss": 2.0}\n',
    )
    return Library.from_columns(columns, facts, scored)


def test_written_files(library, tmp_path):
    out = tmp_path / "new" / "out"
    library.write(out)
    assert {path.name for path in out.iterdir()} == {
        "library.csv", "library.sdf", "library.smi", "report.html", "run.toml", "scored.csv",
        "summary.json", "train.jsonl",
    }  # fmt: skip
    assert (out / "run.toml").read_text() == library.facts.run_toml
    assert (out / "train.jsonl").read_text() == library.facts.train_jsonl
    head, *rows = (out / "scored.csv").read_text().splitlines()
    assert head == "smiles,reward,qed,oracle_call,count,remark"
    assert len(rows) == len(library.scored) == len(library) + 1
    drawn = [row for row in rows if row.startswith(library.smiles[0] + ",")]
    assert [row.split(",")[-2:] for row in drawn] == [["3", ""]]


def test_a_directory_in_use_is_refused(library, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"is not empty \(it holds notes.txt\)"):
        library.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    library.write(str(tmp_path / "out"))
    with pytest.raises(UserError, match="is not empty"):
        library.write(tmp_path / "out")
