"""A library with the facts of its run, and its files."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas
import pytest
from rdkit import Chem

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
    with pytest.raises(UserError, match=r"is not empty .* or force=True to replace the run"):
        library.write(tmp_path / "out")
    library.write(tmp_path / "out", force=True)
    # files that no run has written are not replaced
    (tmp_path / "library.csv").write_text("mine")
    with pytest.raises(UserError, match="force=True does not replace them: move them away"):
        library.write(tmp_path, force=True)
    assert (tmp_path / "library.csv").read_text() == "mine"


def test_tables_are_those_of_the_files(library, tmp_path):
    library.write(tmp_path / "out")
    for name, frame in (("library", library.to_pandas()), ("scored", library.scored.to_pandas())):
        filed = pandas.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False)
        text = frame.to_csv(index=False, float_format="%.7g", na_rep="")
        pandas.testing.assert_frame_equal(
            pandas.read_csv(io.StringIO(text), keep_default_na=False), filed
        )
    np.testing.assert_array_equal(library.to_pandas()["reward"], library.reward)
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert stored["top10_mean"] == library.summary["top10_mean"]
    assert stored["warnings"] == list(library.warnings) == library.summary["warnings"]


def test_structure_file(library, tmp_path):
    library.to_sdf(str(tmp_path / "some.sdf"))
    molecules = list(Chem.SDMolSupplier(str(tmp_path / "some.sdf")))
    assert [Chem.MolToSmiles(molecule) for molecule in molecules] == list(library.smiles)
    assert float(molecules[0].GetProp("reward")) == pytest.approx(library.reward[0])


@pytest.mark.parametrize("known", [True, False])
def test_view_of_notebooks(library, known):
    facts = replace(library.facts, score="<a> & b", symmetry="merged" if known else "none")
    if not known:
        facts = replace(facts, ess=float("nan"), log_partition=float("nan"))
    library = replace(library, facts=facts)
    html = library._repr_html_()
    style, _, body = html.partition("</style>")
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", html) and "<script" not in html
    tree = ElementTree.fromstring(body)
    text = " ".join(tree.itertext())
    assert "Library of 8 molecules" in text and "<a> & b" in text and library.smiles[0] in text
    assert ("700 of 1,000 draws" in text) is known
    assert (tree.find("p/../ul[1]/li").text or "").startswith("No correction") is not known
    drawings = tree.findall(".//{http://www.w3.org/2000/svg}svg")
    assert len(drawings) == 8 and len(html) < 30_000
    classes = {name for path in tree.iter() for name in path.get("class", "").split()}
    assert {"a-o", "a-n"} <= classes and all(f".a-{c}" in style for c in "no")
    assert repr(library).startswith("Library(8 molecules, <a> & b: mean 0.")
