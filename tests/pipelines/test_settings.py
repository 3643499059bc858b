"""What is wrong in settings and tables is said before anything runs, with its place."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
WORKFLOWS = ("phylogeny", "molecules")
ROWS = {"phylogeny": "alignments", "molecules": "scores"}


def read_yaml(path):
    yaml = pytest.importorskip("yaml", reason="the extra workflow is not installed")
    return yaml.safe_load(path.read_text())


def problems(workflow, schema, value):
    jsonschema = pytest.importorskip("jsonschema", reason="the extra workflow is not installed")
    rules = read_yaml(PIPELINES / workflow / "workflow" / "schemas" / f"{schema}.schema.yaml")
    jsonschema.Draft202012Validator.check_schema(rules)
    return [error.message for error in jsonschema.Draft202012Validator(rules).iter_errors(value)]


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.parametrize("folder", ["config", ".test/config"])
def test_the_settings_that_come_along_pass(workflow, folder):
    assert not problems(
        workflow, "config", read_yaml(PIPELINES / workflow / folder / "config.yaml")
    )


WRONG = [
    ("phylogeny", ("sample", "budgte"), "5m", "budgte"),
    ("phylogeny", ("sample", "budget"), "5 minutes", "5 minutes"),
    ("phylogeny", ("models",), [], "[]"),
    ("phylogeny", ("seeds",), [1, -1], "-1"),
    ("phylogeny", ("compare", "asdsf"), 0, "0"),
    ("molecules", ("library", "rank_by"), "beauty", "beauty"),
    ("molecules", ("sample", "oracle_calls"), 0, "0"),
    ("molecules", ("resources", "threads"), "two", "two"),
    ("molecules", ("resources", "screen_minutes"), 0, "0"),
]


@pytest.mark.parametrize(("workflow", "place", "value", "said"), WRONG)
def test_wrong_settings_do_not(workflow, place, value, said):
    settings = copy.deepcopy(read_yaml(PIPELINES / workflow / "config" / "config.yaml"))
    part = settings
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    assert any(said in message for message in problems(workflow, "config", settings))


def test_a_rank_by_screen_needs_a_screen():
    settings = read_yaml(PIPELINES / "molecules" / ".test" / "config" / "config.yaml")
    del settings["library"]["screen"]
    assert any(
        "'screen' is a dependency" in said for said in problems("molecules", "config", settings)
    )


@pytest.mark.parametrize(
    ("workflow", "row", "said"),
    [
        ("phylogeny", {"alignment": "a/b", "path": "x"}, "a/b"),
        ("phylogeny", {"alignment": "a"}, "'path' is a required property"),
        ("phylogeny", {"alignment": "a", "path": "x", "format": "word"}, "word"),
        ("molecules", {"score": "a", "path": "x", "colour": "red"}, "colour"),
    ],
)
def test_wrong_rows(workflow, row, said):
    (message,) = problems(workflow, ROWS[workflow], row)
    assert said in message


def test_an_alignment_that_is_missing_is_named(plan):
    code, said = plan("phylogeny", lambda work: (work / "data" / "pythons.fasta").unlink())
    assert code == 1
    assert "row 2, alignment pythons: there is no file data/pythons.fasta" in said
    assert "Traceback" not in said


def test_a_name_that_stands_twice_is_told(plan):
    def change(work):
        table = work / "config" / "scores.tsv"
        table.write_text(table.read_text() + "qed\tdata/qed.toml\t\n")

    code, said = plan("molecules", change)
    assert code == 1
    assert "scores.tsv: the name qed occurs twice" in said


def test_models_with_braces_get_directories(plan):
    def change(work):
        table = work / "config" / "alignments.tsv"
        table.write_text("alignment\tpath\tmodels\nx\tdata/pythons.fasta\tHKY85{2.1}+G4 JC69\n")

    code, said = plan("phylogeny", change)
    assert code == 0, said
    assert "results/x/HKY85_2.1_+G4/seed2/summary.json" in said
    assert "--model 'HKY85{2.1}+G4'" in said


@pytest.mark.parametrize(("setting", "minutes"), [("", 120), ("  screen_minutes: 600\n", 600)])
def test_the_time_of_a_screen_is_a_setting(plan, setting, minutes):
    def change(work):
        settings = work / "config" / "config.yaml"
        settings.write_text(settings.read_text() + setting)  # resources stand last

    code, said = plan("molecules", change)
    assert code == 0, said
    rule = re.search(r"(?m)^rule screen:\n(?:    .*\n)+", said)
    assert rule is not None and re.search(rf"runtime={minutes}\b", rule[0])
