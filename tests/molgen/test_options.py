"""What the help says of options is what the settings do."""

from __future__ import annotations

import re

import pytest

from molgen.cli.main import main
from molgen.settings import ExactSettings, SampleSettings


@pytest.mark.parametrize(
    ("command", "settings", "environment"),
    [
        ("sample", SampleSettings, "atoms"),
        ("sample", SampleSettings, "fragments"),
        ("exact", ExactSettings, "atoms"),
    ],
)
def test_help_has_the_defaults_of_an_environment(
    command, settings, environment, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "250")  # an option a line
    assert main([command, "--help"]) == 0
    shown = dict(re.findall(r"(--[a-z-]+) .*\[default: ([^]]*)\]", capsys.readouterr().out))
    for key, value in settings.LIMITS[environment].items():
        if isinstance(value, bool):
            text = "yes" if value else "no"
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert text in shown[f"--{key.replace('_', '-')}"].split(" or "), key
