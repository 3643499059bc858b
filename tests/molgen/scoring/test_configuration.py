from __future__ import annotations

import json
import tomllib

import pytest

from gfncore.errors import UserError
from gfncore.program.resources import resource_directory
from molgen.scoring import Scoring, describe_rewards
from molgen.scoring.aggregation import AGGREGATIONS
from molgen.scoring.catalogue import kinds
from molgen.scoring.transforms import TRANSFORMS
from molgen.settings import resolve_exact, resolve_sample, scoring_of_config

QED = '[[scoring.component]]\ntype = "qed"\n'
STEP = 'transform = { type = "right_step", high = 1 }\n'


@pytest.fixture
def scoring_of(tmp_path):
    def read(text):
        path = tmp_path / "my.toml"
        path.write_text(text)
        return Scoring.from_toml(path, warn=pytest.fail)

    return read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no [[scoring.component]]"),
        ('[[scorin.component]]\ntype = "qed"', "'scorin' must be 'scoring'"),
        ("[scoring", "is not valid TOML"),
        ("scoring = 3", "'scoring' is not a table"),
        ('[scoring]\naggregation = ["geometric"]\n' + QED, "aggregation is ['geometric']"),
        ("[scoring]\ncomponent = 3", "'component' is not a list of tables"),
        ('[scoring]\nagregation = "product"\n' + QED, "did you mean 'aggregation'"),
        ('[scoring]\naggregation = "geometrical"\n' + QED, "did you mean 'geometric'"),
        ("[scoring]\ncomponent = []", "no component that gives a score"),
        ('[[scoring.filter]]\ntype = "qed"', "no component that gives a score"),
        ("[[scoring.component]]\nweight = 1", "1: 'type' is missing"),
        ('[[scoring.component]]\ntype = "qeed"', "did you mean 'qed'"),
        ('[[scoring.component]]\ntype = "mollogp"', "did you mean 'MolLogP'"),
        (QED + "wieght = 2", "1: unknown key 'wieght'; did you mean 'weight'"),
        (QED + "weight = 0", "1 ('qed'): 'weight' is 0; it must be a number above 0"),
        (QED + "weight = -1.5", "'weight' is -1.5"),
        (QED + "weight = nan", "'weight' is nan"),
        (QED + 'weight = "2"', "'weight' is '2'"),
        (QED + "params = { a = 1 }", "('qed'): unknown key 'a' (it takes none)"),
        (QED + "params = 3", "'params' is 3"),
        (QED + "filter = 1", "'filter' is 1; it must be true or false"),
        (QED + "filter = true\nweight = 2\n" + QED, "a filter has no weight"),
        (QED + 'transform = "sigmoid"', "write transform = { type"),
        (QED + 'transform = { type = "sigmiod" }', "did you mean 'sigmoid'"),
        (
            QED + 'name = "a"\n' + QED + 'name = "a"',
            "2 ('qed'): there is already a component 'a'",
        ),
        (QED + 'name = "a,b"', "a string without commas"),
        ('[[scoring.component]]\ntype = "logp"', "it needs a transform"),
        ('[[scoring.component]]\ntype = "similarity"', "'smiles' is missing (a list of texts"),
        (
            '[[scoring.component]]\ntype = "similarity"\nparams = { smile = ["C"] }',
            "unknown key 'smile'; did you mean 'smiles'",
        ),
        (
            '[[scoring.component]]\ntype = "similarity"\nparams = { smiles = "C" }',
            "'smiles' is 'C'; it must be a list of texts",
        ),
        (
            '[[scoring.component]]\ntype = "similarity"\nparams = { smiles = ["C1"] }',
            "the SMILES 'C1' cannot be read",
        ),
        (
            '[[scoring.component]]\ntype = "similarity"\n'
            'params = { smiles = ["C"], fingerprint = "ECFP5" }',
            "'fingerprint' is 'ECFP5'; choose one of ECFP4",
        ),
        (
            '[[scoring.component]]\ntype = "substructure"\nparams = { smarts = "C(" }',
            "the SMARTS 'C(' cannot be read",
        ),
        (
            '[[scoring.component]]\ntype = "alert_catalog"\nparams = { catalogs = ["PAIN"] }',
            "there is no catalogue 'PAIN'",
        ),
        ('[[scoring.component]]\ntype = "limits"', "give at least one limit"),
        (
            '[[scoring.component]]\ntype = "limits"\nparams = { min_weight = 9, max_weight = 1 }',
            "is above its upper limit",
        ),
        (
            '[[scoring.component]]\ntype = "descriptor"\n' + STEP + 'params = { name = "BertzTC" }',
            "did you mean 'BertzCT'",
        ),
        (
            '[[scoring.component]]\ntype = "isomers"\nparams = { formula = "c7" }',
            "is not a molecular formula",
        ),
        (
            '[[scoring.component]]\ntype = "function"\nparams = { function = "nowhere" }',
            "write it as module:function",
        ),
        (
            '[[scoring.component]]\ntype = "function"\nparams = { function = "nowhere_at_all:f" }',
            "'nowhere_at_all' cannot be imported (ModuleNotFoundError",
        ),
        (
            '[[scoring.component]]\ntype = "function"\nparams = { function = "math:sinn" }',
            "'math' has no function 'sinn'",
        ),
        (
            '[[scoring.component]]\ntype = "external"\nparams = { command = "no-such-program -x" }',
            "the program 'no-such-program'",
        ),
        (
            '[[scoring.component]]\ntype = "external"\nparams = { command = "ls", time_limit = 0 }',
            "'time_limit' is 0; it must be at least 0.01",
        ),
    ],
)
def test_a_wrong_file_is_told_in_one_line(scoring_of, text, words):
    with pytest.raises(UserError) as error:
        scoring_of(text)
    message = str(error.value)
    assert "my.toml: " in message
    assert words in message
    assert "\n" not in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Scoring.from_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not a text file"):
        Scoring.from_toml(tmp_path / "bad.toml")


