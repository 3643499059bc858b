"""The Containerfile copies what exists, and what the ignore file lets through."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = ROOT / "Containerfile"


def copied() -> list[str]:
    lines = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", CONTAINERFILE.read_text())
    return [name for line in lines for name in line.split()]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    assert {"phylogfn", "molgen", "gfncore", "data", "pipelines", "pyproject.toml"} <= set(copied())
    allowed = {
        line[1:]
        for line in (ROOT / ".containerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for name in copied():
        assert (ROOT / name).exists(), name
        assert name in allowed, name


def test_nothing_runs_as_root_in_the_end() -> None:
    last = CONTAINERFILE.read_text().rpartition("\nFROM ")[2]
    users = re.findall(r"(?m)^USER (\S+)$", last)
    assert users == ["1000"]
    assert 'ENTRYPOINT ["phylogfn"]' in last


def test_what_drawings_need_is_installed_and_told() -> None:
    # NEEDED of rdMolDraw2D.so and of the libraries beside it in RDKit's wheel, less what any Debian
    # has: libXrender.so.1, libXext.so.6, libX11.so.6, libexpat.so.1
    needed = {"libxrender1", "libxext6", "libx11-6", "libexpat1"}
    last = CONTAINERFILE.read_text().rpartition("\nFROM ")[2]
    install = re.compile(r"apt-get install ((?:-\S+ )*)([a-z0-9 -]+)")
    for text in (last, (ROOT / "docs" / "installation.md").read_text()):
        (found,) = install.findall(text)
        assert set(found[1].split()) == needed


def test_lint() -> None:
    program = shutil.which("hadolint") or shutil.which(
        "hadolint", path=str(Path(sys.executable).parent)
    )
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [program, str(CONTAINERFILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
