"""What the commands tell of how they read files of trees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gfncore.program.messages import say

if TYPE_CHECKING:
    from phylogfn.trees.files import NamedTrees
    from phylogfn.trees.samples import TreeSample

__all__ = ["show_notes"]


def show_notes(files: Iterable[NamedTrees | TreeSample]) -> None:
    """Print the notes on files of trees on standard error, one line each."""
    for file in files:
        for note in file.notes:
            say(f"phylogfn: note: {file.source}: {note}")
