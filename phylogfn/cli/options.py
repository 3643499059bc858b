"""Checks that several commands of phylogfn make on their options before a run."""

from __future__ import annotations

from pathlib import Path

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
    path = Path(settings.alignment)
    if settings.alignment != "-" and (path.is_file() or path.is_dir() or not path.exists()):
        from phylogfn.alignments.alignment import read_alignment

        read_alignment(
            settings.alignment, data_type=settings.data_type, file_format=settings.format
        )
