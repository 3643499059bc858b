"""Libraries of molecules drawn in proportion to a score, with their true probabilities."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Library", "ProgressReport", "UserError", "__version__", "sample"]

if TYPE_CHECKING:
    from gfncore.errors import UserError
    from gfncore.program.callback_progress import ProgressReport
    from molgen.api import sample
    from molgen.results.library import Library

    __version__: str

_MODULES = {
    "Library": "molgen.results.library",
    "ProgressReport": "gfncore.program.callback_progress",
    "UserError": "gfncore.errors",
    "sample": "molgen.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first access, so that the programs start without its dependencies."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("gfncore.program.provenance").software_version()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
