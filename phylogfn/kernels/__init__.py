"""Numba kernels: numbers in arrays, no Python objects."""

from __future__ import annotations

from pathlib import Path


def _discard_stale_code(folder: Path) -> None:
    """Remove compiled functions that are older than any kernel's source.

    Numba compares a cached function with its own file alone, but the code of the functions and
    constants that it takes from other kernels is part of it: after an edit or a ``git pull`` it
    could run on arrays of another layout.
    """
    newest = max(path.stat().st_mtime for path in folder.glob("*.py"))
    for index in (folder / "__pycache__").glob("*_numba.*.nbi"):
        try:
            if index.stat().st_mtime < newest:
                index.unlink()
        except OSError:  # another process was faster, or the folder is not ours to change
            continue


_discard_stale_code(Path(__file__).parent)
