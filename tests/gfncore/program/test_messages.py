"""Notes have a code for programs and a text for people."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from pathlib import Path

from gfncore.program.messages import Note

ROOT = Path(__file__).parents[3]


def test_a_note_is_its_text_and_keeps_its_code():
    note = Note("low-ess", "The effective sample size is low.")
    assert note == "The effective sample size is low." and json.loads(json.dumps(note)) == note
    for same in (pickle.loads(pickle.dumps(note)), copy.deepcopy(note), copy.copy(note)):
        assert type(same) is Note and same == note and same.code == "low-ess"


def test_each_code_is_a_slug_in_the_documentation():
    used = {"earlier"}
    for package in ("gfncore", "phylogfn", "molgen"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Note":
                    code = node.args[0]
                    used |= {code.value} if isinstance(code, ast.Constant) else set()
    text = (ROOT / "docs/reference/files.md").read_text()
    section = text.split("## Codes of warnings")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    documented = re.findall(r"`([a-z0-9-]+)`", " ".join(rows))
    assert sorted(documented) == sorted(used) and len(used) > 50
