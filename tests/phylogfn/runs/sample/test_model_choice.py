"""``--model auto``: models screened, compared by evidence, and averaged."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
from pathlib import Path

import pytest

from gfncore.errors import UserError
from phylogfn.likelihood.screening import candidate_names

_file = importlib.util.spec_from_file_location("small_runs", Path(__file__).parent / "test_main.py")
assert _file is not None and _file.loader is not None
runs = importlib.util.module_from_spec(_file)
_file.loader.exec_module(runs)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """Alignment and output of a run that chooses its model."""
    folder = tmp_path_factory.mktemp("models")
    alignment = runs.write_fasta(folder / "six.fasta", [0, 1, 2, 5, 7, 11], 150)
    runs.run_small(alignment, folder / "out", model="auto")
    return alignment, folder / "out"


def rows_of(path):
    """The rows of a table."""
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def test_the_table_has_all_models_and_the_evidence_of_the_best(chosen):
    summary = json.loads((chosen[1] / "summary.json").read_text())
    rows = rows_of(chosen[1] / "models.tsv")
    assert {row["model"] for row in rows} == set(candidate_names("dna"))
    assert [row["model"] for row in rows] == [model["model"] for model in summary["models"]]
    compared = [row for row in rows if row["log_evidence"]]
    assert 1 <= len(compared) <= 4 and rows[: len(compared)] == compared
    assert sum(float(row["probability"]) for row in compared) == pytest.approx(1.0, abs=0.01)
    # simple models are far from the best on these data
    assert "JC69" not in {row["model"] for row in compared}
    assert float(compared[0]["log_bayes_factor"]) == 0.0
    mean = sum(math.exp(float(row["log_evidence"])) for row in compared) / len(compared)
    assert summary["log_evidence"] == pytest.approx(math.log(mean), abs=0.02)
    assert summary["model"] == compared[0]["model"]


def test_parameters_are_those_of_the_models(chosen):
    rows = rows_of(chosen[1] / "parameters.tsv")
    assert rows[0]["parameter"] == "TL" and float(rows[0]["share"]) == 1.0
    assert all(0.0 <= float(row["share"]) <= 1.0 for row in rows)
    head = (chosen[1] / "posterior.run1.p").read_text().splitlines()[1].split("\t")
    shared = [row["parameter"] for row in rows if float(row["share"]) == 1.0]
    assert head[3:] == shared


def test_a_resumed_run_has_the_models_that_it_started_with(chosen):
    alignment, output = chosen
    before = runs.contents(output)
    runs.run_small(alignment, output, model="auto", resume=True)
    assert runs.contents(output) == before
    path = output / "checkpoint" / "models.json"
    text = path.read_text()
    for damaged in (text[:-9], "[]", text.replace("JC69", "JC70"), "{}"):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"models\.json"):
            runs.run_small(alignment, output, model="auto", resume=True)
    path.write_text(text)
