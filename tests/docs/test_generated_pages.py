"""The pages of the reference that are made from the command lines."""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "_extensions" / "generated_pages.py"


@pytest.mark.parametrize("program", ["phylogfn", "molgen"])
def test_usage_is_as_users_type_it(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("generated_pages", PAGES)
    assert spec is not None and spec.loader is not None
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)

    # as in a process that `python -m sphinx` has started
    started = ModuleSpec("sphinx.__main__", None, origin="/lib/sphinx/__main__.py")
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", started)
    monkeypatch.setattr(sys, "argv", ["/lib/sphinx/__main__.py"])
    pages.write_command_lines(tmp_path)

    text = (tmp_path / f"{program}-command.md").read_text()
    assert "sphinx" not in text
    usages = re.findall(r"```console\n(.*)\n```", text)
    assert f"{program} sample --output PATH" in " ".join(usages)
    assert f"{program} workflow init DIRECTORY" in usages
