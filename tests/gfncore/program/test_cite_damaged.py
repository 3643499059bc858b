"""`cite` of both programs on directories whose files were damaged: one line, exit code 2."""

import pytest

import molgen.cli.main
import phylogfn.cli.main

PROGRAMS = {"phylogfn": phylogfn.cli.main.main, "molgen": molgen.cli.main.main}
SUMMARIES = [
    *("", "[]", "1", "{}", '{"methods": 1}', '{"methods": [[]]}', '{"methods": [{}]}'),
    *('{"model": "JC69", "extra": 1}', '{"model": "JC69", "extra": []}', "[" * 100_000),
    '{"x": ' + "9" * 5000 + "}",
]
SETTINGS = [
    *("scoring = 1", "[scoring]\ncomponent = 1", "a = " + "[" * 5000, "a = " + "9" * 5000, "a"),
    "symmetry = 1\nobjective = [1]",
]


@pytest.mark.parametrize("summary", SUMMARIES)
def test_damaged_summaries(summary, tmp_path, capsys):
    (tmp_path / "summary.json").write_text(summary)
    for program, main in PROGRAMS.items():
        assert main(["cite", str(tmp_path)]) == 2
        assert "contains no finished run" in one_line(program, capsys)


@pytest.mark.parametrize("settings", SETTINGS)
def test_damaged_settings(settings, tmp_path, capsys):
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "run.toml").write_text(settings)
    assert PROGRAMS["molgen"](["cite", str(tmp_path)]) == 2
    assert "contains no finished run" in one_line("molgen", capsys)


def one_line(program, capsys):
    error = capsys.readouterr().err
    assert error.startswith(f"{program}: error: ") and error.count("\n") == 1
    return error
