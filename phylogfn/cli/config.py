"""The settings of ``phylogfn sample`` from the command line over a file over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfncore import configuration
from gfncore.configuration import RUN_FILE, settings_toml
from phylogfn.settings import SampleSettings

__all__ = ["RUN_FILE", "read_config", "resolve_settings", "settings_toml"]


def resolve_settings(given: Mapping[str, Any], config: Path | None = None) -> SampleSettings:
    """Return the settings of a run; see :func:`gfncore.configuration.resolve_settings`."""
    return configuration.resolve_settings(SampleSettings, given, config)


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a file; see :func:`gfncore.configuration.read_config`."""
    return configuration.read_config(SampleSettings, path)
