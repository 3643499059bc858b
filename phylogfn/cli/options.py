"""Checks that several commands of phylogfn make on their options before a run."""

from __future__ import annotations

import os

from phylogfn.settings import ParsimonySettings, SampleSettings

__all__ = ["check_alignment"]


def check_alignment(settings: SampleSettings | ParsimonySettings) -> None:
    """Read the alignment of a run for its errors alone, before anything heavy is imported.

    A pipe can be read once, so it is left to the run.

    Raises
    ------
    UserError
        The alignment cannot be used.
    """
    path = settings.alignment  # os.path takes a name that is too long for one that does not exist
    pipe = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    if path != "-" and not pipe:
        from phylogfn.alignments.alignment import read_alignment

        read_alignment(
            settings.alignment, data_type=settings.data_type, file_format=settings.format
        )