def test_names_are_made_unique_and_other_tables_are_left_alone(scoring_of):
    scoring = scoring_of("samples = 10\n" + QED + QED + '[[scoring.filter]]\ntype = "qed"\n')
    assert scoring.names == ["qed", "qed_2", "qed_3"]
    assert [component.filter for component in scoring.components] == [False, False, True]


def test_presets():
    for name in ("qed", "druglike", "osimertinib_mpo"):
        with Scoring.preset(name) as scoring:
            assert scoring.n_objectives == 1
    with pytest.raises(UserError, match="no reward 'qde'; did you mean 'qed'"):
        Scoring.preset("qde")
    with pytest.raises(UserError, match="needs a scoring file"):
        Scoring.preset("logp")


def test_the_listing_has_everything():
    text = describe_rewards()
    for name, kind in kinds().items():
        assert f" {name} " in text
        assert kind.summary in text
        assert all(f"{parameter.name}: " in text for parameter in kind.parameters)
    assert all(f" {name} " in text for name in [*TRANSFORMS, *AGGREGATIONS])
    assert all(len(line) <= 140 for line in text.splitlines())


def test_the_example_files_can_be_read():
    paths = sorted((resource_directory("data") / "scoring").glob("*.toml"))
    assert "druglike" in [path.stem for path in paths]
    for path in paths:
        assert path.read_text().startswith("#")
        parsed = tomllib.loads(path.read_text())
        needs_more = {"docking"} & {c["type"] for c in parsed["scoring"]["component"]}
        if not needs_more:
            Scoring.from_toml(path).close()


REINVENT = """
run_type = "staged_learning"
device = "cpu"
[parameters]
prior_file = "reinvent.prior"
[[stage]]
max_score = 0.6
[stage.scoring]
type = "geometric_mean"
[[stage.scoring.component]]
[stage.scoring.component.QED]
[[stage.scoring.component.QED.endpoint]]
name = "QED"
weight = 0.6
"""
REINVENT_SCORING = """
[scoring]
type = "geometric_mean"
[[scoring.component]]
[scoring.component.QED]
[[scoring.component.QED.endpoint]]
name = "QED"
"""
REINVENT_COMPONENT = """
[[component]]
[component.custom_alerts]
[[component.custom_alerts.endpoint]]
name = "Alerts"
params.smarts = ["[#7]-[#7]"]
"""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (REINVENT, "a.toml"),
        (REINVENT_SCORING, "a.toml"),
        (REINVENT_COMPONENT, "a.toml"),
        (json.dumps({"run_type": "scoring", "parameters": {}}), "a.json"),
    ],
)
def test_files_of_reinvent_are_recognised(tmp_path, text, name):
    path = tmp_path / name
    path.write_text(text)
    for read in (
        lambda: Scoring.from_toml(path),
        lambda: resolve_sample({"output": "o"}, path),
        lambda: resolve_sample({"output": "o", "reward": "qed"}, path),
        lambda: resolve_exact({"output": "o"}, path),
        lambda: scoring_of_config(path),
    ):
        with pytest.raises(UserError, match="this is a REINVENT 4 file"):
            read()
