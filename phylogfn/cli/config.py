"""The settings of a run from the command line over a file over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfncore.program import configuration
from gfncore.program.configuration import RUN_FILE, settings_toml
from phylogfn.settings import ParsimonySettings, SampleSettings

__all__ = [
    "RUN_FILE",
    "check_alignment",
    "read_config",
    "resolve_parsimony_settings",
    "resolve_settings",
    "settings_toml",
]


def resolve_settings(given: Mapping[str, Any], config: Path | None = None) -> SampleSettings:
    """Return the settings of a run; see :func:`gfncore.program.configuration.resolve_settings`."""
    return configuration.resolve_settings(SampleSettings, given, config)


def resolve_parsimony_settings(
    given: Mapping[str, Any], config: Path | None = None
) -> ParsimonySettings:
    """Return the settings of a run of ``phylogfn parsimony``; see :func:`resolve_settings`."""
    return configuration.resolve_settings(ParsimonySettings, given, config)


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a file; see :func:`gfncore.program.configuration.read_config`."""
    return configuration.read_config(SampleSettings, path)


def check_alignment(settings: SampleSettings | ParsimonySettings) -> None:
    """Read the alignment of a run for its errors alone, before anything heavy is imported.

    A pipe can be read once, so it is left to the run.

    Raises
    ------
    UserError
        The alignment will not do.
    """
    path = Path(settings.alignment)
    if settings.alignment != "-" and (path.is_file() or path.is_dir() or not path.exists()):
        from phylogfn.alignments.alignment import read_alignment

        read_alignment(
            settings.alignment, data_type=settings.data_type, file_format=settings.format
        )
