"""Settings: command line over file over default, with the tables of a score."""

from __future__ import annotations

import tomllib

import pytest

from gfncore.errors import UserError
from gfncore.program.configuration import settings_toml
from molgen.settings import open_scoring, resolve_exact, resolve_sample, scoring_of_config
from molgen.symmetry import SYMMETRIES

SCORE = """
[scoring]
aggregation = "arithmetic"

[[scoring.component]]
type = "qed"
weight = 2.0

[[scoring.component]]
type = "weight"
name = "mass"
transform = { type = "double_sigmoid", low = 200, high = 500 }
"""


@pytest.fixture
def config(tmp_path):
    def make(text, name="my.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def same(one, other):
    """Whether two settings differ in nothing but the file that they came from."""
    return one.model_copy(update={"config": None}) == other.model_copy(update={"config": None})


def test_defaults():
    settings = resolve_sample({"output": "out"})
    assert (settings.reward, settings.environment, settings.samples) == ("qed", "fragments", 1000)
    assert (settings.oracle_calls, settings.budget_seconds) == (100_000, 300.0)
    assert (settings.symmetry, settings.objective) == ("merged", "log_variance")
    assert (settings.max_atoms, settings.max_fragments) == (45, 8)
    assert settings.elements is None and settings.n_threads >= 1


def test_defaults_go_by_the_environment():
    settings = resolve_sample({"output": "out", "environment": "atoms"})
    assert settings.elements == ("C", "N", "O", "F", "S", "Cl")
    assert settings.allowed_ring_sizes == (5, 6)
    assert (settings.max_atoms, settings.max_fragments) == (30, None)
    assert (settings.most_rings, settings.strained) == (6, False)
    assert resolve_sample({"output": "out"}).strained is None


def test_defaults_of_exact():
    settings = resolve_exact({"output": "out"})
    assert (settings.environment, settings.elements) == ("atoms", ("C", "N", "O"))
    assert (settings.max_atoms, settings.symmetry) == (5, SYMMETRIES)
    assert settings.allowed_ring_sizes is None
    assert (settings.most_rings, settings.strained) == (None, True)


@pytest.mark.parametrize(
    ("text", "sizes"), [("5,6", (5, 6)), ("any", None), ("none", ()), ([3], (3,)), (6, (6,))]
)
def test_ring_sizes(text, sizes):
    settings = resolve_sample({"output": "o", "environment": "atoms", "ring_sizes": text})
    assert settings.allowed_ring_sizes == sizes


@pytest.mark.parametrize(("text", "most"), [("any", None), ("3", 3), (0, 0)])
def test_number_of_rings(text, most, config):
    settings = resolve_sample({"output": "o", "environment": "atoms", "max_rings": text})
    assert settings.most_rings == most
    again = resolve_sample({"output": "o"}, config(settings_toml(settings)))
    assert again.most_rings == most


@pytest.mark.parametrize(
    ("text", "names"),
    [("all", SYMMETRIES), ("merged,none", ("merged", "none")), ("merged", ("merged",))],
)
def test_corrections_to_compare(text, names):
    assert resolve_exact({"output": "o", "symmetry": text}).symmetry == names


def test_command_line_over_file_over_default(config):
    path = config('reward = "druglike"\nseed = 5\nmax-atoms = 20\n')
    settings = resolve_sample({"output": "out", "seed": 9, "max_atoms": None}, path)
    assert (settings.reward, settings.seed, settings.max_atoms) == ("druglike", 9, 20)


def test_a_score_in_the_file(config, tmp_path):
    settings = resolve_sample({"output": "out"}, config(SCORE))
    assert settings.reward is None
    assert settings.scoring is not None and len(settings.scoring["component"]) == 2
    assert settings.scoring_directory == str(tmp_path)
    assert settings.score_name == "qed \u00d7 mass"


def test_a_reward_on_the_command_line_stands_for_the_score_of_the_file(config):
    settings = resolve_sample({"output": "out", "reward": "qed"}, config(SCORE))
    assert (settings.reward, settings.scoring, settings.scoring_directory) == ("qed", None, None)


def test_run_toml_holds_all_and_reads_back(config):
    first = resolve_sample({"output": "out", "seed": 3, "core": 'c1cc([*])"\\'}, config(SCORE))
    path = config(settings_toml(first), "run.toml")
    again = resolve_sample({"output": "out"}, path)
    assert same(again, first)
    stored = tomllib.loads(path.read_text())
    assert stored["scoring"] == tomllib.loads(SCORE)["scoring"]
    assert "output" not in stored


def test_run_toml_of_atoms_reads_back(config):
    given = {"output": "o", "environment": "atoms", "elements": "C,N", "ring_sizes": "any"}
    first = resolve_sample(given)
    assert same(resolve_sample({"output": "o"}, config(settings_toml(first))), first)
    exact = resolve_exact({"output": "o", "symmetry": "merged,none"})
    assert same(resolve_exact({"output": "o"}, config(settings_toml(exact))), exact)


def test_resume_takes_up_the_settings_of_the_run(tmp_path, config):
    first = resolve_sample({"output": tmp_path, "seed": 3}, config(SCORE))
    (tmp_path / "run.toml").write_text(settings_toml(first))
    again = resolve_sample({"output": tmp_path, "resume": True, "oracle_calls": 20000})
    assert again.scoring == first.scoring and again.oracle_calls == 20000
    with pytest.raises(UserError, match=r"--reward qed differs from the run to resume"):
        resolve_sample({"output": tmp_path, "resume": True, "reward": "qed"})


def test_resume_knows_the_same_settings_written_otherwise(tmp_path):
    atoms = {"output": tmp_path, "environment": "atoms"}
    given = {"elements": "C,N", "ring_sizes": "5", "max_rings": "3", "strained": True}
    first = resolve_sample({**atoms, **given})
    (tmp_path / "run.toml").write_text(settings_toml(first))
    assert resolve_sample({**atoms, **given, "resume": True}).elements == ("C", "N")
    for other in (
        {"elements": "C"},
        {"ring_sizes": "any"},
        {"max_rings": "x"},
        {"strained": False},
    ):
        with pytest.raises(UserError, match="differs from the run to resume"):
            resolve_sample({**atoms, **other, "resume": True})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"elements": "C,N"}, "--elements belongs to the environment atoms"),
        ({"environment": "atoms", "max_fragments": 3}, "--max-fragments belongs to the"),
        ({"environment": "atoms", "ring_sizes": "2"}, "--ring-sizes: rings have at least 3 atoms"),
        ({"environment": "atoms", "ring_sizes": "5,x"}, "write them as 5,6, or 'any'"),
        ({"environment": "atoms", "max_rings": "few"}, "write 6, or 'any'"),
        ({"environment": "atoms", "max_rings": -1}, "--max-rings: -1 is not a number of rings"),
        ({"strained": False}, "--strained belongs to the environment atoms"),
        ({"environment": "atoms", "elements": "C,C"}, "--elements: name each element once"),
        ({"max_atoms": 0}, "--max-atoms: 0 leaves no molecule to build"),
        ({"max_per_scaffold": 0}, "--max-per-scaffold: 0 molecules per scaffold is out of range"),
        ({"oracle_calls": 0}, "--oracle-calls: 0 oracle calls is out of range"),
        ({"reward_exponent": -1.0}, "--reward-exponent: -1.0 is out of range"),
        ({"order_temperature": 0.5}, "--order-temperature belongs to --objective order_preserving"),
        (
            {"objective": "order_preserving", "order_temperature": 0.0},
            "--order-temperature: 0.0 is not a temperature",
        ),
        (
            {"sub_trajectory_lambda": 0.5},
            "--sub-trajectory-lambda belongs to --objective sub_trajectory_balance; leave it out",
        ),
        (
            {"objective": "sub_trajectory_balance", "sub_trajectory_lambda": 0.0},
            "--sub-trajectory-lambda: 0.0 is out of range; give a number above 0",
        ),
        (
            {"objective": "modified_detailed_balance"},
            "'modified_detailed_balance' is not offered (it needs rewards of unfinished objects); "
            "choose 'trajectory_balance'",
        ),
        ({"backward_policy": "best"}, "--backward-policy: 'best' is not offered; choose 'uniform'"),
        (
            {"backward_policy": "pessimistic", "symmetry": "none"},
            "--backward-policy pessimistic needs --symmetry merged",
        ),
        (
            {"backward_policy": "learned", "reward_exponent": [16, 32]},
            "--backward-policy learned needs a single --reward-exponent",
        ),
        ({"environment": ["atoms"]}, "--environment: "),
        ({"environment": {"atoms": 1}}, "--environment: "),
        ({"objective": ["trajectory_balance"]}, "--objective: "),
        ({"symmetry": "both"}, "--symmetry: 'both' is not offered; choose 'merged'"),
        ({"reward": "qed", "scoring": {}}, "both 'reward' and the tables [scoring] are given"),
    ],
)
def test_wrong_values(given, words):
    with pytest.raises(UserError) as caught:
        resolve_sample({"output": "o", **given})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_temperature_of_an_order_is_1_unless_said():
    assert resolve_sample({"output": "o"}).order_temperature is None
    ordered = {"output": "o", "objective": "order_preserving"}
    assert resolve_sample(ordered).order_temperature == 1.0
    assert resolve_sample({**ordered, "order_temperature": 0.125}).order_temperature == 0.125


