"""Compiled code does not outlive the sources that it was made of."""

from __future__ import annotations

import importlib
from pathlib import Path

import gfncore.compiled_code
import phylogfn.kernels


def test_constants_of_the_kernels_count_as_sources(monkeypatch):
    asked = []
    monkeypatch.setattr(
        gfncore.compiled_code,
        "discard_stale_code",
        lambda folder, pattern: asked.extend(folder.glob(f"{pattern}.py")),
    )
    importlib.reload(phylogfn.kernels)
    folder = Path(phylogfn.kernels.__file__).parent
    assert {"tiles.py", "pruning_numba.py"} <= {path.name for path in asked}
    assert {path.parent for path in asked} == {folder}
    monkeypatch.undo()
    importlib.reload(phylogfn.kernels)
