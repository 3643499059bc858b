"""Numba kernels: numbers in arrays, no Python objects."""

from __future__ import annotations

from pathlib import Path

from gfncore.compiled_code import discard_stale_code

discard_stale_code(Path(__file__).parent, "*")  # tiles.py too: its constants are compiled in