def test_a_misspelt_key_names_its_neighbour(config):
    with pytest.raises(UserError, match=r"my.toml: unknown key 'scorings'; did you mean 'scoring'"):
        resolve_sample({"output": "o"}, config("[scorings]\n"))


def test_scoring_is_opened_as_the_settings_say(config, tmp_path):
    settings = resolve_sample({"output": "out"}, config(SCORE))
    with settings.open_scoring() as scoring:
        assert scoring.names == ["qed", "mass"]
        assert scoring.evaluate(["CCO"]).total.shape == (1,)
    broken = resolve_sample({"output": "out"}, config(SCORE.replace('"qed"', '"qedd"')))
    with pytest.raises(UserError, match=r"my.toml: .*'qedd'; did you mean 'qed'"):
        broken.open_scoring()
    with open_scoring({}) as scoring:
        assert scoring.names == ["qed"]
    with pytest.raises(UserError, match="no reward 'qedd'; did you mean 'qed'"):
        open_scoring({"reward": "qedd"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scoring = 3", "my.toml: 'scoring' is not a table; write [scoring]"),
        ('scoring = "qed"', "my.toml: 'scoring' is not a table; write [scoring]"),
        ('[[scoring]]\naggregation = "product"', "my.toml: 'scoring' is not a table"),
        ("reward = 3", "my.toml: 'reward' is 3; it must be a text"),
        ("reward = 0", "my.toml: 'reward' is 0; it must be a text"),
        ('reward = ""', "there is no reward ''"),
        ("scoring_directory = 3\n" + SCORE, "my.toml: 'scoring_directory' is 3"),
        ('reward = "qed"\n' + SCORE, "both 'reward' and the tables [scoring] are given"),
        (SCORE.replace('"arithmetic"', '["geometric"]'), "aggregation is ['geometric']"),
    ],
)
def test_a_scoring_of_the_wrong_shape_is_told_in_one_line(config, text, words):
    path = config(text)
    with pytest.raises(UserError) as error:
        open_scoring(scoring_of_config(path), source=str(path))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_of_a_file_that_exclude_each_other_name_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('elements = ["C"]\nmax_fragments = 3\n')
    with pytest.raises(UserError) as caught:
        resolve_sample({"output": "o"}, path)
    assert str(caught.value).startswith(f"{path}: --elements belongs to the environment atoms")
    with pytest.raises(UserError) as caught:  # given by the option, so the file is not at fault
        resolve_sample({"output": "o", "elements": "C"}, path)
    assert str(caught.value).startswith("--elements belongs")


def test_more_threads_than_cores_are_fewer_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr("gfncore.program.configuration.available_cores", lambda: 2)
    for asked, used in ((None, 2), (1, 1), (8, 8), (9, 8), (1024, 8)):
        settings = resolve_sample({"output": tmp_path / "out", "threads": asked})
        assert settings.n_threads == used
        told = settings.threads_note
        assert (told is None) == (asked in (None, used))
        if told is not None:
            assert told == f"--threads {asked}: 8 are used, as this process may use 2 cores"
