"""A command line and settings from one class of options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from gfncore.errors import UserError
from gfncore.program.command_line import build_app, run_app, with_options
from gfncore.program.configuration import RunSettings, resolve_settings
from gfncore.program.options import Check, Config, Count, Option, Options, Output, Quiet


def _colours(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


class DyeOptions(Options):
    """Options of a command."""

    GROUPS: ClassVar[tuple[str, ...]] = ("Second", "First")
    POSITIONAL: ClassVar[dict[str, str]] = {"cloth": "CLOTH"}

    output: Output
    config: Config = None
    cloth: Annotated[str, Option("What to dye.")] = "wool"
    baths: Annotated[Count, Option("Number of baths.", group="First")] = 3
    heat: Annotated[float, Option("Heat of each.", group="First")] = 50.0
    kind: Annotated[Literal["a", "b"] | None, Option("Kind.", group="Second", shown="any")] = None
    colours: Annotated[
        tuple[str, ...], Check(_colours), Option("Colours.", shown="red", words=str)
    ] = ("red",)
    hidden: int = 7
    quiet: Quiet = False


class DyeSettings(DyeOptions, RunSettings):
    """Settings of the same command."""


def run(words: list[str]) -> tuple[int, dict[str, Any]]:
    found: dict[str, Any] = {}

    @with_options(DyeOptions)
    def dye(given: dict[str, Any]) -> None:
        """Dye a cloth."""
        found.update(given)

    return run_app("shop", build_app("shop", "A shop.", [dye]), ["dye", *words]), found


def test_what_the_command_line_does_not_say_is_none():
    code, given = run(["-o", "out", "--baths", "2"])
    expected = ("cloth", "output", "config", "baths", "heat", "kind", "colours", "quiet")
    assert code == 0 and tuple(given) == expected
    said = {name: value for name, value in given.items() if value is not None}
    assert said == {"output": Path("out"), "baths": 2}


def test_an_option_is_read_as_its_type_or_by_place():
    _, given = run(["linen", "-o", "out", "--heat", "30.5", "--colours", "blue,red", "-q"])
    assert given["cloth"] == "linen" and given["heat"] == 30.5 and given["quiet"] is True
    assert given["colours"] == "blue,red"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--baths", "2"], "--output"),
        (["-o", "x", "--bath", "2"], "Did you mean --baths?"),
        (["-o", "x", "--kind", "c"], '"a"'),
        (["-o", "x", "--hidden", "1"], "--hidden"),
        (["-o", "x", "--no-quiet"], "--no-quiet"),
    ],
)
def test_a_wrong_command_line_is_refused(words, message, capsys):
    code, given = run(words)
    assert code == 2 and not given
    assert message in capsys.readouterr().err


def test_the_help_has_texts_headings_and_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["--help"])[0] == 0
    out = capsys.readouterr().out
    assert out.index("Second") < out.index("Kind.") < out.index("First") < out.index("baths")
    for text in ("Number of baths. [default: 3]", "Heat of each. [default: 50]"):
        assert text in out
    assert "[choices: a, b] [default: any]" in out and "Colours. [default: red]" in out
    assert "hidden" not in out


def test_settings_are_the_options_checked(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("baths = 5\nhidden = 8\n")
    _, given = run(["-o", str(tmp_path / "out"), "--config", str(file), "--colours", "blue,red"])
    settings = resolve_settings(DyeSettings, given, given["config"])
    assert (settings.baths, settings.heat, settings.hidden) == (5, 50.0, 8)
    assert settings.colours == ("blue", "red")
    with pytest.raises(UserError, match="--baths: 0 is out of range"):
        resolve_settings(DyeSettings, {"output": tmp_path / "out", "baths": 0})
    file.write_text("config = 'other.toml'\n")
    with pytest.raises(UserError, match="unknown key 'config'"):
        resolve_settings(DyeSettings, {"output": tmp_path / "out"}, file)


def test_a_command_without_a_file_has_checked_values_and_defaults():
    values = DyeOptions.checked({"output": Path("out"), "colours": "red,blue", "heat": None})
    assert values == {
        **{"output": Path("out"), "config": None, "cloth": "wool", "baths": 3, "heat": 50.0},
        **{"kind": None, "colours": ["red", "blue"], "quiet": False},
    }
    with pytest.raises(UserError, match="^--baths: 0 is out of range; give an integer from 1"):
        DyeOptions.checked({"output": Path("out"), "baths": 0})
    with pytest.raises(UserError, match="^--output is missing"):
        DyeOptions.checked({})
