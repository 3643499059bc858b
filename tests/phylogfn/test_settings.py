"""Settings: command line over file over default."""

from __future__ import annotations

import tomllib

import pytest

from gfncore.errors import UserError
from gfncore.program.configuration import settings_toml
from phylogfn.settings import read_config, resolve_settings


@pytest.fixture
def config(tmp_path):
    def make(text):
        path = tmp_path / "my.toml"
        path.write_text(text)
        return path

    return make


def test_defaults():
    settings = resolve_settings({"alignment": "x.fasta", "output": "out"})
    assert (settings.model, settings.branch_prior, settings.samples) == (
        "auto",
        "gammadir:1,0.1,1,1",
        1000,
    )
    assert (settings.budget_seconds, settings.seed, settings.device) == (300.0, 1, "auto")
    assert settings.n_threads >= 1


def test_command_line_over_file_over_default(config):
    path = config('alignment = "a.fasta"\nmodel = "GTR"\nseed = 5\nbranch-prior = "exp:20"\n')
    settings = resolve_settings({"output": "out", "seed": 9, "model": None}, path)
    assert (settings.alignment, settings.model, settings.seed) == ("a.fasta", "GTR", 9)
    assert (settings.branch_prior, settings.samples) == ("exp:20", 1000)


def test_resolved_configuration_reads_back(config):
    settings = resolve_settings({"alignment": 'a"\\ü.fasta', "output": "out", "budget": "90s"})
    path = config(settings_toml(settings))
    again = resolve_settings({"output": "out"}, path)
    assert again == settings
    assert "output" not in tomllib.loads(path.read_text())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modle = 'JC69'", "unknown key 'modle'; did you mean 'model'?"),
        ("branch_priors = 'exp:1'", "did you mean 'branch_prior'?"),
        ("zzzzz = 1", "there are: alignment, model"),
        ("output = 'x'", "unknown key 'output'"),
        ("model = ", "is not valid TOML"),
    ],
)
def test_wrong_files(config, text, words):
    path = config(text)
    with pytest.raises(UserError) as caught:
        read_config(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_config(tmp_path / "none.toml")


def test_a_wrong_value_says_where_it_came_from(config):
    path = config("samples = 0")
    with pytest.raises(UserError, match=r"my.toml: samples: 0 is out of range"):
        resolve_settings({"alignment": "a", "output": "o"}, path)
    with pytest.raises(UserError, match=r"^--seed: -1 is out of range"):
        resolve_settings({"alignment": "a", "output": "o", "seed": -1})
    with pytest.raises(UserError, match=r"samples: 'many' is not an integer"):
        resolve_settings({"alignment": "a", "output": "o"}, config("samples = 'many'"))
    with pytest.raises(UserError, match=r"environment: 'merge' is not offered; choose 'insertion'"):
        resolve_settings({"alignment": "a", "output": "o"}, config("environment = 'merge'"))


def test_missing_alignment():
    with pytest.raises(UserError, match="alignment is missing"):
        resolve_settings({"output": "o"})


def test_resume_takes_up_the_settings_of_the_run(tmp_path):
    first = resolve_settings(
        {"alignment": "a.fasta", "output": tmp_path, "model": "GTR", "seed": 3, "samples": 10}
    )
    (tmp_path / "run.toml").write_text(settings_toml(first))
    again = resolve_settings({"output": tmp_path, "resume": True, "budget": "1h"})
    assert (again.alignment, again.model, again.seed) == ("a.fasta", "GTR", 3)
    assert again.budget == "1h"
    same = resolve_settings({"output": tmp_path, "resume": True, "model": "GTR"})
    assert same.model == "GTR"
    with pytest.raises(UserError, match=r"--seed 4 differs from the run to resume .*: 3"):
        resolve_settings({"output": tmp_path, "resume": True, "seed": 4})


def test_priors_are_a_table_of_the_file_and_words_of_the_command_line(config):
    path = config('[priors]\ngamma-shape = "exp:2.0"\nkappa = "beta:1,1"\n')
    given = {"alignment": "a", "output": "o"}
    settings = resolve_settings(given, path)
    assert settings.priors == {"gamma_shape": "exp:2", "kappa": "beta:1,1"}
    words = ["gamma_shape=exp:2", "kappa=beta:1,1"]
    assert resolve_settings({**given, "priors": words}).priors == settings.priors
    assert resolve_settings({**given, "priors": ["kappa=exp:1"]}, path).priors == {"kappa": "exp:1"}
    written = settings_toml(settings)
    assert tomllib.loads(written)["priors"] == settings.priors
    assert resolve_settings(given, config(written)) == settings
    assert resolve_settings(given).priors is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kappa"], "--prior: 'kappa=' is not a prior on a parameter; write PARAMETER=PRIOR"),
        (["kappa=exp:1", "kappa=exp:2"], "--prior: 'kappa' has two priors"),
        (["kappa=exp"], "--prior: prior 'exp': 'exp' takes 1 positive number"),
        (["kappa=normal:1"], "--prior: prior 'normal:1': unknown; known are exp"),
    ],
)
def test_wrong_priors(words, message):
    with pytest.raises(UserError) as caught:
        resolve_settings({"alignment": "a", "output": "o", "priors": words})
    assert str(caught.value).startswith(message)
    with pytest.raises(UserError, match="--prior: 'kappa=3' is not a prior"):
        resolve_settings({"alignment": "a", "output": "o", "priors": {"kappa": 3}})
