"""Compiled kernels that are out of date.

Numba compares a cached function with its own file alone, but the code of the functions and
constants that it takes from other kernel files is part of it: after an edit or a ``git pull`` it
could run on arrays of another layout.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["discard_stale_code"]


def discard_stale_code(folder: Path, pattern: str = "*_numba") -> None:
    """Remove the compiled functions of kernel files if they are older than any of their sources.

    Parameters
    ----------
    folder : Path
        Where the files are; call this when their package is imported.
    pattern : str
        The stems of those that take from each other.
    """
    newest = max(path.stat().st_mtime for path in folder.glob(f"{pattern}.py"))
    for index in (folder / "__pycache__").glob(f"{pattern}.*.nbi"):
        try:
            if index.stat().st_mtime < newest:
                index.unlink()
        except OSError:  # another process was faster, or the folder is not ours to change
            continue
