"""``molgen score``: a table of scores for molecules."""

from __future__ import annotations

from pathlib import Path

from cyclopts import Parameter  # noqa: F401

from molgen.cli import options

__all__ = ["score"]


def score(
    smiles_file: Path,
    /,
    *,
    reward: options.Reward = None,
    config: options.Config = None,
    threads: options.Threads = None,
) -> int:
    """Print a CSV of scores."""
    return 0
