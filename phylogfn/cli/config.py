"""The settings of a run from the command line over a file over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfncore import configuration
from gfncore.configuration import RUN_FILE, settings_toml
from phylogfn.settings import ParsimonySettings, SampleSettings

__all__ = [
    "RUN_FILE",
    "read_config",
    "resolve_parsimony_settings",
    "resolve_settings",
    "settings_toml",
]


def resolve_settings(given: Mapping[str, Any], config: Path | None = None) -> SampleSettings:
    """Return the settings of a run; see :func:`gfncore.configuration.resolve_settings`."""
    return configuration.resolve_settings(SampleSettings, given, config)


def resolve_parsimony_settings(
    given: Mapping[str, Any], config: Path | None = None
) -> ParsimonySettings:
    """Return the settings of a run of ``phylogfn parsimony``; see :func:`resolve_settings`."""
    return configuration.resolve_settings(ParsimonySettings, given, config)


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a file; see :func:`gfncore.configuration.read_config`."""
    return configuration.read_config(SampleSettings, path)
